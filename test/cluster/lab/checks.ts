/** What every scenario ends with: the invariants, checked on what the writers noted. */
import assert from 'node:assert/strict';
import type { Lab } from './cluster.ts';
import type { Host } from './host.ts';
import type { Acknowledged } from './notes.ts';

/** The longest pause between two acknowledged commits that ends after `sinceMs`. */
export function writeGapMs(rows: readonly Acknowledged[], sinceMs: number): number {
  let longest = 0;
  rows.forEach((row, index) => {
    const before = rows[index - 1];
    if (before !== undefined && row.atMs > sinceMs) longest = Math.max(longest, row.atMs - before.atMs);
  });
  return longest;
}

/**
 * No two hosts acknowledged at the same time: the one that acknowledges changes no more often than the cluster changed
 * its timeline. Two that wrote side by side, 200 times a second each, would take turns all the time.
 */
export function assertOneWriter(rows: readonly Acknowledged[], timelineChanges: number): void {
  const changes = rows.filter((row, index) => index > 0 && rows[index - 1]?.host !== row.host);
  const told = changes.slice(0, 20).map((row) => `${row.host} at ${Math.round(row.atMs)}`);
  assert.ok(
    changes.length <= timelineChanges,
    `${changes.length} changes of the writer, ${timelineChanges} of the timeline: ${told.join(', ')}`,
  );
}

/** The acknowledged numbers that the host does not have. */
export function missingOn(lab: Lab, host: Host, rows: readonly Acknowledged[]): readonly Acknowledged[] {
  const present = new Set(lab.sql(host, 'select number from lab').split('\n').map(Number));
  return rows.filter((row) => !present.has(row.number));
}

/** Longer than any pause of a writer that serves, shorter than two changes of the primary in a row. */
const pauseMs = 200;

/** No two hosts acknowledged in overlapping intervals. An interval ends with a pause. */
export function assertNoOverlap(rows: readonly Acknowledged[]): void {
  const intervals: { readonly host: string; readonly from: number; to: number }[] = [];
  for (const { host, atMs } of rows) {
    const last = intervals.findLast((one) => one.host === host);
    if (last !== undefined && atMs - last.to <= pauseMs) last.to = atMs;
    else intervals.push({ host, from: atMs, to: atMs });
  }
  for (const one of intervals) {
    const other = intervals.find((two) => two.host !== one.host && two.from <= one.to && one.from <= two.to);
    assert.equal(other, undefined, `${JSON.stringify(one)} and ${JSON.stringify(other)}`);
  }
}
