/** What the adapter has to know of the member's configuration: plain data. */
import { basename, dirname, join } from 'node:path';
import type { Log } from '../lib/log.ts';
import type { Clock } from '../ports/host.ts';
import type { OsUser } from './os-user.ts';

/** How to log in, in libpq's words. `connection`: sslmode, sslcert, sslkey, sslrootcert, channel_binding, ... */
export interface Credentials {
  readonly username: string;
  readonly password?: string;
  readonly connection?: Readonly<Record<string, string>>;
}

/** Patroni's form of a tool's option: `data-checksums`, or `{ encoding: UTF8 }`. */
export type ToolOption = string | Readonly<Record<string, string | number | boolean>>;

/** Deadlines and intervals; tests shorten them. */
export interface Timings {
  readonly connectMs: number;
  readonly queryMs: number;
  /** How often the instance is looked at when nothing happens. */
  readonly watchMs: number;
  readonly fastStopMs: number;
  readonly immediateStopMs: number;
  readonly fenceMs: number;
  readonly promoteMs: number;
  /** For one job's statements, and for short tools such as pg_controldata. */
  readonly toolMs: number;
  readonly checkpointMs: number;
  readonly initdbMs: number;
}

export const defaultTimings: Timings = {
  connectMs: 1000,
  queryMs: 1000,
  watchMs: 1000,
  fastStopMs: 60_000,
  immediateStopMs: 5000,
  fenceMs: 1000,
  promoteMs: 60_000,
  toolMs: 10_000,
  checkpointMs: 600_000,
  initdbMs: 300_000,
};

/** What the adapter has to know of the instance that it manages. */
export interface PostgresOptions {
  /** The member's name: its application_name towards the primary. */
  readonly member: string;
  /** The cluster's name: PostgreSQL's cluster_name. */
  readonly scope: string;
  readonly dataDir: string;
  /** Beside the data directory, so that no clone inherits it. Default `<dataDir>.pgherd`. */
  readonly stateDir?: string;
  /** Where postgresql.conf and pg_hba.conf are, when not in the data directory. */
  readonly configDir?: string;
  /** Absent: the programs are looked for in PATH. */
  readonly binDir?: string;
  readonly listen: { readonly hosts: readonly string[]; readonly port: number };
  readonly connectAddress: { readonly host: string; readonly port: number };
  readonly authentication: {
    readonly superuser: Credentials;
    readonly replication: Credentials;
    /** Absent: the superuser rewinds. */
    readonly rewind?: Credentials;
  };
  /** This member's parameters; they precede those of the cluster. */
  readonly parameters: Readonly<Record<string, string>>;
  /** This member's pg_hba.conf and pg_ident.conf; they replace those of the cluster. */
  readonly pgHba?: readonly string[];
  readonly pgIdent?: readonly string[];
  readonly initdb: readonly ToolOption[];
  readonly basebackup: readonly ToolOption[];
  readonly rewind: readonly ToolOption[];
  readonly useUnixSocket: boolean;
  /** The passfile. Default `<stateDir>/pgpass`. */
  readonly pgpass?: string;
  readonly osUser: OsUser;
  readonly clock: Clock;
  readonly log: Pick<Log, 'debug' | 'info' | 'warn'>;
  readonly timings?: Partial<Timings>;
}

/** The options with every default filled in; what the files of this folder share. */
export interface Setup extends PostgresOptions {
  readonly stateDir: string;
  readonly configDir: string;
  readonly pgpass: string;
  readonly serverLog: string;
  readonly timings: Timings;
}

/** The options with their defaults in place. */
export function setupOf(options: PostgresOptions): Setup {
  const dataDir = join(dirname(options.dataDir), basename(options.dataDir));
  const stateDir = options.stateDir ?? `${dataDir}.pgherd`;
  return {
    ...options,
    dataDir,
    stateDir,
    configDir: options.configDir ?? dataDir,
    pgpass: options.pgpass ?? join(stateDir, 'pgpass'),
    serverLog: join(stateDir, 'postgres.log'),
    timings: { ...defaultTimings, ...options.timings },
  };
}

/** The credentials that pg_rewind uses. */
export function rewindCredentials(setup: PostgresOptions): Credentials {
  return setup.authentication.rewind ?? setup.authentication.superuser;
}

/**
 * Command-line arguments from Patroni's list. `true` gives the bare option, `false` none. `forbidden` names are
 * those that the adapter sets itself: they are left out, and reported.
 */
export function toolArguments(
  options: readonly ToolOption[],
  forbidden: readonly string[],
): { readonly arguments: readonly string[]; readonly refused: readonly string[] } {
  const result: string[] = [];
  const refused: string[] = [];
  const add = (name: string, value: string | number | boolean): void => {
    const bare = name.replace(/^--?/, '').replaceAll('_', '-');
    if (forbidden.includes(bare.split('=')[0] ?? bare)) refused.push(bare);
    else if (value === true) result.push(`--${bare}`);
    else if (value !== false) result.push(`--${bare}=${value}`);
  };
  for (const option of options) {
    if (typeof option === 'string') add(option, true);
    else for (const [name, value] of Object.entries(option)) add(name, value);
  }
  return { arguments: result, refused };
}

/** The names (without dashes and values) of the options in a list. */
export function optionNames(options: readonly ToolOption[]): readonly string[] {
  return options
    .flatMap((option) => (typeof option === 'string' ? [option] : Object.keys(option)))
    .map((name) => name.replace(/^--?/, '').replaceAll('_', '-').split('=')[0] ?? '');
}
