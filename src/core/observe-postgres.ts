/** What the instance shows, folded into the state: since when it is down, and what its WAL is worth. */
import { isCrowdedInstance } from './ability.ts';
import { endpointOf, type Facts, factsOf } from './facts.ts';
import type { Durable, Instant, PostgresStatus, RunningInstance, TermEntry } from './model.ts';
import { abilityOf } from './observe-storage.ts';
import { isPastFloor, lsnOf } from './position.ts';
import { namesUnder } from './quorum.ts';
import type { State } from './state.ts';
import { senderSights, sendersBehind } from './sync-standbys.ts';
import { entryOf, isOnLine, isOnTimelineOf, lineOf } from './term-tree.ts';

/** How long an instance has to run before earlier failures to start it are forgotten. */
const stableMs = 5000;

/** The instance was looked at: what changed since the last look, and since when. */
export function observePostgres(state: State, status: PostgresStatus, now: Instant): State {
  const before = state.postgres?.instance.kind;
  const { instance } = status;
  const up = instance.kind === 'running';
  const paused = state.view?.config?.value.pause ?? false;
  const next: State = {
    ...state,
    postgres: status,
    seenAt: now,
    ...abilityOf(state, status, now),
    downSince: up || isCrowdedInstance(instance) ? undefined : (state.downSince ?? now),
    wentDownInPause:
      instance.kind === 'stopped' &&
      (state.wentDownInPause || (paused && before !== undefined && before !== 'stopped')),
    stoppedByUs: instance.kind === 'stopped' && state.stoppedByUs,
    configuredFor: up || state.job?.job.kind === 'start' ? state.configuredFor : forgetWhenDown(state, instance.kind),
  };
  const counted = countStarts(state, next, now);
  return settleWal(withReplicas(withSource(counted, now), now), now);
}

/** The instance hears its source: that is a sign of life of the holder, if it is the holder that it streams from. */
function withSource(state: State, now: Instant): State {
  const running = state.postgres?.instance.kind === 'running' ? state.postgres.instance : undefined;
  if (running?.replicationState !== 'streaming' || running.sourceAgeMs === undefined) return state;
  const source = endpointOf(state.view, state.view?.leader?.value ?? '');
  if (source === undefined || running.upstream?.host !== source.host || running.upstream.port !== source.port)
    return state;
  return { ...state, sourceHeardAt: Math.max(state.sourceHeardAt ?? -Infinity, now - running.sourceAgeMs) };
}

/** What the primary's WAL senders show, and whether a tighter setting is in force by now. */
function withReplicas(state: State, now: Instant): State {
  const running = state.postgres?.instance.kind === 'running' ? state.postgres.instance : undefined;
  if (running === undefined || running.inRecovery)
    return state.senders.size === 0 && state.tightening === undefined
      ? state
      : { ...state, senders: new Map(), tightening: undefined };
  const next: State = { ...state, senders: senderSights(state.senders, running, now) };
  const { tightening } = next;
  if (tightening?.markLsn === undefined) return next;
  const wanted = namesUnder(tightening.to, state.self.name, true, factsOf(state, now).settings);
  const isSet = running.synchronousStandbyNames === wanted;
  // The look that proves it is too early to tell where the old setting ended; the next one is not.
  if (!tightening.inForce)
    return {
      ...next,
      tightening: { ...tightening, inForce: isSet && sendersBehind(running, tightening).length === 0 },
    };
  if (tightening.writtenLsn !== undefined || running.writtenLsn === undefined) return next;
  return { ...next, tightening: { ...tightening, writtenLsn: running.writtenLsn } };
}

function forgetWhenDown(state: State, kind: PostgresStatus['instance']['kind']): State['configuredFor'] {
  return kind === 'stopped' ? undefined : state.configuredFor;
}

/** A crashed instance is back in a moment, and that is the fastest way to serve: at once, until it dies again and again. */
function restartDelayMs(crashes: number): number {
  return crashes <= 2 ? 0 : Math.min(250 * 2 ** (crashes - 3), 10_000);
}

/** An instance that dies again and again is started less and less often. */
function countStarts(before: State, next: State, now: Instant): State {
  const { instance } = next.postgres ?? {};
  const failures = new Map(next.failures);
  const failure = failures.get('start');
  if (instance?.kind === 'running' && failure !== undefined && now >= failure.retryAt + stableMs) {
    failures.delete('start');
    return { ...next, failures };
  }
  const died =
    instance?.kind === 'stopped' && before.postgres !== undefined && before.postgres.instance.kind !== 'stopped';
  if (!died || instance.exit?.kind !== 'crashed' || next.stoppedByUs || before.job?.job.kind === 'stop') return next;
  const count = (failure?.count ?? 0) + 1;
  failures.set('start', { count, retryAt: now + restartDelayMs(count), error: instance.exit.because });
  return { ...next, failures };
}

/* ---------------------------------------------------------------- what is remembered of the WAL */

/** What the WAL here is worth, by what is seen of the instance and on record. */
export function settleWal(state: State, now: Instant): State {
  let next = withoutOld(state, now);
  if (state.postgres === undefined) return next;
  const adopted = adoptMark(next);
  // Whom this member is counted by is told by a view from after the loss.
  if (adopted.floor !== next.durable.floor) next = { ...next, viewNeededSince: now };
  next = remembering(next, adopted);
  next = remembering(next, settlePromotion(next));
  next = remembering(next, settleJoining(factsOf(next, now)));
  next = remembering(next, withOriginTerm(factsOf(next, now)));
  return remembering(next, withoutFloor(factsOf(next, now)));
}

function remembering(state: State, durable: Durable): State {
  return durable === state.durable ? state : { ...state, durable };
}

/**
 * What is over: a promise that has run out (else it would begin anew with the next boot), and the founding, once the
 * identifier of this directory is the cluster's, by whatever way that came to be known.
 */
function withoutOld(state: State, now: Instant): State {
  const { promise, founding, systemId } = state.durable;
  const isOver = promise !== undefined && promise.bootId === state.bootId && now >= promise.until;
  const isFounded = founding && systemId !== undefined && state.view?.initialize?.value === systemId;
  if (!isOver && !isFounded) return state;
  const { promise: _over, ...rest } = state.durable;
  const kept: Durable = isOver ? rest : state.durable;
  return { ...state, durable: isFounded ? { ...kept, founding: false } : kept };
}

/** The state speaks of another directory (or of none): of the one that is here nothing is known. */
function adoptMark(state: State): Durable {
  const { durable, postgres, job } = state;
  if (postgres?.directory.kind !== 'present' || durable.dirMark === postgres.directory.mark) return durable;
  if (job?.job.kind === 'clone' || job?.job.kind === 'initdb' || job?.job.kind === 'set-aside') return durable;
  const { mark } = postgres.directory;
  const { systemId } = postgres.directory.control;
  // The agent died between the end of initdb and the moment when that was noted.
  if (durable.founding && durable.dirMark === undefined) return { ...durable, dirMark: mark, systemId };
  const { originTerm: _of, lastLsn: _another, promoting: _directory, branch: _gone, ...rest } = durable;
  return {
    ...rest,
    dirMark: mark,
    systemId,
    checkpointDue: false,
    rewinding: false,
    founding: false,
    floor: 'infinite',
  };
}

/**
 * Did the promotion that was asked for happen? Until the instance is writable, or ended, nobody knows: it may happen
 * at any moment. PostgreSQL removes standby.signal when it does.
 */
function settlePromotion(state: State): Durable {
  const { durable, postgres } = state;
  const { promoting } = durable;
  if (promoting === undefined || postgres?.directory.kind !== 'present') return durable;
  const { instance, directory } = postgres;
  const { promoting: _settled, ...rest } = durable;
  const promoted: Durable = { ...rest, originTerm: promoting.term };
  if (instance.kind === 'running') return instance.inRecovery ? durable : promoted;
  if (instance.kind !== 'stopped') return durable;
  return directory.standbySignal ? rest : promoted;
}

/** The holder that is followed has promoted, and its WAL is here: that is of its term, though it is not on record. */
function settleJoining({ state, running, terms }: Facts): Durable {
  if (state.durable.joining === undefined || running === undefined || !running.inRecovery) return state.durable;
  const { joining, ...durable } = state.durable;
  // From the moment that a promotion was asked for, what is here is what this member's own term goes on from.
  if (durable.promoting !== undefined) return durable;
  if (durable.originTerm === joining.term) return durable;
  const isRecorded = entryOf(terms, joining.term) !== undefined;
  if (isRecorded || running.timeline <= joining.fromTimeline) return state.durable;
  const branch = { term: joining.term, parent: joining.parent, promoted: true };
  return { ...durable, originTerm: joining.term, branch };
}

/** A replica's newest WAL is of the term that it streams, once it is past the term's first position. */
function withOriginTerm(facts: Facts): Durable {
  const { running, rule, terms } = facts;
  const { durable } = facts.state;
  if (running === undefined || rule === undefined) return durable;
  const entry = entryOf(terms, rule.term);
  if (entry === undefined || durable.originTerm === entry.term) return durable;
  if (!running.inRecovery) {
    const mine = facts.iHold && durable.promoting === undefined && entry.member === facts.self;
    return mine ? { ...durable, originTerm: entry.term } : durable;
  }
  const lsn = lsnOf(running);
  if (lsn === undefined || lsn <= entry.switchLsn) return durable;
  // What is known to be beside the line of this term does not come onto it by a number that is the same.
  if (durable.originTerm !== undefined && !isOnLine(lineOf(terms, entry), durable.originTerm)) return durable;
  const hasJoined = durable.joining?.term === entry.term && isOnTimelineOf(terms, running, entry);
  if (!hasJoined && !streamsFromHolder(facts, running, entry)) return durable;
  return { ...durable, originTerm: entry.term };
}

function streamsFromHolder(facts: Facts, running: RunningInstance, entry: TermEntry): boolean {
  const { upstream, state } = facts;
  if (running.replicationState !== 'streaming' || running.timeline !== entry.timeline || state.job !== undefined)
    return false;
  if (entry.member !== facts.holder || running.upstream === undefined) return false;
  return running.upstream.host === upstream?.host && running.upstream.port === upstream.port;
}

/**
 * A rewound or cloned member counts again when it is as far as it was, or as far as the primary was just now. One that
 * serves is what the others are measured by, however it came to that.
 */
function withoutFloor(facts: Facts): Durable {
  const { durable } = facts.state;
  const { position, running, view } = facts;
  if (durable.floor === undefined || position === undefined || running === undefined || durable.rewinding)
    return durable;
  const { floor, ...rest } = durable;
  if (!running.inRecovery && facts.iHold) return rest;
  if (floor !== 'infinite') return isPastFloor(durable, position, facts.terms) ? rest : durable;
  // Nobody knows what it has acknowledged, and how far the primary was is known late: it leaves the sync standbys first.
  if (isCounted(facts)) return durable;
  const primaryLsn = view?.status?.value.lsn;
  const caughtUp =
    running.replicationState === 'streaming' && facts.holder !== undefined && facts.holder !== facts.self;
  return caughtUp && primaryLsn !== undefined && position.lsn >= primaryLsn ? rest : durable;
}

/** As far as can be told by a view from after the loss. */
function isCounted({ state, rule, self }: Facts): boolean {
  if (state.viewAskedAt < state.viewNeededSince) return true;
  return rule?.mode === 'sync' && rule.syncStandbys.includes(self);
}
