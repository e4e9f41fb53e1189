/** Who takes a free leader key in asynchronous mode: who may stand, who is best, how long the others are waited for. */
import { formatLsn, lagBytes } from './lsn.ts';
import type { ClusterView, MemberRecord, Position, Settings } from './model.ts';
import { commonLsn, comparable, comparePositions } from './position.ts';

/** How long the positions of members that look alive are waited for. */
export const electionWaitMs = 500;

/** A member that may take the key, with the position that it made known. */
export interface Candidate extends Position {
  readonly member: string;
  readonly failoverPriority: number;
}

/** Best first: most WAL, then failover priority, then name. */
export function rankCandidates(candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates.toSorted(
    (a, b) => comparePositions(b, a) || b.failoverPriority - a.failoverPriority || (a.member < b.member ? -1 : 1),
  );
}

/** May this member ever be made primary? */
export function isEligible(record: MemberRecord | undefined): record is MemberRecord {
  return record !== undefined && !record.tags.witness && !record.tags.noFailover && record.tags.failoverPriority > 0;
}

/** The members whose positions of the current term are known and which are alive, best first. */
export function candidatesOf(view: ClusterView): readonly Candidate[] {
  const rule = view.rule?.value;
  if (rule === undefined) return [];
  const candidates: Candidate[] = [];
  for (const [member, { value: record }] of view.members) {
    const revocation = view.revocations.get(member)?.value;
    if (revocation?.term !== rule.term || !isEligible(record) || !rule.failsafe.includes(member)) continue;
    const { originTerm, lsn } = comparable(view.terms?.value ?? [], revocation);
    candidates.push({ member, originTerm, lsn, failoverPriority: record.tags.failoverPriority });
  }
  return rankCandidates(candidates);
}

/** Members that look alive and able to stand, and have not made their position known in this term. */
export function awaitedMembers(view: ClusterView, self: string): readonly string[] {
  const rule = view.rule?.value;
  if (rule === undefined) return [];
  const awaited: string[] = [];
  for (const [member, { value: record }] of view.members) {
    if (member === self || member === rule.leader || !rule.failsafe.includes(member)) continue;
    if (!isEligible(record) || record.role !== 'replica' || record.state !== 'running') continue;
    if (view.revocations.get(member)?.value.term !== rule.term) awaited.push(member);
  }
  return awaited;
}

/** Why this much WAL is too little to stand; undefined when it is enough. */
export function tooFarBehind(view: ClusterView, position: Position, settings: Settings): string | undefined {
  const last = view.status?.value.lsn;
  if (last === undefined) return undefined;
  const common = commonLsn(view.terms?.value ?? [], position);
  if (common === undefined) return 'nothing on record says where its WAL left the history of the cluster';
  const lag = lagBytes(last, common);
  if (lag <= settings.maximumLagOnFailoverBytes) return undefined;
  return `at ${formatLsn(common)} it is ${lag} bytes behind the last primary's ${formatLsn(last)}; maximum_lag_on_failover is ${settings.maximumLagOnFailoverBytes}`;
}
