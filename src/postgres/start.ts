/** Starting the server, and changing what it reads while it runs. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from '../core/effects.ts';
import type { JobOutcome } from '../core/events.ts';
import { makeDirectory } from '../lib/durable-write.ts';
import { neutralizeAutoConf, overridingNames, ownerOf, writeConfiguration, writeSignalFiles } from './config-files.ts';
import { quoteLiteral, quoteName, type Session } from './connection.ts';
import type { Inspector } from './inspect.ts';
import { withSession } from './job-session.ts';
import type { Setup } from './options.ts';
import { effectiveParameters } from './parameters.ts';
import { removeMisleadingPidFile, spawnPostmaster, stopInstance, waitForPidFile } from './postmaster.ts';
import { lastServerErrors } from './server-log.ts';

type StartJob = Extract<Job, { readonly kind: 'start' }>;
type ConfigureJob = Extract<Job, { readonly kind: 'configure' }>;

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
  else if (sighting.kind !== 'none') {
    return { ok: false, error: `a server (process ${sighting.process.pid}) already runs on ${setup.dataDir}` };
  }
  const control = await inspector.readControl();
  if (!control.ok) return control;
  await writeSignalFiles(setup, setup.dataDir, job.as);
  await neutralizeAutoConf(setup, setup.dataDir);
  const written = await writeConfiguration(setup, {
    upstream: job.upstream,
    settings: job.settings,
    atLeast: job.as === 'replica' ? control.control.settings : {},
  });
  // Without what a standby's own WAL demands: that waits for a restart, once the primary has the lower value.
  inspector.wants(effectiveParameters(setup, job.settings, {}).commandLine);
  await removeMisleadingPidFile(setup);
  // Last, and without a wait in between: a fence that came meanwhile must not be followed by a start.
  if (signal.aborted) return { ok: false, error: 'the start was cancelled' };
  const spawned = spawnPostmaster(setup, written.commandLine);
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

/** Ends when a session of the server has read the new configuration. */
export async function configureInstance(
  setup: Setup,
  inspector: Inspector,
  job: ConfigureJob,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const written = await writeConfiguration(setup, {
    upstream: job.upstream,
    settings: job.settings,
    atLeast: await standbyNeeds(setup, inspector),
  });
  inspector.wants(effectiveParameters(setup, job.settings, {}).commandLine);
  const sighting = inspector.sight();
  if (sighting.kind === 'none') {
    await neutralizeAutoConf(setup, setup.dataDir);
    return { ok: true };
  }
  return withSession(setup, setup.timings.queryMs, async (session) => {
    const overriding = await overridingNames(setup);
    if (overriding.length > 0) {
      setup.log.warn('auto-conf-cleaned', `reset, since pgherd decides it: ${overriding.join(', ')} (ALTER SYSTEM)`);
      for (const name of overriding) await session.query(`ALTER SYSTEM RESET ${quoteName(name)}`);
    }
    return reload(setup, session, written.mark, signal);
  });
}

/** What a standby may not go below. A primary has no such bounds. */
async function standbyNeeds(setup: Setup, inspector: Inspector): Promise<Readonly<Record<string, string>>> {
  if (!existsSync(join(setup.dataDir, 'standby.signal'))) return {};
  const control = await inspector.readControl();
  return control.ok ? control.control.settings : {};
}

async function reload(setup: Setup, session: Session, mark: string, signal: AbortSignal): Promise<JobOutcome> {
  const asked = await session.query('SELECT pg_reload_conf()');
  if (!asked.ok) return { ok: false, error: `the configuration could not be reloaded: ${asked.error}` };
  const began = setup.clock.now();
  let last = '';
  while (setup.clock.now() - began < setup.timings.toolMs) {
    if (signal.aborted) return { ok: false, error: 'cancelled; the configuration is written' };
    const seen = await session.query(`SELECT current_setting('pgherd.configuration', true) AS mark`);
    if (!seen.ok) return { ok: false, error: `the configuration is written, and then: ${seen.error}` };
    if (seen.rows[0]?.['mark'] === mark) return refusedParameters(session);
    last = String(seen.rows[0]?.['mark']);
    await sleep(5);
  }
  const errors = await fileErrors(session, false);
  const why = errors === '' ? `it still has the configuration ${last}` : errors;
  return { ok: false, error: `the server did not take the new configuration: ${why}` };
}

/** Values that the server does not accept: the others hold. What only waits for a restart is no error. */
async function refusedParameters(session: Session): Promise<JobOutcome> {
  const errors = await fileErrors(session, true);
  return errors === '' ? { ok: true } : { ok: false, error: `the server refuses part of its configuration: ${errors}` };
}

async function fileErrors(session: Session, ownOnly: boolean): Promise<string> {
  const outcome = await session.query(`
    SELECT coalesce(string_agg(format('%s: %s', coalesce(f.name, 'line ' || f.sourceline), f.error), '; '), '') AS errors
    FROM pg_file_settings f
    WHERE f.error IS NOT NULL ${ownOnly ? `AND f.sourcefile LIKE ${quoteLiteral('%/pgherd.conf')}` : ''}
      AND NOT EXISTS (SELECT 1 FROM pg_settings s WHERE s.name = f.name AND s.context = 'postmaster')`);
  const errors = outcome.ok ? outcome.rows[0]?.['errors'] : undefined;
  return typeof errors === 'string' ? errors : '';
}
