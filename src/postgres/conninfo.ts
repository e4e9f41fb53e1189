/** Connection strings, passfiles and slot names: text that libpq and PostgreSQL read. */
import type { Endpoint } from '../core/model.ts';
import type { Credentials } from './options.ts';

/** libpq's `keyword='value'` form; a list keeps its order, undefined values are left out. */
export function conninfo(fields: readonly (readonly [keyword: string, value: string | undefined])[]): string {
  return fields
    .flatMap(([keyword, value]) => (value === undefined ? [] : [`${keyword}=${quoteConninfo(value)}`]))
    .join(' ');
}

function quoteConninfo(value: string): string {
  if (/^[A-Za-z0-9_./:-]+$/.test(value)) return value;
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** Reads `keyword=value` pairs; undefined when the text is not of that form. */
export function parseConninfo(text: string): ReadonlyMap<string, string> | undefined {
  const fields = new Map<string, string>();
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))\s*/y;
  while (pair.lastIndex < text.trimEnd().length) {
    const match = pair.exec(text);
    if (!match?.[1]) return undefined;
    fields.set(match[1], (match[2] ?? match[3] ?? '').replaceAll(/\\(.)/g, '$1'));
  }
  return fields;
}

/**
 * How long a peer may be silent until the kernel gives a connection up: 2 + 3 x 1 s when idle, 5 s with data under
 * way. A standby whose primary's host is gone must be free for the next primary.
 */
const keepalives = [
  ['connect_timeout', '2'],
  ['keepalives', '1'],
  ['keepalives_idle', '2'],
  ['keepalives_interval', '1'],
  ['keepalives_count', '3'],
  ['tcp_user_timeout', '5000'],
] as const;

/**
 * What a replica's primary_conninfo says, and what the copying tools connect with. The password is in the passfile.
 * `applicationName`: the member's name for the stream that counts in synchronous replication, another one for tools.
 */
export function upstreamConninfo(
  upstream: Pick<Endpoint, 'host' | 'port'>,
  credentials: Credentials,
  passfile: string,
  applicationName: string,
  database?: string,
): string {
  const chosen = { sslmode: 'prefer', ...credentials.connection };
  return conninfo([
    ['user', credentials.username],
    ['passfile', passfile],
    ['host', upstream.host],
    ['port', String(upstream.port)],
    ['dbname', database],
    ['application_name', applicationName],
    ...keepalives,
    ...Object.entries(chosen).filter(([keyword]) => !ours.has(keyword)),
  ]);
}

/** libpq takes the last of two values: none of these may come from the configured ones. */
const ours: ReadonlySet<string> = new Set(['target_session_attrs', 'application_name']);

/** Whom a primary_conninfo names. */
export function upstreamOf(primaryConninfo: string): { readonly host: string; readonly port: number } | undefined {
  const fields = parseConninfo(primaryConninfo);
  const host = fields?.get('host') || fields?.get('hostaddr');
  if (!host) return undefined;
  return { host, port: Number(fields?.get('port') || 5432) };
}

/**
 * A passfile for these users, wherever they connect to: whom a replica follows changes with every failover, and
 * SCRAM shows the password to nobody.
 */
export function passfile(users: readonly Credentials[]): string {
  const lines = users.flatMap((user) =>
    user.password === undefined ? [] : [`*:*:*:${escapeField(user.username)}:${escapeField(user.password)}\n`],
  );
  return [...new Set(lines)].join('');
}

function escapeField(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
}

/** Whom a client of the cluster is to be connected with. */
export type ClientTarget = 'read-write' | 'prefer-standby';

/** Every member that a client may try, and what for. */
export interface ClientRoute {
  readonly hosts: readonly Pick<Endpoint, 'host' | 'port'>[];
  readonly user: string | undefined;
  readonly database: string;
  readonly target: ClientTarget;
}

function bracketed({ host, port }: Pick<Endpoint, 'host' | 'port'>): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** As libpq's URI: the members are tried in turn, the one that fits is taken. Without a password. */
export function clientUri({ hosts, user, database, target }: ClientRoute): string {
  const login = user === undefined ? '' : `${encodeURIComponent(user)}@`;
  const places = hosts.map(bracketed).join(',');
  return `postgres://${login}${places}/${encodeURIComponent(database)}?target_session_attrs=${target}`;
}

/** The same in libpq's `keyword=value` form. */
export function clientConninfo({ hosts, user, database, target }: ClientRoute): string {
  return conninfo([
    ['host', hosts.map(({ host }) => host).join(',')],
    ['port', hosts.map(({ port }) => port).join(',')],
    ['user', user],
    ['dbname', database],
    ['target_session_attrs', target],
  ]);
}

/** The same as the JDBC driver of PostgreSQL takes it. */
export function clientJdbc({ hosts, user, database, target }: ClientRoute): string {
  const type = target === 'read-write' ? 'primary' : 'preferSecondary';
  const login = user === undefined ? '' : `&user=${encodeURIComponent(user)}`;
  const places = hosts.map(bracketed).join(',');
  return `jdbc:postgresql://${places}/${encodeURIComponent(database)}?targetServerType=${type}${login}`;
}
