import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventsTable } from '../../src/cli/events.ts';
import { renderCluster } from '../../src/cli/rows.ts';
import { fromView } from '../../src/cli/shown-cluster.ts';
import { render } from '../../src/cli/table.ts';
import type { ClusterView, MemberRecord, Rule, Settings } from '../../src/core/model.ts';
import * as reports from './api-reports.ts';

const plain = { format: 'pretty', extended: false, tree: false } as const;

interface Cluster {
  readonly rule?: Partial<Rule>;
  readonly settings?: Partial<Settings>;
  readonly leader?: Partial<MemberRecord>;
  readonly standby?: Partial<MemberRecord>;
  readonly revoked?: number;
}

/** pg-0 leads, pg-1 is its standby: in synchronous mode, where nothing else is said. */
function view({ rule, settings, leader, standby, revoked }: Cluster): ClusterView {
  const sync = { mode: 'sync', syncStandbys: ['pg-1'], syncCount: 1 } as const;
  const revocation = { term: revoked ?? ('free' as const), originTerm: 1, lsn: reports.position, sequence: 1 };
  return reports.viewOf({
    rule: reports.versioned({ ...reports.rule, ...sync, ...rule }),
    config: reports.versioned({ ...reports.settings, synchronousMode: 'quorum', ...settings }),
    revocations: new Map([['pg-1', reports.versioned(revocation)]]),
    members: new Map([
      ['pg-0', reports.versioned({ ...reports.recordOf('pg-0', reports.position), ...leader })],
      ['pg-1', reports.versioned({ ...reports.recordOf('pg-1', reports.position), ...standby })],
    ]),
  });
}

/** Role and state of pg-1, and what stands below the table. */
function shown(cluster: Cluster): { readonly role: string; readonly state: string; readonly below: string } {
  const [, rest = ''] = renderCluster(fromView('demo', view(cluster)), plain).split('| pg-1 ');
  const [, , role = '', state = ''] = rest.split('|').map((cell) => cell.trim());
  return { role, state, below: rest.split('+\n')[1] ?? '' };
}

describe('a synchronous cluster in list', () => {
  test('the role of a standby is called as Patroni calls it', () => {
    assert.deepEqual(shown({}), { role: 'Quorum Standby', state: 'streaming', below: '' });
    assert.equal(shown({ settings: { synchronousMode: 'on' } }).role, 'Sync Standby');
    assert.equal(shown({ rule: { syncStandbys: ['pg-7'] } }).role, 'Replica');
  });

  test('a member that has revoked is shown so, in the present term only', () => {
    assert.equal(shown({ revoked: 1 }).state, 'revoked');
    assert.equal(shown({ rule: { term: 2 }, revoked: 1 }).state, 'streaming');
    assert.equal(shown({ revoked: 1, standby: { state: 'stopped' } }).state, 'stopped');
    const async = { mode: 'async', syncStandbys: [], syncCount: 0 } as const;
    assert.equal(shown({ rule: async, settings: { synchronousMode: 'off' }, revoked: 1 }).state, 'streaming');
  });

  test('what it lacks is said plainly, and why', () => {
    const alone = { syncStandbys: [], syncCount: 0 };
    assert.equal(shown({ rule: alone }).below, ' synchronous mode is degraded: commits wait for nobody');
    const leader = { rule: 'sync-loosen', because: 'pg-1 is lost' };
    assert.equal(
      shown({ rule: alone, leader }).below,
      ' synchronous mode is degraded: commits wait for nobody: pg-1 is lost',
    );
    assert.equal(
      shown({ rule: alone, settings: { synchronousModeStrict: true } }).below,
      ' synchronous mode is degraded: commits hang (strict)',
    );
    assert.equal(
      shown({ settings: { synchronousNodeCount: 2 } }).below,
      ' synchronous mode is degraded: commits wait for 1 of 2 sync standbys',
    );
    assert.equal(
      shown({ rule: { ...alone, mode: 'async' } }).below,
      ' synchronous mode is not in force yet: commits wait for nobody',
    );
    assert.equal(shown({ rule: { ...alone, mode: 'async' }, settings: { synchronousMode: 'off' } }).below, '');
  });

  test('the former primary, which has said nothing since, is not called running', () => {
    const before = view({ standby: { role: 'primary', state: 'running' } });
    const taken = { ...before, leader: { value: 'pg-0', createRevision: 9, modRevision: 9 } };
    const text = renderCluster(fromView('demo', taken), plain);
    assert.match(text, /\| pg-1 +\| 127.0.0.1:5433 \| Replica \| unreachable \|/);
    assert.match(text, /\n pg-1: pg-0 took the key from it, and it has said nothing since$/);
  });

  test('a witness has its role and no position', () => {
    const tags = { ...reports.recordOf('pg-1', reports.position).tags, witness: true };
    const line = renderCluster(
      fromView('demo', view({ standby: { role: 'witness', state: 'running', tags }, rule: { syncStandbys: [] } })),
      { ...plain, format: 'tsv' },
    ).split('\n')[2];
    assert.match(line ?? '', /^demo\tpg-1\t\S+\tWitness\t/);
    assert.match(line ?? '', /\t\t\t\t(\{.*\})?$/);
  });
});

test('history --events: a row for each decision', () => {
  const decision = { at: 'then', member: 'pg-1', term: 3, rule: 'take-revoked', because: 'the cover is complete' };
  assert.equal(
    render(
      eventsTable([decision], (text) => text),
      'tsv',
    ),
    'Time\tMember\tTerm\tRule\tBecause\nthen\tpg-1\t3\ttake-revoked\tthe cover is complete',
  );
});
