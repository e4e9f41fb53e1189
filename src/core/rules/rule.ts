import type { Job, Transaction } from '../effects.ts';
import type { Facts } from '../facts.ts';
import type { Endpoint, Ground, Position } from '../model.ts';
import type { SyncSet } from '../sync-standbys.ts';

/** What a rule wants done. `act.ts` turns it into effects, once. */
export type Goal =
  /** Nothing but the chores. */
  | { readonly kind: 'wait' }
  /** Begin the job, unless one runs. */
  | { readonly kind: 'job'; readonly job: Job }
  /** Stop the instance in order, whatever job runs. `unable`: it lives and cannot serve, and is to give up the key. */
  | { readonly kind: 'stop-now'; readonly unable?: string }
  /** End the instance at once, whatever job runs. */
  | { readonly kind: 'fence'; readonly unable?: string }
  | { readonly kind: 'transact'; readonly transaction: Transaction }
  | { readonly kind: 'found'; readonly systemId: string }
  | { readonly kind: 'take'; readonly ground: Ground }
  /** Renew the lease that an earlier life of this agent left on the key. */
  | { readonly kind: 'reclaim'; readonly leaseId: string }
  | { readonly kind: 'give-up'; readonly leaseId: string }
  | {
      readonly kind: 'release';
      readonly candidate: string | undefined;
      readonly clean: boolean;
      readonly abstain: boolean;
    }
  /** Make my position known: in asynchronous mode only that, in synchronous mode it revokes. */
  | { readonly kind: 'announce' | 'revoke' }
  | { readonly kind: 'take-back' }
  | { readonly kind: 'tighten-postgres'; readonly to: SyncSet }
  | { readonly kind: 'catch-up'; readonly source: Endpoint; readonly target: Position }
  | { readonly kind: 'refuse-request'; readonly reason: string }
  | { readonly kind: 'switchover'; readonly candidate: string }
  | { readonly kind: 'record-term' }
  /** The shutdown that was asked for is done. */
  | { readonly kind: 'farewell' };

/** One row of the decision table. First match wins. */
export interface Rule {
  /** In the log, the API, the metrics and the tests. */
  readonly name: string;
  /** When it holds, in words: the documentation's decision table is made of it. */
  readonly condition: string;
  /**
   * What it wants, in the words of the log: a job, a transaction of the protocol, or to wait. Where something that it
   * needs is not known the goal is to wait, whatever stands here.
   */
  readonly does: string;
  readonly when: (facts: Facts) => boolean;
  readonly goal: (facts: Facts) => Goal;
  /** The facts that made it hold, for people. */
  readonly because: (facts: Facts) => string;
}

export const wait: Goal = { kind: 'wait' };

/** Whether a job of this kind may be tried (again) now. */
export function mayTry(facts: Facts, kind: Job['kind']): boolean {
  const failure = facts.state.failures.get(kind);
  return failure === undefined || facts.now >= failure.retryAt;
}

/** ` (attempt 2; the last one: ...)`, or nothing when it is the first. */
export function attemptText(facts: Facts, kind: Job['kind']): string {
  const failure = facts.state.failures.get(kind);
  // A crash is the first failure of a start: the restart that follows is no second attempt yet.
  const first = kind === 'start' ? 2 : 1;
  return failure === undefined || failure.count < first
    ? ''
    : ` (attempt ${failure.count + 1}; the last one: ${failure.error})`;
}
