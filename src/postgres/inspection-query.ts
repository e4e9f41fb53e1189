/** What one look at a running server asks, and how the answers are read. PostgreSQL 14 to 18. */
import { z } from 'zod';
import { type Lsn, parseLsn } from '../core/lsn.ts';
import type { QueryOutcome, Session } from './connection.ts';

const lsnText = z.string().transform((text, context): Lsn => {
  const value = parseLsn(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: `not an LSN: ${text}` });
  return z.NEVER;
});
const maybeLsn = lsnText.nullable().transform((value) => value ?? undefined);
const maybeText = z.string().nullable();

/**
 * One row, one JSON column. `r.recovery` is evaluated once, so that a promotion between two expressions cannot give
 * an answer that is half a primary's; functions that fail in recovery are behind CASE.
 * The session is a kept one. The server reads its configuration, then signals its sessions, and a session reads it
 * anew before its next statement: so synchronous_standby_names is what a new session sees, except in the microseconds
 * in which the server sends those signals. A job that has to prove a setting opens a new session for it.
 * A walsender without a standby behind it (state `startup`: our own session is one) is no standby.
 * WALWrite is the name of a lock and of a wait for the disk (PostgreSQL 17 writes it WalWrite); the view
 * pg_stat_activity would look up names that nobody asks for.
 */
const inspectionQuery = `
SELECT json_build_object(
  'inRecovery', r.recovery,
  'primaryTimeline', CASE WHEN NOT r.recovery
      THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
  'writtenLsn', CASE WHEN NOT r.recovery THEN pg_current_wal_lsn() END,
  'flushedLsn', CASE WHEN NOT r.recovery THEN pg_current_wal_flush_lsn() END,
  'awaitsWal', busy.awaits_wal,
  'clients', busy.clients,
  'clientsMax', current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
      - coalesce(current_setting('reserved_connections', true), '0')::int,
  'receivedLsn', CASE WHEN r.recovery THEN pg_last_wal_receive_lsn() END,
  'replayedLsn', CASE WHEN r.recovery THEN pg_last_wal_replay_lsn() END,
  'replayedAt', CASE WHEN r.recovery THEN pg_last_xact_replay_timestamp()::text END,
  'replayPaused', CASE WHEN r.recovery AND pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
  'startupWaits', CASE WHEN r.recovery THEN (SELECT a.wait_event FROM pg_stat_activity a
      WHERE a.backend_type = 'startup') END,
  'receiver', CASE WHEN r.recovery THEN (SELECT json_build_object('status', w.status, 'timeline', w.received_tli,
        'pid', w.pid, 'heardAt', w.last_msg_receipt_time::text,
        'heardAgoMs', extract(epoch FROM clock_timestamp() - w.last_msg_receipt_time)::float8 * 1000)
      FROM pg_stat_wal_receiver w) END,
  'synchronousStandbyNames', current_setting('synchronous_standby_names'),
  'primaryConninfo', current_setting('primary_conninfo'),
  'restoreCommand', current_setting('restore_command') <> '',
  'version', current_setting('server_version_num')::int,
  'startTime', pg_postmaster_start_time()::text,
  'configuredAt', pg_conf_load_time()::text,
  'systemId', (SELECT s.system_identifier::text FROM pg_control_system() s),
  'checkpoint', (SELECT json_build_object('lsn', c.checkpoint_lsn, 'timeline', c.timeline_id)
      FROM pg_control_checkpoint() c),
  'recoveryEnd', CASE WHEN r.recovery THEN (SELECT min_recovery_end_timeline FROM pg_control_recovery()) END,
  'walLogHints', current_setting('wal_log_hints') = 'on',
  'dataChecksums', current_setting('data_checksums') = 'on',
  'walSenders', (SELECT coalesce(json_agg(json_build_object(
        'pid', s.pid, 'saidAt', s.reply_time::text,
        'saidAgoMs', extract(epoch FROM clock_timestamp() - s.reply_time)::float8 * 1000,
        'applicationName', s.application_name, 'userName', s.usename, 'clientAddress', host(s.client_addr),
        'state', s.state, 'syncState', s.sync_state, 'syncPriority', s.sync_priority,
        'flushLsn', s.flush_lsn, 'replayLsn', s.replay_lsn) ORDER BY s.application_name, s.pid), '[]')
      FROM pg_stat_replication s WHERE s.state <> 'startup'),
  'slots', (SELECT coalesce(json_agg(json_build_object(
        'name', p.slot_name, 'physical', p.slot_type = 'physical', 'active', p.active,
        'restartLsn', p.restart_lsn) ORDER BY p.slot_name), '[]') FROM pg_replication_slots p)
)::text AS seen
FROM (SELECT pg_is_in_recovery() AS recovery OFFSET 0) r,
  (SELECT count(*) FILTER (WHERE backend_type = 'client backend') AS clients,
      count(*) FILTER (WHERE lower(wait_event) IN ('walwrite', 'walsync', 'walinitwrite', 'walinitsync')) > 0 AS awaits_wal
    FROM pg_stat_get_activity(NULL)) busy`;

const seenForm = z.object({
  inRecovery: z.boolean(),
  primaryTimeline: z.int().nullable(),
  writtenLsn: maybeLsn,
  flushedLsn: maybeLsn,
  awaitsWal: z.boolean(),
  clients: z.int(),
  clientsMax: z.int(),
  receivedLsn: maybeLsn,
  replayedLsn: maybeLsn,
  replayedAt: maybeText,
  replayPaused: z.boolean(),
  startupWaits: maybeText,
  receiver: z
    .object({
      status: maybeText,
      timeline: z.int().nullable(),
      pid: z.int(),
      heardAt: maybeText,
      heardAgoMs: z.number().nullable(),
    })
    .nullable(),
  synchronousStandbyNames: z.string(),
  primaryConninfo: z.string(),
  restoreCommand: z.boolean(),
  version: z.int(),
  startTime: z.string(),
  configuredAt: z.string(),
  systemId: z.string(),
  checkpoint: z.object({ lsn: lsnText, timeline: z.int() }),
  recoveryEnd: z.int().nullable(),
  walLogHints: z.boolean(),
  dataChecksums: z.boolean(),
  walSenders: z.array(
    z.object({
      pid: z.int(),
      saidAt: maybeText,
      saidAgoMs: z.number().nullable(),
      applicationName: z.string(),
      userName: z.string(),
      clientAddress: maybeText,
      state: z.string(),
      syncState: z.string(),
      syncPriority: z.int(),
      flushLsn: maybeLsn,
      replayLsn: maybeLsn,
    }),
  ),
  slots: z.array(z.object({ name: z.string(), physical: z.boolean(), active: z.boolean(), restartLsn: maybeLsn })),
});

/** The inspection query's answer. */
export type Seen = z.infer<typeof seenForm>;

/** A value, or why there is none. */
export type Answer<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: string };

/** All that is asked in every look, in one statement. */
export async function askSeen(session: Session): Promise<Answer<Seen>> {
  const outcome = await session.query(inspectionQuery);
  const text = cell(outcome, 'seen');
  if (!text.ok) return text;
  const parsed = seenForm.safeParse(JSON.parse(text.value));
  if (parsed.success) return { ok: true, value: parsed.data };
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  return { ok: false, error: `an answer that cannot be understood (${issues.join('; ')})` };
}

/**
 * The timeline that the replay is on, as the server tells its own standbys. pg_control lags behind by a restartpoint,
 * and no SQL function tells it. Undefined on an ordinary connection, which cannot ask.
 */
export async function askReplayTimeline(session: Session): Promise<number | undefined> {
  if (!session.replication) return undefined;
  const outcome = await session.query('IDENTIFY_SYSTEM');
  const timeline = outcome.ok ? Number(outcome.rows[0]?.['timeline']) : Number.NaN;
  return Number.isInteger(timeline) ? timeline : undefined;
}

/** Parameters that wait for a restart, and the present values of some. Costly: asked when the configuration was read anew. */
export async function askSettings(
  session: Session,
  names: readonly string[],
): Promise<Answer<{ readonly pendingRestart: readonly string[]; readonly values: Readonly<Record<string, string>> }>> {
  const list = names.map((name) => `'${name}'`).join(', ');
  // PostgreSQL goes on reporting a change that was taken back before a restart: so the files have a word too.
  const outcome = await session.query(`
    WITH files AS MATERIALIZED (SELECT name, error IS NOT NULL AS refused FROM pg_file_settings)
    SELECT json_build_object(
      'pendingRestart', coalesce(json_agg(s.name ORDER BY s.name) FILTER (WHERE s.pending_restart AND (
          EXISTS (SELECT 1 FROM files f WHERE f.name = s.name AND f.refused)
          OR s.source = 'configuration file' AND NOT EXISTS (SELECT 1 FROM files f WHERE f.name = s.name))), '[]'),
      'values', coalesce(json_object_agg(s.name, s.setting) FILTER (WHERE s.name IN (${list || "''"})), '{}')
    )::text AS settings FROM pg_settings s`);
  const text = cell(outcome, 'settings');
  if (!text.ok) return text;
  const form = z.object({ pendingRestart: z.array(z.string()), values: z.record(z.string(), z.string()) });
  return { ok: true, value: form.parse(JSON.parse(text.value)) };
}

function cell(outcome: QueryOutcome, name: string): Answer<string> {
  if (!outcome.ok) return outcome;
  const value = outcome.rows[0]?.[name];
  return typeof value === 'string' ? { ok: true, value } : { ok: false, error: 'an empty answer' };
}
