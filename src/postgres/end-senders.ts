/** Ending the WAL senders of members that are not to count any more, or that would hold a shutdown up. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobOutcome } from '../core/events.ts';
import { quoteLiteral, type Session } from './connection.ts';
import { withSession } from './job-session.ts';
import type { Setup } from './options.ts';

/** A walsender ends in milliseconds, also one that is blocked in sending. */
const endMs = 2000;

/**
 * Ends when the processes that served these members at the beginning are gone. A member may connect again meanwhile:
 * that is another process, and it reads its configuration when it begins.
 */
export function endSenders(setup: Setup, members: readonly string[], signal: AbortSignal): Promise<JobOutcome> {
  if (members.length === 0) return Promise.resolve({ ok: true });
  return withSession(setup, setup.timings.queryMs, async (session) => {
    // As PostgreSQL compares names of standbys: without regard to the case of ASCII letters (pg_strcasecmp).
    const names = members.map((member) => quoteLiteral(asciiLowerCase(member))).join(', ');
    const ended = await session.query(`
      SELECT pid, pg_terminate_backend(pid) FROM pg_stat_replication
      WHERE lower(application_name COLLATE "C") IN (${names}) AND pid <> pg_backend_pid()`);
    if (!ended.ok) return { ok: false, error: `the WAL senders could not be ended: ${ended.error}` };
    return gone(
      setup,
      session,
      ended.rows.map((row) => String(row['pid'])),
      signal,
    );
  });
}

function asciiLowerCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

async function gone(setup: Setup, session: Session, pids: readonly string[], signal: AbortSignal): Promise<JobOutcome> {
  if (pids.length === 0) return { ok: true };
  const began = setup.clock.now();
  for (;;) {
    const left = await session.query(`SELECT pid FROM pg_stat_replication WHERE pid IN (${pids.join(', ')})`);
    if (!left.ok) return { ok: false, error: `the WAL senders were told to end, and then: ${left.error}` };
    if (left.rows.length === 0) return { ok: true };
    const error = `WAL senders do not end: process ${left.rows.map((row) => String(row['pid'])).join(', ')}`;
    if (signal.aborted || setup.clock.now() - began > endMs) return { ok: false, error };
    await sleep(5);
  }
}
