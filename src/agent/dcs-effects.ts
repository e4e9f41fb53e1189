/** The effects that go to the DCS: transactions, reads, leases, the watch. What comes of each returns as an event. */
import type { Effect } from '../core/effects.ts';
import type { ClusterView, Instant } from '../core/model.ts';
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
  world: World,
  dispatch: Dispatch,
  latestView: () => ClusterView | undefined,
  ending: AbortSignal,
): DcsEffects {
  let seenEpochS: number | undefined;
  const seen = (): void => {
    seenEpochS = Math.floor(Date.parse(world.clock.wall()) / 1000);
  };
  const way: Way = { world, dispatch, latestView, ending, seen };
  return {
    transact: (effect) => void transact(way, effect),
    read: () => void read(way),
    askLease: (effect) => void askLease(way, effect),
    watch: () => watch(way),
    lastSeenEpochS: () => seenEpochS,
  };
}

interface Way {
  readonly world: World;
  readonly dispatch: Dispatch;
  readonly latestView: () => ClusterView | undefined;
  readonly ending: AbortSignal;
  /** The DCS answered. */
  readonly seen: () => void;
}

async function transact(
  { world: { dcs, clock, log }, dispatch, latestView, ending, seen }: Way,
  { id, transaction }: Extract<Effect, { kind: 'transact' }>,
): Promise<void> {
  const outcome = await dcs.transact(encodeTransaction(transaction, latestView()), ending);
  const quiet = transaction.write.some(({ key }) => key === 'member' || key === 'events');
  const error = 'error' in outcome ? { error: outcome.error } : {};
  if (outcome.kind === 'applied') seen();
  log[quiet ? 'debug' : 'info']('transaction', `${transaction.name}: ${outcome.kind}`, error);
  dispatch({ kind: 'transaction-answered', id, outcome, at: clock.wall() });
}

async function read({ world: { dcs, clock }, dispatch, ending, seen }: Way): Promise<void> {
  const askedAt = clock.now();
  const outcome = await dcs.read(ending);
  if (outcome.kind === 'failed') return dispatch({ kind: 'read-failed', error: outcome.error });
  seen();
  dispatch({ kind: 'dcs-read', view: decodeView(outcome.snapshot), askedAt });
}

async function askLease(way: Way, effect: LeaseEffect): Promise<void> {
  // Before the sending: the holder's count has to begin earlier than the store's.
  const sentAt = way.world.clock.now();
  const outcome = await sendLease(way, effect);
  if (outcome.kind === 'alive') way.seen();
  if (effect.kind !== 'revoke-lease') tellLease(way, effect, outcome, sentAt);
}

function sendLease({ world: { dcs }, ending }: Way, effect: LeaseEffect): Promise<LeaseOutcome> {
  if (effect.kind === 'grant-lease') return dcs.grantLease(effect.ttlMs, ending);
  if (effect.kind === 'renew-lease') return dcs.renewLease(effect.leaseId, ending);
  return dcs.revokeLease(effect.leaseId, ending);
}

function tellLease(
  { world: { log }, dispatch }: Way,
  effect: Exclude<LeaseEffect, { kind: 'revoke-lease' }>,
  outcome: LeaseOutcome,
  sentAt: Instant,
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
    if (effect.kind === 'renew-lease') dispatch({ kind: 'lease-renewed', purpose, sentAt, leaseId, ttlMs });
    else dispatch({ kind: 'lease-granted', purpose, sentAt, leaseId, ttlMs, askedTtlMs: effect.ttlMs });
  }
}

function watch({ world: { dcs, log }, dispatch, seen }: Way): () => void {
  return dcs.watch({
    onSnapshot: (snapshot, askedAt) => {
      seen();
      dispatch({ kind: 'dcs-read', view: decodeView(snapshot), askedAt });
    },
    onAlive: (member, term) => dispatch({ kind: 'alive', member, term }),
    onLost: (error) => {
      log.warn('dcs-lost', error);
      dispatch({ kind: 'dcs-lost', error });
    },
  });
}
