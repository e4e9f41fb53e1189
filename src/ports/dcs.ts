/**
 * The store that all members trust. One contract test (test/dcs/contract.ts) holds every adapter to this file.
 *
 * The store knows nothing of roles: it keeps keys under the prefix of one cluster, compares revisions, and
 * ends leases. Keys here are relative to the cluster's prefix (`leader`, `members/pg1`).
 *
 * Keys under `events/` are for people: written like others, but in no snapshot (everybody reads snapshots all the time),
 * and it is not promised that a watch is told of them. `readEvents` gives them.
 *
 * No call throws for what the world does; each has a deadline and ends when `signal` aborts.
 */

/** A key as it is stored. Revisions count the changes of the whole store, or of the cluster: they only grow. */
export interface StoredKey {
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly leaseId?: string;
}

/** All keys of the cluster but those under `events/`, at one revision. */
export interface Snapshot {
  /** Identity of the store: another one means other contents, whatever the revisions say. */
  readonly storeId: string;
  readonly revision: number;
  readonly keys: ReadonlyMap<string, StoredKey>;
}

/** Compares and writes; applied as a whole, or refused. */
export interface StoreTransaction {
  /** `modRevision` 0: the key must be absent. */
  readonly compare: readonly { readonly key: string; readonly modRevision: number }[];
  /** `value` undefined deletes. A `leaseId` that does not live makes the transaction be refused. */
  readonly write: readonly { readonly key: string; readonly value: string | undefined; readonly leaseId?: string }[];
}

/** What became of a transaction, as far as this host can know: only `unanswered` may still take effect. */
export type StoreOutcome =
  | { readonly kind: 'applied'; readonly revision: number }
  | { readonly kind: 'refused' }
  | { readonly kind: 'not-sent'; readonly error: string }
  | { readonly kind: 'unanswered'; readonly error: string };

/** The keys, or why they could not be read. */
export type ReadOutcome =
  | { readonly kind: 'read'; readonly snapshot: Snapshot }
  | { readonly kind: 'failed'; readonly error: string };

/** What is under `events/`, by full key (`events/pg1`), or why it could not be read. */
export type EventsOutcome =
  | { readonly kind: 'read'; readonly events: ReadonlyMap<string, string> }
  | { readonly kind: 'failed'; readonly error: string };

/** What the store said of a lease; after `failed` it may live or not. */
export type LeaseOutcome =
  | { readonly kind: 'alive'; readonly leaseId: string; readonly ttlMs: number }
  | { readonly kind: 'gone' }
  | { readonly kind: 'failed'; readonly error: string };

/** Who is told what the keys are. */
export interface WatchListener {
  /**
   * The keys as they are now. Called once at the beginning and after every change (changes may be folded into
   * one call, none is missed), also when a lease's end removed a key.
   * `askedAt` is on this host's boot-time clock: the snapshot is of that moment, or later.
   */
  onSnapshot(snapshot: Snapshot, askedAt: number): void;
  /** Somebody's `beat`. Each is told at most once; one may be lost. */
  onAlive(member: string, term: number): void;
  /** The watch does not see the store (any more). It goes on trying by itself; `onSnapshot` follows when it is back. */
  onLost(error: string): void;
}

/** The store as one member reaches it. */
export interface Dcs {
  /** Where it is, for people; without secrets. */
  readonly description: string;
  /** Linearizable: never older than any write that was answered before the call. */
  read(signal: AbortSignal): Promise<ReadOutcome>;
  readEvents(signal: AbortSignal): Promise<EventsOutcome>;
  transact(transaction: StoreTransaction, signal: AbortSignal): Promise<StoreOutcome>;
  /** The granted TTL may be longer than asked for, never shorter. */
  grantLease(ttlMs: number, signal: AbortSignal): Promise<LeaseOutcome>;
  renewLease(leaseId: string, signal: AbortSignal): Promise<LeaseOutcome>;
  /** Ends the lease and deletes its keys. `gone` is the good outcome. */
  revokeLease(leaseId: string, signal: AbortSignal): Promise<LeaseOutcome>;
  /**
   * A sign of life, for all who watch this cluster, at whatever store they are (the sender's own watch too). It is not stored,
   * nobody waits for it, and one that cannot be sent soon is dropped: the next one comes.
   */
  beat(term: number, member: string): void;
  /** Begins to watch; returns how to end it. */
  watch(listener: WatchListener): () => void;
  close(): Promise<void>;
}
