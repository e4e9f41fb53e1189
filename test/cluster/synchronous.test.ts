/**
 * Synchronous mode on real processes and with real faults: three members that commit to a quorum, a monitor, and a
 * writer for each host. After every test everybody is well and no acknowledged commit is missing.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { nowMs, ttlMs } from './lab/cluster.ts';
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

test('a killed postmaster: a sync standby takes over, and the old primary streams from it', async () => {
  const { lab } = night;
  const leader = night.primary();
  const killedAt = nowMs();
  process.kill(lab.postmaster(leader), 'SIGKILL');
  await night.writesAgain(killedAt, 10_000);
  const gap = night.gapMs(killedAt);
  console.log(`# postmaster killed: write gap ${Math.round(gap)} ms`);
  assert.notEqual(night.primary(), leader);
  assert.match(lab.log(leader), /hand-over-crashed/);
  assert.ok(gap < 2000, `${gap} ms`);
  await night.endsWell();
  assert.equal(night.reads(leader, 'select pg_is_in_recovery()'), 't');
});

test('the host is lost: a sync standby serves within the failure time-out and 2 s, long before the TTL', async () => {
  const { lab } = night;
  const leader = night.primary();
  const lostAt = nowMs();
  leader.powerOff();
  await night.writesAgain(lostAt, 2 * ttlMs);
  const gap = night.gapMs(lostAt);
  console.log(`# host lost: write gap ${Math.round(gap)} ms`);
  const next = night.primary();
  assert.notEqual(next, leader);
  assert.match(lab.log(next), /take-revoked/);
  assert.ok(gap < failureTimeoutMs + 2000, `${gap} ms`);
  await night.boot(leader);
  await night.endsWell();
  assert.equal(night.primary(), next);
});

test('a switchover by the command line: the candidate serves, the old primary follows without a rewind', async () => {
  const { lab } = night;
  const leader = night.primary();
  const [candidate] = night.replicas();
  assert.ok(candidate);
  const logged = lab.log(leader).length;
  const askedAt = nowMs();
  const words = ['--leader', leader.name, '--candidate', candidate.name, '--force'];
  const told = night.ask(candidate, 'switchover', 'lab', ...words);
  assert.match(told.text, new RegExp(`Successfully switched over to "${candidate.name}"`));
  await night.writesAgain(askedAt, 10_000);
  const gap = night.gapMs(askedAt);
  console.log(`# switchover: write gap ${Math.round(gap)} ms`);
  await night.endsWell();
  assert.equal(night.primary(), candidate);
  assert.ok(gap < 2000, `${gap} ms`);
  assert.doesNotMatch(lab.log(leader).slice(logged), /rewind from/);
});

test('two crashes in a row: the new primary dies as soon as it serves, and nothing is lost', async () => {
  const { lab } = night;
  const first = night.primary();
  const firstAt = nowMs();
  process.kill(lab.postmaster(first), 'SIGKILL');
  const elsewhere = (): string | undefined =>
    lab.acknowledged().find((row) => row.host !== first.name && row.atMs > firstAt)?.host;
  await lab.waitFor('another one serves', () => elsewhere() !== undefined, 10_000);
  const second = lab.hosts.find((host) => host.name === elsewhere());
  assert.ok(second);
  const secondAt = nowMs();
  process.kill(lab.postmaster(second), 'SIGKILL');
  await night.writesAgain(secondAt, 30_000);
  console.log(`# two crashes: write gap ${Math.round(night.gapMs(firstAt))} ms`);
  await night.endsWell();
});

test('one sync standby is lost: writes go on, it leaves the sync standbys, and is one again when it is back', async () => {
  const leader = night.primary();
  const [lost, kept] = night.replicas();
  assert.ok(lost && kept);
  const lostAt = nowMs();
  lost.powerOff();
  await night.lab.waitFor('it is no sync standby', () => !night.syncStandbys().includes(lost.name), 15_000);
  assert.deepEqual(night.syncStandbys(), [kept.name]);
  await night.writesAgain(nowMs(), 5000);
  const gap = night.gapMs(lostAt);
  console.log(`# sync standby lost: write gap ${Math.round(gap)} ms`);
  assert.ok(gap < 1000, `${gap} ms`);
  const listed: readonly { readonly Member: string; readonly Role: string }[] = JSON.parse(
    night.ask(leader, 'list', '--format', 'json').text,
  );
  const sync = listed.filter(({ Role }) => Role === 'Quorum Standby').map(({ Member }) => Member);
  assert.deepEqual(sync, [kept.name]);
  await night.boot(lost);
  await night.endsWell();
  assert.equal(night.primary(), leader);
});

/** Both sync standbys are lost, and the primary goes on alone; then it is lost too, and the others are back. */
async function loseAllButStale(): Promise<{
  readonly leader: Host;
  readonly stale: readonly Host[];
  /** From here on the primary may have been alone; from `aloneAt` on it surely was. */
  readonly cutAt: number;
  readonly aloneAt: number;
  readonly lostAt: number;
}> {
  const leader = night.primary();
  const stale = night.replicas();
  const cutAt = nowMs();
  for (const host of stale) host.powerOff();
  const degraded = /synchronous mode is degraded: commits wait for nobody/;
  await night.lab.waitFor('degraded is on record', () => night.syncStandbys().length === 0, 15_000);
  const aloneAt = nowMs();
  await night.writesAgain(aloneAt, 10_000);
  assert.match(night.ask(leader, 'list').text, degraded);
  const lostAt = nowMs();
  leader.powerOff();
  for (const host of stale) await night.boot(host);
  return { leader, stale, cutAt, aloneAt, lostAt };
}

test('degraded, then the primary is lost: nobody else takes over, until the primary is back', async () => {
  const { lab } = night;
  const { leader, stale, lostAt } = await loseAllButStale();
  const waits = /does not revoke: the cluster is degraded: only n\d is sure to have every commit/;
  await lab.waitFor('they say why they wait', () => stale.every((host) => waits.test(lastLines(host))), 2 * ttlMs);
  await night.holdsFor('nobody is promoted', () => lab.leader() === undefined, 4000);
  assert.deepEqual(
    stale.map((host) => night.reads(host, 'select pg_is_in_recovery()')),
    ['t', 't'],
  );
  const backAt = nowMs();
  await night.boot(leader);
  await night.writesAgain(backAt, 30_000);
  console.log(`# degraded and lost: writes ${Math.round(nowMs() - backAt)} ms after the primary was back`);
  assert.equal(night.primary(), leader);
  await night.endsWell();
  assert.equal(lab.acknowledged().filter((row) => row.host !== leader.name && row.atMs > lostAt).length, 0);
});

function lastLines(host: Host): string {
  return night.lab.log(host).split('\n').slice(-5).join('\n');
}

test('failover to a member that may lack commits is refused, unless the operator says so: then the history tells what is lost', async () => {
  const { lab } = night;
  const { leader, stale, cutAt, aloneAt, lostAt } = await loseAllButStale();
  const [candidate] = stale;
  assert.ok(candidate);
  await lab.waitFor('the key is free', () => /nobody holds the key/.test(lastLines(candidate)), 3 * ttlMs);
  const refused = night.ask(candidate, 'failover', 'lab', '--candidate', candidate.name, '--force');
  assert.equal(refused.ok, false, refused.text);
  assert.match(refused.text, /failover is not possible without the risk of losing commits: .*degraded/);
  assert.equal(lab.leader(), undefined);
  const askedAt = nowMs();
  const told = night.ask(candidate, 'failover', 'lab', '--candidate', candidate.name, '--force', '--allow-data-loss');
  assert.match(told.text, new RegExp(`Successfully failed over to "${candidate.name}"`));
  await night.writesAgain(askedAt, 10_000);
  assert.equal(night.primary(), candidate);
  const lost =
    /failover forced by an operator; the last primary had written up to [0-9A-F]+\/[0-9A-F]+, \d+ bytes more/;
  assert.match(night.ask(candidate, 'history', '--format', 'tsv').text, lost);
  await night.boot(leader);
  // Only what was acknowledged while the primary was alone may be missing; and that it is shows that the test is one.
  const alone = night.lab.acknowledged().filter((row) => row.atMs > aloneAt && row.atMs < lostAt + 500);
  assert.ok(alone.length > 0 && alone.every((row) => row.host === leader.name));
  await night.endsWell((row) => row.host === leader.name && row.atMs > cutAt && row.atMs < lostAt + 500);
  const present = new Set(lab.sql(candidate, 'select number from lab').split('\n').map(Number));
  assert.ok(alone.some((row) => !present.has(row.number)));
});
