/** What has to hold before a member is made: each thing that does not is told with the way out, and nothing else is. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  createChecks,
  type DcsFound,
  type JoinFound,
  joinChecks,
  type NewMember,
} from '../../src/cli/new-member-checks.ts';
import { type Check, checkLines } from '../../src/cli/output.ts';
import { type ShownCluster, type ShownMember, unreachable } from '../../src/cli/shown-cluster.ts';
import { lsn } from '../../src/core/lsn.ts';
import type { HostFound } from '../../src/create/host.ts';

const place = { name: 'db2', dataDir: '/data', config: '/etc/pgherd/orders.yml' };
const member: NewMember = { scope: 'orders', namespace: '/service', hostname: 'db2.example.com', place, port: 5432 };

const host: HostFound = {
  address: { ok: true, host: '10.0.0.2', loopback: false },
  directory: { kind: 'free' },
  remembered: undefined,
  agentPid: undefined,
  configExists: false,
  tokenExists: false,
  unwritable: [],
  taken: [],
  user: {
    ok: true,
    user: { name: 'postgres', uid: 105, gid: 105, home: '/', become: true, because: 'it is the customary user' },
  },
  binaries: { ok: true, binaries: { dir: '/usr/lib/postgresql/15/bin', major: 15 } },
  socketDirectory: undefined,
};

const leader: ShownMember = { ...unreachable('db1'), host: '10.0.0.1', port: 5432, role: 'leader', state: 'running' };
const cluster: ShownCluster = {
  scope: 'orders',
  systemId: '7700',
  members: [leader],
  leaderLsn: lsn(1),
  paused: false,
  degraded: undefined,
  scheduledSwitchover: undefined,
  unreadable: [],
};
const prepared = { by: 'db1', at: '2026-11-20T08:00:00.000Z' };
const description = 'monitor postgres://pgherd@10.0.0.9:5433/pgherd';
const emptyDcs: DcsFound = { ok: true, description, cluster: undefined, prepared: undefined };
const fullDcs: DcsFound = { ok: true, description, cluster, prepared };
const joining: JoinFound = { opened: 'opened', major: 15, address: { host: '10.0.0.2', port: 5432 } };

function failing(checks: readonly Check[]): readonly string[] {
  return checks.filter(({ holds }) => !holds).map(({ what }) => what);
}

test('create: where all is well', () => {
  assert.equal(
    checkLines(createChecks(member, emptyDcs, host, false)),
    [
      'the DCS answers: monitor postgres://pgherd@10.0.0.9:5433/pgherd',
      'it has no cluster orders yet',
      'the member is db2',
      'the others reach this host at 10.0.0.2:5432',
      'its ports are free',
      'the configuration /etc/pgherd/orders.yml can be made',
      'no agent works on the data directory',
      'PostgreSQL runs as postgres: it is the customary user',
      'the data directory /data is free',
      'no state of a former member is beside it',
      'PostgreSQL 15 is here: /usr/lib/postgresql/15/bin',
    ]
      .map((what) => ` ok     ${what}`)
      .join('\n'),
  );
});

test('join: where all is well', () => {
  assert.equal(
    checkLines(joinChecks(member, fullDcs, host, joining)),
    [
      'the DCS answers: monitor postgres://pgherd@10.0.0.9:5433/pgherd',
      'it has the cluster orders, of which db1 is primary',
      'the token opens its credentials',
      'the member is db2',
      'no other member has this name',
      'no other member has this address',
      'the others reach this host at 10.0.0.2:5432',
      'its ports are free',
      'the configuration /etc/pgherd/orders.yml can be made',
      'no agent works on the data directory',
      'PostgreSQL runs as postgres: it is the customary user',
      'the data directory /data is free, or of this cluster',
      'no state of another cluster is beside it',
      "PostgreSQL 15, the primary's version, is here: /usr/lib/postgresql/15/bin",
    ]
      .map((what) => ` ok     ${what}`)
      .join('\n'),
  );
});

/** What is wrong with the host is told by both. */
const hostCases: readonly (readonly [what: string, changes: Partial<HostFound>, told: string])[] = [
  [
    'an address that is not known',
    { address: { ok: false, error: 'no connection to 10.0.0.9:5433 (ECONNREFUSED); name it: --address HOST' } },
    'the others reach this host at a known address (no connection to 10.0.0.9:5433 (ECONNREFUSED); name it: --address HOST)',
  ],
  [
    'ports that are taken',
    { taken: ['port 5432 is in use', 'port 8008 is in use'] },
    'its ports are free (port 5432 is in use; port 8008 is in use)',
  ],
  [
    'a configuration that is there',
    { configExists: true },
    'the configuration /etc/pgherd/orders.yml can be made (/etc/pgherd/orders.yml is there: start its agent (pgherd agent /etc/pgherd/orders.yml), move it away, or choose another --config)',
  ],
  [
    'both files are there',
    { configExists: true, tokenExists: true },
    'the configuration /etc/pgherd/orders.yml can be made (/etc/pgherd/orders.yml and /etc/pgherd/orders.join-token are there: start its agent (pgherd agent /etc/pgherd/orders.yml), move it away, or choose another --config)',
  ],
  [
    'a folder that is not ours',
    { unwritable: ['this user may not write in /etc'] },
    'the configuration /etc/pgherd/orders.yml can be made (this user may not write in /etc)',
  ],
  [
    'an agent that runs',
    { agentPid: 77 },
    'no agent works on the data directory (process 77 does: it is a member already)',
  ],
  ['no user', { user: { ok: false, error: 'create that user' } }, 'PostgreSQL has a user to run as (create that user)'],
];

describe('create: what does not hold is told', () => {
  const cases: readonly (readonly [
    what: string,
    found: { dcs?: DcsFound; host?: Partial<HostFound>; member?: NewMember },
    told: string,
  ])[] = [
    ...hostCases.map(([what, changes, told]) => [what, { host: changes }, told] as const),
    ['no DCS', { dcs: { ok: false, error: 'connection refused' } }, 'the DCS answers (connection refused)'],
    [
      'a cluster of this name',
      { dcs: fullDcs },
      'it has no cluster orders yet (it has one, of db1: add this host to it with `pgherd join`, or choose another --scope)',
    ],
    [
      'one whose members are all away',
      { dcs: { ...fullDcs, cluster: { ...cluster, members: [] } } },
      'it has no cluster orders yet (it has one: add this host to it with `pgherd join`, or choose another --scope)',
    ],
    [
      'one that was only prepared',
      { dcs: { ...emptyDcs, prepared } },
      'it has no cluster orders yet (db1 prepared it at 2026-11-20T08:00:00.000Z and its agent has not made it: start that agent; or, if there is none, take its place with --replace)',
    ],
    [
      'a host whose name makes none',
      { member: { ...member, place: { ...place, name: undefined } } },
      'the member has a name (the host\'s name, "db2.example.com", makes none: give one with --name)',
    ],
    [
      'data',
      { host: { directory: { kind: 'data', systemId: '7700' } } },
      'the data directory /data is free (it is a data directory, with system identifier 7700: an agent adopts one that is there, so write a configuration that names it (docs/configuration.md) and start `pgherd agent`; or choose another --data-dir)',
    ],
    [
      'other files',
      { host: { directory: { kind: 'other', error: '/data is no data directory: it has letters' } } },
      'the data directory /data is free (/data is no data directory: it has letters: choose another --data-dir)',
    ],
    [
      'what a former member remembers',
      { host: { remembered: { path: '/data.pgherd/state.json', member: 'db9', systemId: '66' } } },
      'no state of a former member is beside it (/data.pgherd/state.json is that of db9, of system identifier 66: if that data is not needed any more, move the folder away; or choose another --data-dir)',
    ],
    ['no PostgreSQL', { host: { binaries: { ok: false, error: 'install it' } } }, 'PostgreSQL is here (install it)'],
  ];
  for (const [what, found, told] of cases) {
    test(what, () => {
      const checks = createChecks(found.member ?? member, found.dcs ?? emptyDcs, { ...host, ...found.host }, false);
      assert.deepEqual(failing(checks), [told]);
    });
  }

  test('a preparation may be replaced, a cluster may not', () => {
    assert.deepEqual(failing(createChecks(member, { ...emptyDcs, prepared }, host, true)), []);
    assert.equal(failing(createChecks(member, fullDcs, host, true)).length, 1);
  });
});

describe('join: what does not hold is told', () => {
  const other = (changes: Partial<ShownMember>): DcsFound => ({
    ...fullDcs,
    cluster: {
      ...cluster,
      members: [leader, { ...unreachable('db3'), host: '10.0.0.3', port: 5432, state: 'streaming', ...changes }],
    },
  });
  const cases: readonly (readonly [
    what: string,
    found: { dcs?: DcsFound; host?: Partial<HostFound>; join?: Partial<JoinFound>; member?: NewMember },
    told: string,
  ])[] = [
    ...hostCases.map(([what, changes, told]) => [what, { host: changes }, told] as const),
    ['no DCS', { dcs: { ok: false, error: 'connection refused' } }, 'the DCS answers (connection refused)'],
    [
      'no such cluster',
      { dcs: emptyDcs, join: { opened: 'nothing to open' } },
      'it has the cluster orders (it knows none of this name (namespace /service): name the cluster with --scope, or make it with `pgherd create`)',
    ],
    [
      'one that is not made yet',
      { dcs: { ...emptyDcs, prepared } },
      'the cluster orders has a primary that runs (db1 has not made it yet: start the agent there)',
    ],
    [
      'one without a primary',
      { dcs: { ...fullDcs, cluster: { ...cluster, members: [{ ...leader, role: 'replica' }] } } },
      'the cluster orders has a primary that runs (no member is primary: see `pgherd list`, and join when there is one)',
    ],
    [
      'one whose primary starts',
      { dcs: { ...fullDcs, cluster: { ...cluster, members: [{ ...leader, state: 'starting' }] } } },
      'the cluster orders has a primary that runs (no member is primary: see `pgherd list`, and join when there is one)',
    ],
    [
      'a wrong token',
      { join: { opened: 'wrong' } },
      'the token opens its credentials (it is the token of another cluster, or of an earlier one of this name: on a member `pgherd uri --join` prints the right one)',
    ],
    [
      'a cluster that was made by hand',
      { dcs: { ...fullDcs, prepared: undefined }, join: { opened: 'nothing to open' } },
      'the token opens its credentials (they are not in the DCS, since the cluster was not made by `pgherd create`: write the configuration by hand (docs/configuration.md))',
    ],
    [
      'a record of a later time',
      { join: { opened: { error: 'version: found 2' } } },
      'the token opens its credentials (version: found 2)',
    ],
    [
      'a member of this name that lives',
      { dcs: other({ name: 'db2' }) },
      'no other member has this name (db2 is a member: give another --name)',
    ],
    [
      'a member of nearly this name, for PostgreSQL',
      { dcs: other({ name: 'DB2' }) },
      'no other member has this name (DB2 is a member, whose name PostgreSQL could not tell from this one: give another --name)',
    ],
    [
      'a member with the same slot',
      { dcs: other({ name: 'db-2' }), member: { ...member, place: { ...place, name: 'db_2' } } },
      'no other member has this name (db-2 is a member, whose name PostgreSQL could not tell from this one: give another --name)',
    ],
    [
      'a member of the same address',
      { dcs: other({ host: '10.0.0.2' }) },
      'no other member has this address (db3 is at 10.0.0.2:5432: give another --address or --port)',
    ],
    [
      'somebody else’s data',
      { host: { directory: { kind: 'data', systemId: '66' } } },
      'the data directory /data is free, or of this cluster (it has system identifier 66, the cluster has 7700: it is left alone, choose another --data-dir)',
    ],
    [
      'other files',
      { host: { directory: { kind: 'other', error: '/data is no data directory: it has letters' } } },
      'the data directory /data is free, or of this cluster (/data is no data directory: it has letters: choose another --data-dir)',
    ],
    [
      'what a member of another cluster remembers',
      { host: { remembered: { path: '/data.pgherd/state.json', member: 'db2', systemId: '66' } } },
      'no state of another cluster is beside it (/data.pgherd/state.json is that of db2, of system identifier 66: if that data is not needed any more, move the folder away; or choose another --data-dir)',
    ],
    [
      'another version',
      {
        join: { major: 16 },
        host: { binaries: { ok: false, error: 'here is version 15, in /b: install version 16' } },
      },
      "PostgreSQL 16, the primary's version, is here (here is version 15, in /b: install version 16)",
    ],
  ];
  for (const [what, found, told] of cases) {
    test(what, () => {
      const checks = joinChecks(
        found.member ?? member,
        found.dcs ?? fullDcs,
        { ...host, ...found.host },
        { ...joining, ...found.join },
      );
      assert.deepEqual(failing(checks), [told]);
    });
  }

  test('a member that comes back to its own data, name and address is one that may', () => {
    const back: DcsFound = { ...fullDcs, cluster: { ...cluster, members: [leader, unreachable('db2')] } };
    const own = {
      directory: { kind: 'data', systemId: '7700' },
      remembered: { path: '/data.pgherd/state.json', member: 'db2', systemId: '7700' },
    } as const;
    assert.deepEqual(failing(joinChecks(member, back, { ...host, ...own }, joining)), []);
  });
});
