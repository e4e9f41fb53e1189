/** PostgreSQL instances that are nobody's members: somebody else's data, or what is no monitor. */
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { findBinaries } from '../../../src/postgres/binaries.ts';
import { asOsUser, chooseOsUser } from '../../../src/postgres/os-user.ts';
import { freePort, type Outcome, runCommand } from './processes.ts';
import { until } from './wait.ts';

/** Runs one of PostgreSQL's programs as the user that PostgreSQL runs as here. */
export async function runPostgres(program: string, ...words: readonly string[]): Promise<Outcome> {
  const { user, folder } = await postgresUser();
  const run = asOsUser(user, join(folder, program), false);
  return runCommand(run.command, [...run.arguments, ...words], { PATH: process.env['PATH'], LC_ALL: 'C' });
}

async function postgresUser() {
  const chosen = chooseOsUser(join(tmpdir(), 'pgherd-no-such-directory'));
  if (!chosen.ok) throw new Error(chosen.error);
  const found = await findBinaries(undefined, undefined);
  if (!found.ok) throw new Error(found.error);
  return { user: chosen.user, folder: found.binaries.dir };
}

/** Whom files have to be given to; undefined: they are PostgreSQL's already. */
export async function postgresOwner(): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  const { user } = await postgresUser();
  return user.become ? user : undefined;
}

/** A folder that PostgreSQL's user may write in; its parents too where they are new. */
export async function makeFolderForPostgres(path: string): Promise<void> {
  mkdirSync(path, { recursive: true });
  const { user } = await postgresUser();
  if (user.become) chownSync(path, user.uid, user.gid);
}

/** initdb: a whole data directory with a system identifier of its own. */
export async function makeDataDirectory(path: string): Promise<void> {
  await makeFolderForPostgres(dirname(path));
  const words = ['-D', path, '-U', 'postgres', '--auth=trust', '--no-locale', '--encoding=UTF8', '--no-sync'];
  const made = await runPostgres('initdb', ...words);
  if (made.code !== 0) throw new Error(`initdb: ${made.stderr}`);
}

/** A PostgreSQL on loopback that lets everybody in. It ends with its folder. */
export async function startPlainPostgres(dataDir: string): Promise<{ readonly port: number; readonly admin: Client }> {
  await makeDataDirectory(dataDir);
  const port = await freePort();
  writeFileSync(
    join(dataDir, 'postgresql.conf'),
    `listen_addresses = '127.0.0.1'\nport = ${port}\nunix_socket_directories = ''\nfsync = off\n`,
  );
  const started = await runPostgres('pg_ctl', '-D', dataDir, '-l', join(dataDir, 'server.log'), '-w', 'start');
  if (started.code !== 0) throw new Error(`pg_ctl start: ${started.stderr}${started.stdout}`);
  const admin = await until('the plain PostgreSQL answers', async () => {
    const client = new Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
    // It is killed in the end.
    client.on('error', () => {});
    return client.connect().then(
      () => client,
      () => undefined,
    );
  });
  return { port, admin };
}
