/** What people asked for, at the member that has to do it. */
import { candidatesByFlush, liveCandidates } from '../candidates.ts';
import type { Facts } from '../facts.ts';
import type { FailoverRequest } from '../model.ts';
import { checkSwitchover } from '../switchover.ts';
import { type Rule, wait } from './rule.ts';

export const operatorRules: readonly Rule[] = [
  {
    name: 'shutdown-in-pause',
    condition: 'The agent is to end while the cluster is paused',
    does: 'farewell',
    when: (f) => f.state.shutdown !== undefined && f.paused,
    goal: () => ({ kind: 'farewell' }),
    because: () => 'the cluster is paused: PostgreSQL is left running',
  },
  {
    name: 'shutdown-stop',
    condition: 'The agent is to end, and the instance runs',
    does: 'fast stop',
    when: (f) => f.state.shutdown !== undefined && isUp(f) && f.foreignSystemId === undefined,
    goal: () => ({ kind: 'job', job: { kind: 'stop', mode: 'fast' } }),
    because: () => 'the agent was told to end',
  },
  {
    name: 'shutdown-release',
    condition: 'The agent is to end, the instance is down, and the leader key is mine',
    does: 'release',
    when: (f) => f.state.shutdown !== undefined && f.iHold,
    goal: (f) => ({ kind: 'release', candidate: bestCandidate(f), clean: stoppedCleanly(f), abstain: true }),
    because: () => 'the agent was told to end; the key is free for whoever has all WAL',
  },
  {
    name: 'shutdown-done',
    condition: 'The agent is to end, and nothing is left to do',
    does: 'farewell',
    when: (f) => f.state.shutdown !== undefined,
    goal: () => ({ kind: 'farewell' }),
    because: () => 'the instance is down and the leader key is not mine',
  },
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
    name: 'switchover-release',
    condition: 'A switchover is under way, and the instance was shut down cleanly',
    does: 'release (handover)',
    when: (f) =>
      f.iHold && f.state.switchover !== undefined && f.state.switchover.phase !== 'checkpoint' && stoppedCleanly(f),
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
    name: 'reinit-stop',
    condition: 'A reinit was asked for, and the instance runs as a replica',
    does: 'fast stop',
    when: (f) => f.state.reinit && isUp(f) && !f.mayWrite && canClone(f),
    goal: () => ({ kind: 'job', job: { kind: 'stop', mode: 'fast' } }),
    because: () => 'an operator asked for a new copy of the primary',
  },
  {
    name: 'reinit-clone',
    condition: 'A reinit was asked for, and the instance is down',
    does: 'clone',
    when: (f) => f.state.reinit && f.instance === 'stopped' && canClone(f),
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

function isUp(f: Facts): boolean {
  return ['primary', 'replica', 'starting', 'silent'].includes(f.instance);
}

/** pg_control says so: every connected replica was sent all WAL before the end. */
export function stoppedCleanly(f: Facts): boolean {
  return (
    f.instance === 'stopped' &&
    f.postgres?.directory.kind === 'present' &&
    f.postgres.directory.control.state === 'shut down'
  );
}

function bestCandidate(f: Facts): string | undefined {
  return candidatesByFlush(f).find((one) => one.reason === undefined)?.member ?? liveCandidates(f)[0];
}

function canClone(f: Facts): boolean {
  return f.holder !== undefined && f.holder !== f.self && f.upstream !== undefined;
}
