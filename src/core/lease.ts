/**
 * The arithmetic of leases. The holder counts from the moment *before* it sent the request that was answered:
 * the DCS began to count later, so what the holder believes always ends first.
 */
import type { LeasePurpose } from './effects.ts';
import type { Instant } from './model.ts';

/** A lease as its holder knows it. */
export interface Lease {
  readonly purpose: LeasePurpose;
  readonly leaseId: string;
  readonly ttlMs: number;
  /** What was asked for: a DCS may grant more. */
  readonly askedTtlMs: number;
  /** When the last answered grant or renewal was sent. */
  readonly validFrom: Instant;
}

/** Fencing starts this long before the TTL is over, so that it is over when the TTL is. */
export function marginMs(ttlMs: number): number {
  return ttlMs / 5;
}

/** From here on the holder may not write any more. */
export function deadlineOf(lease: Lease): Instant {
  return lease.validFrom + lease.ttlMs - marginMs(lease.ttlMs);
}

/** When the next renewal is due: three may fail before the deadline. */
export function renewalDueAt(lease: Lease): Instant {
  return lease.validFrom + renewalEveryMs(lease.ttlMs);
}

/** Five renewals in a TTL. */
export function renewalEveryMs(ttlMs: number): number {
  return ttlMs / 5;
}

/** How soon a failed lease request is tried again. */
export function retryLeaseAfterMs(ttlMs: number): number {
  return Math.max(100, ttlMs / 20);
}

/** A lease after a renewal sent at `sentAt` was answered. Answers may overtake each other: it never goes back. */
export function renewed(lease: Lease, sentAt: Instant, ttlMs: number): Lease {
  const candidate: Lease = { ...lease, validFrom: sentAt, ttlMs };
  return deadlineOf(candidate) > deadlineOf(lease) ? candidate : lease;
}
