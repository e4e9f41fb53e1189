/** A client of the cluster: it opens sessions with members, and finds the one that takes writes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openSession, type Session, type SessionOutcome } from '../postgres/connection.ts';
import type { Target } from './login.ts';

/** As whom sessions show in pg_stat_activity. */
export type ApplicationName = 'pgherd demo' | 'pgherd drill';

/** How long opening a session may take, and a statement. */
export interface ClientTimeouts {
  readonly connectMs: number;
  readonly queryMs: number;
}

/** A write that is not acknowledged in this time is given up, and the member that takes writes is looked for anew. */
export const writeTimeouts: ClientTimeouts = { connectMs: 1000, queryMs: 500 };

/**
 * Commits of the session wait for sync standbys whatever the user's own settings say, and a commit that stops waiting
 * is heard of, as a warning.
 */
const writing: Readonly<Record<string, string>> = { synchronous_commit: 'on', client_min_messages: 'warning' };

/** A session as a client has it; `settings` are those of the user where it is not to write. */
export function openClient(
  { address, login }: Target,
  applicationName: ApplicationName,
  timeouts: ClientTimeouts,
  settings: Readonly<Record<string, string>> = writing,
): Promise<SessionOutcome> {
  return openSession({
    address,
    credentials: {
      username: login.user,
      ...(login.password !== undefined && { password: login.password }),
      connection: { sslmode: login.sslMode },
    },
    database: login.database,
    ...timeouts,
    client: {
      applicationName,
      settings,
      // Who speaks TLS to an address checks the certificate for it.
      ...(login.tls !== undefined && { tls: { ...login.tls, host: address.host } }),
    },
  });
}

/** A member that takes writes now, and the session with it. */
export interface WritableSession {
  readonly target: Target;
  readonly session: Session;
}

const againMs = 20;

/** What the search for the writable member knows. */
export interface Search {
  readonly applicationName: ApplicationName;
  /** Members that are left out until then, by name, on the clock of `performance.now()`. */
  readonly avoidUntil?: ReadonlyMap<string, number>;
  readonly signal: AbortSignal;
}

/**
 * The member that takes writes (libpq's `target_session_attrs=read-write`), found by asking all of them at the same
 * time, again and again: one that does not answer holds nobody up. undefined: `signal` aborted.
 */
export function findWritable(targets: readonly Target[], search: Search): Promise<WritableSession | undefined> {
  return new Promise((resolve) => {
    const found = new AbortController();
    const signal = AbortSignal.any([search.signal, found.signal]);
    const offer = (one: WritableSession): void => {
      if (signal.aborted) return one.session.close();
      resolve(one);
      found.abort();
    };
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
    if (signal.aborted) resolve(undefined);
    for (const target of targets) void ask(target, { ...search, signal }, offer);
  });
}

async function ask(target: Target, search: Search, offer: (one: WritableSession) => void): Promise<void> {
  const { signal, avoidUntil } = search;
  while (!signal.aborted) {
    if (performance.now() >= (avoidUntil?.get(target.name) ?? 0)) {
      const opened = await openClient(target, search.applicationName, writeTimeouts);
      if (opened.ok && (await takesWrites(opened.session))) return offer({ target, session: opened.session });
      if (opened.ok) opened.session.close();
    }
    await sleep(againMs, undefined, { signal }).catch(() => {});
  }
}

async function takesWrites(session: Session): Promise<boolean> {
  const answer = await session.query('show transaction_read_only');
  return answer.ok && answer.rows[0]?.['transaction_read_only'] === 'off';
}
