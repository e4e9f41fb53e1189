/**
 * Health checks: path, query and report in, status code out. What load balancers ask, once a second and more often.
 * Codes, aliases and parameters are Patroni's; its substring matching of paths is not (`/xreplicax` is no replica check).
 */
import { type Lsn, lagBytes, lsnZero } from '../core/lsn.ts';
import type { Instant } from '../core/model.ts';
import type { Report } from '../core/report.ts';
import { type MemberFacts, memberFacts, receivedLsnOf, type SyncRole, settingsOf, shownTags } from './facts.ts';

/** 200: send clients here; 503: do not. */
export type HealthCode = 200 | 503;

/** What a check may look at. */
interface Asked {
  readonly report: Report;
  readonly facts: MemberFacts;
  /** Passes `/replica` with the parameters of the query. */
  readonly isReplica: boolean;
}

/** Without a view of the cluster nobody knows who is synchronous: then nobody is, and nobody is asynchronous. */
const predicates = {
  primary: ({ report }: Asked) => report.servesWrites,
  leader: ({ report }: Asked) => report.holdsKey,
  standbyLeader: () => false, // There are no standby clusters.
  replica: ({ isReplica }: Asked) => isReplica,
  readOnly: ({ report, isReplica }: Asked) => report.servesWrites || isReplica,
  health: ({ facts }: Asked) => facts.state === 'running',
  sync: (asked: Asked) => isStandby(asked, 'sync_standby'),
  quorum: (asked: Asked) => isStandby(asked, 'quorum_standby'),
  async: (asked: Asked) => isStandby(asked, undefined),
  readOnlySync: (asked: Asked) => readOnly(asked, 'sync_standby'),
  readOnlyQuorum: (asked: Asked) => readOnly(asked, 'quorum_standby'),
} as const satisfies Record<string, (asked: Asked) => boolean>;

type Check = keyof typeof predicates;

function isStandby({ report, facts, isReplica }: Asked, syncRole: SyncRole | undefined): boolean {
  return report.view !== undefined && isReplica && facts.syncRole === syncRole;
}

function readOnly(asked: Asked, syncRole: SyncRole): boolean {
  return (asked.report.view !== undefined && asked.report.servesWrites) || isStandby(asked, syncRole);
}

const checks: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['/', 'primary'],
  ['/primary', 'primary'],
  ['/master', 'primary'],
  ['/read-write', 'primary'],
  ['/leader', 'leader'],
  ['/standby-leader', 'standbyLeader'],
  ['/standby_leader', 'standbyLeader'],
  ['/replica', 'replica'],
  ['/read-only', 'readOnly'],
  ['/health', 'health'],
  ['/sync', 'sync'],
  ['/synchronous', 'sync'],
  ['/quorum', 'quorum'],
  ['/async', 'async'],
  ['/asynchronous', 'async'],
  ['/read-only-sync', 'readOnlySync'],
  ['/read-only-synchronous', 'readOnlySync'],
  ['/read-only-quorum', 'readOnlyQuorum'],
]);

/** Of these the tags are not looked at: there is one leader, whatever it is tagged with. */
const untagged: readonly Check[] = ['primary', 'leader', 'standbyLeader'];

/** A path that is no health check is 503, as at Patroni: a misspelt check must take a server out, not in. */
export function healthCode(path: string, query: URLSearchParams, report: Report): HealthCode {
  const check = checks.get(path);
  if (check === undefined) return 503;
  const facts = memberFacts(report);
  if (!predicates[check]({ report, facts, isReplica: isReplica(query, report, facts) })) return 503;
  return untagged.includes(check) || tagsMatch(query, report) ? 200 : 503;
}

function isReplica(query: URLSearchParams, report: Report, facts: MemberFacts): boolean {
  if (facts.role !== 'replica' || facts.state !== 'running') return false;
  if ('noloadbalance' in shownTags(report.self.tags)) return false;
  const wantedState = query.get('replication_state');
  if (wantedState !== null && wantedState !== (facts.running?.replicationState ?? '')) return false;
  const maxLag = parseBytes(query.get('lag'));
  return maxLag === undefined || lagOf(report, facts.running?.replayedLsn) <= maxLag;
}

/** Behind the position that the primary published last; 0 while none was. */
function lagOf(report: Report, position: Lsn | undefined): bigint {
  return lagBytes(report.view?.status?.value.lsn ?? lsnZero, position ?? lsnZero);
}

/** Every `tag_<name>=<value>` of the query: the tag is there and its text is the value (`true`, not `True`). */
function tagsMatch(query: URLSearchParams, report: Report): boolean {
  const tags = shownTags(report.self.tags);
  for (const [key, wanted] of query) {
    if (!key.startsWith('tag_')) continue;
    const name = key.slice('tag_'.length);
    const tag = Object.hasOwn(tags, name) ? tags[name] : undefined;
    if (tag === undefined) return false;
    if ((typeof tag === 'string' ? tag : String(tag).toLowerCase()) !== wanted) return false;
  }
  return true;
}

/** May this member take traffic? `?lag=` limits what it is behind, `?mode=write` counts what it received, not what it replayed. */
export function readinessCode(query: URLSearchParams, report: Report): HealthCode {
  if (report.holdsKey) return 200;
  const { state, running } = memberFacts(report);
  if (state !== 'running' || running?.replicationState !== 'streaming' || report.view === undefined) return 503;
  const position = query.get('mode') === 'write' ? receivedLsnOf(running) : running.replayedLsn;
  const maxLag = parseBytes(query.get('lag')) ?? settingsOf(report).maximumLagOnFailoverBytes;
  return lagOf(report, position) <= maxLag ? 200 : 503;
}

/**
 * Does the agent still take steps? Both instants on the boot-time clock. A primary's may be late by the TTL, a
 * replica's by two: it is for a supervisor that restarts the agent, and the guard ends a primary by itself.
 */
export function livenessCode(report: Report, lastStepAt: Instant, now: Instant): HealthCode {
  const settings = settingsOf(report);
  const isPrimary = memberFacts(report).role === 'primary';
  const nextStepAt = lastStepAt + settings.loopWaitMs;
  return report.paused || nextStepAt + settings.ttlMs * (isPrimary ? 1 : 2) > now ? 200 : 503;
}

const bytesPerUnit: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
};

/** `1048576`, `1MB`, `1.5GB`: PostgreSQL's units, exact in case. Undefined when absent or unreadable: then there is no limit. */
export function parseBytes(text: string | null): bigint | undefined {
  const match = /^\s*([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)\s*(B|kB|MB|GB|TB)?\s*$/.exec(text ?? '');
  const factor = bytesPerUnit[match?.[2] ?? ''];
  if (!match || factor === undefined) return undefined;
  const bytes = Math.round(Number(match[1]) * factor);
  return Number.isFinite(bytes) ? BigInt(bytes) : undefined;
}
