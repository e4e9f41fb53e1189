import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { asRead, type Transaction, type Write } from '../../src/core/effects.ts';
import { lsn } from '../../src/core/lsn.ts';
import type { ClusterView, MemberRecord, Rule } from '../../src/core/model.ts';
import {
  recordTerm,
  release,
  setDisarmed,
  setFailover,
  setFailsafe,
  setSync,
  settleRule,
  take,
} from '../../src/core/transactions.ts';
import { applyTransaction } from '../../src/core/view.ts';
import { decodeView, encodeTransaction } from '../../src/dcs/records.ts';
import type { Snapshot, StoredKey } from '../../src/ports/dcs.ts';

function snapshot(values: Readonly<Record<string, string>>): Snapshot {
  const keys = new Map<string, StoredKey>();
  let revision = 0;
  for (const [key, value] of Object.entries(values)) {
    revision++;
    keys.set(key, { value, createRevision: revision, modRevision: revision });
  }
  return { storeId: 'store', revision, keys };
}

const view = (values: Readonly<Record<string, string>>): ClusterView => decodeView(snapshot(values));

function transaction(...write: Write[]): Transaction {
  return { name: 'test', compare: [], write };
}

/** Writes, stores and reads back. */
function roundTrip(write: Write): ClusterView {
  const [stored] = encodeTransaction(transaction(write)).write;
  assert.ok(stored?.value !== undefined);
  return view({ [stored.key]: stored.value });
}

/** What real Patroni 4.1 wrote into etcd. */
const patroni = {
  config:
    '{"ttl":20,"loop_wait":2,"retry_timeout":5,"maximum_lag_on_failover":1048576,"postgresql":{"use_pg_rewind":true,"parameters":{"max_connections":101}},"failsafe_mode":true,"synchronous_mode":true}',
  initialize: '7710173580712720136',
  leader: 'pg-0',
  'members/pg-0':
    '{"conn_url":"postgres://127.0.0.1:5432/postgres","api_url":"http://127.0.0.1:8008/patroni","state":"running","role":"primary","version":"4.1.4","tags":{"mytag":"val0"},"pending_restart":true,"pending_restart_reason":{"max_connections":{"old_value":"100","new_value":"101"}},"xlog_location":50331784,"timeline":1}',
  'members/pg-1':
    '{"conn_url":"postgres://127.0.0.1:5433/postgres","api_url":"http://127.0.0.1:8009/patroni","state":"running","role":"replica","version":"4.1.4","tags":{"nofailover":true,"failover_priority":0},"xlog_location":50331784,"replay_lsn":50331784,"receive_lsn":50331700,"replication_state":"streaming","timeline":1,"scheduled_restart":{"schedule":"2031-01-01T00:00:00+00:00"}}',
  status: '{"optime":50331784,"slots":{"pg_1":50331700,"pg_0":50331784},"retain_slots":["pg_0","pg_1"]}',
  failsafe: '{"pg-0":"http://127.0.0.1:8008/patroni"}',
  sync: '{"leader":"pg-0","quorum":0,"sync_standby":"pg-1"}',
  history: '[[1,50332512,"no recovery target specified","2026-11-20T08:52:01.639509+00:00","pg-1"]]',
  failover: '{}',
};

describe("Patroni's records", () => {
  test('are read as a whole', () => {
    const found = view(patroni);
    assert.deepEqual(found.unreadable, []);
    assert.equal(found.initialize?.value, '7710173580712720136');
    assert.equal(found.leader?.value, 'pg-0');
    assert.equal(found.config?.value.ttlMs, 20_000);
    assert.equal(found.config?.value.synchronousMode, 'on');
    assert.deepEqual(found.config?.value.parameters, { max_connections: '101' });
    const primary = found.members.get('pg-0')?.value;
    assert.equal(primary?.role, 'primary');
    assert.equal(primary?.lsn, lsn(50331784));
    assert.equal(primary?.checkpointed, true);
    assert.deepEqual(primary?.pendingRestart, ['max_connections']);
    const replica = found.members.get('pg-1')?.value;
    assert.deepEqual([replica?.receivedLsn, replica?.replayedLsn], [lsn(50331700), lsn(50331784)]);
    assert.equal(replica?.originTerm, undefined);
    assert.deepEqual(
      [replica?.tags.noFailover, replica?.tags.failoverPriority, replica?.tags.all['nofailover']],
      [true, 0, true],
    );
    assert.deepEqual(found.status?.value.slots, [
      ['pg_1', lsn(50331700)],
      ['pg_0', lsn(50331784)],
    ]);
    assert.equal(found.failover, undefined, 'an emptied wish is none');
    assert.equal(found.rule, undefined);
  });

  test('an emptied key is compared by its revision where the core says "absent"', () => {
    const found = view(patroni);
    const request = { kind: 'switchover', candidate: 'pg-1' } as const;
    const encoded = encodeTransaction(
      { name: 'wish', compare: [asRead(found, 'failover')], write: [{ key: 'failover', value: request }] },
      found,
    );
    assert.deepEqual(encoded.compare, [{ key: 'failover', modRevision: 10 }]);
    // A key that could not be read is not "absent": the store refuses.
    const broken = view({ failover: 'x' });
    const compare = [asRead(broken, 'failover')];
    assert.deepEqual(encodeTransaction({ name: 'wish', compare, write: [] }, broken).compare, compare);
  });

  test('a plan for later is refused, not carried out at once', () => {
    const found = view({ failover: '{"leader":"a","member":"b","scheduled_at":"2031-01-01T00:00:00+00:00"}' });
    assert.equal(found.failover, undefined);
    assert.match(found.unreadable[0]?.error ?? '', /^failover: scheduled_at: found "2031/);
  });

  test('a wish by patronictl', () => {
    assert.deepEqual(view({ failover: '{"leader":"a","member":"b"}' }).failover?.value, {
      kind: 'switchover',
      leader: 'a',
      candidate: 'b',
    });
    assert.deepEqual(view({ failover: '{"member":"b"}' }).failover?.value, { kind: 'failover', candidate: 'b' });
  });
});

describe('what cannot be read', () => {
  test('is listed with what was found and what is allowed, and else absent', () => {
    const found = view({
      leader: '',
      rule: '{"term":0}',
      config: '{"ttl":"soon"}',
      terms: '[{]',
      'members/x': '{"conn_url":"c","state":"running","role":1}',
      'revoke/x': '{"term":1,"originTerm":1,"lsn":"3000088","seq":1}',
      status: '{"optime":-1}',
      unknown: 'whatever',
      'events/1': '?',
    });
    for (const key of ['leader', 'rule', 'config', 'terms', 'status'] as const) assert.equal(found[key], undefined);
    assert.deepEqual([...found.members, ...found.revocations], []);
    const errors = new Map(found.unreadable.map(({ key, error }) => [key, error]));
    assert.deepEqual([...errors.keys()].sort(), [
      'config',
      'leader',
      'members/x',
      'revoke/x',
      'rule',
      'status',
      'terms',
    ]);
    assert.match(errors.get('members/x') ?? '', /^members\/x: role: found 1: allowed: primary, /);
    assert.match(errors.get('revoke/x') ?? '', /^revoke\/x: lsn: found "3000088": allowed: an LSN like /);
    assert.match(errors.get('config') ?? '', /^config: ttl: found "soon": allowed: 1 to /);
    assert.match(errors.get('rule') ?? '', /^rule: term: found 0: allowed: 1 or more; leader: found nothing: /);
    assert.match(errors.get('terms') ?? '', /^terms: not JSON: /);
    assert.match(errors.get('status') ?? '', /^status: optime: found -1: allowed: an LSN as a whole number/);
  });
});

describe('what a newer pgherd wrote', () => {
  const rule = {
    term: 2,
    leader: 'pg1',
    nonce: 'x',
    mode: 'async',
    S: [],
    k: 0,
    n: 7,
    failsafe: ['pg1'],
    storeId: 's',
    quarantine: { since: 5, of: ['pg3'] },
  };
  const row = { term: 1, timeline: 1, switchLsn: '0/1', member: 'pg1', reason: 'r', at: 't', cause: ['power'] };
  const written = (transacted: Transaction, key: string): unknown =>
    JSON.parse(encodeTransaction(transacted).write.find((write) => write.key === key)?.value ?? 'null');

  test('in the rule stays in it, over every transaction that rewrites the rule', () => {
    const found = view({ rule: JSON.stringify(rule), terms: JSON.stringify([row]) });
    const { value } = found.rule ?? assert.fail();
    assert.deepEqual(value.newer, { quarantine: rule.quarantine });
    const seen = { member: 'pg2', maxTerm: 2, maxRuleNumber: 7 };
    const taker = { leaseId: '9', ground: 'asynchronous', base: undefined, degraded: false } as const;
    for (const made of [
      take(found, value, seen, taker),
      release(found, value, undefined),
      setDisarmed(found, value, true),
      setFailsafe(found, value, ['pg1', 'pg2']),
      setSync(found, value, { mode: 'sync', syncStandbys: ['pg2'], syncCount: 1 }, 'tighten'),
      settleRule(found, value),
    ]) {
      assert.deepEqual(Object(written(made, 'rule')).quarantine, rule.quarantine, made.name);
      // The next change may come before the DCS shows this one.
      const next = applyTransaction(found, made, found.revision + 1);
      assert.deepEqual(next.rule?.value.newer, value.newer, made.name);
    }
  });

  test('in a row of the history stays in it when another row comes', () => {
    const found = view({ terms: JSON.stringify([row]) });
    const entry = { term: 2, timeline: 2, switchLsn: lsn(9), parent: 1, member: 'pg2', reason: '', at: '' };
    assert.deepEqual(written(recordTerm(found, [entry]), 'terms'), [row, { ...entry, switchLsn: '0/9' }]);
  });

  test('in a wish stays in it when it is refused', () => {
    const text = '{"leader":"a","member":"b","priority":3,"pgherd":{"kind":"switchover","request_id":"7","steps":[1]}}';
    const found = view({ failover: text });
    assert.deepEqual(found.unreadable, []);
    const { value } = found.failover ?? assert.fail();
    assert.deepEqual(written(setFailover(found, { ...value, refused: 'no' }), 'failover'), {
      leader: 'a',
      member: 'b',
      priority: 3,
      pgherd: { kind: 'switchover', request_id: '7', refused: 'no', steps: [1] },
    });
  });

  test('of a member in words that are not known here: it is there, and nothing is expected of it', () => {
    const found = view({
      'members/x':
        '{"conn_url":"c","state":"defragmenting","role":"arbiter","pgherd":{"progress":{"doing":"defragment"}}}',
    });
    assert.deepEqual(found.unreadable, []);
    const record = found.members.get('x')?.value;
    assert.deepEqual([record?.state, record?.role, record?.progress], ['unknown', 'uninitialized', undefined]);
  });

  test('of a mode that is not known here cannot be read: nobody acts on it', () => {
    const found = view({ rule: JSON.stringify({ ...rule, mode: 'causal' }) });
    assert.equal(found.rule, undefined);
    assert.match(found.unreadable[0]?.error ?? '', /^rule: mode: found "causal": allowed: async, sync/);
  });
});

const lsns = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }).map(lsn);
const texts = fc.string({ minLength: 1 });
const counts = fc.nat();
const ordinals = fc.integer({ min: 1, max: 1_000_000 });

const rules: fc.Arbitrary<Rule> = fc.record(
  {
    term: ordinals,
    leader: texts,
    nonce: fc.string(),
    mode: fc.constantFrom('async' as const, 'sync' as const),
    syncStandbys: fc.array(texts),
    syncCount: counts,
    number: counts,
    disarmed: fc.boolean(),
    handover: fc.record(
      { originTerm: counts, timeline: ordinals, lsn: lsns, to: texts },
      { requiredKeys: ['originTerm', 'timeline', 'lsn'], noNullPrototype: true },
    ),
    base: fc.record({ originTerm: counts, lsn: lsns }, { noNullPrototype: true }),
    failsafe: fc.array(texts),
    released: fc.boolean(),
    storeId: fc.string(),
  },
  {
    requiredKeys: [
      'term',
      'leader',
      'nonce',
      'mode',
      'syncStandbys',
      'syncCount',
      'number',
      'disarmed',
      'failsafe',
      'released',
      'storeId',
    ],
    noNullPrototype: true,
  },
);

const memberRecords: fc.Arbitrary<MemberRecord> = fc.record(
  {
    connUrl: fc.string(),
    apiUrl: fc.string(),
    state: fc.constantFrom('running' as const, 'crashed' as const, 'creating replica' as const),
    role: fc.constantFrom('primary' as const, 'replica' as const, 'promoted' as const, 'witness' as const),
    version: fc.string(),
    tags: fc.constant({
      noFailover: false,
      failoverPriority: 3,
      noSync: true,
      syncPriority: 2,
      witness: false,
      all: { failover_priority: 3, note: 'x', nosync: true, sync_priority: 2 },
    }),
    timeline: ordinals,
    lsn: lsns,
    replicationState: fc.string(),
    pause: fc.boolean(),
    pendingRestart: fc.array(texts),
    checkpointed: fc.boolean(),
    unfit: fc.boolean(),
    serverVersion: counts,
    originTerm: counts,
    rule: fc.string(),
    because: fc.string(),
    progress: fc.record(
      {
        doing: fc.constantFrom('clone' as const, 'rewind' as const),
        doneBytes: fc.bigInt({ min: 0n, max: 1n << 63n }),
      },
      { requiredKeys: ['doing'], noNullPrototype: true },
    ),
  },
  {
    requiredKeys: [
      'connUrl',
      'apiUrl',
      'state',
      'role',
      'version',
      'tags',
      'pause',
      'pendingRestart',
      'checkpointed',
      'unfit',
    ],
    noNullPrototype: true,
  },
);

describe('written and read back', () => {
  test('rule', () => {
    fc.assert(
      fc.property(rules, (rule) => {
        assert.deepEqual(roundTrip({ key: 'rule', value: rule }).rule?.value, rule);
      }),
    );
  });

  test('members, LSNs to the last byte', () => {
    fc.assert(
      fc.property(memberRecords, (record) => {
        const found = roundTrip({ key: 'member', member: 'pg1', value: record, leaseId: '1' });
        assert.deepEqual(found.unreadable, []);
        assert.deepEqual(found.members.get('pg1')?.value, record);
      }),
    );
  });

  test('revocations, terms, status, wishes', () => {
    fc.assert(
      fc.property(lsns, ordinals, texts, (position, number, word) => {
        const revocation = { term: number, originTerm: number, lsn: position, sequence: number };
        assert.deepEqual(
          roundTrip({ key: 'revoke', member: word, value: revocation }).revocations.get(word)?.value,
          revocation,
        );
        const free = { ...revocation, term: 'free' as const };
        assert.deepEqual(roundTrip({ key: 'revoke', member: 'm', value: free }).revocations.get('m')?.value, free);
        const terms = [{ term: number, timeline: number, switchLsn: position, member: word, reason: '', at: '' }];
        assert.deepEqual(roundTrip({ key: 'terms', value: terms }).terms?.value, terms);
        const status = { lsn: position, slots: [['pg_1', position]] as const };
        assert.deepEqual(roundTrip({ key: 'status', value: status }).status?.value, status);
        const wish = {
          kind: 'switchover',
          candidate: word,
          requestId: word,
          refused: word,
          allowDataLoss: true,
        } as const;
        assert.deepEqual(roundTrip({ key: 'failover', value: wish }).failover?.value, wish);
      }),
    );
  });

  test("the texts are Patroni's", () => {
    const position = lsn(2n ** 60n + 1n);
    const [status, history, member] = encodeTransaction(
      transaction(
        { key: 'status', value: { lsn: position, slots: [['pg_1', position]] } },
        { key: 'history', value: [{ timeline: 1, lsn: position, reason: 'r', at: 't', leader: 'pg1' }] },
        {
          key: 'member',
          member: 'pg1',
          leaseId: '7',
          value: {
            connUrl: 'postgres://h:1/postgres',
            apiUrl: 'http://h:2/patroni',
            state: 'running',
            role: 'replica',
            version: '1',
            tags: {
              noFailover: false,
              failoverPriority: 1,
              noSync: false,
              syncPriority: 1,
              witness: false,
              all: {},
            },
            timeline: 1,
            lsn: lsn(9),
            receivedLsn: lsn(9),
            replayedLsn: lsn(8),
            replicationState: 'streaming',
            pause: true,
            pendingRestart: ['a'],
            checkpointed: false,
            unfit: false,
            originTerm: 4,
          },
        },
      ),
    ).write;
    assert.equal(
      status?.value,
      '{"optime":1152921504606846977,"slots":{"pg_1":1152921504606846977},"retain_slots":["pg_1"]}',
    );
    assert.equal(history?.value, '[[1,1152921504606846977,"r","t","pg1"]]');
    assert.equal(member?.key, 'members/pg1');
    assert.equal(member?.leaseId, '7');
    assert.equal(
      member?.value,
      '{"conn_url":"postgres://h:1/postgres","api_url":"http://h:2/patroni","state":"running","role":"replica",' +
        '"version":"1","checkpoint_after_promote":false,"pending_restart":true,"xlog_location":9,"replay_lsn":8,' +
        '"receive_lsn":9,"replication_state":"streaming","timeline":1,"pause":true,' +
        '"pgherd":{"origin_term":4,"pending_restart":["a"]}}',
    );
    const [deleted] = encodeTransaction(transaction({ key: 'failover', value: undefined })).write;
    assert.deepEqual(deleted, { key: 'failover', value: undefined });
  });
});
