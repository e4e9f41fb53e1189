/** The effects that go to the DCS: transactions, reads, leases, the watch. What comes of each returns as an event. */
import type { Effect } from '../core/effects.ts';
import type { ClusterView } from '../core/model.ts';
import { decodeView, encodeTransaction } from '../dcs/records.ts';
import type { LeaseOutcome } from '../ports/dcs.ts';
import type { Dispatch, World } from './world.ts';

type LeaseEffect = Extract<Effect, { kind: 'grant-lease' | 'renew-lease' | 'revoke-lease' }>;

/** None of them waits, fails or throws: the outcome is an event. */
export interface DcsEffects {
  readonly transact: (effect: Extract<Effect, { kind: 'transact' }>) => void;
  readonly read: () => void;
  readonly askLease: (effect: LeaseEffect) => void;
  /** Begins to watch; returns how to end it. */
  readonly watch: () => () => void;
  /** Wall clock, epoch seconds, of the last answer; undefined = never. */
  readonly lastSeenEpochS: () => number | undefined;
}

/**
 * Carries the effects out on `world.dcs` until `ending` aborts. `latestView`: records are written over what they hold
 * there, so that fields which others added are kept.
 */
export function dcsEffects(
  { dcs, clock, log }: World,
  dispatch: Dispatch,
  latestView: () => ClusterView | undefined,
  ending: AbortSignal,
): DcsEffects {
  let seenEpochS: number | undefined;

  function seen(): void {
    seenEpochS = Math.floor(Date.parse(clock.wall()) / 1000);
  }

  async function transact(effect: Extract<Effect, { kind: 'transact' }>): Promise<void> {
    const { id, transaction } = effect;
    const outcome = await dcs.transact(encodeTransaction(transaction, latestView()), ending);
    const quiet = transaction.write.some((write) => write.key === 'member');
    const error = 'error' in outcome ? { error: outcome.error } : {};
    if (outcome.kind === 'applied') seen();
    log[quiet ? 'debug' : 'info']('transaction', `${transaction.name}: ${outcome.kind}`, error);
    dispatch({ kind: 'transaction-answered', id, outcome, at: clock.wall() });
  }

  async function read(): Promise<void> {
    const askedAt = clock.now();
    const outcome = await dcs.read(ending);
    if (outcome.kind === 'failed') return dispatch({ kind: 'read-failed', error: outcome.error });
    seen();
    dispatch({ kind: 'dcs-read', view: decodeView(outcome.snapshot), askedAt });
  }

  async function askLease(effect: LeaseEffect): Promise<void> {
    // Before the sending: the holder's count has to begin earlier than the store's.
    const sentAt = clock.now();
    const outcome = await sendLease(effect);
    if (outcome.kind === 'alive') seen();
    if (effect.kind !== 'revoke-lease') tellLease(effect, outcome, sentAt);
  }

  function sendLease(effect: LeaseEffect): Promise<LeaseOutcome> {
    if (effect.kind === 'grant-lease') return dcs.grantLease(effect.ttlMs, ending);
    if (effect.kind === 'renew-lease') return dcs.renewLease(effect.leaseId, ending);
    return dcs.revokeLease(effect.leaseId, ending);
  }

  function tellLease(
    effect: Exclude<LeaseEffect, { kind: 'revoke-lease' }>,
    outcome: LeaseOutcome,
    sentAt: number,
  ): void {
    const { purpose } = effect;
    if (outcome.kind === 'failed') {
      log.warn('lease-failed', outcome.error, { purpose });
      dispatch({ kind: 'lease-failed', purpose, error: outcome.error });
    } else if (outcome.kind === 'gone') {
      log.warn('lease-gone', 'the DCS does not know the lease any more', { purpose });
      dispatch({ kind: 'lease-gone', purpose, leaseId: effect.kind === 'renew-lease' ? effect.leaseId : '' });
    } else {
      const { leaseId, ttlMs } = outcome;
      const kind = effect.kind === 'grant-lease' ? 'lease-granted' : 'lease-renewed';
      dispatch({ kind, purpose, sentAt, leaseId, ttlMs });
    }
  }

  return {
    transact: (effect) => void transact(effect),
    read: () => void read(),
    askLease: (effect) => void askLease(effect),
    watch: () =>
      dcs.watch({
        onSnapshot: (snapshot, askedAt) => {
          seen();
          dispatch({ kind: 'dcs-read', view: decodeView(snapshot), askedAt });
        },
        onLost: (error) => {
          log.warn('dcs-lost', error);
          dispatch({ kind: 'dcs-lost', error });
        },
      }),
    lastSeenEpochS: () => seenEpochS,
  };
}
