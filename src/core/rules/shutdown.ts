/** The agent is to end: an instance that nobody stands over any more must not be left writable. */
import type { Facts } from '../facts.ts';
import { isUp, stoppedCleanly } from './instance.ts';
import { type Rule, wait } from './rule.ts';

export const shutdownRules: readonly Rule[] = [
  {
    name: 'shutdown-stop',
    condition: 'The agent is to end, and the instance runs, or is worked on',
    does: 'fast stop',
    when: (f) =>
      f.state.shutdown !== undefined &&
      !f.paused &&
      isOurs(f) &&
      (isUp(f) || f.state.job !== undefined) &&
      !isStopping(f),
    goal: () => ({ kind: 'stop-now' }),
    because: () => 'the agent was told to end',
  },
  {
    name: 'shutdown-busy',
    condition: 'The agent is to end, and something is under way that has to be waited for',
    does: 'wait',
    when: (f) => f.state.shutdown !== undefined && (f.state.job !== undefined || f.state.ruleTransaction !== undefined),
    goal: () => wait,
    because: (f) =>
      `waiting for the end of: ${f.state.job?.job.kind ?? f.state.ruleTransaction?.transaction.name ?? ''}`,
  },
  {
    name: 'shutdown-in-pause',
    condition:
      'The agent is to end while the cluster is paused, and nobody takes over from an instance without a guard',
    does: 'farewell',
    when: (f) => f.state.shutdown !== undefined && f.paused && (!f.mayWrite || f.state.durable.disarmed),
    goal: () => ({ kind: 'farewell' }),
    because: () => 'the cluster is paused: PostgreSQL is left running',
  },
  {
    name: 'shutdown-release',
    condition: 'The agent is to end, the instance is down, and the leader key is mine',
    does: 'release',
    when: (f) => f.state.shutdown !== undefined && !f.paused && f.iHold,
    goal: (f) => ({ kind: 'release', candidate: undefined, clean: stoppedCleanly(f), abstain: true }),
    because: () => 'the agent was told to end; the key is free for whoever has all WAL',
  },
  {
    name: 'shutdown-done',
    condition: 'The agent is to end, and nothing is left to do',
    does: 'farewell',
    when: (f) => f.state.shutdown !== undefined && !f.paused,
    goal: () => ({ kind: 'farewell' }),
    because: () => 'nothing of this member runs, and the leader key is not mine',
  },
];

/** An instance that was never part of a cluster of ours is left as it is. */
function isOurs(f: Facts): boolean {
  return f.foreignSystemId === undefined && (f.state.durable.maxTerm > 0 || f.state.job !== undefined);
}

function isStopping(f: Facts): boolean {
  return f.state.job?.job.kind === 'stop';
}
