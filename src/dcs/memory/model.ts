/**
 * A DCS as a value that changes: synchronous and deterministic, with the caller's clock. The simulator's world and
 * the tests' store are made of it; the contract test holds it to what real stores do.
 *
 * `Value` is what a key holds: text for the port, records as they are for the simulator.
 */

interface ModelKey<Value> {
  readonly value: Value;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly leaseId?: string;
}

interface ModelLease {
  readonly ttlMs: number;
  /** On the caller's clock. At this moment the lease is over. */
  endsAt: number;
}

/** The whole store. */
export interface Model<Value> {
  storeId: string;
  revision: number;
  readonly keys: Map<string, ModelKey<Value>>;
  readonly leases: Map<string, ModelLease>;
  /** Leases given out so far: names are never used again. */
  granted: number;
}

/** As the port's, with values of any kind. */
export interface ModelTransaction<Value> {
  /** `modRevision` 0: the key must be absent. */
  readonly compare: readonly { readonly key: string; readonly modRevision: number }[];
  /** `value` undefined deletes. */
  readonly write: readonly { readonly key: string; readonly value: Value | undefined; readonly leaseId?: string }[];
}

/** A model answers always. */
export type ModelOutcome = { readonly kind: 'applied'; readonly revision: number } | { readonly kind: 'refused' };

/** A store without keys, at revision 0. */
export function createModel<Value>(storeId: string): Model<Value> {
  return { storeId, revision: 0, keys: new Map(), leases: new Map(), granted: 0 };
}

/** Ends the leases that are due at `now`. Every other function does so first. True when keys were deleted. */
export function expire<Value>(model: Model<Value>, now: number): boolean {
  const before = model.revision;
  for (const [leaseId, { endsAt }] of model.leases) if (endsAt <= now) end(model, leaseId);
  return model.revision > before;
}

/** When the next lease ends; undefined when there is none. */
export function nextEnd<Value>(model: Model<Value>): number | undefined {
  let next: number | undefined;
  for (const { endsAt } of model.leases.values()) if (next === undefined || endsAt < next) next = endsAt;
  return next;
}

/**
 * Applied as a whole, or refused: a compare does not hold, or a lease does not live. Writing the same key twice is a
 * bug of the caller, and throws. Without writes the revision stays.
 */
export function transact<Value>(
  model: Model<Value>,
  { compare, write }: ModelTransaction<Value>,
  now: number,
): ModelOutcome {
  if (new Set(write.map(({ key }) => key)).size < write.length) {
    throw new Error('a transaction may write each key once');
  }
  expire(model, now);
  const holds = compare.every(({ key, modRevision }) => (model.keys.get(key)?.modRevision ?? 0) === modRevision);
  const alive = write.every(({ leaseId }) => leaseId === undefined || model.leases.has(leaseId));
  if (!holds || !alive) return { kind: 'refused' };
  if (write.length > 0) model.revision++;
  for (const { key, value, leaseId } of write) {
    if (value === undefined) {
      model.keys.delete(key);
      continue;
    }
    const createRevision = model.keys.get(key)?.createRevision ?? model.revision;
    const stored = { value, createRevision, modRevision: model.revision };
    model.keys.set(key, leaseId === undefined ? stored : { ...stored, leaseId });
  }
  return { kind: 'applied', revision: model.revision };
}

/** The new lease's name. */
export function grantLease<Value>(model: Model<Value>, ttlMs: number, now: number): string {
  model.granted++;
  const leaseId = String(model.granted);
  model.leases.set(leaseId, { ttlMs, endsAt: now + ttlMs });
  return leaseId;
}

/** The lease's TTL, which runs anew; undefined when it is gone. */
export function renewLease<Value>(model: Model<Value>, leaseId: string, now: number): number | undefined {
  expire(model, now);
  const lease = model.leases.get(leaseId);
  if (lease === undefined) return undefined;
  lease.endsAt = now + lease.ttlMs;
  return lease.ttlMs;
}

/** Ends the lease and deletes its keys; nothing when it has ended already. */
export function revokeLease<Value>(model: Model<Value>, leaseId: string, now: number): void {
  expire(model, now);
  end(model, leaseId);
}

/** The store was restarted: keys stay, every lease runs a full TTL again. */
export function restart<Value>(model: Model<Value>, now: number): void {
  for (const lease of model.leases.values()) lease.endsAt = now + lease.ttlMs;
}

function end<Value>(model: Model<Value>, leaseId: string): void {
  model.leases.delete(leaseId);
  const keys = [...model.keys].filter(([, stored]) => stored.leaseId === leaseId);
  if (keys.length > 0) model.revision++;
  for (const [key] of keys) model.keys.delete(key);
}
