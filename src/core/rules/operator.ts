/** What people asked for, at the member that has to do it. */
import type { Facts } from '../facts.ts';
import type { FailoverRequest } from '../model.ts';
import { checkSwitchover } from '../switchover.ts';
import { holderServes } from './follower.ts';
import { isUp, stoppedCleanly } from './instance.ts';
import { type Rule, wait } from './rule.ts';

/** By force even in place of another cluster's directory: that was asked for in so many words. */
export function isForcedReinit(f: Facts): boolean {
  return f.state.reinit?.force === true && canClone(f);
}

export const operatorRules: readonly Rule[] = [
  {
    name: 'switchover-look',
    condition: 'A switchover was asked for, and the replicas have not been looked at since',
    does: 'wait',
    when: (f) => f.iHold && wishOf(f) !== undefined && f.instance === 'primary' && f.state.seenAt <= f.state.wishSeenAt,
    goal: () => wait,
    because: () => 'looking how far the replicas are',
  },
  {
    name: 'switchover-refused',
    condition: 'A switchover was asked for that cannot be done',
    does: 'refuse-request',
    when: (f) =>
      f.iHold &&
      wishOf(f) !== undefined &&
      f.state.switchover === undefined &&
      f.running !== undefined &&
      check(f)?.kind === 'refuse',
    goal: (f) => {
      const verdict = check(f);
      return verdict?.kind === 'refuse' ? { kind: 'refuse-request', reason: verdict.reason } : wait;
    },
    because: (f) => {
      const verdict = check(f);
      return verdict?.kind === 'refuse' ? verdict.reason : '';
    },
  },
  {
    name: 'switchover-checkpoint',
    condition: 'A switchover was asked for and can be done',
    does: 'switchover',
    when: (f) =>
      f.iHold &&
      f.instance === 'primary' &&
      wishOf(f) !== undefined &&
      f.state.switchover === undefined &&
      check(f)?.kind === 'go',
    goal: (f) => {
      const verdict = check(f);
      return verdict?.kind === 'go' ? { kind: 'switchover', candidate: verdict.candidate } : wait;
    },
    because: (f) => {
      const verdict = check(f);
      return `hand over to ${verdict?.kind === 'go' ? verdict.candidate : '?'}: a checkpoint first, so that the shutdown is short`;
    },
  },
  {
    name: 'switchover-stop',
    condition: 'A switchover is under way, and the checkpoint is done',
    does: 'fast stop',
    when: (f) => f.iHold && f.state.switchover?.phase === 'stop' && isUp(f),
    goal: () => ({ kind: 'job', job: { kind: 'stop', mode: 'fast' } }),
    because: (f) => `an orderly shutdown sends all WAL to ${f.state.switchover?.candidate ?? '?'}`,
  },
  {
    name: 'switchover-failed',
    condition: 'A switchover is under way, and the shutdown was not clean',
    does: 'refuse-request',
    when: (f) => f.iHold && f.state.switchover?.phase === 'failed' && wishOf(f) !== undefined,
    goal: () => ({
      kind: 'refuse-request',
      reason: 'the shutdown was not clean, so no replica can be sure to have all of it',
    }),
    because: () => 'the shutdown was not clean; PostgreSQL is started here again',
  },
  {
    name: 'switchover-release',
    condition: 'A switchover is under way, and the instance was shut down cleanly',
    does: 'release (handover)',
    when: (f) => f.iHold && f.state.switchover?.phase === 'release' && stoppedCleanly(f),
    goal: (f) => ({ kind: 'release', candidate: f.state.switchover?.candidate, clean: true, abstain: false }),
    because: (f) => `the instance is shut down cleanly; the key goes to ${f.state.switchover?.candidate ?? '?'}`,
  },
  {
    name: 'restart-stop',
    condition: 'A restart was asked for, and the instance runs',
    does: 'fast stop',
    when: (f) => f.state.restart?.phase === 'stop' && isUp(f),
    goal: () => ({ kind: 'job', job: { kind: 'stop', mode: 'fast' } }),
    because: () => 'an operator asked for a restart',
  },
  {
    name: 'reinit-leave',
    condition: 'A reinit was asked for, and commits may still be counted on me',
    does: 'wait',
    when: (f) => f.state.reinit !== undefined && isUp(f) && !f.mayWrite && canClone(f) && isCounted(f),
    goal: () => wait,
    because: (f) => `${f.holder} is to take this member out of its sync standbys first`,
  },
  {
    name: 'reinit-stop',
    condition: 'A reinit was asked for, and the instance runs as a replica',
    does: 'fast stop',
    when: (f) => f.state.reinit !== undefined && isUp(f) && !f.mayWrite && canClone(f),
    goal: () => ({ kind: 'job', job: { kind: 'stop', mode: 'fast' } }),
    because: () => 'an operator asked for a new copy of the primary',
  },
  {
    name: 'reinit-clone',
    condition: 'A reinit was asked for, and the instance is down',
    does: 'clone',
    when: (f) => f.state.reinit !== undefined && f.instance === 'stopped' && canClone(f),
    goal: (f) => (f.upstream === undefined ? wait : { kind: 'job', job: { kind: 'clone', source: f.upstream } }),
    because: (f) =>
      `an operator asked for a new copy of ${f.upstream?.member ?? 'the primary'}; the old one goes when the new one is complete`,
  },
];

/** The operator's wish that stands, if it stands for me as the holder. */
export function wishOf(f: Facts): FailoverRequest | undefined {
  const wish = f.view?.failover?.value;
  return wish === undefined || wish.refused !== undefined ? undefined : wish;
}

function check(f: Facts): ReturnType<typeof checkSwitchover> | undefined {
  const wish = wishOf(f);
  return wish === undefined ? undefined : checkSwitchover(f, wish);
}

/** By force it is not waited for: then the copy counts for nothing until it is as far again. */
function isCounted(f: Facts): boolean {
  return f.rule?.mode === 'sync' && f.rule.syncStandbys.includes(f.self) && f.state.reinit?.force !== true;
}

/** A copy is asked of a primary that serves, and of nobody else. */
function canClone(f: Facts): boolean {
  return f.holder !== undefined && f.holder !== f.self && f.upstream !== undefined && holderServes(f);
}
