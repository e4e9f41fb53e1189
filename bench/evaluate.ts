/** The arithmetic: from what was acknowledged, when and by whom, to what is told of a run. */

/** A commit that a host said was done. */
export interface Acknowledged {
  /** The endpoint through which it was written. */
  readonly by: string;
  readonly number: number;
  /** On the clock that all processes of the machine share. */
  readonly atMs: number;
}

/** A pause in the writes. */
export interface Pause {
  readonly ms: number;
  readonly fromMs: number;
  /** False: nothing was acknowledged any more when the run ended, so it is at least that long. */
  readonly ended: boolean;
}

/** A time in which a host acknowledged. */
export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A shorter one at the end is a writer that was ended between two commits. */
const leastOpenMs = 1000;

/** The longest pause that was not over at `sinceMs`; `endMs` is when the writers were stopped. Rows are in order of time. */
export function longestPause(rows: readonly Acknowledged[], sinceMs: number, endMs: number): Pause {
  let longest: Pause = { ms: 0, fromMs: sinceMs, ended: true };
  const take = (fromMs: number, toMs: number, ended: boolean): void => {
    if (toMs > sinceMs && toMs - fromMs > longest.ms) longest = { ms: toMs - fromMs, fromMs, ended };
  };
  let beforeMs = rows[0]?.atMs;
  for (const { atMs } of rows.slice(1)) {
    if (beforeMs !== undefined) take(beforeMs, atMs, true);
    beforeMs = atMs;
  }
  const lastMs = beforeMs ?? sinceMs;
  if (endMs - lastMs >= leastOpenMs) take(lastMs, endMs, false);
  return longest;
}

/** When each endpoint acknowledged. A pause of more than `pauseMs` ends an interval. */
export function intervalsOf(rows: readonly Acknowledged[], pauseMs = 200): ReadonlyMap<string, readonly Interval[]> {
  const found = new Map<string, Interval[]>();
  for (const { by, atMs } of rows) {
    const intervals = found.get(by) ?? [];
    found.set(by, intervals);
    const last = intervals.at(-1);
    if (last !== undefined && atMs - last.toMs <= pauseMs) intervals.splice(-1, 1, { ...last, toMs: atMs });
    else intervals.push({ fromMs: atMs, toMs: atMs });
  }
  return found;
}

/** How long at least two hosts acknowledged at the same time. */
export function overlapMs(byHost: ReadonlyMap<string, readonly Interval[]>): number {
  const edges = [...byHost.values()]
    .flat()
    .flatMap(({ fromMs, toMs }) => [
      { atMs: fromMs, step: 1 },
      { atMs: toMs, step: -1 },
    ])
    .sort((a, b) => a.atMs - b.atMs || a.step - b.step);
  let totalMs = 0;
  let depth = 0;
  let beforeMs = 0;
  for (const { atMs, step } of edges) {
    if (depth >= 2) totalMs += atMs - beforeMs;
    depth += step;
    beforeMs = atMs;
  }
  return totalMs;
}

/** What was acknowledged and is not there. */
export function missing(rows: readonly Acknowledged[], present: ReadonlySet<number>): readonly Acknowledged[] {
  return rows.filter(({ number }) => !present.has(number));
}

/** The least, the middle and the greatest of some values. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Undefined for no values. Of an even number the median is the mean of the two in the middle. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  if (sorted.length === 0) return undefined;
  const half = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? at(half) : (at(half - 1) + at(half)) / 2;
  return { min: at(0), median, max: at(sorted.length - 1) };
}
