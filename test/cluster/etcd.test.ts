/** A cluster of three members on an etcd of three members, all on loopback: what happens to PostgreSQL, and to etcd. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type EtcdMember, startEtcd, type TestEtcd } from '../dcs/etcd.ts';
import { createLoopback, type Loopback, type Row } from './loopback/cluster.ts';
import type { Member } from './loopback/member.ts';
import { until } from './loopback/wait.ts';
import { startWriters, type Writers } from './loopback/writer.ts';

const ttlS = 4;

let etcd: TestEtcd;
let loopback: Loopback;
let members: readonly Member[];
let writers: Writers | undefined;

before(async () => {
  etcd = await startEtcd();
  loopback = await createLoopback();
  const dcs = { ttl: ttlS, failure_timeout: 1, synchronous_mode: 'quorum' };
  const etcd3 = { hosts: etcd.urls.map((url) => url.replace('http://', '')) };
  const settings = { monitor: undefined, etcd3, bootstrap: { dcs } };
  members = await Promise.all(['pg1', 'pg2', 'pg3'].map((name) => loopback.member(name, { settings })));
  for (const member of members) member.start();
  const leader = await isWell();
  await leader.sql('create table written (number int primary key)');
  writers = startWriters(members);
});

after(async () => {
  await writers?.stop();
  await loopback?.end();
  await etcd?.end();
});

async function rows(): Promise<readonly Row[]> {
  const [first] = members;
  assert.ok(first);
  return loopback.rows(first).catch(() => []);
}

/** One leader, and two replicas that commits may wait for; the leader. */
async function isWell(): Promise<Member> {
  return loopback.until(
    'a leader and two sync standbys',
    async () => {
      const listed = await rows();
      const standbys = listed.filter((row) => row['Role'] === 'Quorum Standby' && row['State'] === 'streaming');
      const leader = listed.find((row) => row['Role'] === 'Leader' && row['State'] === 'running');
      return standbys.length === 2 && members.find(({ name }) => name === leader?.['Member']);
    },
    { timeoutMs: 60_000, everyMs: 200 },
  );
}

/** Everybody is well, nothing that was acknowledged is missing; the leader. */
async function endsWell(): Promise<Member> {
  const leader = await isWell();
  assert.deepEqual(await writers?.missingIn(leader), []);
  return leader;
}

async function writesAgain(sinceMs: number, by?: Member): Promise<void> {
  await loopback.until('writes are acknowledged', () =>
    writers?.acknowledged.some(({ atMs, member }) => atMs > sinceMs && (by === undefined || member === by.name)),
  );
}

test('PostgreSQL is killed: writes go on soon, wherever, and nothing is lost', async () => {
  const leader = await isWell();
  const pid = leader.postmaster();
  assert.ok(pid !== undefined);
  const killedAt = performance.now();
  process.kill(pid, 'SIGKILL');
  await loopback.until('it is gone', () => leader.postmaster() !== pid);
  await writesAgain(performance.now());
  console.log(`# crash: write gap ${Math.round(writers?.gapMs(killedAt) ?? 0)} ms`);
  await endsWell();
});

test('a switchover: the candidate serves', async () => {
  const leader = await isWell();
  const candidate = members.find((member) => member !== leader);
  assert.ok(candidate);
  const askedAt = performance.now();
  const words = ['--leader', leader.name, '--candidate', candidate.name, '--force'];
  const outcome = await loopback.pgherd(candidate, 'switchover', ...words);
  assert.equal(outcome.code, 0, outcome.stderr);
  await writesAgain(askedAt, candidate);
  console.log(`# switchover: write gap ${Math.round(writers?.gapMs(askedAt) ?? 0)} ms`);
  assert.equal(await endsWell(), candidate);
});

/** What happens to etcd costs no primary, and writes go on. */
async function costsNothing(what: string, harm: () => Promise<void>): Promise<void> {
  const leader = await isWell();
  const pid = leader.postmaster();
  const term = termOf(await rows());
  const began = performance.now();
  await harm();
  await etcd.settled();
  await writesAgain(performance.now());
  const gap = writers?.gapMs(began) ?? 0;
  console.log(`# ${what}: write gap ${Math.round(gap)} ms`);
  assert.equal(await endsWell(), leader);
  assert.equal(leader.postmaster(), pid);
  assert.equal(termOf(await rows()), term);
  assert.ok(gap < 1000, `${gap} ms`);
}

function termOf(listed: readonly Row[]): unknown {
  return listed.find((row) => row['Role'] === 'Leader')?.['TL'];
}

/** Long enough for the key to be lost, were it not renewed. */
async function forALease(): Promise<void> {
  const end = performance.now() + ttlS * 1000 + 1000;
  await until('a lease could have ended', () => performance.now() > end);
}

test('the member that leads etcd is killed: the primary stays', async () => {
  await costsNothing("etcd's leader killed", async () => {
    const first: EtcdMember = await etcd.leader();
    await first.kill();
    await etcd.leader();
    await forALease();
  });
});

test('a member of etcd is frozen, and its lead moves: the primary stays', async () => {
  await costsNothing('etcd member frozen', async () => {
    const [follower] = await etcd.followers();
    follower?.freeze();
    await forALease();
    follower?.thaw();
    await etcd.settled();
    await etcd.moveLeader();
  });
});

test('etcd loses its quorum for longer than the lease: the members keep the primary, and say so', async () => {
  await costsNothing('etcd without quorum', async () => {
    const [first, second] = etcd.members;
    assert.ok(first && second);
    await Promise.all([first.kill(), second.kill()]);
    await forALease();
    const [member] = members;
    assert.ok(member);
    const told = await loopback.pgherd(member, 'list');
    assert.equal(told.code, 0, told.stderr);
    assert.match(told.stderr, /etcd http:\/\/127\.0\.0\.1:\d+/);
    assert.match(told.stdout, /Leader/);
  });
});
