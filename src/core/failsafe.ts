/**
 * The DCS is away: the holder asks the members directly. One that accepts promises, on its disk, neither to revoke nor
 * to stand for one TTL. In synchronous mode k acceptances from S are enough, since fewer than |S| - k + 1 members are
 * then left that could revoke; in asynchronous mode everybody who could stand must accept.
 */
import type { Facts } from './facts.ts';
import { deadlineOf, marginMs, renewalEveryMs } from './lease.ts';
import type { Instant, Rule } from './model.ts';
import type { State } from './state.ts';

/** Until when I may write: by my lease, or by what the members promised. Undefined: no lease is known. */
export function writeDeadline(state: State): Instant | undefined {
  if (state.leaderLease === undefined) return undefined;
  return Math.max(deadlineOf(state.leaderLease), promisedUntil(state) ?? -Infinity);
}

/** Counted from the sending of the questions; undefined when too few members promised. */
export function promisedUntil(state: State): Instant | undefined {
  const { view, leaderLease, self } = state;
  const rule = view?.rule?.value;
  // Also when the key has expired meanwhile: those who promised do not take it, and I take it again.
  if (leaderLease === undefined || rule?.leader !== self.name) return undefined;
  if (state.promisesTerm !== rule.term) return undefined;
  const asked = askedMembers(rule, self.name);
  const needed = isQuorumMode(rule) ? rule.syncCount : asked.length;
  if (needed === 0) return undefined;
  const sent = asked.map((member) => state.promises.get(member) ?? -Infinity).toSorted((a, b) => b - a);
  const counts = sent[needed - 1] ?? -Infinity;
  return Number.isFinite(counts) ? counts + leaderLease.ttlMs - marginMs(leaderLease.ttlMs) : undefined;
}

/** Whose word matters: in synchronous mode the members of S, else all that could stand. */
export function askedMembers(rule: Rule, self: string): readonly string[] {
  return (isQuorumMode(rule) ? rule.syncStandbys : rule.failsafe).filter((member) => member !== self);
}

function isQuorumMode(rule: Rule): boolean {
  return rule.mode === 'sync' && rule.syncCount >= 1;
}

/** The lease should have been renewed by now, and was not. */
export function failsafeDue(f: Facts): boolean {
  const { state, now, rule, settings } = f;
  const { leaderLease } = state;
  if (!settings.failsafeMode || rule === undefined || leaderLease === undefined || !f.mayWrite) return false;
  if (f.view?.leader?.leaseId !== leaderLease.leaseId || state.durable.disarmed) return false;
  if (state.abandonedLeases.includes(leaderLease.leaseId)) return false;
  if (now < leaderLease.validFrom + 2 * renewalEveryMs(leaderLease.ttlMs)) return false;
  // Who has just woken up tries to renew first: a promise that was not needed holds up the next failover.
  if (now < state.awakeSince + renewalEveryMs(leaderLease.ttlMs) / 2) return false;
  return now >= state.failsafeAskedAt + failsafeEveryMs(leaderLease.ttlMs);
}

/** Twice as often as a lease is renewed. */
export function failsafeEveryMs(ttlMs: number): number {
  return ttlMs / 10;
}

/** Why a question is refused; undefined when it is accepted. */
export function refusal(f: Facts, from: string, term: number): string | undefined {
  const { state, rule, self } = f;
  const { durable } = state;
  if (rule === undefined) return `${self} has not seen the cluster's rule yet`;
  if (rule.term !== term || durable.maxTerm > term) return `${self} knows term ${Math.max(rule.term, durable.maxTerm)}`;
  if (rule.leader !== from) return `${self} knows ${rule.leader} as the leader of term ${term}`;
  if (durable.revokedTerm !== undefined && durable.revokedTerm >= term) return `${self} has revoked term ${term}`;
  if (state.ruleTransaction !== undefined || f.now < state.takeUnsettledUntil)
    return `${self} has asked the DCS for something that was not answered yet`;
  if (rule.released) return `${from} gave the key back`;
  const wish = f.view?.failover?.value;
  if (wish?.kind === 'failover' && wish.refused === undefined && f.holder === undefined)
    return 'an operator has asked for a failover';
  return undefined;
}

/** A promise of mine that still binds: neither revoke nor stand. A key that was given back frees everybody. */
export function isPromised(f: Facts): boolean {
  const { promise } = f.state.durable;
  if (promise === undefined || promise.term !== f.rule?.term || f.rule.released) return false;
  return f.now < promise.until;
}
