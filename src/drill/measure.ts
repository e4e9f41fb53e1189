/** What acknowledged commits say: how long writes stood still, and what is missing. Pure. */
import type { Acknowledgement } from './writer.ts';

/** A time in which nothing was acknowledged. */
export interface Standstill {
  readonly fromMs: number;
  readonly toMs: number;
  /** Who acknowledged the last commit before it. */
  readonly before: string;
  /** Who acknowledged the first one after it; undefined: nobody did. */
  readonly after: string | undefined;
}

/** The time between two commits that follow each other, where half of them are quicker; 0 when there are no two. */
export function usualIntervalMs(acknowledged: readonly Acknowledgement[]): number {
  const intervals = acknowledged.slice(1).map(({ atMs }, index) => atMs - (acknowledged[index]?.atMs ?? atMs));
  return intervals.sort((a, b) => a - b)[Math.floor(intervals.length / 2)] ?? 0;
}

/**
 * The pauses of at least `leastMs` that end after `sinceMs`, the one in which the measurement ended (`endMs`) among them.
 * A pause that began before `sinceMs` counts from its beginning: the fault came into it.
 */
export function standstills(
  acknowledged: readonly Acknowledgement[],
  sinceMs: number,
  endMs: number,
  leastMs: number,
): readonly Standstill[] {
  const found: Standstill[] = [];
  acknowledged.forEach((one, index) => {
    const next = acknowledged[index + 1];
    const toMs = next?.atMs ?? endMs;
    if (toMs > sinceMs && toMs - one.atMs >= leastMs)
      found.push({ fromMs: one.atMs, toMs, before: one.member, after: next?.member });
  });
  return found;
}

/** The longest time between two acknowledgements that ends after `sinceMs`. */
export function writeGapMs(acknowledged: readonly Acknowledgement[], sinceMs: number): number {
  const last = acknowledged.at(-1);
  const pauses = last === undefined ? [] : standstills(acknowledged, sinceMs, last.atMs, 0);
  return Math.max(0, ...pauses.map(({ fromMs, toMs }) => toMs - fromMs));
}

/** Numbers that were acknowledged and are not there. */
export function lostNumbers(acknowledged: readonly Acknowledgement[], present: ReadonlySet<number>): readonly number[] {
  return acknowledged.filter(({ number }) => !present.has(number)).map(({ number }) => number);
}
