import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { historyTable, parseHistory } from '../../src/cli/history.ts';
import { renderCluster } from '../../src/cli/rows.ts';
import {
  type AgentAnswer,
  fromAgents,
  fromView,
  type ShownCluster,
  type ShownMember,
  unreachable,
} from '../../src/cli/shown-cluster.ts';
import { render } from '../../src/cli/table.ts';
import { lsn } from '../../src/core/lsn.ts';
import type { ClusterView, MemberRecord } from '../../src/core/model.ts';

/** What patronictl 4.1.4 printed of the same cluster. */
function captured(name: string): string {
  return readFileSync(new URL(`../fixtures/patronictl/${name}`, import.meta.url), 'utf8');
}

const systemId = '7710173580712720136';

function member(name: string, changes: Partial<ShownMember>): ShownMember {
  return { ...unreachable(name), host: '127.0.0.1', state: 'running', ...changes };
}

const planned: ShownCluster = {
  scope: 'batman',
  systemId,
  leaderLsn: lsn(0x3000088),
  paused: false,
  degraded: undefined,
  scheduledSwitchover: { at: '2031-01-01T00:00:00+00:00', from: 'pg-0', to: 'pg-1' },
  unreadable: [],
  members: [
    member('pg-0', {
      port: 5432,
      role: 'leader',
      timeline: 1,
      pendingRestart: true,
      pendingReasons: ['max_connections: 100->101'],
      tags: { mytag: 'val0' },
    }),
    member('pg-1', {
      port: 5433,
      role: 'sync_standby',
      state: 'streaming',
      timeline: 1,
      receivedLsn: lsn(0x3000088),
      replayedLsn: lsn(0x3000088),
      pendingRestart: true,
      pendingReasons: ['max_connections: 100->101'],
      scheduledRestart: '2031-01-01T00:00:00+00:00 if version < 16.1',
      tags: { mytag: 'val1' },
    }),
  ],
};

const plain = { format: 'pretty', extended: false, tree: false } as const;

describe('byte for byte as patronictl', () => {
  for (const format of ['pretty', 'tsv', 'json', 'yaml'] as const) {
    test(`list -f ${format}`, () => {
      assert.equal(`${renderCluster(planned, { ...plain, format })}\n`, captured(`list.${format}`));
    });
  }

  test('topology', () => {
    assert.equal(`${renderCluster(planned, { ...plain, tree: true })}\n`, captured('topology.pretty'));
  });

  test('a stopped replica', () => {
    const cluster: ShownCluster = {
      ...planned,
      scheduledSwitchover: undefined,
      members: [
        member('pg-0', { port: 5432, state: 'stopped', tags: { mytag: 'val0' } }),
        member('pg-1', { port: 5433, role: 'leader', timeline: 1, tags: { mytag: 'val1' } }),
      ],
    };
    assert.equal(`${renderCluster(cluster, plain)}\n`, captured('stopped.pretty'));
  });

  test('no such cluster', () => {
    const cluster: ShownCluster = { ...fromAgents('nosuch', [], new Map()) };
    assert.equal(`${renderCluster(cluster, plain)}\n`, captured('nosuch.pretty'));
  });

  for (const format of ['pretty', 'json', 'yaml'] as const) {
    test(`history -f ${format}`, () => {
      const key = '[[1,50332512,"no recovery target specified","2026-11-20T08:52:01.639509+00:00","pg-1"]]';
      const table = historyTable(parseHistory(key) ?? [], (text) => text);
      assert.equal(`${render(table, format)}\n`, captured(`history.${format}`));
    });
  }
});

function record(changes: Partial<MemberRecord>): MemberRecord {
  return {
    connUrl: 'postgres://10.0.0.1:5432/postgres',
    apiUrl: 'http://10.0.0.1:8008/patroni',
    state: 'running',
    role: 'replica',
    version: '0.1.0',
    tags: { noFailover: false, failoverPriority: 1, noSync: false, syncPriority: 1, witness: false, all: {} },
    pause: false,
    pendingRestart: [],
    checkpointed: true,
    unfit: false,
    ...changes,
  };
}

function versioned<Value>(value: Value) {
  return { value, createRevision: 1, modRevision: 1 };
}

function view(members: Readonly<Record<string, MemberRecord>>, changes: Partial<ClusterView> = {}): ClusterView {
  return {
    storeId: 's',
    revision: 1,
    initialize: versioned(systemId),
    leader: versioned('pg1'),
    members: new Map(Object.entries(members).map(([name, value]) => [name, versioned(value)])),
    revocations: new Map(),
    unreadable: [],
    ...changes,
  };
}

const rule = {
  term: 1,
  leader: 'pg1',
  nonce: 'n',
  mode: 'async',
  syncStandbys: [],
  syncCount: 0,
  number: 1,
  disarmed: false,
  failsafe: ['pg1', 'pg2', 'pg3'],
  released: false,
  storeId: 's',
} as const;

describe('what the DCS has', () => {
  test('lag in megabytes, host without the usual port, the waiting member with its reason, the lost one', () => {
    const shown = fromView(
      'demo',
      view(
        {
          pg1: record({ role: 'primary', lsn: lsn(0x3000000), timeline: 2 }),
          pg2: record({
            connUrl: 'postgres://10.0.0.2:5432/postgres',
            state: 'starting',
            timeline: 1,
            receivedLsn: lsn(0x1000000),
            because: 'the instance starts up',
          }),
        },
        { rule: { value: rule, createRevision: 1, modRevision: 1 } },
      ),
    );
    assert.equal(
      renderCluster(shown, plain),
      `+ Cluster: demo (${systemId}) ------+----+-------------+-----+------------+-----+
| Member | Host     | Role    | State       | TL | Receive LSN | Lag | Replay LSN | Lag |
+--------+----------+---------+-------------+----+-------------+-----+------------+-----+
| pg1    | 10.0.0.1 | Leader  | running     |  2 |             |     |            |     |
| pg2    | 10.0.0.2 | Replica | starting    |  1 |   0/1000000 |  32 |    unknown |     |
| pg3    |          | Replica | unreachable |    |     unknown |     |    unknown |     |
+--------+----------+---------+-------------+----+-------------+-----+------------+-----+
 pg2: the instance starts up`,
    );
  });

  test('switches that are off are no tags; several tags are several lines', () => {
    const all = { nofailover: false, clonefrom: true, zone: 'a' };
    const shown = fromView(
      'demo',
      view({
        pg1: record({
          tags: { noFailover: false, failoverPriority: 1, noSync: false, syncPriority: 1, witness: false, all },
        }),
      }),
    );
    const text = renderCluster(shown, plain);
    assert.match(text, /\| clonefrom: true \|\n\|.*\| zone: a {9}\|/);
    assert.ok(!text.includes('nofailover'));
    assert.match(renderCluster(shown, { ...plain, format: 'tsv' }), /\{clonefrom: true, zone: a\}$/);
  });

  test('maintenance mode, a cluster that is being made, keys that cannot be read', () => {
    const base = fromView('demo', view({ pg1: record({}) }));
    const text = renderCluster({ ...base, systemId: '', paused: true, unreadable: ['rule: found "x"'] }, plain);
    assert.match(text, /^\+ Cluster: demo \(initializing\) -/);
    assert.match(text, /\n Maintenance mode: on\n unreadable in the DCS: rule: found "x"$/);
  });

  test('-e shows every column', () => {
    const text = renderCluster(fromView('demo', view({ pg1: record({}) })), { ...plain, extended: true });
    assert.match(text, /Lag \| Pending restart \| Pending restart reason \| Scheduled restart \| Tags \|/);
  });

  test('a tree goes deeper with replicatefrom, and ends where members name each other', () => {
    const from = (name: string) =>
      record({
        tags: {
          noFailover: false,
          failoverPriority: 1,
          noSync: false,
          syncPriority: 1,
          witness: false,
          all: { replicatefrom: name },
        },
      });
    const members = { pg1: record({}), pg2: record({}), pg3: from('pg2'), pg4: from('pg5'), pg5: from('pg4') };
    const shown = fromView('demo', view(members));
    const names = renderCluster(shown, { ...plain, tree: true }).matchAll(/^\| (\s*\+? ?pg\d)/gm);
    assert.deepEqual(
      [...names].map(([, name]) => name),
      ['pg1', '+ pg2', '  + pg3', 'pg4', '+ pg5'],
    );
  });
});

function answer(role: string, xlog: object): AgentAnswer {
  const patroni = { version: '0.1.0' };
  return { state: 'running', role, timeline: 3, xlog, patroni, database_system_identifier: systemId };
}

describe('what the agents say', () => {
  test('leader, lag, and who did not answer', () => {
    const shown = fromAgents(
      'demo',
      [{ name: 'pg2', host: '10.0.0.2', port: 5432 }, { name: 'pg1' }, { name: 'pg3' }],
      new Map([
        ['pg1', answer('primary', { location: 0x5000000 })],
        [
          'pg2',
          {
            ...answer('replica', { received_location: 0x4000000, replayed_location: 0x3000000 }),
            replication_state: 'streaming',
          },
        ],
      ]),
    );
    const rows = renderCluster(shown, { ...plain, format: 'tsv' })
      .split('\n')
      .slice(1);
    assert.deepEqual(rows, [
      'demo\tpg1\t\tLeader\trunning\t3\t\t\t\t',
      'demo\tpg2\t10.0.0.2\tReplica\tstreaming\t3\t0/4000000\t16\t0/3000000\t32',
      'demo\tpg3\t\tReplica\tunreachable\t\tunknown\t\tunknown\t',
    ]);
  });
});
