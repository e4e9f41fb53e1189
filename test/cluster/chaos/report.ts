/** What a run measured, by kind of fault. */
import { type Outcome, seconds, type Verdict } from './run.ts';

interface Row {
  readonly kind: string;
  readonly outcomes: readonly Outcome[];
}

/** min, median, p90 and max of the write gap and of the time until everybody was back, as a table. */
export function distribution(verdict: Verdict): string {
  const rows = rowsOf(verdict.outcomes);
  const width = Math.max(...rows.map(({ kind }) => kind.length), 'kind of fault'.length);
  const head = `${'kind of fault'.padEnd(width)}     n   moved   write gap: min  median     p90     max   all back: min  median     p90     max`;
  const lines = rows.map(({ kind, outcomes }) => {
    const moved = outcomes.filter((one) => one.moved).length;
    const gap = four(outcomes.map(({ gapMs }) => gapMs));
    const back = four(outcomes.flatMap(({ backMs }) => backMs ?? []));
    return `${kind.padEnd(width)}  ${pad(outcomes.length, 4)}  ${pad(moved, 6)}        ${gap}        ${back}`;
  });
  return [head, ...lines].join('\n');
}

function rowsOf(outcomes: readonly Outcome[]): readonly Row[] {
  const kinds = new Map<string, Outcome[]>();
  for (const outcome of outcomes) {
    const [only = '', ...more] = outcome.kinds;
    const kind = more.length === 0 ? only : 'two at once';
    kinds.set(kind, [...(kinds.get(kind) ?? []), outcome]);
  }
  const rows = [...kinds].map(([kind, some]) => ({ kind, outcomes: some }));
  rows.sort((a, b) => a.kind.localeCompare(b.kind));
  return [...rows, { kind: 'all', outcomes }];
}

function four(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return [0, 0.5, 0.9, 1].map((share) => pad(sorted.length === 0 ? '-' : (at(share) / 1000).toFixed(2), 8)).join('');
}

function pad(value: number | string, width: number): string {
  return String(value).padStart(width);
}

/** One line on what was done, and what was found. */
export function summary(verdict: Verdict): string {
  const faults = verdict.outcomes.reduce((sum, { kinds }) => sum + kinds.length, 0);
  const found = verdict.violations.length + verdict.outcomes.reduce((sum, one) => sum + one.violations.length, 0);
  const loads = verdict.outcomes.map(({ load }) => load);
  const load = `load ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`;
  const longest = seconds(Math.max(...verdict.outcomes.map(({ gapMs }) => gapMs)));
  const counts = `${faults} faults in ${verdict.outcomes.length} steps, ${verdict.failovers} changes of the primary, ${verdict.commits} commits acknowledged`;
  return `${counts}, longest write gap ${longest}, ${load}: ${found === 0 ? 'no violation' : `${found} VIOLATIONS`}`;
}
