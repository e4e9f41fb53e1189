/**
 * Agents that end or stall, and primaries that come back when another one leads already: the ways in which
 * acknowledged commits were seen to get lost elsewhere. Three members, a monitor, a writer for each host.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { binDir, nowMs, ttlMs } from './lab/cluster.ts';
import type { Host } from './lab/host.ts';
import { beginNight, type Night } from './lab/night.ts';

const failureTimeoutMs = 2000;

let night: Night;

before(async () => {
  night = await beginNight({ synchronous_mode: 'quorum' });
});

after(async () => {
  await night?.lab.end();
});

/** A commit of a client on the host itself, with all the patience of the world; what psql says goes to `<log>`. */
function commitOn(host: Host, number: number, log: string): void {
  const address = `host=${host.address} port=5432 user=postgres password=x dbname=postgres`;
  host.start(['psql', address, '-Xc', `insert into lab values (${number})`], log);
}

/** It ended, and what it said is no acknowledgement: an error, or a commit with a warning. */
function assertNotAcknowledged(host: Host, log: string): void {
  const said = readFileSync(join(host.disk, log), 'utf8');
  assert.match(said, /FATAL|ERROR|WARNING|server closed the connection/, said);
  if (said.includes('INSERT 0 1')) assert.match(said, /WARNING/, said);
}

function waitsForStandbys(host: Host): boolean {
  return Number(night.reads(host, "select count(*) from pg_stat_activity where wait_event = 'SyncRep'")) > 0;
}

function servesElsewhere(former: Host, sinceMs: number): boolean {
  return night.lab.acknowledged().some((row) => row.host !== former.name && row.atMs > sinceMs);
}

test('the agent of the primary is killed and started again under load: no failover, PostgreSQL keeps its pid', async () => {
  const { lab } = night;
  const leader = night.primary();
  const timeline = night.timeline();
  const pid = lab.postmaster(leader);
  const killedAt = nowMs();
  await night.killAgent(leader);
  lab.start(leader);
  const reclaimed = (): boolean => lab.leader() === leader && lab.log(leader).includes('reclaim-key');
  await lab.waitFor('the agent leads again', reclaimed, 8000);
  // Longer than the lease of the killed agent.
  await night.holdsFor('the same leader', () => lab.leader() === leader, ttlMs + 1000);
  const gap = night.gapMs(killedAt);
  console.log(`# agent restarted: write gap ${Math.round(gap)} ms`);
  await night.endsWell();
  assert.equal(lab.postmaster(leader), pid);
  assert.equal(night.timeline(), timeline);
  assert.ok(gap < 1000, `${gap} ms`);
});

test('the agent of a sync standby stalls for 5 s: no failover, and writes go on', async () => {
  const { lab } = night;
  const leader = night.primary();
  const timeline = night.timeline();
  const [standby] = night.replicas();
  assert.ok(standby);
  const stalledAt = nowMs();
  standby.signal(`agent ${lab.config(standby)}`, 'SIGSTOP');
  await sleep(5000);
  standby.signal(`agent ${lab.config(standby)}`, 'SIGCONT');
  const gap = night.gapMs(stalledAt);
  console.log(`# agent of a sync standby stalled: write gap ${Math.round(gap)} ms`);
  await night.endsWell();
  assert.equal(night.primary(), leader);
  assert.equal(night.timeline(), timeline);
  assert.ok(gap < 1000, `${gap} ms`);
});

test('the primary stalls, agent, guard and PostgreSQL, for 15 s and wakes up: another one serves, and nothing is lost', async () => {
  const { lab } = night;
  const leader = night.primary();
  const stalledAt = nowMs();
  leader.signal(`agent ${lab.config(leader)}`, 'SIGSTOP');
  leader.signal('guard.js', 'SIGSTOP');
  leader.signal('postgres', 'SIGSTOP');
  await lab.waitFor('another one serves', () => servesElsewhere(leader, stalledAt), ttlMs);
  const tookMs = nowMs() - stalledAt;
  console.log(`# primary stalled: another one serves after ${Math.round(tookMs)} ms`);
  assert.ok(tookMs < failureTimeoutMs + 2500, `${tookMs} ms`);
  await sleep(Math.max(0, stalledAt + 15_000 - nowMs()));
  const wokenAt = nowMs();
  // PostgreSQL first: for a moment it is writable, and nobody watches it.
  leader.signal('postgres', 'SIGCONT');
  commitOn(leader, 1, 'woken.log');
  await sleep(1000);
  leader.signal(`agent ${lab.config(leader)}`, 'SIGCONT');
  leader.signal('guard.js', 'SIGCONT');
  await night.endsWell();
  assert.equal(lab.acknowledged().filter((row) => row.host === leader.name && row.atMs > wokenAt).length, 0);
  assertNotAcknowledged(leader, 'woken.log');
  assert.notEqual(night.primary(), leader);
});

test('the agent of the primary stalls for less than the TTL: a PostgreSQL that serves is no reason for a failover', async () => {
  const { lab } = night;
  const leader = night.primary();
  const timeline = night.timeline();
  const stalledAt = nowMs();
  leader.signal(`agent ${lab.config(leader)}`, 'SIGSTOP');
  await sleep(5000);
  leader.signal(`agent ${lab.config(leader)}`, 'SIGCONT');
  await night.writesAgain(nowMs(), 5000);
  const gap = night.gapMs(stalledAt);
  console.log(`# agent of the primary stalled: write gap ${Math.round(gap)} ms`);
  await night.endsWell();
  assert.equal(night.primary(), leader);
  assert.equal(night.timeline(), timeline);
  assert.ok(gap < 1000, `${gap} ms`);
});

test('an agent is started again over a cut-off primary that nobody guards, whose commits hang: it does not let them go', async () => {
  const { lab } = night;
  const leader = night.primary();
  const cutAt = nowMs();
  await night.killAgent(leader);
  await leader.kill('guard.js');
  leader.linkDown();
  commitOn(leader, 2, 'hanging.log');
  await lab.waitFor('another one serves', () => servesElsewhere(leader, cutAt), 2 * ttlMs);
  lab.start(leader);
  const fenced = (): boolean => leader.pids('psql').length === 0;
  await lab.waitFor('the hanging commit has ended', fenced, 2 * ttlMs);
  assertNotAcknowledged(leader, 'hanging.log');
  leader.linkUp();
  await night.endsWell();
  assertNotAcknowledged(leader, 'hanging.log');
  assert.notEqual(night.primary(), leader);
});

test('the old primary is started by hand while another one leads: what it is told to commit hangs, and its agent ends it', async () => {
  const { lab } = night;
  const leader = night.primary();
  const lostAt = nowMs();
  await night.killAgent(leader);
  process.kill(lab.postmaster(leader), 'SIGKILL');
  await lab.waitFor('another one serves', () => servesElsewhere(leader, lostAt), 2 * ttlMs);
  await leader.kill('postgres');
  const asPostgres = ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'];
  const log = join(leader.disk, 'pg', 'by-hand.log');
  leader.run([...asPostgres, `${binDir}/pg_ctl`, '-D', lab.dataDir(leader), '-l', log, '-w', 'start']);
  assert.equal(lab.sql(leader, 'select pg_is_in_recovery()'), 'f', 'it takes itself for the primary');
  const startedAt = nowMs();
  commitOn(leader, 3, 'by-hand-client.log');
  await lab.waitFor('its commits hang', () => waitsForStandbys(leader), 5000);
  // Nobody follows it, however long it waits.
  await night.holdsFor('the other one leads', () => lab.leader() !== leader, 3000);
  lab.start(leader);
  await night.endsWell();
  assertNotAcknowledged(leader, 'by-hand-client.log');
  assert.equal(lab.acknowledged().filter((row) => row.host === leader.name && row.atMs > startedAt).length, 0);
  assert.notEqual(night.primary(), leader);
});
