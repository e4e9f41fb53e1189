/** What a person is shown of a cluster: from the DCS, or from what the agents answer when it is away. Pure. */
import { type Lsn, lagBytes, lsn, lsnZero, maxLsnOf, parseLsn } from '../core/lsn.ts';
import type { ClusterView, MemberRecord, Versioned } from '../core/model.ts';

/** Patroni's words for a role in `list`. */
export type ShownRole = 'leader' | 'standby_leader' | 'sync_standby' | 'quorum_standby' | 'replica' | 'witness';
type ShownTags = Readonly<Record<string, string | number | boolean>>;

/** A line of `list`, whichever source it comes from. */
export interface ShownMember {
  readonly name: string;
  readonly host: string;
  readonly port: number | undefined;
  readonly apiUrl: string;
  readonly role: ShownRole;
  /** Patroni's words; of a replica that runs, how its WAL comes; `unreachable`. */
  readonly state: string;
  readonly timeline: number | undefined;
  /** Of replicas. */
  readonly receivedLsn: Lsn | undefined;
  readonly replayedLsn: Lsn | undefined;
  readonly pendingRestart: boolean;
  /** Parameter, or `parameter: old->new`. */
  readonly pendingReasons: readonly string[];
  readonly scheduledRestart: string | undefined;
  readonly tags: ShownTags;
  /** What it does or waits for. */
  readonly because: string | undefined;
  readonly paused: boolean;
  /** Of the agent. */
  readonly version: string | undefined;
  /** Of PostgreSQL: 150018. */
  readonly serverVersion: number | undefined;
}

/** A cluster as `list` shows it, from the DCS or from the agents. */
export interface ShownCluster {
  readonly scope: string;
  /** '' while it is being made; undefined when there is none. */
  readonly systemId: string | undefined;
  /** By name. */
  readonly members: readonly ShownMember[];
  /** What lag is counted from. */
  readonly leaderLsn: Lsn;
  readonly paused: boolean;
  /** Of a synchronous cluster: what is missing of what its commits should wait for. */
  readonly degraded: string | undefined;
  readonly scheduledSwitchover: { readonly at: string; readonly from?: string; readonly to?: string } | undefined;
  /** Keys that could not be read, and why. */
  readonly unreadable: readonly string[];
}

/** Bytes behind the leader; undefined when the position is not known. */
export function shownLag(cluster: ShownCluster, position: Lsn | undefined): bigint | undefined {
  return position === undefined ? undefined : lagBytes(cluster.leaderLsn, position);
}

/** The holder of the leader key. */
export function leaderOf(cluster: ShownCluster): ShownMember | undefined {
  return cluster.members.find((member) => member.role === 'leader' || member.role === 'standby_leader');
}

/** Its tags let it become leader. */
export function mayLead({ tags, role }: ShownMember): boolean {
  return role !== 'witness' && !('nofailover' in tags) && Number(tags['failover_priority'] ?? 1) >= 1;
}

function roleOf(view: ClusterView, name: string, { tags }: MemberRecord): ShownRole {
  const rule = view.rule?.value;
  if (name === view.leader?.value) return 'leader';
  if (tags.witness) return 'witness';
  if (rule?.mode !== 'sync' || !rule.syncStandbys.includes(name)) return 'replica';
  return view.config?.value.synchronousMode === 'quorum' ? 'quorum_standby' : 'sync_standby';
}

/** Its WAL stream is cut, so that it counts for a takeover in the present term. */
function isRevoked(view: ClusterView, name: string): boolean {
  const rule = view.rule?.value;
  return rule?.mode === 'sync' && view.revocations.get(name)?.value.term === rule.term;
}

/** What the commits of a synchronous cluster lack, and why where the leader says it. */
function degradedText(view: ClusterView): string | undefined {
  const rule = view.rule?.value;
  const settings = view.config?.value;
  const wanted = settings === undefined || settings.synchronousMode === 'off' ? 0 : settings.synchronousNodeCount;
  if (rule === undefined) return undefined;
  const leader = view.members.get(rule.leader)?.value;
  const because = leader?.rule?.startsWith('sync-') && leader.because !== undefined ? `: ${leader.because}` : '';
  if (rule.mode === 'async') {
    return wanted === 0 ? undefined : `synchronous mode is not in force yet: commits wait for nobody${because}`;
  }
  if (rule.syncCount === 0) {
    const effect = settings?.synchronousModeStrict ? 'commits hang (strict)' : 'commits wait for nobody';
    return `synchronous mode is degraded: ${effect}${because}`;
  }
  if (rule.syncCount >= wanted) return undefined;
  return `synchronous mode is degraded: commits wait for ${rule.syncCount} of ${wanted} sync standbys${because}`;
}

/** Host and port of `postgres://host:port/database`. */
function addressOf(connUrl: string): { readonly host: string; readonly port: number | undefined } {
  if (!URL.canParse(connUrl)) return { host: '', port: undefined };
  const url = new URL(connUrl);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? undefined : Number(url.port) };
}

function isSet(value: string | number | boolean): boolean {
  return !['false', 'off', 'no', '0', ''].includes(String(value).toLowerCase());
}

/** Patroni's own switches are shown only where they are set. */
function shownTags(tags: ShownTags): ShownTags {
  const switches = ['clonefrom', 'nofailover', 'noloadbalance', 'nosync', 'nostream'];
  return Object.fromEntries(Object.entries(tags).filter(([name, value]) => !switches.includes(name) || isSet(value)));
}

/** Its record calls it primary, and it has said nothing since another member took the key from it. */
function isSuperseded({ leader }: ClusterView, name: string, member: Versioned<MemberRecord>): boolean {
  if (leader === undefined || leader.value === name || member.value.role !== 'primary') return false;
  return member.modRevision < leader.modRevision;
}

function fromRecord(view: ClusterView, name: string, member: Versioned<MemberRecord>): ShownMember {
  const record = member.value;
  if (isSuperseded(view, name, member)) {
    const because = `${view.leader?.value} took the key from it, and it has said nothing since`;
    return { ...unreachable(name, record.apiUrl), ...addressOf(record.connUrl), because };
  }
  const role = roleOf(view, name, record);
  const replicates = role !== 'leader' && record.state === 'running';
  const revoked = replicates && isRevoked(view, name) ? 'revoked' : undefined;
  return {
    name,
    ...addressOf(record.connUrl),
    apiUrl: record.apiUrl,
    role,
    state: revoked ?? (replicates ? record.replicationState : undefined) ?? record.state,
    timeline: record.timeline === 0 ? undefined : record.timeline,
    receivedLsn: role === 'leader' ? undefined : known(received(record.receivedLsn ?? record.lsn, record.replayedLsn)),
    replayedLsn: known(record.replayedLsn),
    pendingRestart: record.pendingRestart.length > 0,
    pendingReasons: record.pendingRestart,
    scheduledRestart: undefined,
    tags: shownTags(record.tags.all),
    because: withProgress(record),
    paused: record.pause,
    version: record.version === '' ? undefined : record.version,
    serverVersion: record.serverVersion,
  };
}

/** `clone from n1 is under way, 310 of 1200 MB`. */
function withProgress({ because, progress }: MemberRecord): string | undefined {
  if (progress?.doneBytes === undefined || progress.totalBytes === undefined) return because;
  return `${because ?? progress.doing}, ${progress.doneBytes / 1_048_576n} of ${progress.totalBytes / 1_048_576n} MB`;
}

/** After a restart the WAL receiver begins anew, at the start of a segment; what is replayed was received before. */
function received(position: Lsn | undefined, replayed: Lsn | undefined): Lsn | undefined {
  return maxLsnOf(position, replayed);
}

function known(position: Lsn | undefined): Lsn | undefined {
  return position === lsnZero ? undefined : position;
}

/** A member of which only the name is known: the leader counts on it, and nothing is heard of it. */
export function unreachable(name: string, apiUrl: string = ''): ShownMember {
  return {
    name,
    host: '',
    port: undefined,
    apiUrl,
    role: 'replica',
    state: 'unreachable',
    timeline: undefined,
    receivedLsn: undefined,
    replayedLsn: undefined,
    pendingRestart: false,
    pendingReasons: [],
    scheduledRestart: undefined,
    tags: {},
    because: undefined,
    paused: false,
    version: undefined,
    serverVersion: undefined,
  };
}

/** The cluster as the DCS has it. */
export function fromView(scope: string, view: ClusterView): ShownCluster {
  const rule = view.rule?.value;
  const leader = view.leader?.value;
  const members = new Map<string, ShownMember>();
  for (const [name, member] of view.members) members.set(name, fromRecord(view, name, member));
  for (const name of rule?.failsafe ?? []) if (!members.has(name)) members.set(name, unreachable(name));
  const leaderRecord = leader === undefined ? undefined : view.members.get(leader)?.value;
  return {
    scope,
    systemId: view.initialize?.value,
    members: [...members.values()].sort(byName),
    leaderLsn: maxLsnOf(view.status?.value.lsn, leaderRecord?.lsn) ?? lsnZero,
    paused: view.config?.value.pause ?? false,
    degraded: degradedText(view),
    scheduledSwitchover: undefined,
    unreadable: view.unreadable.map(({ error }) => error),
  };
}

function byName(a: ShownMember, b: ShownMember): number {
  return a.name < b.name ? -1 : 1;
}

/* ---------------------------------------------------------------- what the agents answer */

/** Of `GET /cluster`: the members that an agent knows. */
export interface KnownMember {
  readonly name: string;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly api_url?: string | undefined;
}

/** Of `GET /patroni`. */
export interface AgentAnswer {
  readonly state: string;
  readonly role: string;
  readonly timeline?: number | undefined;
  readonly server_version?: number | undefined;
  readonly replication_state?: string | undefined;
  readonly pause?: boolean | undefined;
  readonly tags?: ShownTags | undefined;
  readonly database_system_identifier?: string | undefined;
  readonly pending_restart?: boolean | undefined;
  readonly pending_restart_parameters?: readonly string[] | undefined;
  readonly because?: string | undefined;
  readonly patroni: { readonly version: string };
  readonly xlog?: unknown;
}

function position(xlog: unknown, field: string): Lsn | undefined {
  if (typeof xlog !== 'object' || xlog === null || !(field in xlog)) return undefined;
  const value: unknown = Object.entries(xlog).find(([name]) => name === field)?.[1];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return lsn(value);
  return typeof value === 'string' ? parseLsn(value) : undefined;
}

function fromAnswer(member: KnownMember, answer: AgentAnswer | undefined): ShownMember {
  const base = { ...unreachable(member.name, member.api_url), host: member.host ?? '', port: member.port };
  if (!answer) return base;
  const leads = answer.role === 'primary' && answer.state === 'running';
  return {
    ...base,
    role: leads ? 'leader' : 'replica',
    state: leads ? answer.state : (answer.replication_state ?? answer.state),
    timeline: answer.timeline,
    receivedLsn: leads
      ? undefined
      : received(position(answer.xlog, 'received_location'), position(answer.xlog, 'replayed_location')),
    replayedLsn: leads ? undefined : position(answer.xlog, 'replayed_location'),
    pendingRestart: answer.pending_restart ?? false,
    pendingReasons: answer.pending_restart_parameters ?? [],
    tags: shownTags(answer.tags ?? {}),
    because: answer.because,
    paused: answer.pause ?? false,
    version: answer.patroni.version,
    serverVersion: answer.server_version,
  };
}

/** The cluster as its agents say it is: `answers` by member, without those that did not answer. */
export function fromAgents(
  scope: string,
  known: readonly KnownMember[],
  answers: ReadonlyMap<string, AgentAnswer>,
): ShownCluster {
  const all = [...answers.values()];
  const primaries = all.map((answer) => position(answer.xlog, 'location'));
  return {
    scope,
    systemId: all.find((answer) => answer.database_system_identifier !== undefined)?.database_system_identifier,
    members: known.map((member) => fromAnswer(member, answers.get(member.name))).sort(byName),
    leaderLsn: maxLsnOf(...primaries) ?? lsnZero,
    paused: all.some((answer) => answer.pause === true),
    degraded: undefined,
    scheduledSwitchover: undefined,
    unreadable: [],
  };
}
