/** The server process: finding it, starting it, ending it. Never through pg_ctl, which polls and hides the end. */
import { spawn } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobOutcome } from '../core/events.ts';
import type { Setup } from './options.ts';
import { asOsUser, osUserEnvironment } from './os-user.ts';
import {
  type InstanceProcess,
  instanceProcesses,
  isDying,
  type PidFile,
  type ProcessFacts,
  postmasterAmong,
  readPidFile,
  signalProcess,
  stillThere,
} from './process-table.ts';
import { openServerLog } from './server-log.ts';
import { programPath } from './toolbox.ts';

/** What runs on the data directory. */
export type Sighting =
  | { readonly kind: 'none' }
  | { readonly kind: 'postmaster'; readonly process: ProcessFacts; readonly pidFile: PidFile | undefined }
  /** A tool's own single-user server, as pg_rewind starts one for crash recovery. */
  | { readonly kind: 'single-user'; readonly process: ProcessFacts }
  /** The postmaster is gone, and these are not: they may still acknowledge commits. */
  | { readonly kind: 'orphans'; readonly processes: readonly ProcessFacts[] }
  /** All were sent SIGKILL, and wait in the kernel for storage that hangs: none will execute another instruction. */
  | { readonly kind: 'dying'; readonly processes: readonly ProcessFacts[] };

/** `known`: the postmaster as it was last seen; it counts even when somebody removed its pid file. */
export function lookForInstance(setup: Setup, known: InstanceProcess | undefined): Sighting {
  const sighting = lookForAny(setup, known);
  if (sighting.kind === 'none') return sighting;
  const first = sighting.kind === 'orphans' ? sighting.processes[0] : sighting.process;
  // One that can still act is enough: where the first one can, the others need not be looked at.
  if (first === undefined || first.state !== 'D' || !isDying(first.pid)) return sighting;
  const processes = instanceProcesses(setup.dataDir, setup.osUser);
  return processes.every((process) => isDying(process.pid)) ? { kind: 'dying', processes } : sighting;
}

function lookForAny(setup: Setup, known: InstanceProcess | undefined): Exclude<Sighting, { readonly kind: 'dying' }> {
  const pidFile = readPidFile(setup.dataDir, setup.osUser);
  if (pidFile && !pidFile.singleUser) return { kind: 'postmaster', process: pidFile.process, pidFile };
  const process = known && stillThere(known);
  if (process) return { kind: 'postmaster', process, pidFile: undefined };
  if (pidFile) return { kind: 'single-user', process: pidFile.process };
  const processes = instanceProcesses(setup.dataDir, setup.osUser);
  if (processes.length === 0) return { kind: 'none' };
  const postmaster = postmasterAmong(processes);
  if (postmaster) return { kind: 'postmaster', process: postmaster, pidFile: undefined };
  return { kind: 'orphans', processes };
}

/** A postmaster that this agent started. */
export interface SpawnedPostmaster {
  readonly pid: number;
  /** The server log's size before: what follows is this postmaster's. */
  readonly logFrom: number;
  /** Resolves when it has ended; only for as long as this agent lives. */
  readonly exited: Promise<{ readonly exitCode: number | null }>;
  readonly hasExited: () => boolean;
  kill(): void;
}

/**
 * The postmaster is as safe from the kernel's want of memory as its agent is (a unit may say OOMScoreAdjust=-900); the
 * sessions, which may be the cause of it, are not. PostgreSQL documentation, "Linux Memory Overcommit".
 */
const backendsDieFirst = { PG_OOM_ADJUST_FILE: '/proc/self/oom_score_adj', PG_OOM_ADJUST_VALUE: '0' } as const;

/** Starts the server in a session of its own, so that neither our end nor our terminal's is its. */
export function spawnPostmaster(setup: Setup, commandLine: Readonly<Record<string, string>>): SpawnedPostmaster {
  const log = openServerLog(setup);
  const run = asOsUser(setup.osUser, programPath(setup, 'postgres'), false);
  const settings = { ...commandLine };
  if (setup.configDir !== setup.dataDir) settings['config_file'] = join(setup.configDir, 'postgresql.conf');
  const parameters = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(run.command, [...run.arguments, '-D', setup.dataDir, ...parameters], {
    cwd: '/',
    env: osUserEnvironment(setup.osUser, backendsDieFirst),
    detached: true,
    stdio: ['ignore', log.descriptor, log.descriptor],
  });
  closeSync(log.descriptor);
  child.unref();
  let ended = child.pid === undefined;
  const exited = new Promise<{ exitCode: number | null }>((resolve) => {
    const end = (exitCode: number | null): void => {
      ended = true;
      resolve({ exitCode });
    };
    child.once('exit', end);
    child.once('error', () => end(null));
  });
  return { pid: child.pid ?? -1, logFrom: log.from, exited, hasExited: () => ended, kill: () => child.kill('SIGKILL') };
}

/**
 * A pid file whose number now belongs to another server of the same user makes PostgreSQL refuse to start.
 * It is removed in that case only: else PostgreSQL itself judges it, by its shared memory too.
 */
export async function removeMisleadingPidFile(setup: Setup): Promise<void> {
  const path = join(setup.dataDir, 'postmaster.pid');
  try {
    const pid = Math.abs(Number(readFileSync(path, 'utf8').split('\n')[0]));
    if (!Number.isInteger(pid) || pid === 0 || !isAnyProcess(pid)) return;
  } catch {
    return;
  }
  setup.log.warn('stale-pid-file', `${path} names a process that is not of this instance: removed`);
  await rm(path, { force: true });
}

function isAnyProcess(pid: number): boolean {
  try {
    readFileSync(`/proc/${pid}/stat`);
    return true;
  } catch {
    return false;
  }
}

/** How urgently an instance is ended: each signal holds until `afterMs` of the next one. */
interface Step {
  readonly afterMs: number;
  readonly signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL';
  /** To every process, not only to the postmaster. */
  readonly everybody: boolean;
}

/** A logger that the postmaster left ends by itself when the last writer is gone; it acknowledges nothing. */
const loggerGraceMs = 500;

/** On storage that works a process that was killed is gone sooner: then it is waited for. */
const dyingGraceMs = 300;

/** Ends when no process of the instance is left, or none that can do anything (`dying`). */
export async function stopInstance(
  setup: Setup,
  mode: 'fast' | 'immediate',
  look: () => Sighting,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const { fastStopMs, immediateStopMs } = setup.timings;
  const immediateAt = mode === 'fast' ? fastStopMs : 0;
  const steps: readonly Step[] = [
    ...(mode === 'fast' ? [{ afterMs: 0, signal: 'SIGINT', everybody: false } as const] : []),
    { afterMs: immediateAt, signal: 'SIGQUIT', everybody: false },
    { afterMs: immediateAt + immediateStopMs, signal: 'SIGKILL', everybody: true },
  ];
  return endInstance(setup, steps, look, signal);
}

/**
 * Ends everything at once. Backends get the signal themselves: a postmaster that is frozen would not pass it on,
 * and they would go on acknowledging commits.
 */
export async function fenceInstance(setup: Setup, look: () => Sighting): Promise<void> {
  const steps: readonly Step[] = [
    { afterMs: 0, signal: 'SIGQUIT', everybody: true },
    { afterMs: setup.timings.fenceMs, signal: 'SIGKILL', everybody: true },
  ];
  await endInstance(setup, steps, look, new AbortController().signal);
}

/** SIGKILL to everything: what hangs, or is frozen, would not come to handle a gentler word. */
export async function killInstance(setup: Setup, look: () => Sighting, signal: AbortSignal): Promise<JobOutcome> {
  return endInstance(setup, [{ afterMs: 0, signal: 'SIGKILL', everybody: true }], look, signal);
}

async function endInstance(
  setup: Setup,
  steps: readonly Step[],
  look: () => Sighting,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const began = setup.clock.now();
  let done = 0;
  let orphanedAt: number | undefined;
  let dyingAt: number | undefined;
  for (;;) {
    const sighting = look();
    if (sighting.kind === 'none') return { ok: true };
    if (signal.aborted) return { ok: false, error: 'the stop was cancelled' };
    const elapsedMs = setup.clock.now() - began;
    const step = steps[done];
    if (sighting.kind === 'dying') {
      dyingAt ??= elapsedMs;
      if (elapsedMs - dyingAt > dyingGraceMs) return { ok: true };
    } else if (sighting.kind === 'orphans') {
      orphanedAt ??= elapsedMs;
      killOrphans(sighting.processes, elapsedMs - orphanedAt > loggerGraceMs);
    } else if (step && elapsedMs >= step.afterMs) {
      if (done > 0) setup.log.warn('stop-escalated', `PostgreSQL has not ended yet: ${step.signal}`);
      send(setup, sighting, step);
      // SIGKILL is repeated: the postmaster may have made another process meanwhile.
      if (step.signal !== 'SIGKILL') done += 1;
    }
    // A look goes through all processes of the machine: what does not end soon is looked at less often.
    await sleep(elapsedMs < 300 ? 4 : elapsedMs < 3000 ? 20 : 200);
  }
}

function send(
  setup: Setup,
  sighting: Exclude<Sighting, { readonly kind: 'none' | 'orphans' | 'dying' }>,
  step: Step,
): void {
  signalProcess(sighting.process, step.signal);
  // A frozen one takes a signal only when it goes on.
  if (step.signal !== 'SIGKILL') signalProcess(sighting.process, 'SIGCONT');
  if (!step.everybody) return;
  for (const process of instanceProcesses(setup.dataDir, setup.osUser)) {
    if (process.pid !== sighting.process.pid) signalProcess(process, step.signal);
  }
}

/** SIGKILL: what is left of an instance without its postmaster is only remains. */
export function killOrphans(processes: readonly ProcessFacts[], loggerToo: boolean): void {
  for (const process of processes) {
    if (loggerToo || !isLogger(process.pid)) signalProcess(process, 'SIGKILL');
  }
}

function isLogger(pid: number): boolean {
  try {
    return /^postgres: ([^ ]* )?logger\b/.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
  } catch {
    return false;
  }
}

/**
 * Waits until the spawned postmaster has completed its pid file (and so owns the directory and its ports), or has ended.
 * Until then nobody else can find it: when `signal` aborts, it is killed here.
 */
export async function waitForPidFile(
  setup: Setup,
  spawned: SpawnedPostmaster,
  signal: AbortSignal,
): Promise<InstanceProcess | 'exited' | 'late'> {
  const began = setup.clock.now();
  const kill = (): void => spawned.kill();
  signal.addEventListener('abort', kill, { once: true });
  try {
    return await pidFileOf(setup, spawned, began);
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

async function pidFileOf(
  setup: Setup,
  spawned: SpawnedPostmaster,
  began: number,
): Promise<InstanceProcess | 'exited' | 'late'> {
  while (!spawned.hasExited()) {
    const pidFile = readPidFile(setup.dataDir, setup.osUser);
    // Its last line comes when the ports and the shared memory are had: a postmaster that fails for them says so here.
    if (pidFile?.process.pid === spawned.pid && pidFile.status !== undefined) return pidFile.process;
    if (setup.clock.now() - began > setup.timings.toolMs) {
      spawned.kill();
      return 'late';
    }
    await Promise.race([spawned.exited, sleep(5)]);
  }
  return 'exited';
}
