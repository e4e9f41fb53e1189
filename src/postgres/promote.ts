/** From replica to primary, within the running server. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobOutcome } from '../core/events.ts';
import { writeDurably } from '../lib/durable-write.ts';
import { ownerOf } from './config-files.ts';
import type { Session } from './connection.ts';
import { withSession } from './job-session.ts';
import type { Setup } from './options.ts';
import { readPidFile, signalProcess } from './process-table.ts';

/** Ends when the instance is writable. A replay that somebody paused is resumed first: it would hold the promotion up. */
export function promoteInstance(setup: Setup, signal: AbortSignal): Promise<JobOutcome> {
  const limit = setup.timings.promoteMs;
  return withSession(setup, setup.timings.queryMs, async (session) => {
    const recovering = await isInRecovery(session);
    if (recovering === false) return { ok: true };
    if (recovering !== true) return { ok: false, error: recovering };
    await session.query(
      'SELECT CASE WHEN pg_is_wal_replay_paused() THEN pg_wal_replay_resume()::text END WHERE pg_is_in_recovery()',
    );
    const began = setup.clock.now();
    const asked = await session.query('SELECT pg_promote(false)');
    if (!asked.ok) {
      setup.log.warn('promote-by-signal', `pg_promote failed (${asked.error}): the postmaster is told by a signal`);
      const signalled = await promoteBySignal(setup);
      if (!signalled.ok) return signalled;
    }
    while (setup.clock.now() - began < limit) {
      if (signal.aborted) return { ok: false, error: 'the promotion was cancelled; it may still happen' };
      const now = await isInRecovery(session);
      if (now === false) return { ok: true };
      if (now !== true) return { ok: false, error: `the promotion was asked for, and then ${now}` };
      await sleep(10);
    }
    return { ok: false, error: `the instance was not writable ${limit / 1000} s after it was told to promote` };
  });
}

async function isInRecovery(session: Session): Promise<boolean | string> {
  const outcome = await session.query('SELECT pg_is_in_recovery() AS recovery');
  return outcome.ok ? outcome.rows[0]?.['recovery'] === true : outcome.error;
}

/** What pg_ctl does: the file `promote`, then SIGUSR1. */
async function promoteBySignal(setup: Setup): Promise<JobOutcome> {
  const pidFile = readPidFile(setup.dataDir, setup.osUser);
  if (!pidFile) return { ok: false, error: 'the instance does not run' };
  await writeDurably(join(setup.dataDir, 'promote'), '', 0o600, ownerOf(setup));
  signalProcess(pidFile.process, 'SIGUSR1');
  return { ok: true };
}
