/** The view after a transaction of one's own is what the store has then: folded in, it equals a read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Arbitrary,
  array,
  boolean,
  assert as check,
  constantFrom,
  integer,
  oneof,
  pre,
  property,
  record,
  uniqueArray,
} from 'fast-check';
import { keyOf, type Transaction, type Write } from '../../src/core/effects.ts';
import { lsn } from '../../src/core/lsn.ts';
import type { ClusterView, MemberRecord, Revocation, Rule, TermEntry, Versioned } from '../../src/core/model.ts';
import { applyTransaction } from '../../src/core/view.ts';
import { createModel, grantLease, type Model, transact } from '../../src/dcs/memory/model.ts';
import { defaultSettings } from '../core/world/settings.ts';

const member = constantFrom('pg1', 'pg2', 'pg3');
const number = integer({ min: 1, max: 9 });

const rule: Arbitrary<Rule> = number.map((term) => ({
  term,
  leader: 'pg1',
  nonce: `n${term}`,
  mode: 'async',
  syncStandbys: [],
  syncCount: 0,
  number: term,
  disarmed: false,
  failsafe: ['pg1'],
  released: false,
  storeId: 'store',
}));
const memberRecord: Arbitrary<MemberRecord> = number.map((timeline) => ({
  connUrl: 'postgres://pg1:5432/postgres',
  apiUrl: 'http://pg1:8008/patroni',
  state: 'running',
  role: 'replica',
  version: '0',
  tags: { noFailover: false, failoverPriority: 1, noSync: false, syncPriority: 1, witness: false, all: {} },
  unfit: false,
  timeline,
  pause: false,
  pendingRestart: [],
  checkpointed: true,
}));
const revocation: Arbitrary<Revocation> = number.map((term) => ({
  term,
  originTerm: 1,
  lsn: lsn(term),
  sequence: term,
}));
const terms: Arbitrary<readonly TermEntry[]> = array(
  number.map((term) => ({ term, timeline: term, switchLsn: lsn(term), member: 'pg1', reason: '', at: '' })),
  { maxLength: 2 },
);

/** `1` and `2` are leases that live. */
const leaseId = constantFrom('1', '2');
const write: Arbitrary<Write> = oneof(
  number.map((value) => ({ key: 'initialize' as const, value: String(value) })),
  number.map((ttl) => ({ key: 'config' as const, value: { ...defaultSettings, ttlMs: ttl * 1000 } })),
  rule.map((value) => ({ key: 'rule' as const, value })),
  record({ key: constantFrom('leader'), value: member, leaseId }),
  constantFrom<Write>({ key: 'leader', value: undefined }, { key: 'failover', value: undefined }),
  terms.map((value) => ({ key: 'terms' as const, value })),
  number.map((value) => ({ key: 'status' as const, value: { lsn: lsn(value), slots: [] } })),
  member.map((candidate) => ({ key: 'failover' as const, value: { kind: 'failover' as const, candidate } })),
  constantFrom<Write>({ key: 'history', value: [] }),
  record({ key: constantFrom('member'), member, value: memberRecord, leaseId }),
  record({ key: constantFrom('revoke'), member, value: revocation }),
);
const transaction: Arbitrary<Transaction> = uniqueArray(write, { selector: keyOf, minLength: 1, maxLength: 4 }).map(
  (writes) => ({ name: 'some', compare: [], write: writes }),
);

/** The view as a read of the store would give it. */
function readOf(store: Model<unknown>): ClusterView {
  const below = (prefix: string): ReadonlyMap<string, unknown> =>
    new Map(
      [...store.keys].flatMap(([key, stored]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), stored]] : [])),
    );
  const single = [...store.keys].filter(([key]) => !key.includes('/') && key !== 'history');
  const view: unknown = {
    storeId: store.storeId,
    revision: store.revision,
    unreadable: [],
    ...Object.fromEntries(single),
    members: below('members/'),
    revocations: below('revoke/'),
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the store holds what the transactions wrote
  return view as ClusterView;
}

function emptyStore(): Model<unknown> {
  const store = createModel<unknown>('store');
  grantLease(store, Number.POSITIVE_INFINITY, 0);
  grantLease(store, Number.POSITIVE_INFINITY, 0);
  return store;
}

function commit(store: Model<unknown>, { write: writes }: Transaction): number {
  const outcome = transact(
    store,
    {
      compare: [],
      write: writes.map((one) => ({
        key: keyOf(one),
        value: one.value,
        ...('leaseId' in one ? { leaseId: one.leaseId } : {}),
      })),
    },
    0,
  );
  assert.equal(outcome.kind, 'applied');
  return store.revision;
}

test('a view with an own transaction folded in is the view that a read would give', () => {
  check(
    property(array(transaction, { maxLength: 8 }), (transactions) => {
      const store = emptyStore();
      let view = readOf(store);
      for (const one of transactions) {
        view = applyTransaction(view, one, commit(store, one));
        assert.deepEqual(contentOf(view), readOf(store));
      }
    }),
    { numRuns: 500 },
  );
});

/** Of whatever revision it is complete to. */
function contentOf({ completeTo: _at, ...content }: ClusterView): ClusterView {
  return content;
}

test('two answers that overtake each other give the view of a read too', () => {
  check(
    property(array(transaction, { maxLength: 3 }), transaction, transaction, (before, first, second) => {
      const taken = new Set(first.write.map(keyOf));
      const other = { ...second, write: second.write.filter((one) => !taken.has(keyOf(one))) };
      // One that writes nothing has no revision of its own.
      if (other.write.length === 0) return;
      const store = emptyStore();
      for (const one of before) commit(store, one);
      const view = readOf(store);
      const firstAt = commit(store, first);
      const secondAt = commit(store, other);
      const both = applyTransaction(applyTransaction(view, other, secondAt), first, firstAt);
      assert.deepEqual(contentOf(both), readOf(store));
    }),
    { numRuns: 500 },
  );
});

test('the answer that comes after a read which shows it already changes nothing', () => {
  check(
    property(array(record({ transaction, isMine: boolean() }), { minLength: 1, maxLength: 6 }), (steps) => {
      const store = emptyStore();
      const mine: { readonly transaction: Transaction; readonly revision: number }[] = [];
      for (const step of steps) {
        const revision = commit(store, step.transaction);
        if (step.isMine) mine.push({ transaction: step.transaction, revision });
      }
      const view = readOf(store);
      for (const late of mine) assert.equal(applyTransaction(view, late.transaction, late.revision), view);
    }),
  );
});

test('the view that it is folded into stays as it was', () => {
  check(
    property(transaction, transaction, (first, second) => {
      const store = emptyStore();
      commit(store, first);
      const before = readOf(store);
      const kept: unknown = structuredClone(before);
      applyTransaction(before, second, store.revision + 1);
      assert.deepEqual(before, kept);
    }),
  );
});

test('what nobody wrote is as it was read', () => {
  check(
    property(transaction, transaction, (first, second) => {
      const store = emptyStore();
      commit(store, first);
      const before = readOf(store);
      const after = applyTransaction(before, second, store.revision + 1);
      const written = new Set(second.write.map(keyOf));
      const unwritten = (view: ClusterView): readonly (readonly [string, Versioned<unknown>])[] =>
        [...view.members]
          .map(([name, stored]): readonly [string, Versioned<unknown>] => [`members/${name}`, stored])
          .filter(([key]) => !written.has(key));
      assert.deepEqual(unwritten(after), unwritten(before));
    }),
  );
});

test('answers that overtake each other leave nothing out', () => {
  check(
    property(transaction, transaction, boolean(), array(member, { maxLength: 1 }), (first, second, isSeen, others) => {
      const keys = new Set(first.write.map(keyOf));
      const mine = { ...second, write: second.write.filter((one) => !keys.has(keyOf(one))) };
      pre(mine.write.length > 0);
      const store = emptyStore();
      const foreign = (): void => {
        for (const name of others)
          commit(store, { name: 'foreign', compare: [], write: [{ key: 'events', member: name, value: [] }] });
      };
      const before = readOf(store);
      foreign();
      const earlier = commit(store, first);
      foreign();
      const later = commit(store, mine);
      const seen = isSeen ? applyTransaction(before, first, earlier) : before;
      const after = applyTransaction(applyTransaction(seen, mine, later), first, earlier);
      const { completeTo: _upTo, revision: _latest, ...found } = after;
      const { revision: _read, ...wanted } = readOf(store);
      assert.deepEqual(found, wanted);
    }),
    { numRuns: 500 },
  );
});
