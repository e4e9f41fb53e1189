import assert from 'node:assert/strict';
import test from 'node:test';
import { clusterAnswer, memberAnswer } from '../../src/api/answers.ts';
import { clusterBody, configBody, failsafeBody, historyBody, memberBody, toJson } from '../../src/api/bodies.ts';
import { lsn } from '../../src/core/lsn.ts';
import type { Report } from '../../src/core/report.ts';
import * as reports from './api-reports.ts';

/** As Patroni 4.1.4 answered. */
const recorded = {
  primary:
    '{"state": "running", "postmaster_start_time": "2026-11-20 08:51:18.221818+00:00", "role": "primary", "server_version": 150018, "xlog": {"location": 50331648}, "timeline": 1, "replication": [{"usename": "replicator", "application_name": "pg-1", "client_addr": "127.0.0.1", "state": "streaming", "sync_state": "async", "sync_priority": 0}], "dcs_last_seen": 1795164684, "tags": {"mytag": "val0"}, "database_system_identifier": "7710173580712720136", "patroni": {"version": "4.1.4", "scope": "batman", "name": "pg-0"}}',
  replica:
    '{"state": "running", "postmaster_start_time": "2026-11-20 08:51:19.979129+00:00", "role": "replica", "server_version": 150018, "xlog": {"received_location": 50331648, "replayed_location": 50331648, "replayed_timestamp": null, "paused": false}, "timeline": 1, "replication_state": "streaming", "dcs_last_seen": 1795164685, "tags": {"mytag": "val1"}, "database_system_identifier": "7710173580712720136", "patroni": {"version": "4.1.4", "scope": "batman", "name": "pg-1"}}',
  /** Without `pending_restart_reason` and `scheduled_restart`, which have no counterpart here. */
  syncReplica:
    '{"state": "running", "postmaster_start_time": "2026-11-20 08:51:19.979129+00:00", "role": "replica", "server_version": 150018, "xlog": {"received_location": 50331784, "replayed_location": 50331784, "replayed_timestamp": "2026-11-20 08:51:30.167626+00:00", "paused": false}, "sync_standby": true, "timeline": 1, "replication_state": "streaming", "dcs_last_seen": 1795164697, "tags": {"mytag": "val1"}, "database_system_identifier": "7710173580712720136", "pending_restart": true, "patroni": {"version": "4.1.4", "scope": "batman", "name": "pg-1"}}',
  cluster:
    '{"members": [{"name": "pg-0", "role": "leader", "state": "running", "api_url": "http://127.0.0.1:8008/patroni", "host": "127.0.0.1", "port": 5432, "timeline": 1, "tags": {"mytag": "val0"}}, {"name": "pg-1", "role": "replica", "state": "streaming", "api_url": "http://127.0.0.1:8009/patroni", "host": "127.0.0.1", "port": 5433, "timeline": 1, "tags": {"mytag": "val1"}, "receive_lag": 0, "receive_lsn": "0/3000000", "replay_lag": 0, "replay_lsn": "0/3000000", "lag": 0, "lsn": "0/3000000"}], "scope": "batman"}',
  syncCluster:
    '{"members": [{"name": "pg-0", "role": "leader", "state": "running", "api_url": "http://127.0.0.1:8008/patroni", "host": "127.0.0.1", "port": 5432, "timeline": 1, "pending_restart": true, "tags": {"mytag": "val0"}}, {"name": "pg-1", "role": "sync_standby", "state": "streaming", "api_url": "http://127.0.0.1:8009/patroni", "host": "127.0.0.1", "port": 5433, "timeline": 1, "pending_restart": true, "tags": {"mytag": "val1"}, "receive_lag": 0, "receive_lsn": "0/3000088", "replay_lag": 0, "replay_lsn": "0/3000088", "lag": 0, "lsn": "0/3000088"}], "scope": "batman"}',
  history: '[[1, 50332512, "no recovery target specified", "2026-11-20T08:52:01.639509+00:00", "pg-1"]]',
} as const;

/** The text that both would have, so that the order of the fields counts. */
function same(actual: unknown, expectedText: string): void {
  assert.equal(JSON.stringify(JSON.parse(toJson(actual))), JSON.stringify(JSON.parse(expectedText)));
}

/** Patroni's fields of a member's body: ours follow after them. */
function patroniPart(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(body);
  const last = entries.findIndex(([name]) => name === 'patroni');
  assert.notEqual(last, -1);
  return Object.fromEntries(entries.slice(0, last + 1));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The members of a cluster's body, before it becomes text. */
function membersOf(body: Readonly<Record<string, unknown>>): Record<string, unknown>[] {
  const { members } = body;
  assert.ok(Array.isArray(members) && members.every(isRecord));
  return members;
}

/** A cluster's members without our additions, and that these come last. */
function patroniCluster(body: Readonly<Record<string, unknown>>): unknown {
  const ours = new Set(['rule', 'because', 'pending_restart_parameters', 'progress']);
  const members = membersOf(body).map((member) => {
    const names = Object.keys(member);
    const first = names.findIndex((name) => ours.has(name));
    assert.ok(
      names.slice(first).every((name) => ours.has(name)),
      `ours come last: ${names.join(' ')}`,
    );
    return Object.fromEntries(Object.entries(member).slice(0, first));
  });
  return { ...body, members };
}

const context = (dcsLastSeenEpochS: number) => ({ scope: reports.scope, dcsLastSeenEpochS });

test('the body of a primary is what Patroni recorded, then ours', () => {
  const body = memberBody(reports.primary, context(1_795_164_684));
  same(patroniPart(body), recorded.primary);
  assert.equal(body['rule'], 'leader-renews');
  assert.equal(body['because'], 'the facts');
  assert.equal(JSON.parse(toJson(body)).dcs, undefined);
});

test('the body of a replica is what Patroni recorded', () => {
  same(patroniPart(memberBody(reports.replica, context(1_795_164_685))), recorded.replica);
});

const later = lsn(50_331_784);
const syncRule = reports.versioned({ ...reports.rule, mode: 'sync' as const, syncStandbys: ['pg-1'], syncCount: 1 });
const pending = { pendingRestart: ['max_connections'] };

test('the body of a sync standby with a pending restart is what Patroni recorded', () => {
  const report: Report = {
    ...reports.replica,
    record: { ...reports.recordOf('pg-1', later), ...pending },
    view: reports.viewOf({ rule: syncRule }, later),
    status: reports.statusOf({
      ...reports.replicaInstance(later),
      replayedAt: '2026-11-20 08:51:30.167626+00:00',
    }),
  };
  const body = memberBody(report, context(1_795_164_697));
  same(patroniPart(body), recorded.syncReplica);
  assert.deepEqual(body['pending_restart_parameters'], ['max_connections']);
});

test('the cluster is what Patroni recorded, in both modes', () => {
  same(patroniCluster(clusterBody(reports.primary, reports.scope)), recorded.cluster);
  same(patroniCluster(clusterBody(reports.replica, reports.scope)), recorded.cluster);
  const members = new Map([
    ['pg-0', reports.versioned({ ...reports.recordOf('pg-0', later), ...pending })],
    ['pg-1', reports.versioned({ ...reports.recordOf('pg-1', later), ...pending })],
  ]);
  const view = reports.viewOf({ rule: syncRule, members }, later);
  same(patroniCluster(clusterBody({ ...reports.primary, view }, reports.scope)), recorded.syncCluster);
});

test('in quorum mode a sync standby is a quorum standby, however many of them a commit needs', () => {
  const config = reports.versioned({ ...reports.settings, synchronousMode: 'quorum' as const });
  const report = { ...reports.replica, view: reports.viewOf({ rule: syncRule, config }) };
  assert.equal(memberBody(report, context(0))['quorum_standby'], true);
  assert.equal(memberBody(report, context(0))['sync_standby'], undefined);
  const { members } = clusterAnswer.parse(JSON.parse(toJson(clusterBody(report, 's'))));
  assert.equal(members.find(({ name }) => name === 'pg-1')?.role, 'quorum_standby');
});

test('a witness is one, and has no position', () => {
  const record = reports.recordOf('pg-1', reports.position);
  const witness = { ...record, role: 'witness' as const, tags: { ...record.tags, witness: true } };
  const known = new Map([['pg-1', reports.versioned(witness)]]);
  const { members } = clusterAnswer.parse(
    JSON.parse(toJson(clusterBody({ ...reports.primary, view: reports.viewOf({ members: known }) }, 's'))),
  );
  const shown = members.find(({ name }) => name === 'pg-1');
  assert.deepEqual([shown?.role, shown?.lsn, shown?.lag], ['witness', undefined, undefined]);
});

test('failsafe: the members that are asked, as Patroni shows them', () => {
  assert.deepEqual(failsafeBody(reports.viewOf()), {
    'pg-0': 'http://127.0.0.1:8008/patroni',
    'pg-1': 'http://127.0.0.1:8009/patroni',
  });
  const off = reports.versioned({ ...reports.settings, failsafeMode: false });
  assert.equal(failsafeBody(reports.viewOf({ config: off })), undefined);
  assert.equal(failsafeBody(undefined), undefined);
});

test('an instance that does not answer has state and role only', () => {
  const body = JSON.parse(toJson(memberBody(reports.stopped, context(5))));
  assert.deepEqual(Object.keys(body).slice(0, 4), ['state', 'role', 'dcs_last_seen', 'tags']);
  assert.equal(body.state, 'stopped');
  assert.equal(body.role, 'replica');
  const silent = { ...reports.replica, status: reports.statusOf({ kind: 'silent', why: 'frozen', because: 'frozen' }) };
  assert.equal(memberBody(silent, context(5))['state'], 'unknown');
});

test('pause, no leader, a DCS that is away: said where Patroni says it, and why', () => {
  const body = JSON.parse(toJson(memberBody({ ...reports.unlocked, paused: true }, context(5))));
  const names = Object.keys(body);
  assert.deepEqual(names.slice(names.indexOf('pause'), names.indexOf('pause') + 3), [
    'pause',
    'cluster_unlocked',
    'dcs_last_seen',
  ]);
  const never = memberBody(reports.neverSeen, { scope: 's', dcsLastSeenEpochS: undefined });
  assert.equal(never['dcs_last_seen'], 0);
  assert.equal(never['cluster_unlocked'], true);
  assert.deepEqual(JSON.parse(toJson(never)).dcs, { state: 'never' });
  const lost = memberBody(reports.leaseRunOut, context(5));
  assert.deepEqual(lost['dcs'], { state: 'lost', error: 'connection refused' });
});

test('LSNs beyond 2^53 keep all of their digits', () => {
  const far = lsn(2n ** 60n + 1n);
  const report = { ...reports.primary, status: reports.statusOf(reports.primaryInstance(far)) };
  assert.match(toJson(memberBody(report, context(1))), /"location":1152921504606846977\}/);
});

test('a stopped replica has unknown positions, LSN before lag as Patroni writes it', () => {
  const { lsn: _l, receivedLsn: _r, replayedLsn: _p, replicationState: _s, ...bare } = reports.recordOf('pg-1', later);
  const members = new Map([['pg-1', reports.versioned({ ...bare, state: 'stopped' as const })]]);
  const body = clusterBody({ ...reports.primary, view: reports.viewOf({ members }) }, 's');
  const member = membersOf(body)[1];
  assert.equal(member?.['state'], 'stopped');
  const names = ['receive_lsn', 'receive_lag', 'replay_lsn', 'replay_lag', 'lsn', 'lag'];
  assert.deepEqual(
    Object.entries(member ?? {}).filter(([name]) => names.includes(name)),
    names.map((n) => [n, 'unknown']),
  );
});

test('lag is counted from the position that the primary published', () => {
  const view = reports.viewOf({ status: reports.versioned({ lsn: lsn(50_331_648 + 4096), slots: [] }) });
  const { members } = clusterAnswer.parse(JSON.parse(toJson(clusterBody({ ...reports.replica, view }, 's'))));
  assert.deepEqual([members[1]?.lag, members[1]?.receive_lag, members[1]?.replay_lag], [4096, 4096, 4096]);
  assert.equal(members[0]?.lag, undefined);
});

test('a member that is counted on and gone is shown as unreachable', () => {
  const rule = reports.versioned({ ...reports.rule, failsafe: ['pg-2', 'pg-0', 'pg-1'] });
  const body = clusterBody({ ...reports.primary, view: reports.viewOf({ rule }) }, 's');
  const members = membersOf(body);
  assert.equal(members.length, 3);
  assert.deepEqual(members[2], { name: 'pg-2', role: 'replica', state: 'unreachable', lag: 'unknown' });
});

test('without the DCS: the last view, what this member knows of itself, and that it may be old', () => {
  const record = { ...reports.leaseRunOut.record, state: 'stopped' as const, because: 'fenced' };
  const lost = clusterAnswer.parse(JSON.parse(toJson(clusterBody({ ...reports.leaseRunOut, record }, 's'))));
  assert.deepEqual(lost.dcs, { state: 'lost', error: 'connection refused' });
  // The view says leader and running; the member itself knows better.
  assert.deepEqual(
    lost.members.map(({ name, role, state, because }) => [name, role, state, because]),
    [
      ['pg-0', 'replica', 'stopped', 'fenced'],
      ['pg-1', 'replica', 'streaming', undefined],
    ],
  );
  const never = clusterAnswer.parse(JSON.parse(toJson(clusterBody(reports.neverSeen, 's'))));
  assert.deepEqual(
    never.members.map(({ name }) => name),
    ['pg-1'],
  );
  assert.deepEqual(never.dcs, { state: 'never' });
});

test('long work under way is shown', () => {
  const progress = { doing: 'clone', doneBytes: 5n, totalBytes: 10n } as const;
  const record = { ...reports.replica.record, state: 'creating replica' as const, progress };
  const report: Report = { ...reports.replica, record, status: undefined };
  assert.deepEqual(JSON.parse(toJson(memberBody(report, context(1)))).progress, {
    doing: 'clone',
    done_bytes: 5,
    total_bytes: 10,
  });
});

function hostOf(connUrl: string): unknown {
  const members = new Map([['pg-0', reports.versioned({ ...reports.primary.record, connUrl })]]);
  const body = clusterBody({ ...reports.primary, view: reports.viewOf({ members }) }, 's');
  const { host, port } = membersOf(body)[0] ?? {};
  return [host, port];
}

test('addresses of IPv6, and connection strings that cannot be read', () => {
  assert.deepEqual(hostOf('postgres://[2001:db8::7]:5433/postgres'), ['2001:db8::7', 5433]);
  assert.deepEqual(hostOf('postgres://db.example/postgres'), ['db.example', undefined]);
  assert.deepEqual(hostOf('nonsense'), [undefined, undefined]);
});

test('tags that Patroni understands are shown when they are set', () => {
  const all = { nofailover: false, noloadbalance: true, zone: 'a', spare: false };
  const tags = { noFailover: false, failoverPriority: 1, noSync: false, syncPriority: 1, witness: false, all };
  const report = { ...reports.primary, self: { ...reports.primary.self, tags } };
  assert.deepEqual(memberBody(report, context(1))['tags'], { noloadbalance: true, zone: 'a', spare: false });
  const none = { ...reports.primary, self: { ...reports.primary.self, tags: { ...tags, all: { nosync: false } } } };
  assert.ok(!('tags' in memberBody(none, context(1))));
});

test('history: one line a timeline, as Patroni recorded it', () => {
  assert.deepEqual(historyBody(reports.primary), []);
  const second = {
    term: 3,
    timeline: 2,
    switchLsn: lsn(50_332_512),
    member: 'pg-1',
    reason: 'no recovery target specified',
    at: '2026-11-20T08:52:01.639509+00:00',
  };
  const first = { ...second, term: 1, timeline: 1, member: 'pg-0' };
  // Term 2 re-took the key: the same timeline, no line.
  const terms = reports.versioned([first, { ...first, term: 2 }, second]);
  same(historyBody({ ...reports.primary, view: reports.viewOf({ terms }) }), recorded.history);
});

test('history of an adopted cluster begins with what its timeline history says', () => {
  const term = { term: 1, timeline: 3, switchLsn: lsn(900), member: 'pg-0', reason: 'adopted', at: 'now' };
  const history = [
    { timeline: 1, switchLsn: lsn(100), reason: 'before' },
    { timeline: 2, switchLsn: lsn(200), reason: 'again' },
  ];
  const report = {
    ...reports.primary,
    view: reports.viewOf({ terms: reports.versioned([term]) }),
    status: reports.statusOf({ ...reports.primaryInstance(lsn(1000)), timeline: 3, history }),
  };
  assert.deepEqual(historyBody(report), [
    [1, lsn(100), 'before'],
    [2, lsn(200), 'again'],
  ]);
});

test('the configuration in Patroni’s names and units', () => {
  const config = JSON.parse(toJson(configBody(reports.viewOf())));
  assert.deepEqual(Object.keys(config).slice(0, 4), ['ttl', 'loop_wait', 'retry_timeout', 'maximum_lag_on_failover']);
  assert.deepEqual(
    [config.ttl, config.loop_wait, config.retry_timeout, config.maximum_lag_on_failover, config.failure_timeout],
    [20, 2, 5, 1_048_576, 2],
  );
  assert.equal(config.postgresql.use_pg_rewind, true);
  assert.deepEqual(config.postgresql.parameters, {});
  assert.ok(!('pause' in config) && !('pg_hba' in config.postgresql));
  assert.equal(configBody(undefined), undefined);
});

test('the client understands every body that the server makes', () => {
  for (const report of [reports.primary, reports.replica, reports.stopped, reports.neverSeen, reports.leaseRunOut]) {
    assert.ok(memberAnswer.safeParse(JSON.parse(toJson(memberBody(report, context(1))))).success);
    assert.ok(clusterAnswer.safeParse(JSON.parse(toJson(clusterBody(report, 's')))).success);
  }
});
