/**
 * Real faults on real processes: three members and a monitor on four hosts (namespaces), a writer for each host.
 * One cluster goes through all of it, as one would in a long night; each test begins and ends with everybody streaming.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertOneWriter, missingOn, writeGapMs } from './lab/checks.ts';
import { binDir, createLab, type Lab, nowMs, ttlMs } from './lab/cluster.ts';
import type { Host } from './lab/host.ts';

let lab: Lab;

before(async () => {
  assert.equal(process.getuid?.(), 0, 'these tests make network namespaces: run them as root');
  lab = await createLab();
  lab.startMonitor();
  for (const host of lab.hosts) lab.start(host);
  const tookMs = await lab.waitFor('one leader and two streaming replicas', () => lab.healthy(), 60_000);
  console.log(`# bootstrap ${Math.round(tookMs)} ms`);
  lab.sql(primary(), 'create table lab (number bigint primary key)');
  lab.startWriters();
});

after(async () => {
  await lab?.end();
});

function primary(): Host {
  const leader = lab.leader();
  assert.ok(leader, 'there is a leader');
  return leader;
}

function timeline(host: Host): string {
  return lab.sql(host, 'select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)');
}

/** Writes go on somewhere after `sinceMs`. */
async function writesAgain(sinceMs: number, withinMs: number): Promise<void> {
  const goOn = (): boolean => lab.acknowledged().filter((row) => row.atMs > sinceMs + 50).length > 20;
  await lab.waitFor('writes go on', goOn, withinMs);
}

async function everybodyStreams(): Promise<number> {
  return await lab.waitFor('everybody streams', () => lab.healthy(), 60_000);
}

test('three members: one leader, two replicas that stream; what is written appears everywhere and only the primary takes it', async () => {
  const leader = primary();
  assert.deepEqual(
    lab
      .sql(leader, "select usename, state from pg_stat_replication where application_name in ('n1', 'n2', 'n3')")
      .split('\n'),
    ['replicator|streaming', 'replicator|streaming'],
  );
  lab.sql(leader, 'create table test (id int); insert into test values (111)');
  for (const host of lab.hosts) {
    await lab.waitFor(`the row on ${host.name}`, () => reads(host, 'select * from test') === '111', 5000);
    assert.equal(lab.sql(host, 'select pg_is_in_recovery()'), host === leader ? 'f' : 't');
    const state = host.run([`${binDir}/pg_controldata`, lab.dataDir(host)]);
    assert.match(state, host === leader ? /cluster state: +in production/ : /cluster state: +in archive recovery/);
  }
  const replica = lab.hosts.find((host) => host !== leader);
  assert.ok(replica);
  assert.throws(() => lab.sql(replica, 'insert into test values (22)'));
  const answer = replica.run([
    'curl',
    '-s',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    `http://${replica.address}:8008/replica`,
  ]);
  assert.equal(answer, '200');
});

function reads(host: Host, statement: string): string {
  try {
    return lab.sql(host, statement);
  } catch {
    return '';
  }
}

test('a killed postmaster is restarted in place within 1.5 s, and nothing is lost', async () => {
  const leader = primary();
  const before = timeline(leader);
  const killedAt = nowMs();
  process.kill(lab.postmaster(leader), 'SIGKILL');
  await writesAgain(killedAt, 10_000);
  await everybodyStreams();
  const gap = writeGapMs(lab.acknowledged(), killedAt);
  console.log(`# postmaster killed: write gap ${Math.round(gap)} ms`);
  assert.equal(primary(), leader);
  assert.equal(timeline(leader), before);
  assert.ok(gap < 1500, `${gap} ms`);
  assert.deepEqual(missingOn(lab, leader, lab.acknowledged()), []);
});

test('stopped by hand: a replica that has the end of its WAL takes over at once, the old primary follows without a rewind', async () => {
  const leader = primary();
  const stoppedAt = nowMs();
  leader.run([
    'setpriv',
    '--reuid=postgres',
    '--regid=postgres',
    '--init-groups',
    `${binDir}/pg_ctl`,
    '-D',
    lab.dataDir(leader),
    '-m',
    'fast',
    '-w',
    'stop',
  ]);
  await writesAgain(stoppedAt, 10_000);
  await everybodyStreams();
  const gap = writeGapMs(lab.acknowledged(), stoppedAt);
  console.log(`# stopped by hand: write gap ${Math.round(gap)} ms`);
  const next = primary();
  assert.notEqual(next, leader);
  assert.ok(gap < 3000, `${gap} ms`);
  assert.match(lab.log(next), /take-handover/);
  assert.doesNotMatch(lab.log(leader), /rewind from/);
  assert.deepEqual(missingOn(lab, next, lab.acknowledged()), []);
  assert.equal(reads(leader, 'select pg_is_in_recovery()'), 't');
});

test('a planned switchover by the command line: the named candidate serves, nothing is lost, nobody is rewound', async () => {
  const leader = primary();
  const candidate = lab.hosts.find((host) => host !== leader);
  assert.ok(candidate);
  const askedAt = nowMs();
  const told = lab.pgherd(
    candidate,
    'switchover',
    'lab',
    '--leader',
    leader.name,
    '--candidate',
    candidate.name,
    '--force',
  );
  assert.match(told, new RegExp(`Successfully switched over to "${candidate.name}"`));
  await writesAgain(askedAt, 10_000);
  await everybodyStreams();
  const gap = writeGapMs(lab.acknowledged(), askedAt);
  console.log(`# switchover: write gap ${Math.round(gap)} ms`);
  assert.equal(primary(), candidate);
  assert.ok(gap < 1500, `${gap} ms`);
  assert.doesNotMatch(lab.log(leader), /rewind from/);
  assert.deepEqual(missingOn(lab, candidate, lab.acknowledged()), []);
});

test('the agent of the primary is killed and started again: PostgreSQL keeps its pid, an open session notices nothing', async () => {
  const leader = primary();
  const pid = lab.postmaster(leader);
  const before = timeline(leader);
  const killedAt = nowMs();
  await leader.kill(`agent ${lab.config(leader)}`);
  lab.start(leader);
  await lab.waitFor(
    'the agent leads again',
    () => lab.leader() === leader && lab.log(leader).includes('reclaim-key'),
    8000,
  );
  await writesAgain(killedAt, 5000);
  // Longer than the lease of the killed agent.
  await sleep(ttlMs + 1000);
  assert.equal(lab.postmaster(leader), pid);
  assert.equal(primary(), leader);
  assert.equal(timeline(leader), before);
  assert.ok(writeGapMs(lab.acknowledged(), killedAt) < 500, 'the writer saw no gap');
});

test('the host is lost: another member serves within the TTL and a second; the old one comes back rewound, and stays a replica', async () => {
  const leader = primary();
  // What it acknowledges while it is cut off is not in the history of the others: it has to be rewound.
  leader.linkDown();
  const lostAt = nowMs();
  leader.run([
    'psql',
    `host=${leader.address} port=5432 user=postgres password=x dbname=postgres`,
    '-XAtqc',
    'insert into test values (999)',
  ]);
  leader.powerOff();
  await writesAgain(lostAt, ttlMs + 5000);
  const gap = writeGapMs(lab.acknowledged(), lostAt);
  const next = primary();
  console.log(`# host lost: write gap ${Math.round(gap)} ms`);
  assert.notEqual(next, leader);
  assert.ok(gap < ttlMs + 1000, `${gap} ms`);
  await lab.waitFor('the other replica follows', () => lab.healthy(2), 10_000);
  const backAt = nowMs();
  await leader.powerOn();
  lab.start(leader);
  await everybodyStreams();
  console.log(`# host back: streams after ${Math.round(nowMs() - backAt)} ms`);
  assert.match(lab.log(leader), /rewind from/);
  assert.equal(primary(), next);
  assert.equal(reads(leader, 'select count(*) from test where id = 999'), '0');
  assert.throws(() => lab.sql(leader, 'insert into test values (333)'));
  lab.sql(next, 'insert into test values (444)');
  await lab.waitFor(
    'the row on the old primary',
    () => reads(leader, 'select count(*) from test where id = 444') === '1',
    5000,
  );
});

test('the primary is cut off: it stops before another one serves, and never are there two that acknowledge', async () => {
  const leader = primary();
  lab.stopWriters();
  // The cut-off side keeps a client of its own.
  lab.startWriters(leader);
  await writesAgain(nowMs(), 10_000);
  const cutAt = nowMs();
  leader.linkDown();
  const elsewhere = (): boolean => lab.acknowledged().some((row) => row.host !== leader.name && row.atMs > cutAt);
  await lab.waitFor('another one serves', elsewhere, ttlMs + 5000);
  await sleep(5000);
  leader.linkUp();
  await everybodyStreams();
  const rows = lab.acknowledged();
  const last = Math.max(...rows.filter((row) => row.host === leader.name).map((row) => row.atMs));
  const first = Math.min(...rows.filter((row) => row.host !== leader.name && row.atMs > cutAt).map((row) => row.atMs));
  console.log(
    `# cut off: the old primary's last commit ${Math.round(last - cutAt)} ms, the new one's first ${Math.round(first - cutAt)} ms after the cut`,
  );
  assert.ok(last < first, 'the old primary stopped before the new one began');
  assert.ok(last - cutAt > 1000, 'the writer on the cut-off side really wrote on');
  assertOneWriter(
    rows.filter((row) => row.atMs > cutAt - 1000),
    1,
  );
});

test('the monitor is restarted: nobody changes roles', async () => {
  const leader = primary();
  const before = timeline(leader);
  await lab.monitor.kill('monitor');
  await lab.monitor.kill('postgres');
  await sleep(2000);
  lab.startMonitor();
  await sleep(ttlMs + 2000);
  await everybodyStreams();
  assert.equal(primary(), leader);
  assert.equal(timeline(leader), before);
});

test('over the whole night no two hosts acknowledged at the same time', () => {
  assertOneWriter(lab.acknowledged(), Number.parseInt(timeline(primary()), 16) - 1);
});
