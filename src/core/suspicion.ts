/**
 * When a live-looking lease is not waited for. In synchronous mode a replica may revoke although the key is held, when
 * all three are silent: the holder's agent (heartbeats), its PostgreSQL (the WAL sender, and a connection attempt that
 * failed), and the holder's heartbeat in the DCS. Each member judges for itself; the cover of revocations decides.
 */
import type { Facts } from './facts.ts';
import type { Instant } from './model.ts';

/** A member that still hears the holder holds a revocation back, but not for ever. */
const hearsayTimeouts = 3;

/**
 * Since when nothing was heard of the holder, by any way. What this agent could not have heard does not count as
 * silence: before it knew of this holder, while it was frozen, while it did not see the DCS.
 */
export function silentSince(f: Facts): Instant {
  const { state, holder } = f;
  if (holder === undefined) return f.now;
  return Math.max(
    state.heard.get(holder)?.at ?? -Infinity,
    state.alive?.member === holder ? state.alive.at : -Infinity,
    state.sourceHeardAt ?? -Infinity,
    state.probe?.member === holder && state.probe.answered === true ? state.probe.at : -Infinity,
    state.holderSince,
    state.awakeSince,
    state.watchedSince,
  );
}

/** For how long nothing was heard of the holder. */
export function silentMs(f: Facts): number {
  return f.holder === undefined || f.holder === f.self ? 0 : f.now - silentSince(f);
}

/** The holder counts as failed, to this member. */
export function suspects(f: Facts): boolean {
  if (!mayJudge(f) || silentMs(f) < f.settings.failureTimeoutMs) return false;
  return probeFailed(f) && !isHeardByAnother(f);
}

/** Only in synchronous mode, where a cover proves that nothing can be lost, is a held key ever in question. */
export function mayJudge(f: Facts): boolean {
  const { rule, holder, view } = f;
  if (rule === undefined || holder === undefined || holder === f.self || view === undefined) return false;
  return rule.mode === 'sync' && rule.syncCount >= 1 && f.state.dcs.kind === 'connected';
}

/** A connection attempt that began in the silence, and got no word. */
function probeFailed(f: Facts): boolean {
  const { probe } = f.state;
  if (probe?.failedAskedAt === undefined || probe.member !== f.holder) return false;
  return probe.failedAskedAt >= silentSince(f);
}

/** Evidence only, and for a bounded time: it never brings a failover about. */
function isHeardByAnother(f: Facts): boolean {
  const { failureTimeoutMs } = f.settings;
  if (silentMs(f) >= hearsayTimeouts * failureTimeoutMs) return false;
  for (const [member, { at, heartbeat }] of f.state.heard) {
    if (member === f.holder) continue;
    const ago = heartbeat.heardAgoMs[f.holder ?? ''];
    if (ago !== undefined && f.now - at + ago < failureTimeoutMs) return true;
  }
  return false;
}

/** When the holder's PostgreSQL is to be tried: early enough that the attempt has failed when the time-out is over. */
export function probeDue(f: Facts): boolean {
  const { failureTimeoutMs } = f.settings;
  if (!mayJudge(f) || silentMs(f) < failureTimeoutMs / 2) return false;
  const { probe } = f.state;
  if (probe === undefined || probe.member !== f.holder) return true;
  if (probe.answered === undefined) return f.now >= probe.askedAt + 2 * failureTimeoutMs;
  // One that was answered, or that began before the silence, says nothing of it.
  return f.now >= probe.askedAt + failureTimeoutMs / 2;
}

/** How long a connection attempt may take. */
export function probeTimeoutMs(failureTimeoutMs: number): number {
  return Math.min(Math.max(failureTimeoutMs * 0.4, 100), 1000);
}
