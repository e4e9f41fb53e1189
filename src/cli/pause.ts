/** pause and resume: the key `config`, changed by compare-and-swap; everything else in it stays as it is. */
import type { ControlConfig } from '../config/config.ts';
import { isMapping, parseJson, printJson } from '../dcs/json.ts';
import { decodeView } from '../dcs/records.ts';
import type { Dcs } from '../ports/dcs.ts';
import { withDcs } from './cluster.ts';
import { type ExitCode, failed, type Output, type Refusal, refuse } from './output.ts';
import { pause as wait } from './show.ts';

/** `pause` and `resume`, as given on the command line. */
export interface PauseOptions {
  readonly paused: boolean;
  readonly wait: boolean;
  readonly dryRun: boolean;
}

/** Another one may write at the same moment; more often than this nobody does. */
const attempts = 5;
const recognizedWithinMs = 60_000;

/** Stops or resumes automatic failover of the whole cluster. */
export async function setPause(
  config: ControlConfig,
  scope: string,
  options: PauseOptions,
  output: Output,
  signal: AbortSignal,
): Promise<ExitCode> {
  const written = await withDcs(config, scope, (dcs, deadline) => write(dcs, scope, options, deadline));
  if (!written.ok) return failed(output, written);
  const done = options.paused ? 'paused' : 'resumed';
  if (options.dryRun) {
    output.print(`Dry run: cluster management would be ${done}`);
    return 0;
  }
  if (options.wait) {
    const word = options.paused ? 'pause' : 'resume';
    output.print(`'${word}' request sent, waiting until it is recognized by all nodes`);
    const missing = await waitForAll(config, scope, options.paused, signal);
    if (missing !== undefined) return failed(output, refuse(`not recognized within 60 seconds by: ${missing}`));
  }
  output.print(`Success: cluster management is ${done}`);
  return 0;
}

async function write(
  dcs: Dcs,
  scope: string,
  { paused, dryRun }: PauseOptions,
  signal: AbortSignal,
): Promise<Refusal | { readonly ok: true }> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const read = await dcs.read(signal);
    if (read.kind === 'failed') return refuse(read.error);
    const key = read.snapshot.keys.get('config');
    if (!key) {
      const word = paused ? 'pause' : 'resume';
      return refuse(`cluster ${scope} is not in the DCS, or is only being made: there is nothing to ${word}`);
    }
    const parsed = parseJson(key.value);
    if (!parsed.ok || !isMapping(parsed.value))
      return refuse('the key config in the DCS is not a JSON object; it stays as it is');
    const { pause, ...rest } = parsed.value;
    const isPaused = ['true', 'on', 'yes', '1'].includes(String(pause).toLowerCase());
    if (isPaused === paused) return refuse(`Cluster is ${paused ? 'already' : 'not'} paused`);
    if (dryRun) return { ok: true };
    // Patroni says "not paused" by leaving it out.
    const value = printJson(paused ? { ...rest, pause: true } : rest);
    const compare = [{ key: 'config', modRevision: key.modRevision }];
    const outcome = await dcs.transact({ compare, write: [{ key: 'config', value }] }, signal);
    if (outcome.kind === 'applied') return { ok: true };
    if (outcome.kind !== 'refused') return refuse(outcome.error);
  }
  return refuse('somebody else changes the configuration all the time; try again');
}

/** The members that do not show it in time; undefined when all do. */
async function waitForAll(
  config: ControlConfig,
  scope: string,
  paused: boolean,
  signal: AbortSignal,
): Promise<string | undefined> {
  const until = performance.now() + recognizedWithinMs;
  for (;;) {
    const read = await withDcs(config, scope, (dcs, deadline) => dcs.read(deadline));
    let missing = 'the DCS does not answer';
    if ('kind' in read && read.kind === 'read') {
      const members = [...decodeView(read.snapshot).members];
      missing = members
        .filter(([, { value }]) => value.pause !== paused)
        .map(([name]) => name)
        .join(', ');
      if (missing === '') return undefined;
    }
    if (signal.aborted || performance.now() > until) return missing;
    await wait(250, signal);
  }
}
