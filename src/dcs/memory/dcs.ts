/** The DCS port on the model, for tests: with a clock of the test's choice, and faults. */
import type { Dcs, LeaseOutcome, Snapshot, StoreOutcome, WatchListener } from '../../ports/dcs.ts';
import { expire, grantLease, type Model, nextEnd, renewLease, restart, revokeLease, transact } from './model.ts';

/**
 * What happens to calls. `outage`: nothing gets there, and the watch is lost. `lose-request`: it never arrives, and the
 * caller cannot know. `lose-reply`: it is done, and the caller cannot know. `late`: as `lose-reply`, but it is done only
 * when `applyLate` is called.
 */
type Fault = 'none' | 'outage' | 'lose-request' | 'lose-reply' | 'late';

export interface MemoryDcs extends Dcs {
  /** From now on, until the next `setFault`. */
  setFault(fault: Fault): void;
  /** Does what `late` kept back, in its order. */
  applyLate(): void;
  /** As when the store is restarted: every lease runs a full TTL again. */
  restart(): void;
  /** Another store with the same contents, as after a restore. */
  setStoreId(storeId: string): void;
  /** Ends what is due and tells the watches. Without it a lease's end is seen within some milliseconds. */
  settle(): void;
}

/** Does it to the store, or lets a fault happen to it. */
type Done = <Outcome>(signal: AbortSignal, run: () => Outcome) => Promise<Outcome | Lost>;
type Lost = { readonly kind: 'not-sent' | 'unanswered'; readonly error: string };

/** One member's access to `model`; several share a model through `peers`, the set of their `settle`s. */
export function createMemoryDcs(
  model: Model<string>,
  now: () => number,
  peers: Set<() => void> = new Set(),
): MemoryDcs {
  let fault: Fault = 'none';
  let late: (() => void)[] = [];
  const watches = new Set<{ readonly listener: WatchListener; told: string; telling: boolean }>();

  const timer = setInterval(() => settle(), 5);
  timer.unref();
  peers.add(tell);

  // As over a network: never inside the call that caused it, and changes that come together are told as one.
  function tell(): void {
    for (const watch of watches) {
      if (watch.telling || watch.told === version()) continue;
      watch.telling = true;
      queueMicrotask(() => {
        watch.telling = false;
        if (!watches.has(watch) || fault === 'outage') return;
        watch.told = version();
        watch.listener.onSnapshot(snapshotOf(model), now());
      });
    }
  }

  const version = (): string => `${model.storeId} ${model.revision}`;

  function tellAll(): void {
    for (const peer of peers) peer();
  }

  function settle(): void {
    if ((nextEnd(model) ?? Number.POSITIVE_INFINITY) <= now()) expire(model, now());
    tellAll();
  }

  const done: Done = async (signal, run) => {
    await Promise.resolve();
    if (signal.aborted) return { kind: 'not-sent', error: 'the call was cancelled' };
    if (fault === 'outage') return { kind: 'not-sent', error: 'the store is not there' };
    const lost: Lost = { kind: 'unanswered', error: 'the answer was lost' };
    if (fault === 'lose-request') return lost;
    if (fault === 'late') {
      late.push(run);
      return lost;
    }
    const outcome = run();
    tellAll();
    return fault === 'lose-reply' ? lost : outcome;
  };

  return {
    description: 'memory',
    ...storeCalls(model, now, done),
    watch(listener) {
      const watch = { listener, told: '', telling: false };
      watches.add(watch);
      if (fault !== 'outage') tell();
      else queueMicrotask(() => listener.onLost('the store is not there'));
      return () => void watches.delete(watch);
    },
    async close() {
      clearInterval(timer);
      watches.clear();
      peers.delete(tell);
    },
    setFault(next) {
      if (next === 'outage' && fault !== 'outage') {
        for (const watch of watches) {
          watch.told = '';
          watch.listener.onLost('the store is not there');
        }
      }
      fault = next;
      tell();
    },
    applyLate() {
      const kept = late;
      late = [];
      for (const run of kept) run();
      tellAll();
    },
    restart: () => restart(model, now()),
    setStoreId(storeId) {
      model.storeId = storeId;
      tellAll();
    },
    settle,
  };
}

function storeCalls(
  model: Model<string>,
  now: () => number,
  done: Done,
): Pick<Dcs, 'read' | 'transact' | 'grantLease' | 'renewLease' | 'revokeLease'> {
  return {
    async read(signal) {
      const outcome = await done(signal, () => {
        expire(model, now());
        return { kind: 'read' as const, snapshot: snapshotOf(model) };
      });
      return outcome.kind === 'read' ? outcome : { kind: 'failed', error: outcome.error };
    },
    transact: (transaction, signal): Promise<StoreOutcome> => done(signal, () => transact(model, transaction, now())),
    async grantLease(ttlMs, signal) {
      return failed(
        await done(signal, () => ({ kind: 'alive' as const, leaseId: grantLease(model, ttlMs, now()), ttlMs })),
      );
    },
    async renewLease(leaseId, signal) {
      return failed(
        await done(signal, (): LeaseOutcome => {
          const ttlMs = renewLease(model, leaseId, now());
          return ttlMs === undefined ? { kind: 'gone' } : { kind: 'alive', leaseId, ttlMs };
        }),
      );
    },
    async revokeLease(leaseId, signal) {
      return failed(
        await done(signal, (): LeaseOutcome => {
          revokeLease(model, leaseId, now());
          return { kind: 'gone' };
        }),
      );
    },
  };
}

function snapshotOf(model: Model<string>): Snapshot {
  return { storeId: model.storeId, revision: model.revision, keys: new Map(model.keys) };
}

function failed(outcome: LeaseOutcome | Lost): LeaseOutcome {
  if (outcome.kind === 'alive' || outcome.kind === 'gone') return outcome;
  return { kind: 'failed', error: outcome.error };
}
