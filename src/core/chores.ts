/** What goes on beside the rules, whatever they say: leases, publication, slots, fresh views, the guard. */
import { probeEveryMs } from './ability.ts';
import { guardDeadline, isFresh } from './act.ts';
import { type Chore, inTurn } from './chore.ts';
import type { Effect, Job } from './effects.ts';
import type { Facts } from './facts.ts';
import { signsOfLife } from './heartbeat.ts';
import { type Lease, renewalDueAt } from './lease.ts';
import type { Instant } from './model.ts';
import { differsInKind, differsInPosition, memberRecord, positionsEveryMs, statusRecord } from './publish.ts';
import { slotChanges } from './slots.ts';
import type { State } from './state.ts';
import { publish } from './transactions.ts';

/** In their order. */
const all: readonly Chore[] = [
  lookAgain,
  tryStorage,
  readAnew,
  endLeases,
  keepMemberLease,
  keepLeaderLease,
  leaseAhead,
  tell,
  keepSlots,
  signsOfLife,
];

/** As `Acted`: what was asked for is noted in the state. */
export interface Chores {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** How long an unanswered lease request, or read, blocks the next one. */
const leaseRequestMs = 5000;
export const readRequestMs = 5000;
/** Slots are looked after no more often than this. */
const slotsEveryMs = 1000;
/** How long the instance is looked at eagerly; then the regular inspection has to do. */
const eagerMs = 10_000;
/** Jobs that give the data directory another content. */
const replaces: ReadonlySet<Job['kind']> = new Set(['initdb', 'set-aside', 'rewind', 'clone']);

/** What is done under every rule: looking, reading, leases, publishing, slots. */
export function chores(facts: Facts): Chores {
  const effects: Effect[] = [];
  const state = inTurn(all, facts, effects);
  return { state, effects };
}

/** The guard's new deadline, if it has changed. It goes out before everything else of the step. */
export function guard(facts: Facts): Chores {
  const until = guardDeadline(facts);
  if (until === facts.state.armedUntil) return { state: facts.state, effects: [] };
  return { state: { ...facts.state, armedUntil: until }, effects: [{ kind: 'guard', until }] };
}

/** When something is about to change that the hand-over waits for, the regular inspection is too slow. */
export function inspectionEveryMs(facts: Facts): number | undefined {
  const { state, instance, holder, rule, now } = facts;
  if (facts.iHold && state.lastRule.name === 'switchover-look') return 0;
  if (facts.tightening?.markLsn !== undefined && state.job === undefined) return 20;
  if (facts.iHold && instance === 'primary' && rule?.mode === 'sync') return senderLookMs(facts);
  if (instance !== 'replica' || state.job !== undefined || rule === undefined) return undefined;
  if (holder === undefined) return facts.keyAbsentMs < eagerMs ? 30 : undefined;
  if (facts.isRevoked) return state.ruleSince + eagerMs > now ? 50 : undefined;
  const streams = facts.running?.replicationState === 'streaming';
  return !streams && state.ruleSince + eagerMs > now ? 100 : undefined;
}

/** A lost sync standby is noticed within the failure timeout, also when only its PostgreSQL is gone. */
function senderLookMs(facts: Facts): number {
  return Math.min(Math.max(facts.settings.failureTimeoutMs / 4, 100), 1000);
}

function lookAgain(facts: Facts, effects: Effect[]): State {
  const { state, now } = facts;
  const everyMs = inspectionEveryMs(facts);
  const again = state.inspectionAskedAt <= state.wishSeenAt ? state.wishSeenAt : state.inspectionAskedAt + 1000;
  const asked = everyMs === 0 ? again : lastLook(state);
  if (everyMs === undefined || now < asked + everyMs) return state;
  effects.push({ kind: 'inspect' });
  return { ...state, inspectionAskedAt: now };
}

/** What was seen before the key became free says little of now. */
function lastLook({ seenAt, inspectionAskedAt, keyAbsentSince }: State): Instant {
  const last = Math.max(seenAt, inspectionAskedAt);
  return keyAbsentSince !== undefined && last < keyAbsentSince ? -Infinity : last;
}

/**
 * Never while one is under way: what hangs is not made to hang twice. A directory that is being replaced is left alone, and
 * nothing is written in one that is not known to be the cluster's.
 */
function tryStorage(facts: Facts, effects: Effect[]): State {
  const { state, now, settings } = facts;
  const { storage, job, self } = state;
  if (self.tags.witness || !isOurs(facts) || (job && replaces.has(job.job.kind))) return state;
  if (storage !== undefined && (!storage.answered || now < storage.askedAt + probeEveryMs(settings.storageTimeoutMs)))
    return state;
  effects.push({ kind: 'probe-storage' });
  const { failing, freeBytes } = storage ?? {};
  const flushedLsn = facts.running?.flushedLsn;
  return { ...state, storage: { askedAt: now, answered: false, flushedLsn, failing, freeBytes } };
}

function isOurs({ view, postgres }: Facts): boolean {
  const systemId = postgres?.directory.kind === 'present' ? postgres.directory.control.systemId : undefined;
  return systemId !== undefined && systemId === view?.initialize?.value;
}

function readAnew(facts: Facts, effects: Effect[]): State {
  const { state, now } = facts;
  const needed = state.view === undefined || state.viewAskedAt < state.viewNeededSince;
  if (!needed || state.dcs.kind === 'lost') return state;
  if (state.readAskedAt !== undefined && now < state.readAskedAt + readRequestMs) return state;
  effects.push({ kind: 'read' });
  return { ...state, readAskedAt: now };
}

function endLeases(facts: Facts, effects: Effect[]): State {
  const { state } = facts;
  // A lease that a writable instance may hang on is not ended under it.
  if (facts.mayWrite) return state;
  for (const leaseId of state.leasesToEnd) effects.push({ kind: 'revoke-lease', leaseId });
  return state.leasesToEnd.length === 0 ? state : { ...state, leasesToEnd: [] };
}

function keepMemberLease(facts: Facts, effects: Effect[]): State {
  const { state, now, settings } = facts;
  if (state.view === undefined || state.shutdown?.requestId === '') return state;
  if (state.memberLeaseBusyUntil !== undefined && now < state.memberLeaseBusyUntil) return state;
  const { memberLease } = state;
  if (memberLease === undefined || memberLease.askedTtlMs !== settings.ttlMs) {
    if (state.dcs.kind !== 'connected') return state;
    effects.push({ kind: 'grant-lease', purpose: 'member', ttlMs: settings.ttlMs });
    return { ...state, memberLeaseBusyUntil: now + leaseRequestMs };
  }
  return renewWhenDue(facts, memberLease, 'memberLeaseBusyUntil', effects);
}

/** Renewed while the key hangs on it. A lease that carries no key, and no attempt at one, is left to expire. */
function keepLeaderLease(facts: Facts, effects: Effect[]): State {
  const { state, now, view } = facts;
  const { leaderLease } = state;
  if (leaderLease === undefined) return state;
  const carriesKey = view?.leader?.leaseId === leaderLease.leaseId;
  const isStale = now >= leaderLease.validFrom + leaderLease.ttlMs / 4;
  if (!carriesKey && isStale && state.ruleTransaction === undefined) return { ...state, leaderLease: undefined };
  if (!carriesKey || state.abandonedLeases.includes(leaderLease.leaseId)) return state;
  if (state.leaderLeaseBusyUntil !== undefined && now < state.leaderLeaseBusyUntil) return state;
  return renewWhenDue(facts, leaderLease, 'leaderLeaseBusyUntil', effects);
}

/** Who is about to take the key has its lease ready: one round trip less while nobody writes. */
function leaseAhead(facts: Facts, effects: Effect[]): State {
  const { state, now, settings, self } = facts;
  const wish = facts.view?.failover?.value;
  const isNamed = wish?.candidate === self && wish.refused === undefined;
  const isNext = isNamed || facts.rule?.handover?.to === self || (facts.isRevoked && state.job?.job.kind === 'sever');
  if (!isNext || facts.holder === self || facts.instance !== 'replica' || facts.paused) return state;
  if (state.ruleTransaction !== undefined || state.dcs.kind !== 'connected') return state;
  if (state.leaderLeaseBusyUntil !== undefined && now < state.leaderLeaseBusyUntil) return state;
  if (isFresh(state, settings.ttlMs, now)) return state;
  effects.push({ kind: 'grant-lease', purpose: 'leader', ttlMs: settings.ttlMs });
  return { ...state, leaderLeaseBusyUntil: now + leaseRequestMs };
}

function renewWhenDue(
  facts: Facts,
  lease: Lease,
  busy: 'leaderLeaseBusyUntil' | 'memberLeaseBusyUntil',
  effects: Effect[],
): State {
  const { state, now } = facts;
  if (now < renewalDueAt(lease)) return state;
  effects.push({ kind: 'renew-lease', purpose: lease.purpose, leaseId: lease.leaseId });
  return { ...state, [busy]: now + leaseRequestMs };
}

function tell(facts: Facts, effects: Effect[]): State {
  const { state, now, view } = facts;
  if (view === undefined || state.memberLease === undefined || state.publication !== undefined) return state;
  if (state.dcs.kind !== 'connected' || now < state.publicationRetryAt || state.postgres === undefined) return state;
  if (otherAgentLives(facts)) return state;
  const record = memberRecord(facts);
  const told = view.members.get(facts.self);
  const decided = state.decisions === state.decisionsTold ? undefined : state.decisions;
  const isNew =
    told === undefined ||
    told.leaseId !== state.memberLease.leaseId ||
    differsInKind(told.value, record) ||
    decided !== undefined;
  const moved =
    told !== undefined && differsInPosition(told.value, record) && now >= state.publishedAt + positionsEveryMs;
  if (!isNew && !moved) return state;
  const transaction = publish(view, facts.self, record, state.memberLease.leaseId, statusRecord(facts), decided);
  const id = state.nextId;
  effects.push({ kind: 'transact', id, transaction });
  return { ...state, nextId: id + 1, publication: { id, transaction, sentAt: now } };
}

/** The name is somebody else's: not a word of mine under it. */
function otherAgentLives(facts: Facts): boolean {
  const registered = facts.view?.members.get(facts.self);
  if (registered === undefined || registered.leaseId === facts.state.memberLease?.leaseId) return false;
  return registered.value.apiUrl !== facts.state.self.apiUrl;
}

function keepSlots(facts: Facts, effects: Effect[]): State {
  const { state, now } = facts;
  if (state.slotsChangedAt !== undefined && now < state.slotsChangedAt + slotsEveryMs) return state;
  const change = slotChanges(facts);
  if (change === undefined) return state;
  effects.push(change);
  return { ...state, slotsChangedAt: now };
}
