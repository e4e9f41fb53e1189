/** A session of a job's own, so that a long statement does not stand in the way of the inspection. */
import type { JobOutcome } from '../core/events.ts';
import { accessOf } from './access.ts';
import { openSession, type Session } from './connection.ts';
import type { Setup } from './options.ts';
import { readPidFile } from './process-table.ts';

/**
 * Opens a session, does the work, closes it. The error says where the connection failed. `signal` closes the session at
 * once, whatever it waits for; the server may go on with the statement.
 */
export async function withSession(
  setup: Setup,
  statementMs: number,
  work: (session: Session) => Promise<JobOutcome>,
  signal?: AbortSignal,
): Promise<JobOutcome> {
  const pidFile = readPidFile(setup.dataDir, setup.osUser);
  if (!pidFile) return { ok: false, error: `no server runs on ${setup.dataDir}` };
  const access = accessOf(setup, pidFile);
  const opened = await openSession({ ...access.request, queryMs: statementMs });
  if (!opened.ok) {
    return { ok: false, error: access.refusal(opened, 'ready').because };
  }
  const { session } = opened;
  const close = (): void => session.close();
  signal?.addEventListener('abort', close, { once: true });
  try {
    return signal?.aborted === true ? { ok: false, error: 'given up before it began' } : await work(session);
  } finally {
    signal?.removeEventListener('abort', close);
    close();
  }
}

/** Runs statements in order, up to the first that fails. `named`: what is said of it in an error, never the text. */
export async function runStatements(
  session: Session,
  statements: readonly { readonly named: string; readonly text: string }[],
): Promise<JobOutcome> {
  for (const statement of statements) {
    const outcome = await session.query(statement.text);
    if (!outcome.ok) return { ok: false, error: `${statement.named} failed: ${outcome.error}` };
  }
  return { ok: true };
}
