/** The holder's view of its replicas: who could take over right now, best first. */
import { isEligible } from './election.ts';
import type { Facts } from './facts.ts';
import { formatLsn, type Lsn, lagBytes, lsnZero } from './lsn.ts';
import type { MemberRecord } from './model.ts';
import { commonLsn } from './position.ts';
import { revocationsNeeded } from './quorum.ts';

/** A replica as the primary knows it. */
export interface ReplicaCandidate {
  readonly member: string;
  /** Why not; undefined when it could. */
  readonly reason: string | undefined;
  /** The only thing against it is that it lags. */
  readonly onlyBehind: boolean;
  readonly flushLsn: Lsn;
  readonly failoverPriority: number;
}

/** All other members, those that could take over first: by flushed WAL, priority, name. */
export function candidatesByFlush(facts: Facts): readonly ReplicaCandidate[] {
  const found: ReplicaCandidate[] = [];
  for (const member of facts.view?.members.keys() ?? []) {
    if (member !== facts.self) found.push(judge(facts, member));
  }
  return found.toSorted(
    (a, b) =>
      Number(a.reason !== undefined) - Number(b.reason !== undefined) ||
      compareLsn(b.flushLsn, a.flushLsn) ||
      b.failoverPriority - a.failoverPriority ||
      (a.member < b.member ? -1 : 1),
  );
}

/** Is there anybody who would take the key if it were released now? */
export function liveCandidates(facts: Facts): readonly string[] {
  if (facts.rule?.mode === 'sync') return zeroLossCandidates(facts);
  const live: string[] = [];
  for (const [member, { value: record }] of facts.view?.members ?? []) {
    if (member === facts.self || !isEligible(record) || !(facts.rule?.failsafe.includes(member) ?? false)) continue;
    if (record.role !== 'replica' || record.state !== 'running' || record.unfit) continue;
    const last = facts.view?.status?.value.lsn;
    if (
      last !== undefined &&
      record.lsn !== undefined &&
      lagBytes(last, sharedLsn(facts, record) ?? lsnZero) > facts.settings.maximumLagOnFailoverBytes
    )
      continue;
    live.push(member);
  }
  return live;
}

function sharedLsn(facts: Facts, { lsn, originTerm }: MemberRecord): Lsn | undefined {
  if (lsn === undefined || originTerm === undefined) return lsn;
  return commonLsn(facts.terms, { originTerm, lsn });
}

/**
 * Synchronous mode: the sync standbys that could take over now, when so many of S were heard just now that they are a
 * cover of revocations. None where an election would be in doubt.
 */
export function zeroLossCandidates(facts: Facts): readonly string[] {
  const { rule, state, now, settings, self } = facts;
  if (rule === undefined || rule.mode !== 'sync' || rule.syncCount < 1) return [];
  const ready = rule.syncStandbys.filter((member) => {
    const record = facts.view?.members.get(member)?.value;
    const heardAt = state.heard.get(member)?.at;
    if (member === self || record === undefined || heardAt === undefined) return false;
    return (
      record.role === 'replica' &&
      record.state === 'running' &&
      !record.unfit &&
      now - heardAt < settings.failureTimeoutMs
    );
  });
  if (ready.length < revocationsNeeded(rule)) return [];
  return ready.filter((member) => isEligible(facts.view?.members.get(member)?.value));
}

function judge(facts: Facts, member: string): ReplicaCandidate {
  const record = facts.view?.members.get(member)?.value;
  const sender = facts.running?.walSenders.find((one) => one.applicationName === member && one.state === 'streaming');
  const flushLsn = sender?.flushLsn ?? lsnZero;
  const failoverPriority = record?.tags.failoverPriority ?? 0;
  const base = { member, flushLsn, failoverPriority };
  const no = (reason: string): ReplicaCandidate => ({ ...base, reason, onlyBehind: false });
  if (record === undefined) return no('is not alive');
  if (!isEligible(record)) return no('is tagged nofailover');
  if (!(facts.rule?.failsafe.includes(member) ?? false))
    return no('is not known to the rule yet; try again in a moment');
  if (record.state !== 'running')
    return no(`is ${record.state}${record.because === undefined ? '' : ` (${record.because})`}`);
  if (sender === undefined) return no('does not stream from the primary');
  const written = facts.running?.writtenLsn ?? lsnZero;
  const lag = lagBytes(written, flushLsn);
  if (lag > facts.settings.maximumLagOnFailoverBytes) {
    return { ...base, reason: `is ${lag} bytes behind (at ${formatLsn(flushLsn)})`, onlyBehind: true };
  }
  return { ...base, reason: undefined, onlyBehind: false };
}

function compareLsn(a: Lsn, b: Lsn): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
