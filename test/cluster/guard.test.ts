/**
 * The guard: what becomes of a primary whose agent is killed, stopped or replaced, and of an agent whose guard is.
 * Three members, a monitor, a writer for each host.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { nowMs, ttlMs } from './lab/cluster.ts';
import type { Host } from './lab/host.ts';
import { beginNight, type Night } from './lab/night.ts';

let night: Night;

before(async () => {
  night = await beginNight({ synchronous_mode: 'quorum' });
});

after(async () => {
  await night?.lab.end();
});

function guardOf(host: Host): number | undefined {
  const [pid, ...more] = host.pids('guard.js');
  assert.deepEqual(more, [], 'one guard a member');
  return pid;
}

function postgresRuns(host: Host): boolean {
  return host.pids('postgres').some((pid) => readFileSync(`/proc/${pid}/stat`, 'latin1').includes('(postgres) '));
}

function servesElsewhere(former: Host, sinceMs: number): boolean {
  return night.lab.acknowledged().some((row) => row.host !== former.name && row.atMs > sinceMs);
}

/** The agent was ended and is started again: it finds PostgreSQL and its lease as they were. */
async function carriesOn(leader: Host): Promise<void> {
  const logged = night.lab.log(leader).length;
  night.lab.start(leader);
  await night.lab.waitFor('it leads again', () => /reclaim-key/.test(night.lab.log(leader).slice(logged)), 8000);
}

/** The agent no longer works; the guard ends PostgreSQL within the TTL, and another member serves. */
async function fencedAndReplaced(leader: Host, sinceMs: number): Promise<void> {
  const { lab } = night;
  await lab.waitFor('PostgreSQL is ended', () => !postgresRuns(leader), ttlMs);
  const fencedMs = nowMs() - sinceMs;
  await lab.waitFor('another one serves', () => servesElsewhere(leader, sinceMs), ttlMs);
  console.log(`# fenced after ${Math.round(fencedMs)} ms, write gap ${Math.round(night.gapMs(sinceMs))} ms`);
}

test('the agent is killed and started again within a second: PostgreSQL keeps its pid, the guard stays, writes go on', async () => {
  const { lab } = night;
  const leader = night.primary();
  const pid = lab.postmaster(leader);
  const guard = guardOf(leader);
  assert.ok(guard !== undefined);
  const killedAt = nowMs();
  await night.killAgent(leader);
  await carriesOn(leader);
  await night.holdsFor('the same leader', () => lab.leader() === leader, ttlMs);
  const gap = night.gapMs(killedAt);
  console.log(`# agent killed and started again: write gap ${Math.round(gap)} ms`);
  await night.endsWell();
  assert.equal(lab.postmaster(leader), pid);
  assert.equal(guardOf(leader), guard);
  // The writers alone pause for so long when the machine is busy.
  assert.ok(gap < 250, `${gap} ms`);
});

test('SIGUSR2 ends the agent alone: PostgreSQL goes on under the guard, and the next agent carries on', async () => {
  const { lab } = night;
  const leader = night.primary();
  const pid = lab.postmaster(leader);
  const guard = guardOf(leader);
  const askedAt = nowMs();
  leader.signal(`agent ${lab.config(leader)}`, 'SIGUSR2');
  await lab.waitFor('the agent has ended', () => leader.pids(`agent ${lab.config(leader)}`).length === 0, 5000);
  assert.equal(lab.postmaster(leader), pid);
  await carriesOn(leader);
  await night.endsWell();
  assert.equal(lab.postmaster(leader), pid);
  assert.equal(guardOf(leader), guard);
  assert.ok(night.gapMs(askedAt) < 250, `${night.gapMs(askedAt)} ms`);
});

test('the guard is killed, then frozen: the agent puts another one in its place, and PostgreSQL does not notice', async () => {
  const { lab } = night;
  const leader = night.primary();
  const pid = lab.postmaster(leader);
  const askedAt = nowMs();
  const first = guardOf(leader);
  leader.signal('guard.js', 'SIGKILL');
  const another = (former: number | undefined) => (): boolean => {
    const pids = leader.pids('guard.js');
    return pids.length === 1 && pids[0] !== former;
  };
  await lab.waitFor('another guard', another(first), 5000);
  const second = guardOf(leader);
  leader.signal('guard.js', 'SIGSTOP');
  await lab.waitFor('a third guard', another(second), 10_000);
  await night.endsWell();
  assert.equal(lab.postmaster(leader), pid);
  assert.ok(night.gapMs(askedAt) < 250, `${night.gapMs(askedAt)} ms`);
});

test('the agent is stopped for good: the guard ends PostgreSQL within the TTL, and another member serves', async () => {
  const { lab } = night;
  const leader = night.primary();
  const stoppedAt = nowMs();
  leader.signal(`agent ${lab.config(leader)}`, 'SIGSTOP');
  await fencedAndReplaced(leader, stoppedAt);
  leader.signal(`agent ${lab.config(leader)}`, 'SIGCONT');
  await follows(leader);
  await night.endsWell();
  const told = (): boolean => /guard +the deadline of the leader key passed/.test(events(leader));
  await lab.waitFor('the history tells what the guard did', told, 10_000);
});

/** An agent that wakes up tells for a moment what it knew before. */
async function follows(former: Host): Promise<void> {
  const isReplica = (): boolean => night.reads(former, 'select pg_is_in_recovery()') === 't';
  await night.lab.waitFor('the former primary is a replica', isReplica, 30_000);
}

function events(host: Host): string {
  return night.ask(host, 'history', '--events', '--format', 'tsv').text.replaceAll('\t', ' ');
}

test('the agent is killed for good: PostgreSQL is ended, and the guard ends when nothing is left to do', async () => {
  const { lab } = night;
  const leader = night.primary();
  const killedAt = nowMs();
  await night.killAgent(leader);
  await fencedAndReplaced(leader, killedAt);
  await lab.waitFor('the guard has ended', () => guardOf(leader) === undefined, 10_000);
  lab.start(leader);
  await night.endsWell();
});

test('the agent is stopped and the network cut at the same moment: never two that acknowledge', async () => {
  const { lab } = night;
  const leader = night.primary();
  const stoppedAt = nowMs();
  leader.linkDown();
  leader.signal(`agent ${lab.config(leader)}`, 'SIGSTOP');
  await fencedAndReplaced(leader, stoppedAt);
  leader.linkUp();
  leader.signal(`agent ${lab.config(leader)}`, 'SIGCONT');
  await follows(leader);
  await night.endsWell();
});

test('the agent is told to end: PostgreSQL is stopped, and the guard ends with it', async () => {
  const { lab } = night;
  const [replica] = night.replicas();
  assert.ok(replica);
  replica.signal(`agent ${lab.config(replica)}`, 'SIGTERM');
  const ended = (): boolean => !postgresRuns(replica) && guardOf(replica) === undefined;
  await lab.waitFor('PostgreSQL and the guard have ended', ended, 20_000);
  lab.start(replica);
  await night.endsWell();
});
