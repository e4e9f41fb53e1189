/** What the DCS says of leases, folded into the state. */
import type { LeasePurpose } from './effects.ts';
import type { Event } from './events.ts';
import { factsOf } from './facts.ts';
import { renewed, retryLeaseAfterMs } from './lease.ts';
import type { Instant } from './model.ts';
import type { State } from './state.ts';

/** A new lease: it counts from the sending of its request. */
export function observeGrant(state: State, event: Extract<Event, { kind: 'lease-granted' }>): State {
  const { purpose, leaseId, ttlMs, sentAt } = event;
  const lease = { purpose, leaseId, ttlMs, askedTtlMs: event.askedTtlMs, validFrom: sentAt };
  return purpose === 'leader'
    ? { ...state, leaderLease: lease, leaderLeaseBusyUntil: undefined }
    : { ...state, memberLease: lease, memberLeaseBusyUntil: undefined };
}

/** A renewal was answered. */
export function observeRenewal(state: State, event: Extract<Event, { kind: 'lease-renewed' }>): State {
  const { purpose, leaseId, ttlMs, sentAt } = event;
  const lease = purpose === 'leader' ? state.leaderLease : state.memberLease;
  if (lease?.leaseId === leaseId) {
    const next = renewed(lease, sentAt, ttlMs);
    return purpose === 'leader'
      ? { ...state, leaderLease: next, leaderLeaseBusyUntil: undefined }
      : { ...state, memberLease: next, memberLeaseBusyUntil: undefined };
  }
  // The lease of an earlier life of this agent, asked for by the rule reclaim-key.
  const isReclaimed =
    purpose === 'leader' && state.view?.leader?.leaseId === leaseId && !state.abandonedLeases.includes(leaseId);
  if (!isReclaimed) return state;
  return {
    ...state,
    leaderLease: { purpose, leaseId, ttlMs, askedTtlMs: ttlMs, validFrom: sentAt },
    leaderLeaseBusyUntil: undefined,
  };
}

/** No answer, or an error: it is asked for again soon. */
export function observeLeaseFailure(state: State, purpose: LeasePurpose, now: Instant): State {
  const busyUntil = now + retryLeaseAfterMs(factsOf(state, now).settings.ttlMs);
  return purpose === 'leader'
    ? { ...state, leaderLeaseBusyUntil: busyUntil }
    : { ...state, memberLeaseBusyUntil: busyUntil };
}

/** The DCS does not know the lease. */
export function observeLeaseGone(state: State, leaseId: string, now: Instant): State {
  const next: State = { ...state, viewNeededSince: now };
  if (state.memberLease?.leaseId === leaseId)
    return { ...next, memberLease: undefined, memberLeaseBusyUntil: undefined };
  if (state.leaderLease?.leaseId === leaseId) {
    // The key went with it, whatever the view still says. Until the deadline passes or the key is re-taken, the
    // deadline goes on counting: `armedUntil` keeps it.
    return {
      ...next,
      leaderLease: undefined,
      leaderLeaseBusyUntil: undefined,
      abandonedLeases: abandon(state, leaseId),
    };
  }
  return { ...next, leaderLeaseBusyUntil: undefined };
}

/** Only the newest matter: a key on an older one has long expired. */
export function abandon(state: State, leaseId: string): readonly string[] {
  return [...state.abandonedLeases.filter((one) => one !== leaseId), leaseId].slice(-8);
}
