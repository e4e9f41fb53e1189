/** Starting the server. */
import type { Job } from '../core/effects.ts';
import type { JobOutcome } from '../core/events.ts';
import { makeDirectory } from '../lib/durable-write.ts';
import { neutralizeAutoConf, ownerOf, writeConfiguration, writeSignalFiles } from './config-files.ts';
import type { Inspector } from './inspect.ts';
import type { Setup } from './options.ts';
import { effectiveParameters } from './parameters.ts';
import { removeMisleadingPidFile, spawnPostmaster, stopInstance, waitForPidFile } from './postmaster.ts';
import { lastServerErrors } from './server-log.ts';

type StartJob = Extract<Job, { readonly kind: 'start' }>;

/** The folder of our own files beside the data directory. PostgreSQL reads and writes in it too. */
export async function prepareStateDirectory(setup: Setup): Promise<void> {
  await makeDirectory(setup.stateDir, 0o700, ownerOf(setup));
}

/**
 * Ends when the postmaster owns the data directory. `onDeath` is called when it ends later, while we live.
 */
export async function startInstance(
  setup: Setup,
  inspector: Inspector,
  job: StartJob,
  signal: AbortSignal,
  onDeath: () => void,
): Promise<JobOutcome> {
  const sighting = inspector.sight();
  if (sighting.kind === 'orphans') await stopInstance(setup, 'immediate', () => inspector.sight(), signal);
  else if (sighting.kind === 'dying') {
    return { ok: false, error: 'what is left of the former instance still waits for its storage' };
  } else if (sighting.kind !== 'none') {
    return { ok: false, error: `a server (process ${sighting.process.pid}) already runs on ${setup.dataDir}` };
  }
  const control = await inspector.readControl();
  if (!control.ok) return control;
  await writeSignalFiles(setup, setup.dataDir, job.as);
  await neutralizeAutoConf(setup, setup.dataDir);
  const written = await writeConfiguration(setup, {
    upstream: job.upstream,
    settings: job.settings,
    synchronousStandbyNames: job.synchronousStandbyNames,
    atLeast: job.as === 'replica' ? control.control.settings : {},
  });
  // Without what a standby's own WAL demands: that waits for a restart, once the primary has the lower value.
  inspector.wants(effectiveParameters(setup, job.settings, {}).commandLine);
  return launchInstance(setup, inspector, written.commandLine, signal, onDeath);
}

/**
 * Starts the postmaster on what the files say; nothing may run on the data directory. Ends when the postmaster owns it.
 * `onDeath` is called when it ends later, while we live.
 */
export async function launchInstance(
  setup: Setup,
  inspector: Inspector,
  commandLine: Readonly<Record<string, string>>,
  signal: AbortSignal,
  onDeath: () => void,
): Promise<JobOutcome> {
  await removeMisleadingPidFile(setup);
  // Last, and without a wait in between: a fence that came meanwhile must not be followed by a start.
  if (signal.aborted) return { ok: false, error: 'the start was cancelled' };
  const spawned = spawnPostmaster(setup, commandLine);
  spawned.exited.then(onDeath, onDeath);
  const process = await waitForPidFile(setup, spawned, signal);
  if (process === 'late') {
    return { ok: false, error: `PostgreSQL did not begin within ${setup.timings.toolMs / 1000} s and was ended` };
  }
  if (process === 'exited' && signal.aborted) return { ok: false, error: 'the start was cancelled' };
  if (process === 'exited') {
    const words = lastServerErrors(setup, spawned.logFrom, true) || `it said nothing; see ${setup.serverLog}`;
    await inspector.failedToStart(`PostgreSQL did not start: ${words}`);
    return { ok: false, error: `PostgreSQL did not start: ${words}` };
  }
  inspector.started({ pid: process.pid, startTicks: process.startTicks }, spawned.logFrom);
  return { ok: true };
}
