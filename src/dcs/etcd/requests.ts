/** What is asked of etcd, and what its answers say, in the words of the port. */
import { Code, ConnectError } from '@connectrpc/connect';
import type { Snapshot, StoredKey, StoreTransaction } from '../../ports/dcs.ts';
import type { Request } from './endpoint.ts';
import { decode, encode, endOf } from './keys.ts';
import { formatLease, newLeaseId } from './leases.ts';
import type { KeyValue } from './messages.ts';

/** Beats are changes of this key. It is never read. */
export const aliveKey = 'alive';
/** What lies below is for people: in no snapshot. */
export const eventsFolder = 'events/';

/** All keys of the cluster but those that are in no snapshot, at one revision. Linearizable. */
export function readKeys(prefix: string): Request<Snapshot> {
  const range = (key: string, rangeEnd: string) => ({
    request: { case: 'requestRange' as const, value: { key: encode(key), rangeEnd: encode(rangeEnd) } },
  });
  const events = prefix + eventsFolder;
  const transaction = { success: [range(prefix, events), range(endOf(events), endOf(prefix))] };
  return async ({ kv }, options) => {
    const { header, responses } = await kv.txn(transaction, options);
    const found = responses.flatMap(({ response }) => response.value?.kvs ?? []);
    const keys = new Map<string, StoredKey>();
    for (const one of found) {
      const key = decode(one.key).slice(prefix.length);
      if (key !== aliveKey) keys.set(key, storedKey(one));
    }
    return { storeId: storeId(header?.clusterId), revision: Number(header?.revision), keys };
  };
}

function storedKey({ value, createRevision, modRevision, lease }: KeyValue): StoredKey {
  return {
    value: decode(value),
    createRevision: Number(createRevision),
    modRevision: Number(modRevision),
    ...(lease === 0n ? {} : { leaseId: formatLease(lease) }),
  };
}

/** As etcdctl shows it. */
function storeId(clusterId: bigint | undefined): string {
  return (clusterId ?? 0n).toString(16);
}

/** What is under `events/`, by key. */
export function readEvents(prefix: string): Request<ReadonlyMap<string, string>> {
  const folder = prefix + eventsFolder;
  const range = { key: encode(folder), rangeEnd: encode(endOf(folder)) };
  return async ({ kv }, options) => {
    const { kvs } = await kv.range(range, options);
    return new Map(kvs.map(({ key, value }) => [decode(key).slice(prefix.length), decode(value)]));
  };
}

/** `applied` undefined: the compares did not hold. */
export interface TransactionAnswer {
  readonly applied: { readonly revision: number } | undefined;
}

const equal = 0;
const modificationRevision = 2;

/** Leases are known to be ours. */
export function transact(
  prefix: string,
  { compare, write }: StoreTransaction,
  leaseOf: (leaseId: string) => bigint,
): Request<TransactionAnswer> {
  const transaction = {
    compare: compare.map(({ key, modRevision }) => ({
      result: equal,
      target: modificationRevision,
      key: encode(prefix + key),
      targetUnion: { case: 'modRevision' as const, value: BigInt(modRevision) },
    })),
    success: write.length === 0 ? [look(prefix)] : write.map((one) => writeOp(prefix, one, leaseOf)),
  };
  return async ({ kv }, options) => {
    const { header, succeeded } = await kv.txn(transaction, options);
    return { applied: succeeded ? { revision: Number(header?.revision) } : undefined };
  };
}

/** A transaction without any operation is answered by a member alone, which may be behind: this one needs the quorum. */
function look(prefix: string) {
  return { request: { case: 'requestRange' as const, value: { key: encode(prefix), countOnly: true } } };
}

function writeOp(
  prefix: string,
  { key, value, leaseId }: StoreTransaction['write'][number],
  leaseOf: (leaseId: string) => bigint,
) {
  const bytes = encode(prefix + key);
  if (value === undefined) return { request: { case: 'requestDeleteRange' as const, value: { key: bytes } } };
  const lease = leaseId === undefined ? {} : { lease: leaseOf(leaseId) };
  return { request: { case: 'requestPut' as const, value: { key: bytes, value: encode(value), ...lease } } };
}

/**
 * Landing twice, or late, it is applied once at most: a key that it writes has to be as it was seen, and no revision comes
 * again. Not so where a key has to be absent: it may have been deleted meanwhile.
 */
export function isAppliedOnce({ compare, write }: StoreTransaction): boolean {
  return compare.some(({ key, modRevision }) => modRevision > 0 && write.some((one) => one.key === key));
}

/** A sign of life. */
export function putBeat(prefix: string, term: number, member: string): Request<void> {
  const put = { key: encode(prefix + aliveKey), value: encode(`${term} ${member}`) };
  return async ({ kv }, options) => {
    await kv.put(put, options);
  };
}

/** A beat's member and term; undefined: not one of ours. */
export function readBeat(value: string): { readonly member: string; readonly term: number } | undefined {
  const found = /^(\d+) (.+)$/s.exec(value);
  return found?.[1] !== undefined && found[2] !== undefined ? { member: found[2], term: Number(found[1]) } : undefined;
}

/* ---------------------------------------------------------------- leases */

/** A lease that was granted. */
export interface Granted {
  readonly leaseId: string;
  readonly ttlMs: number;
}

/** Each attempt asks for a lease of its own; one that nobody learns of ends by itself. */
export function grantLease(prefix: string, ttlMs: number): Request<Granted> {
  const ttl = BigInt(Math.ceil(ttlMs / 1000));
  return async ({ lease }, options) => {
    const id = newLeaseId(prefix);
    const granted = await lease.leaseGrant({ id, ttl }, options);
    return { leaseId: formatLease(id), ttlMs: Number(granted.ttl) * 1000 };
  };
}

/** The lease's TTL in milliseconds; 0: it is gone. */
export function renewLease(id: bigint): Request<number> {
  return async ({ lease }, options) => {
    for await (const { ttl } of lease.leaseKeepAlive(one({ id }), options)) return Number(ttl) * 1000;
    throw new ConnectError('it ended the stream without an answer', Code.Unavailable);
  };
}

/** Ends it. Throws where there is none. */
export function revokeLease(id: bigint): Request<void> {
  return async ({ lease }, options) => {
    await lease.leaseRevoke({ id }, options);
  };
}

async function* one<Value>(value: Value): AsyncGenerator<Value> {
  yield value;
}
