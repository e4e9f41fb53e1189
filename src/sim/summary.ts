/** Many verdicts as one: counts and distributions that can be added up, also those of other processes. */
import type { Verdict } from './run.ts';

/** Plain data, so that it can be sent as JSON. */
export interface Summary {
  seeds: number;
  virtualMs: number;
  events: number;
  steps: number;
  acked: number;
  promotions: number;
  readonly faults: Record<string, number>;
  readonly rules: Record<string, number>;
  readonly answers: Record<string, number>;
  readonly operators: Record<string, number>;
  /** Gaps in the acknowledgements, in milliseconds, by what had struck before. */
  readonly downtimes: Record<string, number[]>;
  readonly violations: { readonly seed: number; readonly name: string; readonly atMs: number; readonly text: string }[];
}

/** Of no seed. */
export function emptySummary(): Summary {
  return {
    seeds: 0,
    virtualMs: 0,
    events: 0,
    steps: 0,
    acked: 0,
    promotions: 0,
    faults: {},
    rules: {},
    answers: {},
    operators: {},
    downtimes: {},
    violations: [],
  };
}

/** Adds one seed. */
export function addVerdict(summary: Summary, verdict: Verdict): void {
  const { tally } = verdict;
  summary.seeds += 1;
  summary.virtualMs += verdict.virtualMs;
  summary.events += tally.events;
  summary.steps += tally.steps;
  summary.acked += tally.acked;
  summary.promotions += tally.promotions;
  for (const [kind, count] of tally.faults) add(summary.faults, kind, count);
  for (const [rule, count] of tally.rules) add(summary.rules, rule, count);
  for (const [answer, count] of tally.answers) add(summary.answers, answer, count);
  if (verdict.operator !== undefined) add(summary.operators, verdict.operator, 1);
  for (const { kind, ms } of verdict.downtimes) (summary.downtimes[kind] ??= []).push(Math.round(ms));
  for (const { name, atMs, text } of verdict.violations)
    summary.violations.push({ seed: verdict.seed, name, atMs, text });
}

/** Adds what another process found. */
export function addSummary(summary: Summary, other: Summary): void {
  summary.seeds += other.seeds;
  summary.virtualMs += other.virtualMs;
  summary.events += other.events;
  summary.steps += other.steps;
  summary.acked += other.acked;
  summary.promotions += other.promotions;
  for (const part of ['faults', 'rules', 'answers', 'operators'] as const) {
    for (const [name, count] of Object.entries(other[part])) add(summary[part], name, count);
  }
  for (const [kind, gaps] of Object.entries(other.downtimes)) (summary.downtimes[kind] ??= []).push(...gaps);
  summary.violations.push(...other.violations);
}

function add(counts: Record<string, number>, name: string, count: number): void {
  counts[name] = (counts[name] ?? 0) + count;
}

/** The value that `share` of them do not exceed; `sorted` ascends. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
