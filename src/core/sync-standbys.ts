/**
 * Who the sync standbys are to be, and how to get there. At every moment the record in the DCS is at least as demanding
 * as PostgreSQL: what lets more commits through goes to the DCS first, what lets fewer through goes to PostgreSQL
 * first, is proven to be in force there, and the DCS follows when k of S have flushed as far as the primary had written.
 */
import type { Facts } from './facts.ts';
import { type Lsn, lagBytes, lsnZero } from './lsn.ts';
import { keepingLast } from './memo.ts';
import type { Instant, MemberRecord, Mode, RunningInstance } from './model.ts';
import { namesUnder } from './quorum.ts';
import type { WalSender } from './replicas.ts';

/** (S, k), and whether commits wait at all. */
export interface SyncSet {
  readonly mode: Mode;
  readonly syncStandbys: readonly string[];
  readonly syncCount: number;
}

/** The next step from the record to what is wanted. */
export type SyncChange =
  | { readonly kind: 'none' }
  /** Lets more commits through: the DCS first. */
  | { readonly kind: 'loosen'; readonly to: SyncSet; readonly because: string }
  /** Lets fewer through: PostgreSQL first. */
  | { readonly kind: 'tighten'; readonly to: SyncSet; readonly because: string };

/** What the holder wants, judged by what it hears and sees of its replicas. */
export function wantedSync(f: Facts): SyncSet {
  const { rule, settings } = f;
  if (rule === undefined || settings.synchronousMode === 'off')
    return { mode: 'async', syncStandbys: [], syncCount: 0 };
  const kept = rule.syncStandbys.filter((member) => whyNotKept(f, member) === undefined);
  const fresh = [...(f.view?.members.keys() ?? [])].filter((member) => !kept.includes(member) && mayJoin(f, member));
  const all = settings.synchronousMode === 'quorum' ? [...kept, ...fresh] : chosen(f, kept, fresh);
  const syncStandbys = all.toSorted();
  if (syncStandbys.length > 0)
    return { mode: 'sync', syncStandbys, syncCount: Math.min(settings.synchronousNodeCount, syncStandbys.length) };
  // Strict: commits hang rather than be acknowledged by the primary alone. Who counts for nothing cannot take over either.
  const isAwaited = (member: string): boolean => f.view?.members.get(member)?.value.unfit !== true;
  if (settings.synchronousModeStrict && rule.mode === 'sync' && othersIn(f).some(isAwaited))
    return { mode: 'sync', syncStandbys: rule.syncStandbys, syncCount: rule.syncCount };
  return { mode: 'sync', syncStandbys: [], syncCount: 0 };
}

function othersIn({ rule, self }: Facts): readonly string[] {
  return rule?.syncStandbys.filter((member) => member !== self) ?? [];
}

/** `on`: as many as must flush, those that are it already first, then by priority. */
function chosen(f: Facts, kept: readonly string[], fresh: readonly string[]): readonly string[] {
  const byPriority = (members: readonly string[]): readonly string[] =>
    members.toSorted((a, b) => priorityOf(f, b) - priorityOf(f, a) || (a < b ? -1 : 1));
  return [...byPriority(kept), ...byPriority(fresh)].slice(0, f.settings.synchronousNodeCount);
}

function priorityOf(f: Facts, member: string): number {
  return f.view?.members.get(member)?.value.tags.syncPriority ?? 0;
}

const noChange: SyncChange = { kind: 'none' };

/** Both ways at once go through what covers both: the union of the sets, and the smaller count. */
export const nextSyncChange = keepingLast((f: Facts): SyncChange => {
  const { rule } = f;
  if (rule === undefined) return noChange;
  const wanted = wantedSync(f);
  if (isSame(rule, wanted)) return noChange;
  const because = becauseOf(f, wanted);
  // Nobody can stand in either case, and PostgreSQL waits for nobody: only the word changes.
  if (rule.mode === 'async' && wanted.syncCount === 0) return { kind: 'loosen', to: wanted, because };
  if (wanted.mode === 'async' || wanted.syncCount === 0) return { kind: 'loosen', to: wanted, because };
  if (rule.mode === 'async' || rule.syncCount === 0) return { kind: 'tighten', to: wanted, because };
  const loose: SyncSet = {
    mode: 'sync',
    syncStandbys: [...new Set([...rule.syncStandbys, ...wanted.syncStandbys])].toSorted(),
    syncCount: Math.min(rule.syncCount, wanted.syncCount),
  };
  return isSame(rule, loose) ? { kind: 'tighten', to: wanted, because } : { kind: 'loosen', to: loose, because };
});

function isSame(rule: SyncSet, other: SyncSet): boolean {
  const { syncStandbys } = other;
  return (
    rule.mode === other.mode &&
    rule.syncCount === other.syncCount &&
    rule.syncStandbys.length === syncStandbys.length &&
    rule.syncStandbys.every((member) => syncStandbys.includes(member))
  );
}

function becauseOf(f: Facts, wanted: SyncSet): string {
  const { rule, self } = f;
  const before = rule?.syncStandbys ?? [];
  const parts: string[] = [];
  if (rule?.mode !== wanted.mode)
    parts.push(wanted.mode === 'sync' ? 'synchronous mode is on' : 'synchronous mode is off');
  for (const member of before) {
    if (wanted.syncStandbys.includes(member) || wanted.mode === 'async') continue;
    parts.push(member === self ? 'this member leads' : `${member} ${whyNotKept(f, member) ?? 'is not needed'}`);
  }
  for (const member of wanted.syncStandbys) if (!before.includes(member)) parts.push(`${member} streams`);
  if (wanted.mode === 'sync' && wanted.syncCount === 0) parts.push('nobody is left to wait for');
  return parts.length > 0
    ? parts.join(', ')
    : `${wanted.syncCount} of ${wanted.syncStandbys.length} must flush a commit`;
}

/* ---------------------------------------------------------------- who is fit */

function isFit(record: MemberRecord | undefined): record is MemberRecord {
  if (record === undefined || record.unfit) return false;
  return !record.tags.noSync && !record.tags.witness && record.tags.syncPriority > 0;
}

/** Its word that it is cut stands in the DCS: it would be counted for a cover, whatever it does. */
function standsRevoked(f: Facts, member: string): boolean {
  return f.view?.revocations.get(member)?.value.term === f.rule?.term;
}

/** Why a sync standby is one no longer; undefined while it may stay. */
function whyNotKept(f: Facts, member: string): string | undefined {
  const { state, now, settings, self } = f;
  if (member === self) return 'leads';
  const record = f.view?.members.get(member)?.value;
  if (record === undefined) return 'is not registered';
  if (!isFit(record)) return 'may not be a sync standby';
  if (standsRevoked(f, member)) return 'has revoked this term';
  const timeout = settings.failureTimeoutMs;
  const since = (at: Instant | undefined): number =>
    now - Math.max(at ?? -Infinity, state.awakeSince, state.holderSince);
  if (since(state.heard.get(member)?.at) >= timeout) return `was not heard for ${(timeout / 1000).toFixed(1)} s`;
  const seen = state.senders.get(member.toLowerCase());
  if (since(seen?.seenAt) >= timeout) return 'does not stream';
  if (since(seen?.advancedAt) >= timeout) return 'does not flush what it is sent';
  return undefined;
}

function mayJoin(f: Facts, member: string): boolean {
  const { state, now, settings, running, self } = f;
  const record = f.view?.members.get(member)?.value;
  if (standsRevoked(f, member)) return false;
  // Not known although it is there: its name is nearly another's, whose stream would be taken for its own.
  if (!(f.rule?.failsafe.includes(member) ?? false)) return false;
  if (member === self || !isFit(record) || record.role !== 'replica' || record.state !== 'running') return false;
  const heardAt = state.heard.get(member)?.at;
  if (heardAt === undefined || now - heardAt >= settings.failureTimeoutMs / 2) return false;
  const [sender, ...others] = sendersOf(running, member);
  if (sender === undefined || others.length > 0 || sender.state !== 'streaming') return false;
  const seen = state.senders.get(member.toLowerCase());
  if (seen === undefined || now - seen.advancedAt >= settings.failureTimeoutMs / 2) return false;
  const limit = settings.maximumLagOnSyncnodeBytes;
  return limit === undefined || lagBytes(running?.writtenLsn ?? lsnZero, sender.flushLsn ?? lsnZero) <= limit;
}

/** PostgreSQL compares application names without case. */
export function sendersOf(running: RunningInstance | undefined, member: string): readonly WalSender[] {
  return (running?.walSenders ?? []).filter((sender) => isNamed(sender, member));
}

function isNamed(sender: WalSender, member: string): boolean {
  return sender.applicationName.toLowerCase() === member.toLowerCase();
}

/* ---------------------------------------------------------------- in PostgreSQL */

/** A tightening under way: in PostgreSQL already, in the DCS not yet. */
export interface Tightening {
  readonly to: SyncSet;
  /** Of the rule that it goes out from. */
  readonly ruleNumber: number;
  readonly beganAt: Instant;
  /** WAL from here on was written under the new setting. */
  readonly markLsn?: Lsn;
  /** Every WAL sender goes by the new setting. */
  readonly inForce: boolean;
  /** Where the primary had written when that was known: everything that the old setting let through is before it. */
  readonly writtenLsn?: Lsn;
}

/** The tightening under way, if it is still the one that is wanted. */
export function standingTightening(f: Facts): Tightening | undefined {
  const { tightening } = f.state;
  if (tightening === undefined || !f.iHold || f.instance !== 'primary' || tightening.ruleNumber !== f.rule?.number)
    return undefined;
  const next = nextSyncChange(f);
  return next.kind === 'tighten' && isSame(next.to, tightening.to) ? tightening : undefined;
}

/** What synchronous_standby_names is to be at this member now. */
export function wantedNames(f: Facts): string {
  const { rule, self, settings, tightening } = f;
  if (rule === undefined) return '';
  return namesUnder(tightening?.to ?? rule, self, f.iHold && f.instance !== 'replica', settings);
}

/**
 * The WAL senders that may still go by the old setting. Each has a copy of its own and takes the new one when it gets
 * to it: one that is not named any more shows so by its priority, one that is named by having handled a flush of WAL
 * that was written under the new setting. (PostgreSQL: syncrep.c, SyncRepInitConfig, SyncRepReleaseWaiters.)
 */
export function sendersBehind(running: RunningInstance, tightening: Tightening): readonly string[] {
  const { to, markLsn } = tightening;
  const behind: string[] = [];
  for (const sender of running.walSenders) {
    const named = to.syncStandbys.some((member) => isNamed(sender, member));
    const knows = named
      ? markLsn !== undefined && sender.flushLsn !== undefined && sender.flushLsn >= markLsn
      : sender.syncPriority === 0;
    if (!knows) behind.push(sender.applicationName);
  }
  return behind;
}

/** Whether so many of the new set have flushed all that the old setting let through, that the record may follow. */
export function isFlushed(running: RunningInstance | undefined, tightening: Tightening): boolean {
  const { to, writtenLsn } = tightening;
  if (running === undefined || writtenLsn === undefined) return false;
  const flushed = to.syncStandbys.filter((member) =>
    sendersOf(running, member).some((sender) => sender.flushLsn !== undefined && sender.flushLsn >= writtenLsn),
  );
  return flushed.length >= to.syncCount;
}

/** What one look at the primary's WAL senders shows, folded into what is known of them. */
export interface SenderSeen {
  readonly seenAt: Instant;
  /** When it last had flushed everything, or flushed more than before. */
  readonly advancedAt: Instant;
  readonly flushLsn: Lsn;
}

/** By application name in lower case. */
export function senderSights(
  before: ReadonlyMap<string, SenderSeen>,
  running: RunningInstance,
  now: Instant,
): ReadonlyMap<string, SenderSeen> {
  const sights = new Map(before);
  for (const { applicationName, flushLsn = lsnZero, state } of running.walSenders) {
    if (state !== 'streaming' && state !== 'catchup') continue;
    const name = applicationName.toLowerCase();
    const old = before.get(name);
    const advanced = old === undefined || flushLsn > old.flushLsn || flushLsn >= (running.writtenLsn ?? lsnZero);
    sights.set(name, { seenAt: now, advancedAt: advanced ? now : old.advancedAt, flushLsn });
  }
  return sights;
}
