/**
 * PostgreSQL's parameters, as far as they can be judged without a server: enumerations and booleans whose mistyped
 * value would keep PostgreSQL from starting, and the parameters that are not the user's to set.
 * Values: PostgreSQL documentation, chapter "Server Configuration", 14 to 18.
 */
import * as z from 'zod';
import { nearest } from './nearest.ts';
import { isData, type Kind } from './values.ts';

const logLevels = ['debug5', 'debug4', 'debug3', 'debug2', 'debug1', 'info', 'notice', 'warning', 'error', 'log'];
const levelsToFatal = [...logLevels, 'fatal', 'panic'];

const enumerations: Readonly<Record<string, readonly string[]>> = {
  wal_level: ['minimal', 'replica', 'logical'],
  archive_mode: ['on', 'off', 'always'],
  synchronous_commit: ['on', 'off', 'local', 'remote_write', 'remote_apply'],
  wal_sync_method: ['fsync', 'fdatasync', 'open_sync', 'open_datasync', 'fsync_writethrough'],
  wal_compression: ['on', 'off', 'pglz', 'lz4', 'zstd'],
  recovery_target_action: ['pause', 'promote', 'shutdown'],
  recovery_init_sync_method: ['fsync', 'syncfs'],
  recovery_prefetch: ['on', 'off', 'try'],
  huge_pages: ['on', 'off', 'try'],
  shared_memory_type: ['mmap', 'sysv', 'windows'],
  dynamic_shared_memory_type: ['posix', 'sysv', 'mmap', 'windows'],
  password_encryption: ['scram-sha-256', 'md5'],
  default_transaction_isolation: ['serializable', 'repeatable read', 'read committed', 'read uncommitted'],
  log_statement: ['none', 'ddl', 'mod', 'all'],
  log_error_verbosity: ['terse', 'default', 'verbose'],
  log_min_messages: levelsToFatal,
  log_min_error_statement: levelsToFatal,
  client_min_messages: logLevels,
  track_functions: ['none', 'pl', 'all'],
  session_replication_role: ['origin', 'replica', 'local'],
  constraint_exclusion: ['on', 'off', 'partition'],
  plan_cache_mode: ['auto', 'force_generic_plan', 'force_custom_plan'],
  compute_query_id: ['on', 'off', 'auto', 'regress'],
  bytea_output: ['hex', 'escape'],
  ssl_min_protocol_version: ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'],
  ssl_max_protocol_version: ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'],
};

const booleans: ReadonlySet<string> = new Set(
  `hot_standby wal_log_hints fsync full_page_writes track_commit_timestamp autovacuum ssl logging_collector
   hot_standby_feedback log_checkpoints log_disconnections log_lock_waits log_replication_commands log_duration
   track_activities track_counts track_io_timing track_wal_io_timing wal_init_zero wal_recycle restart_after_crash
   data_sync_retry jit zero_damaged_pages ignore_checksum_failure log_truncate_on_rotation summarize_wal
   sync_replication_slots row_security exit_on_error bonjour db_user_namespace parallel_leader_participation
   enable_seqscan enable_indexscan enable_hashjoin enable_mergejoin enable_nestloop standard_conforming_strings`.split(
    /\s+/,
  ),
);

const integers: Readonly<Record<string, number>> = {
  max_connections: 1,
  max_wal_senders: 1,
  max_replication_slots: 1,
  max_worker_processes: 0,
  max_prepared_transactions: 0,
  max_locks_per_transaction: 10,
  wal_keep_segments: 0,
};

/** Old names that PostgreSQL, and Patroni, still take for `replica`. */
const oldWalLevels = ['hot_standby', 'archive'];

/** Parameters that pgherd sets itself: given in the configuration they are left out. */
export const ownParameters: Readonly<Record<string, string>> = {
  listen_addresses: 'postgresql.listen says it',
  port: 'postgresql.listen says it',
  cluster_name: 'it is the scope',
  data_directory: 'postgresql.data_dir says it',
  config_file: 'pgherd writes it',
  hba_file: 'pgherd writes it, from postgresql.pg_hba',
  ident_file: 'pgherd writes it, from postgresql.pg_ident',
  primary_conninfo: 'the member that is followed says it',
  primary_slot_name: "it follows from the member's name",
  recovery_target_timeline: 'replicas always follow the latest',
  synchronous_standby_names: 'it follows from synchronous_mode',
};

const parameterName = /^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)*$/;

/** A parameter's value as PostgreSQL's configuration file takes it; undefined for lists and maps. */
function parameterText(value: unknown): string | undefined {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

/** PostgreSQL's own booleans: any unambiguous beginning of on, off, true, false, yes, no, 1, 0. */
function isPostgresBoolean(text: string): boolean {
  const word = text.toLowerCase();
  if (word === '' || word === 'o') return false;
  return ['on', 'off', 'true', 'false', 'yes', 'no', '1', '0'].some((full) => full.startsWith(word));
}

function enumerationError(name: string, text: string, values: readonly string[]): string | undefined {
  const word = text.toLowerCase();
  if (name === 'wal_level') {
    if (oldWalLevels.includes(word)) return undefined;
    if (word === 'minimal') return 'replica or logical: with minimal no replica can follow';
  }
  if (values.some((value) => value.toLowerCase() === word)) return undefined;
  if (values.includes('on') && isPostgresBoolean(text)) return undefined;
  const old =
    name === 'wal_level' ? ' (hot_standby and archive are old names, which Patroni accepts, for replica)' : '';
  const meant = nearest(word, values);
  return `${values.join(', ')}${old}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

/** Why `value` cannot be the value of parameter `name`: what would be allowed. Undefined when it can. */
function parameterError(name: string, value: unknown): string | undefined {
  if (!parameterName.test(name)) return "a parameter's name: letters, digits and underscores";
  const text = parameterText(value);
  if (text === undefined) return 'text, a number or a boolean';
  if (/[\n\r\0]/.test(text)) return 'a value without line breaks';
  const lower = name.toLowerCase();
  const values = enumerations[lower];
  if (values) return enumerationError(lower, text.trim(), values);
  if (booleans.has(lower)) {
    if (!isPostgresBoolean(text.trim())) return 'on or off';
    if (lower === 'hot_standby' && /^(off?|f|fa|fal|fals|false|n|no|0)$/i.test(text.trim())) {
      return 'on: pgherd asks replicas for their position';
    }
    return undefined;
  }
  const least = integers[lower];
  const isNumber = /^\d+$/.test(text.trim()) && Number(text) >= (least ?? 0);
  return least === undefined || isNumber ? undefined : `a whole number of ${least} or more`;
}

/** `postgresql.parameters`: name to value, each as text once read. */
export const parameters: Kind<Readonly<Record<string, string>>> = {
  allowed: 'a map of PostgreSQL parameters',
  secret: false,
  schema: z.unknown().transform((value, context): Readonly<Record<string, string>> => {
    if (!isData(value)) {
      context.addIssue({ code: 'custom', message: 'a map of PostgreSQL parameters' });
      return z.NEVER;
    }
    const read: Record<string, string> = {};
    for (const [name, given] of Object.entries(value)) {
      // A parameter without a value is one that somebody commented out by halves; Patroni leaves it out.
      if (given === null) continue;
      const allowed = parameterError(name, given);
      if (allowed !== undefined) {
        // A value may hold a password (archive_command, primary_conninfo): only those of a known form are shown.
        const secret = !(name.toLowerCase() in enumerations || booleans.has(name.toLowerCase()) || name in integers);
        context.addIssue({ code: 'custom', path: [name], message: allowed, params: { secret } });
      } else read[name] = parameterText(given) ?? '';
    }
    return read;
  }),
};
