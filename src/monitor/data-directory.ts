/** The monitor's data directory: recognised, created as a whole or not at all, configured. */
import { readdirSync, readFileSync } from 'node:fs';
import { appendFile, chown, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf, messageOf } from '../lib/caught.ts';
import { syncDirectory, writeDurably } from '../lib/durable-write.ts';
import { runProgram } from '../lib/subprocess.ts';
import type { Binaries } from '../postgres/binaries.ts';
import { asOsUser, type OsUser, osUserEnvironment } from '../postgres/os-user.ts';
import type { ListenAddress } from './address.ts';

/** How members prove who they are. */
export type Auth = 'trust' | 'scram-sha-256';

/** Done, or why not, for people. */
export type Done = { readonly ok: true } | { readonly ok: false; readonly error: string };

/** What a directory is to a monitor. */
export type Found =
  | { readonly kind: 'new' }
  | { readonly kind: 'monitor'; readonly major: number }
  | { readonly kind: 'unusable'; readonly error: string };

const marker = '# A pgherd monitor. Written at each start: changes here are lost.';

/** Looks and changes nothing: whatever is not a monitor's is left alone. */
export function examine(pgdata: string): Found {
  try {
    if (readdirSync(pgdata).length === 0) return { kind: 'new' };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { kind: 'new' };
    return { kind: 'unusable', error: `${pgdata} cannot be read: ${messageOf(error)}` };
  }
  try {
    const major = Number(readFileSync(join(pgdata, 'PG_VERSION'), 'utf8'));
    if (readFileSync(join(pgdata, 'pgherd.conf'), 'utf8').startsWith(marker)) return { kind: 'monitor', major };
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') return { kind: 'unusable', error: `${pgdata}: ${messageOf(error)}` };
  }
  return {
    kind: 'unusable',
    error: `${pgdata} is not empty and not a monitor's data directory: nothing was changed; choose another --pgdata`,
  };
}

/** initdb beside the final place, then a rename: a directory that is there is complete. */
export async function create(pgdata: string, user: OsUser, binaries: Binaries, signal: AbortSignal): Promise<Done> {
  const unfinished = `${pgdata}.new`;
  try {
    await mkdir(dirname(pgdata), { recursive: true });
    // Left by an attempt that was killed.
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { mode: 0o700 });
    if (user.become) await chown(unfinished, user.uid, user.gid);
    const made = await initdb(unfinished, user, binaries, signal);
    if (!made.ok) {
      await rm(unfinished, { recursive: true, force: true });
      return made;
    }
    await writeFile(join(unfinished, 'pgherd.conf'), `${marker}\n`);
    await appendFile(join(unfinished, 'postgresql.conf'), "\ninclude 'pgherd.conf'\n");
    await rename(unfinished, pgdata);
    await syncDirectory(dirname(pgdata));
    return { ok: true };
  } catch (error) {
    return { ok: false, error: `${pgdata} cannot be made: ${messageOf(error)}` };
  }
}

async function initdb(path: string, user: OsUser, binaries: Binaries, signal: AbortSignal): Promise<Done> {
  const run = asOsUser(user, join(binaries.dir, 'initdb'), true);
  // "trust" is for the socket in a private folder; see hbaLines.
  const options = ['-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-locale', '--data-checksums'];
  const outcome = await runProgram({
    command: run.command,
    arguments: [...run.arguments, '-D', path, ...options],
    environment: osUserEnvironment(user),
    workingDirectory: '/',
    deadlineMs: 300_000,
    signal,
  });
  if (outcome.kind === 'exited' && outcome.exitCode === 0) return { ok: true };
  return { ok: false, error: `initdb failed (${outcome.kind}): ${outcome.errorLines.slice(-4).join('; ')}` };
}

/** True when a file changed that takes effect only when PostgreSQL is restarted (its access rules are always reloaded). */
export async function configure(
  pgdata: string,
  user: OsUser,
  address: ListenAddress,
  auth: Auth,
  socketDirectory: string,
): Promise<boolean> {
  const owner = user.become ? user : undefined;
  await writeDurably(join(pgdata, 'pg_hba.conf'), hbaLines(auth), 0o600, owner);
  return writeDurably(join(pgdata, 'pgherd.conf'), settings(address, socketDirectory), 0o600, owner);
}

/**
 * From the network only the role of the agents comes in, and only to its database. The superuser comes in through a
 * socket whose folder nobody but PostgreSQL's user and root may enter: they own its files anyhow, so a password would
 * protect nothing, and there is none that could be lost.
 */
function hbaLines(auth: Auth): string {
  return `${marker}
local all postgres trust
host pgherd pgherd all ${auth}
`;
}

function settings(address: ListenAddress, socketDirectory: string): string {
  return `${marker}
listen_addresses = ${quoted(address.host)}
port = ${address.port}
unix_socket_directories = ${quoted(socketDirectory)}
unix_socket_permissions = 0700
cluster_name = 'pgherd monitor'

# Two connections of each agent.
max_connections = 500
shared_buffers = 32MB
max_wal_size = 128MB
min_wal_size = 32MB
jit = off
max_parallel_workers_per_gather = 0

# What the members are told is on disk.
fsync = on
synchronous_commit = on
full_page_writes = on

# Members that are gone leave soon.
tcp_keepalives_idle = 5
tcp_keepalives_interval = 2
tcp_keepalives_count = 3
tcp_user_timeout = 10000

password_encryption = scram-sha-256
logging_collector = off
log_destination = stderr
log_min_messages = warning
log_checkpoints = off
log_statement = none
log_min_error_statement = panic
lc_messages = 'C'
`;
}

/** A text as a configuration file takes it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
