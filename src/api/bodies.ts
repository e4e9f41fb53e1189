/**
 * The JSON bodies: pure functions of the report. Patroni's fields in Patroni's order (`/patroni`, `/cluster`,
 * `/history`, `/config`), then ours. LSNs in bytes are bigint: `toJson` writes all of their digits.
 */
import { formatLsn, type Lsn, lagBytes, lsnZero } from '../core/lsn.ts';
import type { ClusterView, MemberRecord, Progress, RunningInstance, Settings, TermEntry } from '../core/model.ts';
import type { WalSender } from '../core/replicas.ts';
import type { Report } from '../core/report.ts';
import { memberFacts, receivedLsnOf, shownTags, syncRoleOf } from './facts.ts';

/** A JSON object; its keys keep the order in which they were put in. Undefined fields are left out by `toJson`. */
export type Body = Readonly<Record<string, unknown>>;

/** What bodies tell besides the member's report. */
export interface Context {
  readonly scope: string;
  /** Wall clock of the last contact with the DCS; undefined = never. */
  readonly dcsLastSeenEpochS: number | undefined;
}

/** JSON text in which a bigint is an exact integer. */
export function toJson(body: unknown): string {
  const json = JSON as JSON & { rawJSON(text: string): unknown };
  return JSON.stringify(body, (_key, value: unknown) =>
    typeof value === 'bigint' ? json.rawJSON(value.toString()) : value,
  );
}

/* ---------------------------------------------------------------- one member */

/** `GET /patroni`, and the body of every health check. */
export function memberBody(report: Report, context: Context): Body {
  const { self, record, status, view, dcs } = report;
  const facts = memberFacts(report);
  const tags = shownTags(self.tags);
  return {
    state: facts.state,
    ...(facts.running ? instanceFields(facts.running, facts.role, facts.syncRole) : { role: facts.role }),
    ...(report.paused && { pause: true }),
    ...((report.unlocked || view === undefined) && { cluster_unlocked: true }),
    dcs_last_seen: context.dcsLastSeenEpochS ?? 0,
    ...(Object.keys(tags).length > 0 && { tags }),
    database_system_identifier: status?.directory.kind === 'present' ? status.directory.control.systemId : undefined,
    ...pendingRestart(record),
    patroni: { version: self.version, scope: context.scope, name: self.name },
    rule: report.rule,
    because: report.because,
    ...pendingNames(record),
    progress: progressBody(record.progress),
    dcs: dcsBody(dcs),
  };
}

function instanceFields(running: RunningInstance, role: string, syncRole: string | undefined): Body {
  const replication = running.walSenders.map(walSenderBody);
  return {
    postmaster_start_time: running.startTime,
    role,
    server_version: running.serverVersion,
    xlog: running.inRecovery
      ? {
          received_location: receivedLsnOf(running) ?? lsnZero,
          replayed_location: running.replayedLsn ?? lsnZero,
          replayed_timestamp: running.replayedAt ?? null,
          paused: running.replayPaused,
        }
      : { location: running.writtenLsn ?? lsnZero },
    ...(syncRole !== undefined && { [syncRole]: true }),
    timeline: running.timeline,
    replication_state: running.replicationState,
    ...(replication.length > 0 && { replication }),
  };
}

function walSenderBody(sender: WalSender): Body {
  return {
    usename: sender.userName,
    application_name: sender.applicationName,
    client_addr: sender.clientAddress,
    state: sender.state,
    sync_state: sender.syncState,
    sync_priority: sender.syncPriority,
  };
}

/** Patroni's flag. Its `pending_restart_reason` needs the old and the new values, which a member's record does not have. */
function pendingRestart(record: MemberRecord): Body {
  return record.pendingRestart.length > 0 ? { pending_restart: true } : {};
}

/** Ours: the names of the parameters that wait for a restart. */
function pendingNames(record: MemberRecord): Body {
  return record.pendingRestart.length > 0 ? { pending_restart_parameters: record.pendingRestart } : {};
}

function progressBody(progress: Progress | undefined): Body | undefined {
  if (progress === undefined) return undefined;
  return { doing: progress.doing, done_bytes: progress.doneBytes, total_bytes: progress.totalBytes };
}

function dcsBody(dcs: Report['dcs']): Body | undefined {
  if (dcs.kind === 'connected') return undefined;
  return { state: dcs.kind, error: dcs.error };
}

/* ---------------------------------------------------------------- the cluster */

/** `GET /cluster`: who is there, as this member last saw it; `dcs` says when that may be old. */
export function clusterBody(report: Report, scope: string): Body {
  const members = knownMembers(report);
  const leader = shownLeader(report);
  const names = [...members.keys(), ...goneMembers(report.view, members)].sort();
  return {
    members: names.map((name) => {
      const record = members.get(name);
      return record ? clusterMember(name, record, leader, report.view) : unreachableMember(name);
    }),
    ...(report.paused && { pause: true }),
    scope,
    dcs: dcsBody(report.dcs),
  };
}

/** The members of the view. Of itself a member knows more than a view that may be old, or has no record of it. */
function knownMembers(report: Report): ReadonlyMap<string, MemberRecord> {
  const members = new Map<string, MemberRecord>();
  for (const [name, record] of report.view?.members ?? []) members.set(name, record.value);
  const { name } = report.self;
  if (report.dcs.kind !== 'connected' || !members.has(name)) members.set(name, report.record);
  return members;
}

/** The holder of the leader key; not this member itself, when it has lost the DCS and its lease with it. */
function shownLeader(report: Report): string | undefined {
  const leader = report.view?.leader?.value;
  if (report.dcs.kind !== 'connected' && leader === report.self.name && !report.holdsKey) return undefined;
  return leader;
}

/** `GET /failsafe`: the members that are asked when the DCS is away, with their addresses; undefined: there are none. */
export function failsafeBody(view: ClusterView | undefined): Body | undefined {
  if (view?.config?.value.failsafeMode === false) return undefined;
  const urls = (view?.rule?.value.failsafe ?? []).flatMap((name) => {
    const url = view?.members.get(name)?.value.apiUrl;
    return url === undefined || url === '' ? [] : [[name, url] as const];
  });
  return urls.length === 0 ? undefined : Object.fromEntries(urls);
}

/** Members that the leader counts on, and whose own key is gone: their agent or their host is down. */
function goneMembers(view: ClusterView | undefined, members: ReadonlyMap<string, unknown>): readonly string[] {
  return (view?.rule?.value.failsafe ?? []).filter((name) => !members.has(name));
}

function unreachableMember(name: string): Body {
  return { name, role: 'replica', state: 'unreachable', lag: 'unknown' };
}

function clusterMember(
  name: string,
  record: MemberRecord,
  leader: string | undefined,
  view: ClusterView | undefined,
): Body {
  const isLeader = name === leader;
  const tags = shownTags(record.tags);
  const replicationState = isLeader ? undefined : record.replicationState;
  return {
    name,
    role: isLeader ? 'leader' : (syncRoleOf(view, name) ?? (record.tags.witness ? 'witness' : 'replica')),
    state: replicationState ?? record.state,
    api_url: record.apiUrl,
    ...hostAndPort(record.connUrl),
    timeline: record.timeline,
    ...pendingRestart(record),
    ...(Object.keys(tags).length > 0 && { tags }),
    ...(!isLeader && !record.tags.witness && positionFields(record, view?.status?.value.lsn ?? lsnZero)),
    rule: record.rule,
    because: record.because,
    ...pendingNames(record),
    progress: progressBody(record.progress),
  };
}

/** Patroni writes lag before LSN, and the other way round when they are unknown; so do we. */
function positionFields(record: MemberRecord, leaderLsn: Lsn): Body {
  const fields: Record<string, unknown> = {};
  const positions = [
    ['receive_', record.receivedLsn],
    ['replay_', record.replayedLsn],
    ['', record.lsn],
  ] as const;
  for (const [prefix, position] of positions) {
    if (position === undefined || position === lsnZero) {
      fields[`${prefix}lsn`] = 'unknown';
      fields[`${prefix}lag`] = 'unknown';
    } else {
      fields[`${prefix}lag`] = lagBytes(leaderLsn, position);
      fields[`${prefix}lsn`] = formatLsn(position);
    }
  }
  return fields;
}

/** Of `postgres://host:port/database`. Nothing when it cannot be read: it is what another member wrote. */
function hostAndPort(connUrl: string): Body {
  if (!URL.canParse(connUrl)) return {};
  const { hostname, port } = new URL(connUrl);
  if (hostname === '') return {};
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), ...(port !== '' && { port: Number(port) }) };
}

/* ---------------------------------------------------------------- history, settings */

/** `[timeline, LSN at which it ended, reason, time, who made the next one]`, the oldest first; the last two may be missing. */
type HistoryLine = readonly [number, Lsn, string, ...string[]];

/**
 * `GET /history`: from the terms that made a new timeline. What ended before the first term (the cluster was
 * adopted) is known from the instance's own timeline history, which tells neither time nor member.
 */
export function historyBody(report: Report): readonly HistoryLine[] {
  const terms = report.view?.terms?.value ?? [];
  const instance = report.status?.instance;
  const ancestors = instance?.kind === 'running' ? instance.history : [];
  const firstKnown = terms[0]?.timeline ?? Number.POSITIVE_INFINITY;
  const before = ancestors
    .filter((ancestor) => ancestor.timeline < firstKnown)
    .map((ancestor): HistoryLine => [ancestor.timeline, ancestor.switchLsn, ancestor.reason]);
  return [...before, ...terms.flatMap((entry, at) => historyLine(terms[at - 1], entry))];
}

/** A term that only re-took the key made no timeline, and has no line. */
function historyLine(previous: TermEntry | undefined, entry: TermEntry): readonly HistoryLine[] {
  if (previous === undefined || previous.timeline === entry.timeline) return [];
  return [[previous.timeline, entry.switchLsn, entry.reason, entry.at, entry.member]];
}

/** `GET /config`: the cluster's settings in Patroni's names and units (seconds, bytes); undefined while there are none. */
export function configBody(view: ClusterView | undefined): Body | undefined {
  const settings = view?.config?.value;
  return settings && settingsBody(settings);
}

function settingsBody(settings: Settings): Body {
  return {
    ttl: settings.ttlMs / 1000,
    loop_wait: settings.loopWaitMs / 1000,
    retry_timeout: settings.retryTimeoutMs / 1000,
    maximum_lag_on_failover: settings.maximumLagOnFailoverBytes,
    ...(settings.pause && { pause: true }),
    failure_timeout: settings.failureTimeoutMs / 1000,
    heartbeat_interval: settings.heartbeatIntervalMs / 1000,
    catchup_timeout: settings.catchupTimeoutMs / 1000,
    primary_start_timeout: settings.primaryStartTimeoutMs / 1000,
    storage_timeout: settings.storageTimeoutMs / 1000,
    member_slots_ttl: settings.memberSlotsTtlMs / 1000,
    synchronous_mode: settings.synchronousMode === 'quorum' ? 'quorum' : settings.synchronousMode === 'on',
    synchronous_mode_strict: settings.synchronousModeStrict,
    synchronous_node_count: settings.synchronousNodeCount,
    maximum_lag_on_syncnode: settings.maximumLagOnSyncnodeBytes ?? -1,
    failsafe_mode: settings.failsafeMode,
    postgresql: {
      use_pg_rewind: settings.usePgRewind,
      use_slots: settings.useSlots,
      remove_data_directory_on_rewind_failure: settings.cloneWhenRewindFails,
      remove_data_directory_on_diverged_timelines: settings.cloneWhenDiverged,
      pg_hba: settings.pgHba,
      parameters: settings.parameters,
    },
  };
}
