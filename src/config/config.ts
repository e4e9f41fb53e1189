/** The configuration as programs use it: checked, with defaults, durations in milliseconds. */
import type * as z from 'zod';
import { type Address, isWildcard, type ListenAddress } from './address.ts';
import { type EtcdConfig, etcdConfig, etcdSectionOf } from './etcd.ts';
import type { Section } from './key.ts';
import { file, knownTags } from './schema.ts';
import { type Data, isData, readBoolean } from './values.ts';

/** A user of PostgreSQL that the agent works as. */
export interface DatabaseUser {
  readonly username: string;
  readonly password: string | undefined;
  /** libpq's connection options, by their libpq names (`sslmode`, ...). */
  readonly options: Readonly<Record<string, string>>;
}

/** The store that all members trust. */
export type DcsConfig = { readonly kind: 'monitor'; readonly uri: string } | EtcdConfig;

/** A member's configuration, checked, with its defaults. */
export interface Config {
  readonly scope: string;
  /** Begins with a slash and does not end with one. */
  readonly namespace: string;
  readonly name: string;
  readonly restapi: { readonly listen: ListenAddress; readonly connectAddress: Address };
  readonly dcs: DcsConfig;
  readonly bootstrap: {
    /** As it is written in the file, and goes into the DCS; `{}` when there is none. Its meaning is decided where `config` is read. */
    readonly dcs: Data;
    /** As initdb takes them: `--encoding=UTF8`. Undefined = the file says nothing. */
    readonly initdb: readonly string[] | undefined;
    readonly pgHba: readonly string[] | undefined;
  };
  /** Undefined: this member is a witness. */
  readonly postgresql: PostgresqlConfig | undefined;
  readonly tags: Tags;
  /** `safetyMarginMs` -1: the device fires at half of the TTL. */
  readonly watchdog: {
    readonly mode: 'off' | 'automatic' | 'required';
    readonly device: string;
    readonly safetyMarginMs: number;
  };
  readonly log: { readonly type: 'plain' | 'json'; readonly level: LogLevel };
}

/** The instance beside the agent. */
export interface PostgresqlConfig {
  readonly listen: ListenAddress;
  readonly connectAddress: Address;
  readonly dataDir: string;
  readonly binDir: string | undefined;
  readonly authentication: {
    readonly superuser: DatabaseUser;
    readonly replication: DatabaseUser;
    /** The superuser, where the file names nobody. */
    readonly rewind: DatabaseUser;
  };
  readonly parameters: Readonly<Record<string, string>>;
  readonly pgHba: readonly string[] | undefined;
  readonly pgIdent: readonly string[] | undefined;
  readonly pgpass: string | undefined;
  readonly useUnixSocket: boolean;
  /** As pg_basebackup takes them. */
  readonly basebackup: readonly string[];
  readonly pgCtlTimeoutMs: number;
}

/** What is special about the member; `all` as configured, booleans as booleans. */
interface Tags {
  readonly noFailover: boolean;
  readonly failoverPriority: number;
  readonly noSync: boolean;
  readonly syncPriority: number;
  readonly witness: boolean;
  readonly all: Readonly<Record<string, string | number | boolean>>;
}

type LogLevel = 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR' | 'CRITICAL';

/** What the command line needs to know to find a cluster and its members. */
export interface ControlConfig {
  /** undefined: the file names none, the command must. */
  readonly scope: string | undefined;
  readonly namespace: string;
  /** undefined: the file names no DCS. */
  readonly dcs: DcsConfig | undefined;
  /** This member's REST API, where the file says it. */
  readonly restapi: Address | undefined;
}

/** The file's values after the check. */
export type Values = Section<typeof file>;

/** Something is missing, or two keys do not go together. */
export interface Missing {
  readonly path: readonly string[];
  readonly text: string;
}

type User = NonNullable<NonNullable<Values['postgresql']>['superuser']>;

function databaseUser(given: User | undefined, fallback: string): DatabaseUser {
  const { username, password, ...rest } = given ?? {};
  const options: Record<string, string> = {};
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) options[name] = value;
  return { username: username ?? fallback, password, options };
}

/** Where others connect: as said, or the listen address if that is one address. */
function connectAddressOf(given: Address | undefined, listen: ListenAddress | undefined): Address | undefined {
  const host = listen?.hosts[0];
  if (given || !listen || host === undefined || listen.hosts.length !== 1 || isWildcard(host)) return given;
  return { host, port: listen.port };
}

const localApi: ListenAddress = { hosts: ['127.0.0.1'], port: 8008 };

/** The keys that an agent cannot do without and that the file does not have. */
export function missingKeys(values: Values): readonly Missing[] {
  const missing: Missing[] = [];
  const need = (path: readonly string[], value: unknown, allowed: string): void => {
    if (value === undefined || value === '') missing.push({ path, text: `found nothing; allowed: ${allowed}; add it` });
  };
  const { postgresql, restapi } = values;
  need(['scope'], values.scope, file.scope.allowed);
  need(['name'], values.name ?? postgresql?.name, file.name.allowed);
  const isWitness = values.tags?.witness === true;
  if (!isWitness) {
    need(['postgresql', 'data_dir'], postgresql?.data_dir, 'a path');
    need(['postgresql', 'listen'], postgresql?.listen, file.postgresql.fields.listen.allowed);
  }
  if (!isWitness && postgresql?.listen) {
    const address = connectAddressOf(postgresql.connect_address, postgresql.listen);
    need(['postgresql', 'connect_address'], address, file.postgresql.fields.connect_address.allowed);
  }
  const apiAddress = connectAddressOf(restapi?.connect_address, restapi?.listen ?? localApi);
  need(['restapi', 'connect_address'], apiAddress, file.restapi.fields.connect_address.allowed);
  return missing;
}

function tagsOf(given: Data): Config['tags'] {
  const all: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') all[name] = value;
  }
  for (const name of ['nofailover', 'noloadbalance', 'clonefrom', 'nosync', 'witness', 'nostream']) {
    const flag = readBoolean(all[name]);
    if (flag !== undefined) all[name] = flag;
  }
  const failoverPriority = priorityOf(all, 'failover_priority');
  const syncPriority = priorityOf(all, 'sync_priority');
  // Patroni: where both tags are there, nofailover and nosync decide.
  const noFailover = readBoolean(all['nofailover']) ?? failoverPriority === 0;
  const noSync = readBoolean(all['nosync']) ?? syncPriority === 0;
  return { noFailover, failoverPriority, noSync, syncPriority, witness: readBoolean(all['witness']) ?? false, all };
}

/** Of a tag that counts; where it is set, it is shown as the number that it stands for. */
function priorityOf(
  all: Record<string, string | number | boolean>,
  tag: 'failover_priority' | 'sync_priority',
): number {
  const found = knownTags[tag].schema.safeParse(all[tag] ?? 1);
  const priority = found.success ? found.data : 1;
  if (tag in all) all[tag] = priority;
  return priority;
}

/** The agent's configuration. `missingKeys` has found nothing, `check` neither. */
export function agentConfig(values: Values, data: Data, rawDcs: unknown): Config {
  const restapiListen = values.restapi?.listen ?? localApi;
  const tags = tagsOf(isData(data['tags']) ? data['tags'] : {});
  return {
    scope: required(values.scope),
    namespace: values.namespace ?? '/service',
    name: required(values.name ?? values.postgresql?.name),
    restapi: {
      listen: restapiListen,
      connectAddress: required(connectAddressOf(values.restapi?.connect_address, restapiListen)),
    },
    dcs: dcsOf(values),
    bootstrap: {
      dcs: isData(rawDcs) ? rawDcs : {},
      initdb: values.bootstrap?.initdb,
      pgHba: values.bootstrap?.pg_hba,
    },
    postgresql: tags.witness ? undefined : postgresqlConfig(required(values.postgresql)),
    tags,
    watchdog: watchdogOf(values.watchdog),
    log: { type: values.log?.type ?? 'plain', level: values.log?.level ?? 'INFO' },
  };
}

function dcsOf({ monitor, etcd3, etcd }: Values): DcsConfig {
  const section = etcd3 ?? etcd;
  return section === undefined ? { kind: 'monitor', uri: required(monitor?.uri) } : etcdConfig(section);
}

function watchdogOf(given: Values['watchdog']): Config['watchdog'] {
  const marginS = given?.safety_margin ?? 5;
  return {
    mode: given?.mode ?? 'off',
    device: given?.device ?? '/dev/watchdog',
    safetyMarginMs: marginS < 0 ? -1 : marginS * 1000,
  };
}

/** The state that must survive a crash, beside the data directory so that no clone inherits it. */
export function stateDirectoryOf({ postgresql, scope, name }: Config): string {
  // A witness has no data directory. Of what it remembers, nothing but its highest term can matter.
  return postgresql ? `${postgresql.dataDir}.pgherd` : `/var/lib/pgherd/${scope}/${name}`;
}

function postgresqlConfig(given: NonNullable<Values['postgresql']>): PostgresqlConfig {
  const listen = required(given.listen);
  const users = given.authentication;
  const superuser = databaseUser(users?.superuser ?? given.superuser, 'postgres');
  const rewind = users?.rewind ?? given.pg_rewind;
  return {
    listen,
    connectAddress: required(connectAddressOf(given.connect_address, listen)),
    dataDir: required(given.data_dir).replace(/(?<=.)\/+$/, ''),
    binDir: given.bin_dir,
    authentication: {
      superuser,
      replication: databaseUser(users?.replication ?? given.replication, 'replicator'),
      rewind: rewind ? databaseUser(rewind, superuser.username) : superuser,
    },
    parameters: given.parameters ?? {},
    pgHba: given.pg_hba,
    pgIdent: given.pg_ident,
    pgpass: given.pgpass,
    useUnixSocket: given.use_unix_socket ?? false,
    basebackup: given.basebackup ?? [],
    pgCtlTimeoutMs: given.pg_ctl_timeout ?? 60_000,
  };
}

/** What the check has made sure of. */
function required<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('a required key is missing after the check');
  return value;
}

function read<Value>(schema: z.ZodType<Value>, value: unknown): Value | undefined {
  const result = schema.safeParse(value);
  return result.success ? result.data : undefined;
}

/** What the command line needs, from data whose other sections may be wrong. */
export function controlConfig(data: Data): ControlConfig {
  const restapi = isData(data['restapi']) ? data['restapi'] : {};
  const fields = file.restapi.fields;
  return {
    scope: read(file.scope.schema, data['scope']),
    namespace: read(file.namespace.schema, data['namespace']) ?? '/service',
    dcs: controlDcs(data),
    restapi: connectAddressOf(
      read(fields.connect_address.schema, restapi['connect_address']),
      read(fields.listen.schema, restapi['listen']),
    ),
  };
}

function controlDcs(data: Data): DcsConfig | undefined {
  const etcd = etcdSectionOf(data);
  if (etcd !== undefined) {
    const section = read(file[etcd].schema, data[etcd]);
    return section && etcdConfig(section);
  }
  const uri = isData(data['monitor']) ? read(file.monitor.fields.uri.schema, data['monitor']['uri']) : undefined;
  return uri === undefined ? undefined : { kind: 'monitor', uri };
}
