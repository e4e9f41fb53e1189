/**
 * Synchronous mode and the network: single links, whole hosts and the monitor are cut off, on real processes. Three
 * members, a witness, a monitor, and a writer for each host.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs, ttlMs } from './lab/cluster.ts';
import type { Host } from './lab/host.ts';
import { beginNight, type Night } from './lab/night.ts';

const failureTimeoutMs = 2000;

let night: Night;
let witness: Host;

before(async () => {
  night = await beginNight({ synchronous_mode: 'quorum' }, { witness: true });
  assert.ok(night.lab.witness);
  witness = night.lab.witness;
});

after(async () => {
  await night?.lab.end();
});

function cut(one: Host, other: Host): void {
  one.loseFrom(other);
  other.loseFrom(one);
}

function mend(...hosts: readonly Host[]): void {
  for (const host of hosts) host.hearAll();
}

/** The same leader in the same timeline, and its writer noticed next to nothing. */
async function nothingHappens(whatMs: number): Promise<void> {
  const leader = night.primary();
  const timeline = night.timeline();
  const sinceMs = nowMs();
  await night.holdsFor('the same leader', () => night.lab.leader() === leader, whatMs);
  assert.equal(night.timeline(), timeline);
  const gap = night.gapMs(sinceMs);
  assert.ok(gap < 1500, `write gap ${gap} ms`);
}

test('a witness is listed as one, and no commit waits for it', () => {
  const seen = night.lab.look()?.find(({ name }) => name === witness.name);
  assert.equal(seen?.role, 'witness');
  assert.ok(!night.syncStandbys().includes(witness.name));
});

test('the link between the primary and one standby is cut: no failover; the standby leaves the sync standbys, and comes back', async () => {
  const leader = night.primary();
  const [standby, other] = night.replicas();
  assert.ok(standby && other);
  cut(leader, standby);
  await nothingHappens(8000);
  assert.deepEqual(night.syncStandbys(), [other.name]);
  mend(leader, standby);
  await night.endsWell();
  assert.equal(night.primary(), leader);
});

test('the link between a standby and the witness is cut: nothing happens', async () => {
  const [standby] = night.replicas();
  assert.ok(standby);
  const before = night.syncStandbys();
  cut(standby, witness);
  await nothingHappens(failureTimeoutMs + 3000);
  assert.deepEqual(night.syncStandbys(), before);
  mend(standby, witness);
  await night.endsWell();
});

test('the primary is isolated: it stops acknowledging at once and PostgreSQL within its lease; another one serves', async () => {
  const { lab } = night;
  const leader = night.primary();
  // The cut-off side keeps a client of its own.
  lab.stopWriters();
  lab.startWriters(leader);
  await night.writesAgain(nowMs(), 10_000);
  const postmaster = lab.postmaster(leader);
  const cutAt = nowMs();
  leader.linkDown();
  await lab.waitFor('PostgreSQL of the isolated primary has stopped', () => !existsSync(`/proc/${postmaster}`), ttlMs);
  const stoppedAt = nowMs();
  const rows = lab.acknowledged();
  const last = Math.max(...rows.filter(({ host }) => host === leader.name).map(({ atMs }) => atMs));
  const first = Math.min(...rows.filter((row) => row.host !== leader.name && row.atMs > cutAt).map(({ atMs }) => atMs));
  console.log(
    `# isolated: its last commit ${Math.round(last - cutAt)} ms, the new one's first ${Math.round(first - cutAt)} ms, its PostgreSQL's end ${Math.round(stoppedAt - cutAt)} ms after the cut`,
  );
  assert.ok(last > cutAt - 500, 'until then its own client wrote on');
  assert.ok(last - cutAt < 500, 'it stopped acknowledging at once');
  assert.ok(first - cutAt < failureTimeoutMs + 2000, 'another one serves before the TTL');
  leader.linkUp();
  await night.endsWell();
  lab.stopWriters();
  lab.startWriters();
  await night.writesAgain(nowMs(), 10_000);
});

test('a standby is isolated for longer than the TTL: nothing happens, and it returns', async () => {
  const [standby, other] = night.replicas();
  assert.ok(standby && other);
  standby.linkDown();
  await nothingHappens(ttlMs + 3000);
  assert.deepEqual(night.syncStandbys(), [other.name]);
  standby.linkUp();
  await night.endsWell();
});

test('primary and witness on one side, standbys and monitor on the other: the standbys elect one', async () => {
  const { lab } = night;
  const leader = night.primary();
  const standbys = night.replicas();
  const cutAt = nowMs();
  for (const inside of [leader, witness]) for (const outside of [...standbys, lab.monitor]) cut(inside, outside);
  await lab.waitFor(
    'another one serves',
    () => lab.acknowledged().some((row) => row.host !== leader.name && row.atMs > cutAt),
    2 * ttlMs,
  );
  const tookMs = nowMs() - cutAt;
  console.log(`# the smaller side has primary and witness: another one serves after ${Math.round(tookMs)} ms`);
  mend(leader, witness, ...standbys, lab.monitor);
  await night.endsWell();
  assert.notEqual(night.primary(), leader);
});

test('the witness is off, then the primary: the two that are left suffice', async () => {
  const leader = night.primary();
  witness.powerOff();
  await nothingHappens(failureTimeoutMs + 1000);
  const lostAt = nowMs();
  leader.powerOff();
  await night.writesAgain(lostAt, 2 * ttlMs);
  const gap = night.gapMs(lostAt);
  console.log(`# host lost without a witness: write gap ${Math.round(gap)} ms`);
  assert.ok(gap < failureTimeoutMs + 2000, `${gap} ms`);
  await night.boot(witness);
  await night.boot(leader);
  await night.endsWell();
  assert.notEqual(night.primary(), leader);
});

test('the monitor is down for longer than the TTL: the primary goes on, also with one sync standby without an agent', async () => {
  const { lab } = night;
  const leader = night.primary();
  const timeline = night.timeline();
  const [standby] = night.replicas();
  assert.ok(standby);
  const downAt = nowMs();
  await lab.monitor.kill('monitor');
  await lab.monitor.kill('postgres');
  await sleep(ttlMs + 2000);
  // One of two sync standbys is enough: fewer than a cover is left that could revoke.
  await night.killAgent(standby);
  await sleep(ttlMs + 2000);
  await night.writesAgain(nowMs(), 2000);
  const gap = night.gapMs(downAt);
  console.log(`# monitor down: write gap ${Math.round(gap)} ms`);
  assert.ok(gap < 1500, `${gap} ms`);
  lab.startMonitor();
  lab.start(standby);
  await night.endsWell();
  assert.equal(night.primary(), leader);
  assert.equal(night.timeline(), timeline);
});

test('the primary alone loses the monitor: the others keep their word although its key expires, and it goes on', async () => {
  const { lab } = night;
  const leader = night.primary();
  const timeline = night.timeline();
  const cutAt = nowMs();
  cut(leader, lab.monitor);
  await sleep(2 * ttlMs);
  await night.writesAgain(nowMs(), 2000);
  mend(leader, lab.monitor);
  await night.endsWell();
  const gap = night.gapMs(cutAt);
  console.log(`# monitor lost by the primary: write gap ${Math.round(gap)} ms`);
  assert.ok(gap < 1500, `${gap} ms`);
  assert.equal(night.primary(), leader);
  assert.equal(night.timeline(), timeline);
});

test('primary and monitor are lost together: nobody is elected; when the monitor is back somebody is, and the primary follows', async () => {
  const { lab } = night;
  const leader = night.primary();
  const standbys = night.replicas();
  leader.powerOff();
  lab.monitor.powerOff();
  const bothWait = (): boolean => standbys.every((host) => night.reads(host, 'select pg_is_in_recovery()') === 't');
  await night.holdsFor('nobody is promoted', bothWait, ttlMs + 3000);
  const backAt = nowMs();
  await lab.monitor.powerOn();
  lab.startMonitor();
  await night.writesAgain(backAt, 4 * ttlMs);
  console.log(`# primary and monitor lost: writes ${Math.round(nowMs() - backAt)} ms after the monitor was back`);
  await night.boot(leader);
  await night.endsWell();
});
