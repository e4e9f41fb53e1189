/** Changing what a server reads while it runs, and proving that it has. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from '../core/effects.ts';
import type { JobOutcome } from '../core/events.ts';
import { parseLsn } from '../core/lsn.ts';
import { neutralizeAutoConf, overridingNames, writeConfiguration } from './config-files.ts';
import { quoteLiteral, quoteName, type Session } from './connection.ts';
import type { Inspector } from './inspect.ts';
import { runStatements, withSession } from './job-session.ts';
import type { Setup } from './options.ts';
import { effectiveParameters } from './parameters.ts';

type ConfigureJob = Extract<Job, { readonly kind: 'configure' }>;

/** How long a new session may go on to show the former setting after a kept one has shown the new one. */
const newSessionMs = 2000;

/** Ends when a session of the server has read the new configuration, or when it is proven to be in force. */
export async function configureInstance(
  setup: Setup,
  inspector: Inspector,
  job: ConfigureJob,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const written = await writeConfiguration(setup, {
    upstream: job.upstream,
    settings: job.settings,
    synchronousStandbyNames: job.synchronousStandbyNames,
    atLeast: await standbyNeeds(setup, inspector),
  });
  inspector.wants(effectiveParameters(setup, job.settings, {}).commandLine);
  if (inspector.sight().kind === 'none') {
    await neutralizeAutoConf(setup, setup.dataDir);
    if (job.prove === 'nothing') return { ok: true };
    return { ok: false, error: 'the configuration is written, but no server runs that could have it in force' };
  }
  const loaded = await withSession(setup, setup.timings.queryMs, async (session) => {
    const read = await loadConfiguration(setup, session, written.mark, signal);
    return read.ok ? refusedParameters(session) : read;
  });
  if (!loaded.ok || job.prove === 'nothing') return loaded;
  const wanted = { synchronous_standby_names: job.synchronousStandbyNames };
  const seen = await newSessionSees(setup, wanted, newSessionMs, signal);
  return seen.ok ? writeUnderSetting(setup, job.prove === 'from-none') : seen;
}

/**
 * Makes the server read its files: afterwards `session` has read those with this mark. What ALTER SYSTEM set against
 * ours is reset first.
 */
export async function loadConfiguration(
  setup: Setup,
  session: Session,
  mark: string,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const overriding = await overridingNames(setup);
  if (overriding.length > 0) {
    setup.log.warn('auto-conf-cleaned', `reset, since pgherd decides it: ${overriding.join(', ')} (ALTER SYSTEM)`);
    for (const name of overriding) await session.query(`ALTER SYSTEM RESET ${quoteName(name)}`);
  }
  return reload(setup, session, mark, signal);
}

/**
 * Waits until a new session shows these values, then does `work` in it. A kept session may have read the files before the server has told its
 * other processes to; a session that was begun after that shows that the server is done with telling them.
 */
export async function newSessionSees(
  setup: Setup,
  values: Readonly<Record<string, string>>,
  limitMs: number,
  signal: AbortSignal,
  work: (session: Session) => Promise<JobOutcome> = () => Promise.resolve({ ok: true }),
): Promise<JobOutcome> {
  const began = setup.clock.now();
  const shown = Object.keys(values).map((name) => `current_setting(${quoteLiteral(name)}) AS ${quoteName(name)}`);
  for (;;) {
    let other = '';
    const seen = await withSession(setup, setup.timings.queryMs, async (session) => {
      const row = await session.query(`SELECT ${shown.join(', ')}`);
      if (!row.ok) return { ok: false, error: `a new session: ${row.error}` };
      other = Object.keys(values)
        .filter((name) => row.rows[0]?.[name] !== values[name])
        .join(', ');
      return other === '' ? work(session) : { ok: true };
    });
    if (!seen.ok || other === '') return seen;
    if (signal.aborted) return { ok: false, error: 'cancelled; the configuration is written' };
    if (setup.clock.now() - began > limitMs) {
      return { ok: false, error: `after ${limitMs / 1000} s a new session still has other values of ${other}` };
    }
    await sleep(5);
  }
}

/**
 * Writes and flushes WAL; its end is the outcome's `lsn`. `checkpointer`: first the checkpointer must have read the
 * setting, since commits wait only when it has noted in shared memory that there are sync standbys (PostgreSQL,
 * SyncRepUpdateSyncStandbysDefined). It reads its configuration before it takes up a request. A request that came
 * right after it had looked may be served without that, the next one cannot.
 */
function writeUnderSetting(setup: Setup, checkpointer: boolean): Promise<JobOutcome> {
  return withSession(setup, checkpointer ? setup.timings.checkpointMs : setup.timings.queryMs, async (session) => {
    const checkpoint = { named: 'the checkpoint', text: 'CHECKPOINT' };
    const recovery = await session.query('SELECT pg_is_in_recovery() AS recovery');
    // A standby writes no WAL, and acknowledges nothing yet: that its checkpointer knows is all there is to prove.
    if (recovery.ok && recovery.rows[0]?.['recovery'] === true)
      return runStatements(session, checkpointer ? [checkpoint, checkpoint] : []);
    // The session commits without waiting for standbys (`connection.ts`), so it cannot hang on the very setting.
    const message = `SELECT pg_logical_emit_message(true, 'pgherd', 'synchronous_standby_names are in force')`;
    const written = await runStatements(session, [
      ...(checkpointer ? [checkpoint, checkpoint] : []),
      { named: 'writing WAL under the new setting', text: message },
    ]);
    if (!written.ok) return written;
    const outcome = await session.query('SELECT pg_current_wal_lsn()::text AS lsn');
    if (!outcome.ok) return { ok: false, error: `the position of the WAL: ${outcome.error}` };
    const lsn = parseLsn(String(outcome.rows[0]?.['lsn']));
    return lsn === undefined ? { ok: false, error: 'the server told no position of its WAL' } : { ok: true, lsn };
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
    if (seen.rows[0]?.['mark'] === mark) return { ok: true };
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
