import assert from 'node:assert/strict';
import test from 'node:test';
import { healthCode, livenessCode, parseBytes, readinessCode } from '../../src/api/health.ts';
import { lsn } from '../../src/core/lsn.ts';
import type { Report } from '../../src/core/report.ts';
import * as reports from './api-reports.ts';

const code = (report: Report, target: string): number => {
  const url = new URL(target, 'http://member');
  return healthCode(url.pathname, url.searchParams, report);
};

const primaryPaths = ['/', '/primary', '/master', '/read-write', '/leader', '/read-only', '/health'];
const replicaPaths = ['/replica', '/read-only', '/health', '/async', '/asynchronous'];
const allPaths = [
  ...new Set([...primaryPaths, ...replicaPaths]),
  '/standby-leader',
  '/standby_leader',
  '/sync',
  '/synchronous',
  '/quorum',
  '/read-only-sync',
  '/read-only-synchronous',
  '/read-only-quorum',
  '/nonsense',
  '/xreplicax',
];

/** The paths that are 200. */
function passing(report: Report): string[] {
  return allPaths.filter((path) => code(report, path) === 200).sort();
}

const sorted = (...paths: string[]): string[] => [...paths].sort();

const syncRule = (syncStandbys: string[], syncCount: number) =>
  reports.viewOf({ rule: reports.versioned({ ...reports.rule, mode: 'sync', syncStandbys, syncCount }) });

test('every path, for every kind of member', () => {
  const withSync = ['/read-only-sync', '/read-only-synchronous', '/read-only-quorum'];
  assert.deepEqual(passing(reports.primary), sorted(...primaryPaths, ...withSync));
  assert.deepEqual(passing(reports.replica), sorted(...replicaPaths));
  assert.deepEqual(passing(reports.stopped), []);
  assert.deepEqual(passing(reports.unlocked), sorted(...replicaPaths));
  // Without a view nobody knows who is synchronous; the instance replicates all the same.
  assert.deepEqual(passing(reports.neverSeen), sorted('/replica', '/read-only', '/health'));
  // Its instance still runs, and must get no traffic of any kind.
  assert.deepEqual(passing(reports.leaseRunOut), sorted('/health'));
});

test('the holder of the key that is not writable yet is leader, not primary', () => {
  const promoting = { ...reports.replica, holdsKey: true };
  assert.equal(code(promoting, '/leader'), 200);
  assert.equal(code(promoting, '/primary'), 503);
});

test('sync and quorum standbys', () => {
  const quorumMode = reports.versioned({ ...reports.settings, synchronousMode: 'quorum' as const });
  const base = ['/health', '/read-only', '/replica'];
  const sync = { ...reports.replica, view: syncRule(['pg-1'], 1) };
  assert.deepEqual(
    passing(sync),
    sorted(...base, '/sync', '/synchronous', '/read-only-sync', '/read-only-synchronous'),
  );
  const quorum = { ...reports.replica, view: { ...syncRule(['pg-1'], 1), config: quorumMode } };
  assert.deepEqual(passing(quorum), sorted(...base, '/quorum', '/read-only-quorum'));
  const outside = { ...reports.replica, view: syncRule(['pg-2'], 1) };
  assert.deepEqual(passing(outside), sorted(...base, '/async', '/asynchronous'));
});

test('lag: against the position that the primary published', () => {
  const behind: Report = {
    ...reports.replica,
    view: reports.viewOf({ status: reports.versioned({ lsn: lsn(reports.position + 1_048_577n), slots: [] }) }),
  };
  assert.equal(code(behind, '/replica'), 200);
  assert.equal(code(behind, '/replica?lag=1MB'), 503);
  assert.equal(code(behind, '/replica?lag=1048577'), 200);
  assert.equal(code(behind, '/replica?lag=2MB'), 200);
  assert.equal(code(behind, '/read-only?lag=1MB'), 503);
  assert.equal(code(behind, '/async?lag=1MB'), 503);
  // As at Patroni: what cannot be read limits nothing.
  assert.equal(code(behind, '/replica?lag=much'), 200);
  assert.equal(code(reports.replica, '/replica?lag=0'), 200);
});

test('replication_state and noloadbalance', () => {
  assert.equal(code(reports.replica, '/replica?replication_state=streaming'), 200);
  assert.equal(code(reports.replica, '/replica?replication_state=in+archive+recovery'), 503);
  const { self } = reports.replica;
  const withTags = (all: Record<string, boolean>): Report => ({
    ...reports.replica,
    self: { ...self, tags: { ...self.tags, all } },
  });
  assert.equal(code(withTags({ noloadbalance: true }), '/replica'), 503);
  assert.equal(code(withTags({ noloadbalance: false }), '/replica'), 200);
});

test('tags select members, and never the leader', () => {
  assert.equal(code(reports.replica, '/replica?tag_mytag=val1'), 200);
  assert.equal(code(reports.replica, '/replica?tag_mytag=x'), 503);
  assert.equal(code(reports.replica, '/replica?tag_other=val1'), 503);
  assert.equal(code(reports.replica, '/replica?tag_constructor=x'), 503);
  assert.equal(code(reports.replica, '/health?tag_mytag=x'), 503);
  assert.equal(code(reports.primary, '/primary?tag_mytag=x'), 200);
  const { self } = reports.replica;
  const tags = { ...self.tags, all: { ssd: true, rack: 4 } };
  const tagged = { ...reports.replica, self: { ...self, tags } };
  assert.equal(code(tagged, '/replica?tag_ssd=true&tag_rack=4'), 200);
  assert.equal(code(tagged, '/replica?tag_ssd=True'), 503);
});

test('sizes are read with PostgreSQL’s units', () => {
  const cases: [string, bigint | undefined][] = [
    ['1048576', 1_048_576n],
    ['1MB', 1_048_576n],
    [' 2 kB ', 2048n],
    ['1.5GB', 1_610_612_736n],
    ['.5kB', 512n],
    ['1TB', 1_099_511_627_776n],
    ['-1', -1n],
    ['1mb', undefined],
    ['1 M', undefined],
    ['', undefined],
    ['MB', undefined],
    ['9'.repeat(400), undefined],
  ];
  for (const [text, expected] of cases) assert.equal(parseBytes(text), expected, text);
  assert.equal(parseBytes(null), undefined);
});

function ready(report: Report, query = ''): number {
  return readinessCode(new URLSearchParams(query), report);
}

test('readiness', () => {
  assert.equal(ready(reports.primary), 200);
  assert.equal(ready(reports.replica), 200);
  assert.equal(ready(reports.stopped), 503);
  assert.equal(ready(reports.neverSeen), 503);
  assert.equal(ready(reports.leaseRunOut), 503);
  const instance = reports.replicaInstance(reports.position);
  const archive = { ...instance, replicationState: 'in archive recovery' };
  assert.equal(ready({ ...reports.replica, status: reports.statusOf(archive) }), 503);
  // It received all, and replayed 2 MB less: more than maximum_lag_on_failover.
  const slow = { ...instance, replayedLsn: lsn(reports.position - 2_097_152n) };
  const replaying = { ...reports.replica, status: reports.statusOf(slow) };
  assert.equal(ready(replaying), 503);
  assert.equal(ready(replaying, 'mode=write'), 200);
  assert.equal(ready(replaying, 'lag=2MB'), 200);
  assert.equal(ready(replaying, 'lag=1MB&mode=apply'), 503);
});

test('liveness: one TTL of silence for a primary, two for a replica, any in a pause', () => {
  // loop_wait 2 s and ttl 20 s.
  assert.equal(livenessCode(reports.primary, 0, 21_999), 200);
  assert.equal(livenessCode(reports.primary, 0, 22_000), 503);
  assert.equal(livenessCode(reports.replica, 0, 41_999), 200);
  assert.equal(livenessCode(reports.replica, 0, 42_000), 503);
  assert.equal(livenessCode({ ...reports.primary, paused: true }, 0, 1e9), 200);
  assert.equal(livenessCode(reports.neverSeen, 0, 41_999), 200);
});
