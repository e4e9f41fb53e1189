/** What has to hold before a drill: each thing that does not is found, and nothing else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DrillFound, drillChecks, drillNotes, type LoginFound, type Reached } from '../../src/cli/drill-checks.ts';
import { checkLines } from '../../src/cli/output.ts';
import { type ShownCluster, type ShownMember, unreachable } from '../../src/cli/shown-cluster.ts';
import { lsn } from '../../src/core/lsn.ts';

const end = 0x3000000;

function member(name: string, changes: Partial<ShownMember> = {}): ShownMember {
  const standby = { role: 'quorum_standby', state: 'streaming', receivedLsn: lsn(end) } as const;
  return { ...unreachable(name), host: '10.0.0.1', ...standby, ...changes };
}

const leader = member('a', { role: 'leader', state: 'running' });
const login: LoginFound = {
  ok: true,
  clockAheadMs: 0,
  synchronousCommit: 'on',
  mayCreate: true,
  schemaIsThere: false,
};

function cluster(changes: Partial<ShownCluster> = {}): ShownCluster {
  return {
    scope: 'orders',
    systemId: '1',
    members: [leader, member('b'), member('c')],
    leaderLsn: lsn(end),
    paused: false,
    degraded: undefined,
    scheduledSwitchover: undefined,
    unreadable: [],
    ...changes,
  };
}

function reached(name: string, changes: Partial<Reached> = {}): Reached {
  return { name, agentError: undefined, login, ...changes };
}

const well: DrillFound = {
  cluster: cluster(),
  fault: 'switchover',
  user: 'postgres',
  database: 'shop',
  schema: 'pgherd_drill',
  reached: [reached('a'), reached('b'), reached('c')],
  local: undefined,
};

function failing(found: DrillFound): readonly string[] {
  return drillChecks(found)
    .filter(({ holds }) => !holds)
    .map(({ what }) => what);
}

test('of a cluster that is well, every check holds', () => {
  assert.deepEqual(failing(well), []);
  assert.equal(
    checkLines(drillChecks(well)),
    [
      'automatic failover is on (no maintenance mode)',
      'one member is primary and runs (found: a, running)',
      'b streams, at most 16 MB behind (found: streaming, 0 bytes behind)',
      'c streams, at most 16 MB behind (found: streaming, 0 bytes behind)',
      'commits wait for sync standbys (found: b, c)',
      'a sync standby may become primary (found: b, c)',
      'the agent of a answers',
      'postgres can log in to shop on a',
      'the agent of b answers',
      'postgres can log in to shop on b',
      'the agent of c answers',
      'postgres can log in to shop on c',
      'postgres may create a schema in shop',
      'there is no schema pgherd_drill yet',
    ]
      .map((what) => ` ok     ${what}`)
      .join('\n'),
  );
});

test('a fault on this host is fine where the primary is', () => {
  const local = { ...well, fault: 'kill-postgres', local: { name: 'a', error: undefined } } as const;
  assert.deepEqual(failing(local), []);
});

const noSync = { members: [leader, member('b', { role: 'replica' })] };
const witness = member('w', { role: 'witness', state: 'running', receivedLsn: undefined });

describe('what does not hold is told, with what was found', () => {
  const cases: readonly (readonly [what: string, found: DrillFound, failing: readonly (string | RegExp)[]])[] = [
    [
      'maintenance',
      { ...well, cluster: cluster({ paused: true }) },
      ['automatic failover is on (no maintenance mode)'],
    ],
    [
      'no primary',
      { ...well, cluster: cluster({ members: [member('b'), member('c')] }), reached: [reached('b'), reached('c')] },
      ['one member is primary and runs (found: none)'],
    ],
    [
      'a primary that does not run',
      { ...well, cluster: cluster({ members: [{ ...leader, state: 'crashed' }, member('b')] }) },
      ['one member is primary and runs (found: a, crashed)'],
    ],
    [
      'a standby leader, which takes no writes',
      { ...well, cluster: cluster({ members: [{ ...leader, role: 'standby_leader' }, member('b')] }) },
      ['one member is primary and runs (found: a, running)'],
    ],
    [
      'a replica that does not stream',
      { ...well, cluster: cluster({ members: [leader, member('b'), member('c', { state: 'starting' })] }) },
      ['c streams, at most 16 MB behind (found: starting, 0 bytes behind)'],
    ],
    [
      'a replica that lags',
      {
        ...well,
        cluster: cluster({
          members: [leader, member('b', { receivedLsn: lsn(end - 16 * 1_048_576 - 1) }), member('c')],
        }),
      },
      ['b streams, at most 16 MB behind (found: streaming, 16777217 bytes behind)'],
    ],
    [
      'a replica that nothing is known of',
      { ...well, cluster: cluster({ members: [leader, member('b'), member('c', { receivedLsn: undefined })] }) },
      ['c streams, at most 16 MB behind (found: streaming, an unknown lag)'],
    ],
    ['a witness that runs', { ...well, cluster: cluster({ members: [leader, member('b'), witness] }) }, []],
    [
      'a witness that does not',
      { ...well, cluster: cluster({ members: [leader, member('b'), { ...witness, state: 'unreachable' }] }) },
      ['w runs (found: unreachable)'],
    ],
    [
      'asynchronous mode',
      { ...well, cluster: cluster(noSync) },
      [
        'commits wait for sync standbys (found: none; set synchronous_mode)',
        'a sync standby may become primary (found: none)',
      ],
    ],
    [
      'degraded',
      { ...well, cluster: cluster({ degraded: 'synchronous mode is degraded: 1 of 2' }) },
      ['commits wait for sync standbys (found: synchronous mode is degraded: 1 of 2)'],
    ],
    [
      'no sync standby may lead',
      { ...well, cluster: cluster({ members: [leader, member('b', { tags: { nofailover: true } })] }) },
      ['a sync standby may become primary (found: none)'],
    ],
    [
      'an agent that does not answer',
      { ...well, reached: [reached('a'), reached('b', { agentError: 'no answer within 2000 ms' }), reached('c')] },
      ['the agent of b answers (no answer within 2000 ms)'],
    ],
    [
      'a member where the writer cannot log in',
      { ...well, reached: [reached('a'), reached('b', { login: { ok: false, error: 'no pg_hba.conf entry' } })] },
      ['postgres can log in to shop on b (no pg_hba.conf entry)'],
    ],
    [
      'a user without rights',
      { ...well, reached: [reached('a', { login: { ...login, mayCreate: false } }), reached('b')] },
      ['postgres may create a schema in shop'],
    ],
    [
      'another drill, or its remains',
      { ...well, reached: [reached('a', { login: { ...login, schemaIsThere: true } }), reached('b')] },
      [/^there is no schema pgherd_drill yet \(.*drop schema pgherd_drill cascade\)$/],
    ],
    [
      'a fault on processes of another host',
      { ...well, fault: 'stop-agent', local: { name: 'b', error: undefined } },
      [/^the configuration is that of the primary, a \(found: b: stop-agent .* run it on the host of a\)$/],
    ],
    [
      'a fault on processes that are not here',
      { ...well, fault: 'stop-agent', local: { name: 'a', error: 'no agent runs here' } },
      ['its agent and PostgreSQL run on this host (no agent runs here)'],
    ],
  ];
  for (const [what, found, expected] of cases) {
    test(what, () => {
      const told = failing(found);
      assert.equal(told.length, expected.length, told.join('\n'));
      expected.forEach((text, index) => {
        if (typeof text === 'string') assert.equal(told[index], text);
        else assert.match(told[index] ?? '', text);
      });
    });
  }
});

test('a user whose own commits wait for nobody is told so', () => {
  assert.deepEqual(drillNotes(well), []);
  for (const synchronousCommit of ['off', 'local']) {
    const [note] = drillNotes({ ...well, reached: [reached('a', { login: { ...login, synchronousCommit } })] });
    assert.match(
      note ?? '',
      new RegExp(`synchronous_commit = ${synchronousCommit}: their commits wait for no standby`),
    );
  }
});
