/** The raw results: a file of JSON lines, one for each run, to which runs are only ever added. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

const milliseconds = z.number();
const interval = z.object({ fromMs: milliseconds, toMs: milliseconds });

const machine = z.object({
  cpu: z.string(),
  cores: z.number(),
  memoryGiB: z.number(),
  system: z.string(),
  kernel: z.string(),
  postgresql: z.string(),
});

/** What is known of every run. */
const run = z.object({
  system: z.string(),
  version: z.string(),
  settings: z.string(),
  round: z.number(),
  /** When it ended, in ISO 8601. */
  at: z.string(),
  machine,
  /** Processes that wanted to run in the minute before. */
  load: z.number(),
});

const bootstrapped = run.extend({ kind: z.literal('bootstrap'), tookMs: milliseconds });

const struck = run.extend({
  kind: z.literal('fault'),
  fault: z.string(),
  primaryBefore: z.string(),
  primaryAfter: z.string().optional(),
  gapMs: milliseconds,
  gapFromMs: milliseconds,
  gapEnded: z.boolean(),
  virtualAddressGapMs: milliseconds.optional(),
  gapBeforeMs: milliseconds,
  dualPrimaryMs: milliseconds,
  acknowledged: z.number(),
  lost: z.number().optional(),
  lostBy: z.record(z.string(), z.number()).readonly(),
  mendedMs: milliseconds,
  rejoinMs: milliseconds.optional(),
  intervals: z.record(z.string(), z.array(interval).readonly()).readonly(),
  refusal: z.string().optional(),
});

const idled = run.extend({
  kind: z.literal('idle'),
  groups: z
    .array(
      z.object({
        role: z.enum(['agent', 'store']),
        host: z.string(),
        processes: z.number(),
        rssMiB: z.number(),
        pssMiB: z.number(),
        cpuSecondsPerMinute: z.number(),
      }),
    )
    .readonly(),
  storeWritesPerMinute: z.number().optional(),
});

/** A run that could not be made, for a reason that says nothing of the system's failover. */
const failed = run.extend({ kind: z.literal('failure'), task: z.string(), reason: z.string() });

const record = z.discriminatedUnion('kind', [bootstrapped, struck, idled, failed]);

/** One line of the file. */
export type RunRecord = z.infer<typeof record>;
/** A fault and what came of it. */
export type FaultRecord = z.infer<typeof struck>;
/** A minute in which nothing happened. */
export type IdleRecord = z.infer<typeof idled>;
/** Where the figures come from. */
export type Machine = z.infer<typeof machine>;

/** All lines so far; none when there is no file. Throws when the file is not one of these. */
export function readRecords(path: string): readonly RunRecord[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      if (line === '') return [];
      const parsed = record.safeParse(parseJson(line));
      if (parsed.success) return [parsed.data];
      throw new Error(`${path}, line ${index + 1}: ${z.prettifyError(parsed.error)}; move the file away to begin anew`);
    });
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Adds a line. */
export function appendRecord(path: string, one: RunRecord): void {
  appendFileSync(path, `${JSON.stringify(one, rounded)}\n`);
}

/** Thousandths of a millisecond tell nothing. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Math.round(value * 1000) / 1000 : value;
}
