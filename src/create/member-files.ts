/** Where everything of a member is. Pure; whether it is there is looked at elsewhere. */
import { join } from 'node:path';
import { type Config, stateDirectoryOf } from '../config/config.ts';
import { tokenFileOf } from './place.ts';
import { unitName } from './unit.ts';

/** One file or folder, and what it is. */
export interface MemberFile {
  readonly what: string;
  readonly path: string;
}

/** What is known besides the configuration. */
export interface Known {
  readonly config: Config;
  readonly configPath: string;
  /** Of pgherd itself. */
  readonly launcher: string;
  /** PostgreSQL's programs, as the agent finds them; undefined: none are found. */
  readonly binDir: string | undefined;
  /** Of the server that runs; undefined: none does, or it has no socket. */
  readonly socketDirectory: string | undefined;
}

/** In the order in which a person looks for them. */
export function memberFiles(known: Known): readonly MemberFile[] {
  const { config, configPath, launcher, binDir } = known;
  const { postgresql } = config;
  const state = stateDirectoryOf(config);
  const files: MemberFile[] = [
    { what: 'configuration (with passwords)', path: configPath },
    { what: 'join token', path: tokenFileOf(configPath) },
    {
      what: "systemd's unit, where the customary name was taken",
      path: `/etc/systemd/system/${unitName(config.scope)}.service`,
    },
    { what: 'pgherd', path: launcher },
  ];
  if (postgresql !== undefined) {
    const { dataDir } = postgresql;
    const sockets = known.socketDirectory ?? firstOf(postgresql.parameters['unix_socket_directories']);
    files.push(
      { what: 'data directory', path: dataDir },
      { what: 'parameters (written by pgherd)', path: join(dataDir, 'pgherd.conf') },
      { what: "parameters (an administrator's)", path: join(dataDir, 'postgresql.conf') },
      { what: 'who may log in', path: join(dataDir, 'pg_hba.conf') },
      { what: 'socket of PostgreSQL', path: sockets === '' ? '' : join(sockets, `.s.PGSQL.${postgresql.listen.port}`) },
      { what: 'passwords for tools of PostgreSQL', path: postgresql.pgpass ?? join(state, 'pgpass') },
      { what: 'log of PostgreSQL', path: join(state, 'postgres.log') },
      { what: 'kept by rewinds', path: join(state, 'kept-from-rewind') },
      { what: 'data directory, kept after a failure', path: `${dataDir}.failed` },
    );
    if (binDir !== undefined) files.push({ what: 'programs of PostgreSQL', path: binDir });
  }
  files.push(
    { what: 'state directory', path: state },
    { what: 'what the member remembers', path: join(state, 'state.json') },
    { what: 'lock of the agent', path: join(state, 'agent.lock') },
  );
  if (postgresql !== undefined) {
    files.push(
      { what: 'guard: its deadline', path: join(state, 'deadline') },
      { what: 'guard: its socket', path: join(state, 'guard.sock') },
      { what: 'guard: its process', path: join(state, 'guard.pid') },
      { what: 'guard: what it did', path: join(state, 'guard.events') },
      { what: 'guard: its errors', path: join(state, 'guard.err') },
    );
  }
  return files.filter(({ path }) => path !== '');
}

/** '' = the server has no socket. */
function firstOf(directories: string | undefined): string {
  return (directories ?? '/var/run/postgresql').split(',')[0]?.trim() ?? '';
}
