/** When a cluster is as it was before the fault. Pure. */
import type { ClusterAnswer, ClusterMemberAnswer, MemberAnswer } from '../api/answers.ts';

/** What is looked at of a cluster. */
export type SeenCluster = Pick<ClusterAnswer, 'members'>;

function isSyncStandby({ role }: ClusterMemberAnswer): boolean {
  return role === 'sync_standby' || role === 'quorum_standby';
}

/** The leader, if it runs. */
export function primaryOf({ members }: SeenCluster): ClusterMemberAnswer | undefined {
  return members.find(({ role, state }) => role === 'leader' && state === 'running');
}

function isWell({ role, state }: ClusterMemberAnswer): boolean {
  return role === 'leader' || role === 'witness' ? state === 'running' : state === 'streaming';
}

/**
 * There is a primary, every member that was well is well again, and commits wait for as many as before. Who is primary
 * does not matter.
 */
export function isAsBefore(before: SeenCluster, now: SeenCluster): boolean {
  const sync = (seen: SeenCluster): number => seen.members.filter(isSyncStandby).length;
  const names = before.members.filter(isWell).map(({ name }) => name);
  const isBack = (name: string): boolean => now.members.some((member) => member.name === name && isWell(member));
  return primaryOf(now) !== undefined && names.every(isBack) && sync(now) >= sync(before);
}

/** When the postmaster of a member that runs was started: another time, another postmaster. */
export function postmasterStart(answer: MemberAnswer | undefined): unknown {
  return answer?.state === 'running' ? answer['postmaster_start_time'] : undefined;
}

/**
 * The member on which the fault came does its part again. `restarted`: the fault ends its postmaster, and until another
 * one runs, what its agent told may be of before.
 */
export function isVictimBack(
  before: MemberAnswer | undefined,
  now: MemberAnswer | undefined,
  seen: ClusterMemberAnswer | undefined,
  restarted: boolean,
): boolean {
  if (seen === undefined || !isWell(seen)) return false;
  const start = postmasterStart(now);
  return start !== undefined && (!restarted || start !== postmasterStart(before));
}
