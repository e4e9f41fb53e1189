/** `pgherd sim`: many made-up clusters with made-up faults, and what became of them. */
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { rules } from '../core/rules.ts';
import { messageOf } from '../lib/caught.ts';
import { drawPlan } from '../sim/plan.ts';
import { runPlan, runSeed } from '../sim/run.ts';
import { planText, readPlan } from '../sim/saved.ts';
import { shrink } from '../sim/shrink.ts';
import { addSummary, addVerdict, emptySummary, percentile, type Summary } from '../sim/summary.ts';
import type { Plan } from '../sim/world.ts';
import type { Output } from './output.ts';

/** As given on the command line. */
export interface SimOptions {
  readonly seeds: number;
  readonly from: number;
  readonly jobs: number;
  readonly replay?: number;
  readonly shrink?: number;
  /** A saved plan, to be replayed. */
  readonly plan?: string;
  /** Where the shrunk plan is written. */
  readonly save?: string;
  readonly format: 'text' | 'json';
}

/** The exit code: 1 when something happened that must not. */
export async function simulate(options: SimOptions, output: Output): Promise<number> {
  if (options.plan !== undefined) return tellStory(readPlan(await readFile(options.plan, 'utf8')), output);
  if (options.replay !== undefined) return tellStory(drawPlan(options.replay), output);
  if (options.shrink !== undefined) return shrinkSeed(options.shrink, options.save, output);
  const began = performance.now();
  const summary = options.jobs > 1 ? await runInProcesses(options) : runHere(options);
  if (options.format === 'json') output.print(JSON.stringify(summary));
  else report(summary, performance.now() - began, output);
  return summary.violations.length > 0 ? 1 : 0;
}

/* ---------------------------------------------------------------- many seeds */

function runHere({ from, seeds }: SimOptions): Summary {
  const summary = emptySummary();
  for (let seed = from; seed < from + seeds; seed += 1) {
    try {
      addVerdict(summary, runSeed(seed));
    } catch (error) {
      // The core, or the world, has a bug: as bad as any other violation.
      const text = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
      summary.violations.push({ seed, name: 'threw', atMs: 0, text });
    }
  }
  return summary;
}

/** Each process has its part of the seeds; it tells its summary as JSON. */
async function runInProcesses({ from, seeds, jobs }: SimOptions): Promise<Summary> {
  const share = Math.ceil(seeds / jobs);
  const summary = emptySummary();
  const parts = Array.from({ length: jobs }, (_, index) => ({
    from: from + index * share,
    seeds: Math.min(share, seeds - index * share),
  }));
  for (const part of await Promise.all(parts.filter((one) => one.seeds > 0).map(runPart))) addSummary(summary, part);
  return summary;
}

function runPart(part: { readonly from: number; readonly seeds: number }): Promise<Summary> {
  const program = process.argv[1] ?? '';
  const words = ['sim', '--from', String(part.from), '--seeds', String(part.seeds), '--format', 'json'];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, program, ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', reject);
    child.on('close', () => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by this very program
      resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')) as Summary);
    });
  });
}

/* ---------------------------------------------------------------- one seed */

function tellStory(plan: Plan, output: Output): number {
  const names = plan.members.map((member) => member.name).join(', ');
  const { settings } = plan;
  output.print(
    `seed ${plan.seed}: ${names}; ${plan.store}; synchronous_mode ${settings.synchronousMode}` +
      `${settings.synchronousModeStrict ? ' (strict)' : ''}, node count ${settings.synchronousNodeCount}, ` +
      `ttl ${settings.ttlMs / 1000} s, failure_timeout ${settings.failureTimeoutMs / 1000} s`,
  );
  const verdict = runPlan(plan, { say: (atMs, who, what) => output.print(line(atMs, who, what)) });
  for (const { atMs, name, text } of verdict.violations) output.print(line(atMs, '!!!', `${name}: ${text}`));
  if (verdict.operator !== undefined) output.print(`an operator is needed: ${verdict.operator}`);
  if (verdict.violations.length === 0) output.print('nothing happened that must not');
  return verdict.violations.length > 0 ? 1 : 0;
}

function line(atMs: number, who: string, what: string): string {
  return `${(atMs / 1000).toFixed(3).padStart(9)} ${who.padEnd(8)} ${what}`;
}

async function shrinkSeed(seed: number, path: string | undefined, output: Output): Promise<number> {
  const { plan, runs } = shrink(drawPlan(seed));
  const verdict = runPlan(plan);
  output.note(`${runs} runs; ${plan.faults.length} faults and ${plan.members.length} members are left`);
  for (const { name, text } of verdict.violations) output.note(`${name}: ${text}`);
  if (path === undefined) output.print(planText(plan));
  else await writeFile(path, planText(plan));
  return verdict.violations.length > 0 ? 1 : 0;
}

/* ---------------------------------------------------------------- the report */

function report(summary: Summary, tookMs: number, output: Output): void {
  const hours = summary.virtualMs / 3_600_000;
  output.print(
    `${summary.seeds} seeds in ${(tookMs / 1000).toFixed(1)} s (${(tookMs / summary.seeds).toFixed(1)} ms a seed): ` +
      `${hours.toFixed(1)} simulated hours, ${summary.steps} steps of the core, ${summary.acked} commits, ${summary.promotions} promotions`,
  );
  output.print(`\nFaults: ${countsText(summary.faults)}`);
  output.print(`Operators: ${countsText(summary.answers)}`);
  const unseen = rules.filter((rule) => summary.rules[rule.name] === undefined).map((rule) => rule.name);
  output.print(
    `Rules that fired: ${rules.length - unseen.length} of ${rules.length}${unseen.length > 0 ? `; never: ${unseen.join(', ')}` : ''}`,
  );
  output.print(`\n${'gap after'.padEnd(20)} ${'count'.padStart(7)} ${'p50 ms'.padStart(8)} ${'p99 ms'.padStart(8)}`);
  for (const [kind, gaps] of Object.entries(summary.downtimes).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const sorted = gaps.toSorted((a, b) => a - b);
    const [half, most] = [percentile(sorted, 0.5), percentile(sorted, 0.99)];
    output.print(
      `${kind.padEnd(20)} ${String(gaps.length).padStart(7)} ${String(half).padStart(8)} ${String(most).padStart(8)}`,
    );
  }
  if (Object.keys(summary.operators).length > 0)
    output.print(`\nLeft to an operator, by design: ${countsText(summary.operators)}`);
  output.print(`\nViolations: ${summary.violations.length}`);
  for (const { seed, atMs, name, text } of summary.violations)
    output.print(`  seed ${seed} at ${(atMs / 1000).toFixed(3)} s: ${name}: ${text}`);
}

function countsText(counts: Readonly<Record<string, number>>): string {
  const rows = Object.entries(counts).toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return rows.map(([name, count]) => `${name} ${count}`).join(', ');
}
