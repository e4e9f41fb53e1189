/**
 * Stories of the simulator (test/core/testdata) on real processes, struck in the very moment that they are about: a write
 * whose reply is lost or that lands late, a crash in the middle of a promotion, a rewind or a hand-over. Three members
 * in quorum mode, a monitor, a writer for each host. What is said of each is what the simulator says.
 */
import assert from 'node:assert/strict';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs, ttlMs } from './lab/cluster.ts';
import { faultKinds } from './lab/faults.ts';
import type { Host } from './lab/host.ts';
import { beginNight, type Night } from './lab/night.ts';
import { monitorProgramsOf, postgresOf, send } from './lab/processes.ts';
import { holdTaking, listen } from './lab/trap.ts';

let night: Night;

before(async () => {
  night = await beginNight({ synchronous_mode: 'quorum' });
});

after(async () => {
  await night?.lab.end();
});

/** PostgreSQL of the primary dies, and whoever takes the key hangs in the middle of it: who, and what lets it go. */
async function crashAndHold(): Promise<{ readonly candidate: Host; readonly letGo: () => Promise<void> }> {
  const { lab } = night;
  const leader = night.primary();
  const others = night.replicas();
  const held = await holdTaking(lab);
  const ear = listen(lab);
  send(lab.postmasters(leader), 'SIGKILL');
  const candidate = await ear.hears(others, /INFO +take-revoked/, 5000);
  const began = nowMs();
  while (!(await held.isWaitedFor())) {
    assert.ok(nowMs() - began < 5000, 'the taking is under way');
    await sleep(10);
  }
  return { candidate, letGo: held.letGo };
}

test('reply-lost: the key is taken, and the reply is lost: one member serves, and nothing is lost', async () => {
  const ear = listen(night.lab);
  const { candidate, letGo } = await crashAndHold();
  candidate.dropPackets('replies', [`ip saddr ${night.lab.monitor.address}`], []);
  await letGo();
  await ear.hears([candidate], /transaction: take \(revoked\): unanswered/, 5000);
  candidate.passPackets('replies');
  const mendedAt = nowMs();
  await night.writesAgain(mendedAt, 2 * ttlMs);
  console.log(`# reply lost: writes ${Math.round(nowMs() - mendedAt)} ms after the link was mended`);
  await night.endsWell();
});

test('unanswered: a taking that was given up lands late: one member serves, and nothing is lost', async () => {
  const ear = listen(night.lab);
  const { candidate, letGo } = await crashAndHold();
  await ear.hears([candidate], /transaction: take \(revoked\): unanswered/, 5000);
  const landsAt = nowMs();
  await letGo();
  await night.writesAgain(landsAt, 2 * ttlMs);
  console.log(`# landed late: writes ${Math.round(nowMs() - landsAt)} ms later`);
  await night.endsWell();
});

test('a primary that hears, and is not heard: another one serves, and the first acknowledges nothing more', async () => {
  const { lab } = night;
  const leader = night.primary();
  lab.startWriterInside(leader);
  const cutAt = nowMs();
  leader.dropPackets('mute', [], ['oifname eth0']);
  const elsewhere = (): boolean => lab.acknowledged().some((row) => row.host !== leader.name && row.atMs > cutAt);
  await lab.waitFor('another one serves', elsewhere, 2 * ttlMs);
  console.log(`# not heard: another one serves after ${Math.round(nowMs() - cutAt)} ms`);
  leader.passPackets('mute');
  await night.endsWell();
  const last = lab.acknowledged().findLast((row) => row.host === leader.name)?.atMs ?? 0;
  assert.ok(last - cutAt < 500, `it acknowledged until ${last - cutAt} ms after the cut`);
});

test('sync-crash, twice: the new primary dies in the middle of its promotion', async () => {
  const { lab } = night;
  const leader = night.primary();
  const others = night.replicas();
  const ear = listen(lab);
  const killedAt = nowMs();
  send(lab.postmasters(leader), 'SIGKILL');
  const next = await ear.hears(others, /job-begun: promote/, 10_000);
  send(lab.postmasters(next), 'SIGKILL');
  await night.writesAgain(killedAt, 3 * ttlMs);
  console.log(`# crash in the promotion: write gap ${Math.round(night.gapMs(killedAt))} ms`);
  await night.endsWell();
});

test('rewind-interrupted: agent and pg_rewind die together: the directory is not trusted, and copied anew', async () => {
  const { lab } = night;
  const leader = night.primary();
  // What hangs there for ever is in its WAL, and in nobody else's.
  leader.cutOff();
  const lostAt = nowMs();
  const address = `host=${leader.address} port=5432 user=postgres password=x dbname=postgres`;
  leader.start(['psql', address, '-Xc', 'insert into lab values (1)'], 'hanging.log');
  const elsewhere = (): boolean => lab.acknowledged().some((row) => row.host !== leader.name && row.atMs > lostAt);
  await lab.waitFor('another one serves', elsewhere, 2 * ttlMs);
  leader.powerOff();
  const ear = listen(lab);
  await night.boot(leader);
  await ear.hears([leader], /job-begun: rewind/, 20_000);
  await Promise.all([leader.kill('pgherd.js agent'), leader.kill('pg_rewind')]);
  lab.start(leader);
  await ear.hears([leader], /clone: a rewind of this data directory was not finished/, 10_000);
  await night.endsWell();
  assert.match(ear.said(leader), /job-done: clone/);
});

test('sync-agent-restart, again and again: the agents of primary and standby are killed all the time; nobody moves', async () => {
  const { lab } = night;
  const leader = night.primary();
  const timeline = night.timeline();
  const [standby] = night.replicas();
  assert.ok(standby);
  const pid = lab.postmaster(leader);
  const beganAt = nowMs();
  const storm = faultKinds['agent-storm'].make;
  const storms = [
    storm({ lab, target: leader, other: standby, strength: 0.2 }),
    storm({ lab, target: standby, other: leader, strength: 0.1 }),
  ];
  for (const one of storms) await one.begin();
  // A part of what the lease has left at least: none of these agents lives long enough to renew it.
  await sleep(ttlMs / 5);
  for (const one of storms) await one.end();
  await night.endsWell();
  const gap = night.gapMs(beganAt);
  console.log(`# agents killed all the time: write gap ${Math.round(gap)} ms`);
  assert.equal(lab.postmaster(leader), pid);
  assert.equal(night.timeline(), timeline);
  assert.ok(gap < 1000, `${gap} ms`);
});

test('sync-host-lost, and the monitor is restarted between the revocations and the taking', async () => {
  const { lab } = night;
  const leader = night.primary();
  const others = night.replicas();
  const ear = listen(lab);
  const lostAt = nowMs();
  leader.powerOff();
  await ear.hears(others, /INFO +revoke:/, 2 * ttlMs);
  send([...monitorProgramsOf(lab.monitor), ...postgresOf(lab.monitor)], 'SIGKILL');
  await lab.monitor.kill('monitor');
  lab.startMonitor();
  await night.writesAgain(lostAt, 3 * ttlMs);
  console.log(`# monitor restarted in the failover: write gap ${Math.round(night.gapMs(lostAt))} ms`);
  await night.boot(leader);
  await night.endsWell();
});

/** A switchover is asked for; resolves when the primary's PostgreSQL begins to stop. */
async function handOver(candidate: Host): Promise<void> {
  const { lab } = night;
  const leader = night.primary();
  const ear = listen(lab);
  const words = ['switchover', 'lab', '--leader', leader.name, '--candidate', candidate.name, '--force'];
  leader.start(lab.pgherdWords(leader, ...words), 'operator.log');
  await ear.hears([leader], /INFO +switchover-stop:/, 10_000);
}

test('switchover-candidate-dies: in the moment of the hand-over; another one, or the old primary, serves', async () => {
  const [candidate] = night.replicas();
  assert.ok(candidate);
  await handOver(candidate);
  candidate.powerOff();
  const lostAt = nowMs();
  await night.writesAgain(lostAt, 3 * ttlMs);
  console.log(`# candidate lost: write gap ${Math.round(night.gapMs(lostAt))} ms`);
  await night.boot(candidate);
  await night.endsWell();
});

test('switchover-crash: PostgreSQL crashes in the shutdown; the wish does not come true later', async () => {
  const { lab } = night;
  const leader = night.primary();
  const [candidate] = night.replicas();
  assert.ok(candidate);
  await handOver(candidate);
  send(postgresOf(leader), 'SIGKILL');
  const crashedAt = nowMs();
  await night.writesAgain(crashedAt, 3 * ttlMs);
  console.log(`# crash in the shutdown: write gap ${Math.round(night.gapMs(crashedAt))} ms`);
  await night.endsWell();
  const now = night.primary();
  await night.holdsFor('nobody moves any more', () => lab.leader() === now, 2000);
});

test('sync-dcs-restored: the monitor goes back in time: it is not believed, and the primary goes on', async () => {
  const { lab } = night;
  const data = join(lab.monitor.disk, 'monitor');
  const stop = async (): Promise<void> => {
    send([...monitorProgramsOf(lab.monitor), ...postgresOf(lab.monitor)], 'SIGKILL');
    await lab.monitor.kill('monitor');
    await lab.monitor.kill('postgres');
  };
  await stop();
  lab.monitor.run(['cp', '-a', data, `${data}.backup`]);
  lab.startMonitor();
  const former = night.primary();
  const [candidate] = night.replicas();
  assert.ok(candidate);
  const words = ['switchover', 'lab', '--leader', former.name, '--candidate', candidate.name, '--force'];
  await lab.waitFor('a switchover', () => night.ask(candidate, ...words).ok, 2 * ttlMs);
  await night.everybodyIsWell();
  const timeline = night.timeline();
  const ear = listen(lab);
  await stop();
  rmSync(data, { recursive: true });
  renameSync(`${data}.backup`, data);
  const backAt = nowMs();
  lab.startMonitor();
  await ear.hears([candidate], /INFO +dcs-went-back:/, 2 * ttlMs);
  await night.writesAgain(backAt, 2 * ttlMs);
  await night.endsWell();
  console.log(`# monitor restored: write gap ${Math.round(night.gapMs(backAt))} ms`);
  assert.equal(night.primary(), candidate);
  assert.equal(night.timeline(), timeline);
});
