/**
 * Leases of etcd belong to no cluster: ours carry a mark of the cluster's prefix in their number, so that no key is ever put
 * on a lease of somebody else. Each number is asked for once only: a lease that was revoked never comes back, whatever lands late.
 */
import { createHash, randomBytes } from 'node:crypto';

/** 31 bits of the prefix, and 32 of chance: a positive number of 63 bits, and never 0, which etcd takes for "choose one". */
export function newLeaseId(prefix: string): bigint {
  const chance = BigInt(randomBytes(4).readUInt32BE());
  return (markOf(prefix) << 32n) | chance || 1n;
}

/** As etcdctl shows it: hexadecimal. */
export function formatLease(id: bigint): string {
  return id.toString(16);
}

/** Undefined: no name of a lease of etcd. */
export function parseLease(text: string): bigint | undefined {
  if (!/^[0-9a-f]{1,16}$/.test(text)) return undefined;
  const id = BigInt(`0x${text}`);
  return id > 0n && id < 1n << 63n ? id : undefined;
}

/** As `parseLease`, of one that was granted for this prefix. */
export function parseOwnLease(text: string, prefix: string): bigint | undefined {
  const id = parseLease(text);
  return id !== undefined && id >> 32n === markOf(prefix) ? id : undefined;
}

function markOf(prefix: string): bigint {
  return BigInt(createHash('sha256').update(prefix).digest().readUInt32BE() >>> 1);
}
