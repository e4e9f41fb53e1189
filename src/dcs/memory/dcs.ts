/** The DCS port on the model, for tests: with a clock of the test's choice, and faults. */
import type { Dcs, LeaseOutcome, Snapshot, StoreOutcome, WatchListener } from '../../ports/dcs.ts';
import { expire, grantLease, type Model, nextEnd, renewLease, restart, revokeLease, transact } from './model.ts';

/**
 * What happens to calls. `outage`: nothing gets there, and the watch is lost. `lose-request`: it never arrives, and the
 * caller cannot know. `lose-reply`: it is done, and the caller cannot know. `late`: as `lose-reply`, but it is done only
 * when `applyLate` is called.
 */
type Fault = 'none' | 'outage' | 'lose-request' | 'lose-reply' | 'late';

/** A store in memory, and what can be done to it. */
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

/** What the accesses to one model have in common: how each tells its watches. */
export interface MemoryPeer {
  /** Of changes. */
  readonly tell: () => void;
  readonly alive: (member: string, term: number) => void;
}

/** One member's access to `model`; several share a model through `peers`. */
export function createMemoryDcs(
  model: Model<string>,
  now: () => number,
  peers: Set<MemoryPeer> = new Set(),
): MemoryDcs {
  const access: Access = { model, now, peers, watches: new Set(), fault: 'none', late: [] };
  const settle = (): void => {
    if ((nextEnd(model) ?? Number.POSITIVE_INFINITY) <= now()) expire(model, now());
    tellAll(access);
  };
  const mine: MemoryPeer = {
    tell: () => tell(access),
    alive: (member, term) => tellAlive(access, member, term),
  };
  const timer = setInterval(settle, 5);
  timer.unref();
  peers.add(mine);
  return {
    description: 'memory',
    ...storeCalls(model, now, (signal, run) => done(access, signal, run)),
    beat(term, member) {
      if (access.fault === 'none' || access.fault === 'lose-reply') for (const peer of peers) peer.alive(member, term);
    },
    watch: (listener) => watch(access, listener),
    async close() {
      clearInterval(timer);
      access.watches.clear();
      peers.delete(mine);
    },
    setFault: (fault) => setFault(access, fault),
    applyLate() {
      const kept = access.late;
      access.late = [];
      for (const run of kept) run();
      tellAll(access);
    },
    restart: () => restart(model, now()),
    setStoreId(storeId) {
      model.storeId = storeId;
      tellAll(access);
    },
    settle,
  };
}

interface Access {
  readonly model: Model<string>;
  readonly now: () => number;
  readonly peers: Set<MemoryPeer>;
  readonly watches: Set<{ readonly listener: WatchListener; told: string; telling: boolean }>;
  fault: Fault;
  late: (() => void)[];
}

// As over a network: never inside the call that caused it, and changes that come together are told as one.
function tell(access: Access): void {
  const { model, watches, now } = access;
  const version = (): string => `${model.storeId} ${model.revision}`;
  for (const one of watches) {
    if (one.telling || one.told === version()) continue;
    one.telling = true;
    queueMicrotask(() => {
      one.telling = false;
      if (!watches.has(one) || access.fault === 'outage') return;
      one.told = version();
      one.listener.onSnapshot(snapshotOf(model), now());
    });
  }
}

function tellAll({ peers }: Access): void {
  for (const peer of peers) peer.tell();
}

function tellAlive({ watches, fault }: Access, member: string, term: number): void {
  if (fault === 'outage') return;
  for (const one of watches) queueMicrotask(() => watches.has(one) && one.listener.onAlive(member, term));
}

type Lost = { readonly kind: 'not-sent' | 'unanswered'; readonly error: string };

/** Does it to the store, or lets a fault happen to it. */
async function done<Outcome>(access: Access, signal: AbortSignal, run: () => Outcome): Promise<Outcome | Lost> {
  await Promise.resolve();
  if (signal.aborted) return { kind: 'not-sent', error: 'the call was cancelled' };
  if (access.fault === 'outage') return { kind: 'not-sent', error: 'the store is not there' };
  const lost: Lost = { kind: 'unanswered', error: 'the answer was lost' };
  if (access.fault === 'lose-request') return lost;
  if (access.fault === 'late') {
    access.late.push(run);
    return lost;
  }
  const outcome = run();
  tellAll(access);
  return access.fault === 'lose-reply' ? lost : outcome;
}

function watch(access: Access, listener: WatchListener): () => void {
  const mine = { listener, told: '', telling: false };
  access.watches.add(mine);
  if (access.fault !== 'outage') tell(access);
  else queueMicrotask(() => listener.onLost('the store is not there'));
  return () => void access.watches.delete(mine);
}

function setFault(access: Access, fault: Fault): void {
  if (fault === 'outage' && access.fault !== 'outage') {
    for (const one of access.watches) {
      one.told = '';
      one.listener.onLost('the store is not there');
    }
  }
  access.fault = fault;
  tell(access);
}

type Done = <Outcome>(signal: AbortSignal, run: () => Outcome) => Promise<Outcome | Lost>;

function storeCalls(
  model: Model<string>,
  now: () => number,
  done: Done,
): Pick<Dcs, 'read' | 'readEvents' | 'transact' | 'grantLease' | 'renewLease' | 'revokeLease'> {
  return {
    async read(signal) {
      const outcome = await done(signal, () => {
        expire(model, now());
        return { kind: 'read' as const, snapshot: snapshotOf(model) };
      });
      return outcome.kind === 'read' ? outcome : { kind: 'failed', error: outcome.error };
    },
    async readEvents(signal) {
      const outcome = await done(signal, () => {
        const events = [...model.keys].filter(([key]) => isEvent(key)).map(([key, { value }]) => [key, value] as const);
        return { kind: 'read' as const, events: new Map(events) };
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
  const keys = [...model.keys].filter(([key]) => !isEvent(key));
  return { storeId: model.storeId, revision: model.revision, keys: new Map(keys) };
}

function isEvent(key: string): boolean {
  return key.startsWith('events/');
}

function failed(outcome: LeaseOutcome | Lost): LeaseOutcome {
  if (outcome.kind === 'alive' || outcome.kind === 'gone') return outcome;
  return { kind: 'failed', error: outcome.error };
}
