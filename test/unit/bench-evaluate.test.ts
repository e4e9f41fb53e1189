import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { array, assert as forAll, integer, property } from 'fast-check';
import { type Acknowledged, intervalsOf, longestPause, missing, overlapMs, spreadOf } from '../../bench/evaluate.ts';

/** Rows of one host at these times. */
function by(host: string, ...timesMs: readonly number[]): readonly Acknowledged[] {
  return timesMs.map((atMs, index) => ({ by: host, number: index, atMs }));
}

function inOrder(...rows: readonly (readonly Acknowledged[])[]): readonly Acknowledged[] {
  return rows.flat().toSorted((a, b) => a.atMs - b.atMs);
}

/** From `fromMs` to `toMs`, every 5 ms. */
function steady(host: string, fromMs: number, toMs: number): readonly Acknowledged[] {
  return by(host, ...Array.from({ length: (toMs - fromMs) / 5 + 1 }, (_, index) => fromMs + 5 * index));
}

describe('the write gap', () => {
  test('is the longest pause, whoever writes before and after it', () => {
    const rows = inOrder(steady('n1', 0, 1000), steady('n2', 1420, 3000));
    assert.deepEqual(longestPause(rows, 1002, 3005), { ms: 420, fromMs: 1000, ended: true });
  });

  test('of two pauses the longer one counts, also when the first to serve fails again', () => {
    const rows = inOrder(steady('n1', 0, 1000), steady('n2', 1300, 1500), steady('n3', 2600, 3000));
    assert.deepEqual(longestPause(rows, 1000, 3000), { ms: 1100, fromMs: 1500, ended: true });
  });

  test('a pause that was over before the fault does not count, one that was under way does', () => {
    const rows = inOrder(steady('n1', 0, 100), steady('n1', 900, 1000), steady('n2', 1200, 2000));
    assert.equal(longestPause(rows, 950, 2000).ms, 200);
    assert.equal(longestPause(rows, 890, 2000).ms, 800);
  });

  test('a pause that goes on at the end is told as such', () => {
    assert.deepEqual(longestPause(steady('n1', 0, 1000), 1001, 91_000), { ms: 90_000, fromMs: 1000, ended: false });
  });

  test('that a writer was ended between two commits is no pause', () => {
    const rows = inOrder(steady('n1', 0, 1000), steady('n2', 1200, 2000));
    assert.deepEqual(longestPause(rows, 1000, 2900), { ms: 200, fromMs: 1000, ended: true });
  });

  test('without any commit the whole time is a pause', () => {
    assert.deepEqual(longestPause([], 500, 2500), { ms: 2000, fromMs: 500, ended: false });
  });
});

describe('two primaries', () => {
  const dualMs = (rows: readonly Acknowledged[]): number => overlapMs(intervalsOf(rows));

  test('one after the other is none', () => {
    assert.equal(dualMs(inOrder(steady('n1', 0, 1000), steady('n2', 1100, 2000), steady('n1', 5000, 6000))), 0);
  });

  test('counts the time in which both acknowledged', () => {
    assert.equal(dualMs(inOrder(steady('n1', 0, 3000), steady('n2', 1000, 2000))), 1000);
    assert.equal(dualMs(inOrder(steady('n1', 0, 3000), steady('n2', 2500, 9000))), 500);
  });

  test('three at the same time are no more than two', () => {
    assert.equal(dualMs(inOrder(steady('n1', 0, 3000), steady('n2', 1000, 2000), steady('n3', 1000, 2500))), 1500);
  });

  test('a pause of more than 0.2 s ends an interval, a shorter one does not', () => {
    const intervals = intervalsOf(inOrder(by('n1', 0, 200, 401, 500), by('n2', 300)));
    assert.deepEqual(intervals.get('n1'), [
      { fromMs: 0, toMs: 200 },
      { fromMs: 401, toMs: 500 },
    ]);
    assert.equal(overlapMs(intervals), 0);
  });

  test('is never longer than the shorter one wrote, and the same whoever is named first', () => {
    const times = array(integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 30 });
    forAll(
      property(times, times, (one, two) => {
        const span = (all: readonly number[]): number => Math.max(...all) - Math.min(...all);
        const there = dualMs(inOrder(by('n1', ...one), by('n2', ...two)));
        const back = dualMs(inOrder(by('n2', ...one), by('n1', ...two)));
        assert.equal(there, back);
        assert.ok(there >= 0 && there <= Math.min(span(one), span(two)));
      }),
    );
  });
});

test('lost is what was acknowledged and is not there', () => {
  const rows = by('n1', 10, 20, 30);
  assert.deepEqual(missing(rows, new Set([0, 2, 99])), [{ by: 'n1', number: 1, atMs: 20 }]);
  assert.deepEqual(missing(rows, new Set([0, 1, 2])), []);
});

test('least, middle and greatest', () => {
  assert.equal(spreadOf([]), undefined);
  assert.deepEqual(spreadOf([3]), { min: 3, median: 3, max: 3 });
  assert.deepEqual(spreadOf([10, 9, 100]), { min: 9, median: 10, max: 100 });
  assert.deepEqual(spreadOf([4, 1, 2, 3]), { min: 1, median: 2.5, max: 4 });
});
