/** A commit that shows that commits reach the sync standbys: a gate before clients are let in. */
import type { JobOutcome } from '../core/events.ts';
import { quoteLiteral, type Session } from './connection.ts';
import { withSession } from './job-session.ts';
import type { Setup } from './options.ts';

/** How long the commit may wait. */
const gateMs = 5000;

/**
 * Commits `mark` with synchronous_commit = on. Success only when the commit has waited to its end: a wait that is
 * cancelled ends in a success with a warning, and one that is given up here is a failure.
 * statement_timeout does not reach a commit that waits (PostgreSQL ends it before it commits), so the deadline is
 * ours; the backend would go on waiting, and is ended.
 */
async function passGate(setup: Setup, mark: string, signal: AbortSignal): Promise<JobOutcome> {
  if (signal.aborted) return { ok: false, error: 'the gate was given up' };
  let pid = 0;
  const outcome = await withSession(setup, gateMs, async (session) => {
    pid = session.backendPid;
    const giveUp = (): void => session.close();
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      return await commitWaiting(session, mark);
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  });
  if (!outcome.ok && pid > 0) await endBackend(setup, pid);
  return outcome;
}

async function commitWaiting(session: Session, mark: string): Promise<JobOutcome> {
  // Whatever the role or the database says; a warning that is not sent would be taken for success.
  for (const setting of ['synchronous_commit = on', 'client_min_messages = warning']) {
    const set = await session.query(`SET ${setting}`);
    if (!set.ok) return { ok: false, error: `the gate could not begin: ${set.error}` };
  }
  const message = quoteLiteral(`gate ${mark}`);
  const committed = await session.query(`SELECT pg_logical_emit_message(true, 'pgherd', ${message})`);
  if (!committed.ok) return { ok: false, error: `the gate's commit: ${committed.error}` };
  const [warning] = committed.warnings;
  return warning === undefined ? { ok: true } : { ok: false, error: `the gate's commit did not wait: ${warning}` };
}

/** It would wait for its standbys for ever, without anybody to tell. */
async function endBackend(setup: Setup, pid: number): Promise<void> {
  await withSession(setup, setup.timings.queryMs, async (session) => {
    await session.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE pid = ${pid} AND application_name = current_setting('application_name')`);
    return { ok: true };
  });
}

/** One gate at a time. */
export interface Gates {
  /** A gate that is under way fails when another one is asked for. */
  pass(mark: string): Promise<JobOutcome>;
  close(): void;
}

/** No gate is under way. */
export function gates(setup: Setup): Gates {
  let current = new AbortController();
  return {
    pass: (mark) => {
      current.abort();
      current = new AbortController();
      return passGate(setup, mark, current.signal);
    },
    close: () => current.abort(),
  };
}
