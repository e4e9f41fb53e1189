/** What acknowledged commits say. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { lostNumbers, standstills, usualIntervalMs, writeGapMs } from '../../src/drill/measure.ts';
import type { Acknowledgement } from '../../src/drill/writer.ts';

/** `[atMs, member]`, numbered from 1. */
function commits(...rows: readonly (readonly [atMs: number, member: string])[]): readonly Acknowledgement[] {
  return rows.map(([atMs, member], index) => ({ number: index + 1, member, atMs }));
}

const failover = commits([0, 'a'], [10, 'a'], [20, 'a'], [520, 'b'], [530, 'b'], [640, 'b'], [650, 'b']);

describe('how long writes stood still', () => {
  for (const [what, sinceMs, expected] of [
    ['the pause into which the fault came counts from its beginning', 15, 500],
    ['the same when the fault came into the pause itself', 300, 500],
    ['pauses that ended before the fault do not count', 525, 110],
    ['after the last commit there is none', 650, 0],
  ] as const) {
    test(what, () => assert.equal(writeGapMs(failover, sinceMs), expected));
  }

  test('of no commit, and of one', () => {
    assert.equal(writeGapMs([], 0), 0);
    assert.equal(writeGapMs(commits([5, 'a']), 0), 0);
  });

  test('all pauses that are long enough, with who wrote before and after', () => {
    assert.deepEqual(standstills(failover, 15, 660, 50), [
      { fromMs: 20, toMs: 520, before: 'a', after: 'b' },
      { fromMs: 530, toMs: 640, before: 'b', after: 'b' },
    ]);
  });

  test('the one that has not ended yet', () => {
    assert.deepEqual(standstills(commits([0, 'a'], [10, 'a']), 5, 2000, 50), [
      { fromMs: 10, toMs: 2000, before: 'a', after: undefined },
    ]);
  });

  test('standstills do not overlap, and the longest one is the gap', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200), { minLength: 2, maxLength: 50 }), fc.nat(5000), (steps, sinceMs) => {
        let atMs = 0;
        const rows = steps.map((step) => [(atMs += step), 'a'] as const);
        const found = standstills(commits(...rows), sinceMs, atMs, 0);
        found.forEach((one, index) => assert.ok(one.fromMs >= (found[index - 1]?.toMs ?? 0) && one.toMs > sinceMs));
        const longest = Math.max(0, ...found.map(({ fromMs, toMs }) => toMs - fromMs));
        assert.equal(writeGapMs(commits(...rows), sinceMs), longest);
      }),
    );
  });
});

test('the usual time between two commits is not that of a failover', () => {
  assert.equal(usualIntervalMs(failover), 10);
  assert.equal(usualIntervalMs([]), 0);
});

test('lost is what was acknowledged and is not there; what is there besides does not matter', () => {
  assert.deepEqual(lostNumbers(failover, new Set([1, 2, 3, 4, 5, 6, 7, 8])), []);
  assert.deepEqual(lostNumbers(failover, new Set([1, 2, 5, 6, 7])), [3, 4]);
});
