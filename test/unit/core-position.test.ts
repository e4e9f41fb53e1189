/** Positions: one total order, by term and then LSN; the floor under a member whose WAL was discarded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Arbitrary,
  bigInt,
  assert as check,
  integer,
  property,
  record,
  shuffledSubarray,
  uniqueArray,
} from 'fast-check';
import { type Candidate, rankCandidates } from '../../src/core/election.ts';
import { lsn } from '../../src/core/lsn.ts';
import type { Durable, Position, TermEntry } from '../../src/core/model.ts';
import { comparePositions, isPastFloor } from '../../src/core/position.ts';
import { emptyDurable } from '../../src/core/state.ts';
import { historyOf } from '../../src/core/transactions.ts';

// Few terms and few LSNs, so that equal ones come often.
const position: Arbitrary<Position> = record({
  originTerm: integer({ min: 1, max: 4 }),
  lsn: bigInt({ min: 0n, max: 6n }).map(lsn),
});

test('comparing is a total order', () => {
  check(
    property(position, position, position, (a, b, c) => {
      assert.equal(Math.sign(comparePositions(a, b)), -Math.sign(comparePositions(b, a)) + 0);
      assert.equal(comparePositions(a, b) === 0, a.originTerm === b.originTerm && a.lsn === b.lsn);
      if (comparePositions(a, b) <= 0 && comparePositions(b, c) <= 0) assert.ok(comparePositions(a, c) <= 0);
    }),
    { numRuns: 2000 },
  );
});

test('a later term is more, whatever the LSN', () => {
  check(
    property(position, bigInt({ min: 0n, max: 2n ** 64n - 1n }), (a, bytes) => {
      assert.ok(comparePositions({ originTerm: a.originTerm + 1, lsn: lsn(0) }, { ...a, lsn: lsn(bytes) }) > 0);
    }),
  );
});

function withFloor(floor: Position | 'infinite'): Durable {
  return { ...emptyDurable('a'), floor };
}

test('past the floor is past it for good: more WAL never falls below, a higher floor never lets more through', () => {
  check(
    property(position, position, position, position, (floor, higherFloor, a, b) => {
      assert.ok(isPastFloor(emptyDurable('a'), a, []));
      assert.ok(!isPastFloor(withFloor('infinite'), a, []));
      assert.ok(isPastFloor(withFloor(floor), floor, []));
      if (isPastFloor(withFloor(floor), a, []) && comparePositions(b, a) >= 0)
        assert.ok(isPastFloor(withFloor(floor), b, []));
      if (comparePositions(higherFloor, floor) >= 0 && isPastFloor(withFloor(higherFloor), a, []))
        assert.ok(isPastFloor(withFloor(floor), a, []));
    }),
    { numRuns: 2000 },
  );
});

const candidates: Arbitrary<readonly Candidate[]> = uniqueArray(
  record({
    member: integer({ min: 1, max: 9 }).map((number) => `pg${number}`),
    originTerm: integer({ min: 1, max: 3 }),
    lsn: bigInt({ min: 0n, max: 3n }).map(lsn),
    failoverPriority: integer({ min: 1, max: 3 }),
  }),
  { selector: ({ member }) => member },
);

test('the rank does not depend on who was heard first', () => {
  const heard = candidates.chain((all) =>
    shuffledSubarray([...all], { minLength: all.length }).map((shuffled) => ({ all, shuffled })),
  );
  check(
    property(heard, ({ all, shuffled }) => {
      assert.deepEqual(rankCandidates(shuffled), rankCandidates(all));
      assert.deepEqual(rankCandidates(rankCandidates(all)), rankCandidates(all));
      assert.deepEqual(new Set(rankCandidates(all)), new Set(all));
    }),
  );
});

test('nobody has more WAL than the best, and of those with as much nobody has a higher priority', () => {
  check(
    property(candidates, (all) => {
      const best = rankCandidates(all)[0];
      if (best === undefined) return assert.equal(all.length, 0);
      for (const one of all) {
        assert.ok(comparePositions(best, one) >= 0);
        if (comparePositions(best, one) === 0) assert.ok(best.failoverPriority >= one.failoverPriority);
      }
    }),
  );
});

const history: Arbitrary<readonly TermEntry[]> = uniqueArray(integer({ min: 1, max: 20 })).chain((terms) =>
  record({ growths: uniqueArray(integer({ min: 0, max: 19 })), steps: integer({ min: 1, max: 500 }) }).map(
    ({ growths, steps }) => {
      let timeline = 1;
      return terms
        .toSorted((a, b) => a - b)
        .map((term, index): TermEntry => {
          if (index > 0 && growths.includes(index)) timeline += 1;
          return { term, timeline, switchLsn: lsn(index * steps), member: `pg${index}`, reason: `r${term}`, at: '' };
        });
    },
  ),
);

test('the history has a row for each timeline that ended, and no other', () => {
  check(
    property(history, (terms) => {
      const rows = historyOf(terms);
      const timelines = [...new Set(terms.map(({ timeline }) => timeline))];
      assert.deepEqual(
        rows.map(({ timeline }) => timeline),
        timelines.slice(0, -1),
      );
      for (const row of rows) {
        const ending = terms.find(({ timeline }) => timeline > row.timeline);
        assert.deepEqual([row.lsn, row.leader, row.reason], [ending?.switchLsn, ending?.member, ending?.reason]);
      }
      // What is known of earlier terms does not change as more is recorded.
      assert.deepEqual(historyOf(terms.slice(0, -1)), rows.slice(0, historyOf(terms.slice(0, -1)).length));
    }),
  );
});
