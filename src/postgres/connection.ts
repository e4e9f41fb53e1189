/**
 * One session with the instance, every wait bounded. The only file of this folder that knows the driver.
 *
 * The session is a replication connection (`replication=database`): it counts against max_wal_senders, so it gets in
 * when clients have taken every ordinary slot, superuser's reserve included. Such a connection speaks the simple
 * protocol only: a query is a text, values are quoted into it (`quoteLiteral`), and no statement has parameters.
 *
 * A missed deadline ends the session: the next query would wait behind the one that hangs.
 */
import { Socket } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { Client, type QueryResult } from 'pg';
import type { Credentials } from './options.ts';

/** Where a server listens. */
export interface Address {
  /** A host, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
}

/** A session to be opened, with its deadlines. */
export interface SessionRequest {
  readonly address: Address;
  readonly credentials: Credentials;
  readonly database: string;
  readonly connectMs: number;
  readonly queryMs: number;
  /** The user has no right to replication: an ordinary connection, at once. */
  readonly ordinary?: boolean;
  /** Absent: a session of the agent's. */
  readonly client?: ClientSession;
}

/** A session of a client of the cluster: ordinary, with the user's own ways. */
export interface ClientSession {
  readonly applicationName: string;
  /** Parameters of the session; names and values without spaces. */
  readonly settings: Readonly<Record<string, string>>;
  /** Where the connection is encrypted, as what; absent: the certificate is not checked. */
  readonly tls?: TlsOptions;
}

/** A space, which no member's name has: a walsender of this name is nobody's standby. */
const agentName = 'pgherd agent';

/** Columns by name. */
export type Row = Readonly<Record<string, unknown>>;

/** Rows, or the server's (or the deadline's) words. */
export type QueryOutcome =
  /** `warnings`: what the server said of the statement besides, as far as client_min_messages lets it. */
  | { readonly ok: true; readonly rows: readonly Row[]; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly error: string; readonly code: string | undefined };

/** One connection, which no query outlives. */
export interface Session {
  /** Replication commands (IDENTIFY_SYSTEM) are possible. */
  readonly replication: boolean;
  /** Rows of the last statement of `text`. A missed deadline or a lost connection ends the session. */
  query(text: string, deadlineMs?: number): Promise<QueryOutcome>;
  /** Resolves when the connection is gone, whoever ended it. */
  readonly ended: Promise<void>;
  readonly isOpen: () => boolean;
  /** A deadline was missed, which ended the session. */
  readonly wasLate: () => boolean;
  /** The backend's process id, for pg_terminate_backend from another session; 0 when the server did not say. */
  readonly backendPid: number;
  close(): void;
}

/** A session, or why there is none. */
export type SessionOutcome =
  | { readonly ok: true; readonly session: Session }
  /** `code`: the SQLSTATE, or the system's error (ECONNREFUSED); undefined for a missed deadline. */
  | { readonly ok: false; readonly code: string | undefined; readonly error: string };

/** SQLSTATE too_many_connections: PostgreSQL lives, and has no place for one more. */
export const tooManyConnections = '53300';
const invalidAuthorization = '28000';

/** Opens a session; where there is no place for a replication connection, an ordinary one. */
export async function openSession(request: SessionRequest): Promise<SessionOutcome> {
  const sslMode = request.credentials.connection?.['sslmode'] ?? 'prefer';
  const encrypted = /^(require|verify-ca|verify-full)$/.test(sslMode);
  const replication = request.ordinary !== true && request.client === undefined;
  const first = await openSessionAs(request, { replication, encrypted });
  if (first.ok) return first;
  if (first.code === tooManyConnections) return openSessionAs(request, { replication: false, encrypted });
  const wantsEncryption = first.code === invalidAuthorization && first.error.includes('no encryption');
  if (wantsEncryption && sslMode !== 'disable') return openSessionAs(request, { replication, encrypted: true });
  return first;
}

interface Manner {
  readonly replication: boolean;
  readonly encrypted: boolean;
}

async function openSessionAs(request: SessionRequest, manner: Manner): Promise<SessionOutcome> {
  const socket = new Socket();
  const client = new Client({
    host: request.address.host,
    port: request.address.port,
    user: request.credentials.username,
    password: passwordOf(request),
    database: request.database,
    application_name: request.client?.applicationName ?? agentName,
    options: optionsOf(request),
    // The server certificate is not checked for what is our own instance, on our own machine.
    ssl: manner.encrypted ? (request.client?.tls ?? { rejectUnauthorized: false }) : false,
    stream: () => socket,
    ...(manner.replication ? { replication: 'database' } : {}),
  });
  const ended = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
  // Every loss also makes the pending call fail; without a listener it would end the process.
  client.on('error', () => socket.destroy());
  const connected = await settle(client.connect(), request.connectMs);
  if (connected.kind === 'done') {
    return { ok: true, session: sessionOf(client, socket, ended, manner.replication, request.queryMs) };
  }
  socket.destroy();
  if (connected.kind === 'late') {
    return { ok: false, code: undefined, error: `no answer within ${request.connectMs} ms` };
  }
  return { ok: false, ...describe(connected.error) };
}

/** A client's may be undefined: the driver looks for it in PGPASSWORD and in ~/.pgpass. For an agent's that must not be. */
function passwordOf({ credentials, client }: SessionRequest): string | undefined {
  return client === undefined ? (credentials.password ?? '') : credentials.password;
}

/** Nothing that an agent's session does may wait for a standby, or go on after we gave it up. */
function optionsOf({ client, queryMs }: SessionRequest): string {
  const settings = client?.settings ?? { synchronous_commit: 'local', statement_timeout: String(queryMs) };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

function sessionOf(
  client: Client,
  socket: Socket,
  ended: Promise<void>,
  replication: boolean,
  queryMs: number,
): Session {
  let late = false;
  let warnings: string[] = [];
  client.on('notice', (notice) => {
    if (notice.severity === 'WARNING') warnings.push(notice.message ?? 'a warning without words');
  });
  return {
    replication,
    // The driver has it, its types do not.
    backendPid: 'processID' in client ? Number(client.processID) || 0 : 0,
    ended,
    wasLate: () => late,
    isOpen: () => !socket.destroyed && socket.readyState === 'open',
    close: () => {
      socket.destroy();
    },
    query: async (text, deadlineMs = queryMs) => {
      warnings = [];
      const answered = await settle(client.query<Row>(text), deadlineMs);
      if (answered.kind === 'done') {
        const results = answered.value as QueryResult<Row> | QueryResult<Row>[];
        const last = Array.isArray(results) ? results.at(-1) : results;
        return { ok: true, rows: last?.rows ?? [], warnings };
      }
      if (answered.kind === 'late') {
        late = true;
        socket.destroy();
        return { ok: false, code: undefined, error: `no answer within ${deadlineMs} ms` };
      }
      return { ok: false, ...describe(answered.error) };
    },
  };
}

type Settled<Value> =
  | { readonly kind: 'done'; readonly value: Value }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'late' };

function settle<Value>(work: Promise<Value>, deadlineMs: number): Promise<Settled<Value>> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ kind: 'late' }), deadlineMs);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve({ kind: 'done', value });
      },
      (error: unknown) => {
        clearTimeout(timer);
        resolve({ kind: 'failed', error });
      },
    );
  });
}

function describe(error: unknown): { readonly code: string | undefined; readonly error: string } {
  if (error instanceof AggregateError && error.errors.length > 0) return describe(error.errors[0]);
  if (!(error instanceof Error)) return { code: undefined, error: String(error) };
  const { code, detail } = error as Error & { readonly code?: string; readonly detail?: string };
  return { code, error: detail === undefined ? error.message : `${error.message} (${detail})` };
}

/** A string as SQL reads it, whatever standard_conforming_strings says. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? ` E${quoted}` : quoted;
}

/** A name as SQL reads it. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
