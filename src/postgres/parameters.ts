/** Which PostgreSQL parameters an instance runs with, and who has the word about each. Pure. */
import type { Settings } from '../core/model.ts';

/** A parameter that the whole cluster must agree on, after Patroni: what holds when it is not set, and the least. */
interface Controlled {
  readonly fallback: string;
  readonly least?: number;
}

/**
 * On the postmaster's command line, so that neither a file nor ALTER SYSTEM overrides them: a standby with less of
 * these than its primary does not start. listen_addresses, port and cluster_name come from the member.
 */
const controlled: Readonly<Record<string, Controlled>> = {
  wal_level: { fallback: 'replica' },
  hot_standby: { fallback: 'on' },
  max_connections: { fallback: '100', least: 25 },
  max_wal_senders: { fallback: '10', least: 3 },
  max_prepared_transactions: { fallback: '0', least: 0 },
  max_locks_per_transaction: { fallback: '64', least: 32 },
  track_commit_timestamp: { fallback: 'off' },
  max_replication_slots: { fallback: '10', least: 4 },
  max_worker_processes: { fallback: '8', least: 2 },
  wal_log_hints: { fallback: 'on' },
};

/** Overridable by the cluster's settings and by the member's. */
const defaults: Readonly<Record<string, string>> = {
  // The time a standby waits before it connects again: PostgreSQL's 5 s would be most of a failover.
  wal_retrieve_retry_interval: '100ms',
  // After half of it a source that has nothing to send is asked for a word: on an idle cluster it is silent so long.
  wal_receiver_timeout: '3s',
  // How often a standby that flushes nothing says that it lives: PostgreSQL's 10 s are longer than wal_sender_timeout.
  wal_receiver_status_interval: '1s',
  wal_sender_timeout: '5s',
  wal_keep_size: '128MB',
  // The kernel gives up a peer that is gone after 2 + 3 x 1 s, or 5 s with data under way.
  tcp_keepalives_idle: '2',
  tcp_keepalives_interval: '1',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '5s',
};

/**
 * Ours whatever anybody configures. A postmaster that restarts by itself after a crash would show commits that no
 * standby has; a recovery target would end a standby's recovery, or turn it into a primary.
 */
const forced: Readonly<Record<string, string>> = {
  restart_after_crash: 'off',
  recovery_target_timeline: 'latest',
  recovery_target: '',
  recovery_target_name: '',
  recovery_target_time: '',
  recovery_target_xid: '',
  recovery_target_lsn: '',
};

/** Where the server finds its files, and what makes it follow: not parameters that a configuration may name. */
const notConfigurable: ReadonlySet<string> = new Set([
  'data_directory',
  'config_file',
  'hba_file',
  'ident_file',
  'external_pid_file',
  'primary_conninfo',
  'primary_slot_name',
  'synchronous_standby_names',
  'promote_trigger_file',
  'trigger_file',
  'standby_mode',
  'recovery_target_action',
  'recovery_target_inclusive',
  'listen_addresses',
  'port',
  'cluster_name',
  ...Object.keys(forced),
]);

/** Names that ALTER SYSTEM must not override: they are removed from postgresql.auto.conf. */
export function isOurs(name: string): boolean {
  const lower = name.toLowerCase();
  return (
    notConfigurable.has(lower) ||
    lower in controlled ||
    lower === 'restore_command' ||
    lower.startsWith('recovery_target')
  );
}

/** What the member's own configuration says of parameters. */
export interface Member {
  readonly listen: { readonly hosts: readonly string[]; readonly port: number };
  readonly scope: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Where each parameter goes. */
export interface EffectiveParameters {
  /** For the postmaster's command line. */
  readonly commandLine: Readonly<Record<string, string>>;
  /** For our file; the controlled ones too, for the tools that start a server without our command line. */
  readonly file: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

/**
 * The cluster's parameters, preceded by the member's own, except where the cluster must agree.
 * `atLeast`: what the WAL on this standby was written with (pg_control); with less it would not start.
 */
export function effectiveParameters(
  member: Member,
  settings: Pick<Settings, 'parameters'> & Partial<Pick<Settings, 'synchronousMode'>>,
  atLeast: Readonly<Record<string, string>>,
): EffectiveParameters {
  const warnings: string[] = [];
  const commandLine: Record<string, string> = {
    listen_addresses: member.listen.hosts.join(','),
    port: String(member.listen.port),
    cluster_name: member.scope,
  };
  for (const [name, rule] of Object.entries(controlled)) {
    const chosen = controlledValue(name, rule, settings.parameters[name], warnings);
    const needed = Number(atLeast[name] ?? 0);
    commandLine[name] = rule.least !== undefined && needed > Number(chosen) ? String(needed) : chosen;
  }
  const waits = settings.synchronousMode !== undefined && settings.synchronousMode !== 'off';
  const file: Record<string, string> = { ...defaults };
  for (const [source, parameters] of [
    ['the cluster', settings.parameters],
    ['this member', member.parameters],
  ] as const) {
    for (const [name, value] of Object.entries(parameters)) {
      if (name in controlled) continue;
      if (notConfigurable.has(name)) warnings.push(`parameter ${name} of ${source} is pgherd's own and is left out`);
      else if (waits && name === 'synchronous_commit' && !isFlushedByStandbys(value))
        warnings.push(
          `synchronous_commit = "${value}" of ${source} is left out: in synchronous mode it is on, or more`,
        );
      else if (!isParameterName(name)) warnings.push(`"${name}" of ${source} is no parameter name and is left out`);
      else file[name] = value;
    }
  }
  return { commandLine, file: { ...file, ...commandLine, ...forced }, warnings };
}

function controlledValue(name: string, rule: Controlled, configured: string | undefined, warnings: string[]): string {
  if (configured === undefined || name === 'hot_standby') return rule.fallback;
  if (name === 'wal_level') {
    if (configured === 'hot_standby') return 'replica';
    if (configured === 'replica' || configured === 'logical') return configured;
  } else if (rule.least === undefined) {
    const switched = booleanOf(configured);
    if (switched !== undefined) return switched;
  } else if (/^\d+$/.test(configured) && Number(configured) >= rule.least) {
    return configured;
  }
  const least = rule.least === undefined ? '' : ` (an integer from ${rule.least})`;
  warnings.push(`parameter ${name} cannot be "${configured}"${least}: ${rule.fallback} is used`);
  return rule.fallback;
}

function booleanOf(text: string): 'on' | 'off' | undefined {
  if (/^(on|true|yes|1)$/i.test(text)) return 'on';
  if (/^(off|false|no|0)$/i.test(text)) return 'off';
  return undefined;
}

/** Whether a commit waits until sync standbys have flushed it, at least. */
function isFlushedByStandbys(synchronousCommit: string): boolean {
  return /^(on|true|yes|1|remote_apply)$/i.test(synchronousCommit);
}

function isParameterName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$/.test(name);
}

/** `name = 'value'` as postgresql.conf reads it. */
export function formatParameter(name: string, value: string): string {
  const quoted = value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return `${name} = '${quoted}'`;
}

/**
 * The values of a file that `formatParameter` wrote, line by line. Lines of any other form are passed over.
 */
export function parseParameters(text: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z_][A-Za-z0-9_$.]*) = '((?:[^'\\]|''|\\.)*)'$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    values[match[1]] = match[2].replaceAll(/''|\\(.)/g, (pair, escaped: string | undefined) => {
      if (escaped === undefined) return pair.slice(1);
      if (escaped === 'n') return '\n';
      return escaped === 'r' ? '\r' : escaped;
    });
  }
  return values;
}

/**
 * postgresql.auto.conf without what is ours; other lines and comments are kept as they are.
 * The removed names are returned for the log.
 */
export function stripAutoConf(text: string): { readonly text: string; readonly removed: readonly string[] } {
  const removed: string[] = [];
  const kept = text.split('\n').filter((line) => {
    const name = /^\s*([A-Za-z_][A-Za-z0-9_.]*)/.exec(line)?.[1];
    if (name === undefined || !isOurs(name)) return true;
    removed.push(name);
    return false;
  });
  return { text: kept.join('\n'), removed };
}
