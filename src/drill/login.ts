/** As whom the writer logs in, and how it reaches a member: from the command line, the environment and a member's file. */
import { readFile } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import type { DatabaseUser } from '../config/config.ts';
import { codeOf, messageOf } from '../lib/caught.ts';
import type { Address } from '../postgres/connection.ts';
import { clientUri } from '../postgres/conninfo.ts';

/** A user of the database, in libpq's words. */
export interface Login {
  readonly user: string;
  /** undefined: the driver looks for one in ~/.pgpass (PGPASSFILE). */
  readonly password: string | undefined;
  readonly database: string;
  /** `disable`, `allow`, `prefer`, `require`, `verify-ca`, `verify-full`. */
  readonly sslMode: string;
  /** Of an encrypted connection; undefined: the server's certificate is not checked. */
  readonly tls: TlsOptions | undefined;
}

/** A member of the cluster, as clients reach it. */
export interface Target {
  readonly name: string;
  readonly address: Address;
  readonly login: Login;
}

/** What was said on the command line. */
export interface LoginFlags {
  readonly user: string | undefined;
  readonly database: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A login, or a file that is missing for it. */
export type LoginOutcome =
  | { readonly ok: true; readonly login: Login }
  | { readonly ok: false; readonly error: string };

/**
 * What is said on the command line wins over libpq's variables, those over the superuser of the member's file. There is
 * no flag for a password: everybody on the host could read it.
 */
export async function chooseLogin(
  flags: LoginFlags,
  environment: Environment,
  superuser: DatabaseUser | undefined,
): Promise<LoginOutcome> {
  const user = flags.user ?? (environment['PGUSER'] || superuser?.username) ?? userInfo().username;
  const own = superuser?.username === user ? superuser : undefined;
  const option = (name: string): string | undefined => environment[`PG${name.toUpperCase()}`] || own?.options[name];
  const sslMode = option('sslmode') ?? 'prefer';
  const tls = await tlsOptions(sslMode, option);
  if (!tls.ok) return tls;
  const password = environment['PGPASSWORD'] || own?.password;
  const database = flags.database ?? (environment['PGDATABASE'] || 'postgres');
  return { ok: true, login: { user, password, database, sslMode, tls: tls.options } };
}

type TlsOutcome =
  | { readonly ok: true; readonly options: TlsOptions | undefined }
  | { readonly ok: false; readonly error: string };

async function tlsOptions(sslMode: string, option: (name: string) => string | undefined): Promise<TlsOutcome> {
  const verifies = sslMode === 'verify-ca' || sslMode === 'verify-full';
  const files = { ca: option('sslrootcert'), cert: option('sslcert'), key: option('sslkey') };
  // As libpq: where one is asked to verify, the customary file is meant.
  if (verifies) files.ca ??= join(homedir(), '.postgresql', 'root.crt');
  const read: Record<string, string> = {};
  for (const [name, path] of Object.entries(files)) {
    if (path === undefined) continue;
    try {
      read[name] = await readFile(path, 'utf8');
    } catch (error) {
      if (!verifies && codeOf(error) === 'ENOENT') continue;
      return { ok: false, error: `sslmode ${sslMode}: ${path} cannot be read: ${messageOf(error)}` };
    }
  }
  if (!verifies && read['cert'] === undefined) return { ok: true, options: undefined };
  return {
    ok: true,
    options: {
      ...read,
      rejectUnauthorized: verifies,
      ...(sslMode === 'verify-ca' && { checkServerIdentity: () => undefined }),
    },
  };
}

/** The same for psql and for programs, without the password: every member is tried, the writable one is taken. */
export function connectionUri(targets: readonly Target[]): string {
  const [first] = targets;
  if (first === undefined) return '';
  const { user, database } = first.login;
  return clientUri({ hosts: targets.map(({ address }) => address), user, database, target: 'read-write' });
}
