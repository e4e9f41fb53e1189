/** What the instance shows, folded into the state: since when it is down, and what its WAL is worth. */
import { type Facts, factsOf } from './facts.ts';
import type { Durable, Instant, PostgresStatus, RunningInstance, TermEntry } from './model.ts';
import { comparePositions, lsnOf } from './position.ts';
import type { State } from './state.ts';
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
    downSince: up ? undefined : (state.downSince ?? now),
    silentSince: instance.kind === 'silent' ? (state.silentSince ?? now) : undefined,
    wentDownInPause:
      instance.kind === 'stopped' &&
      (state.wentDownInPause || (paused && before !== undefined && before !== 'stopped')),
    stoppedByUs: instance.kind === 'stopped' && state.stoppedByUs,
    configuredFor: up || state.job?.job.kind === 'start' ? state.configuredFor : forgetWhenDown(state, instance.kind),
  };
  const counted = countStarts(state, next, now);
  return withDurable(counted, now);
}

function forgetWhenDown(state: State, kind: PostgresStatus['instance']['kind']): string | undefined {
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

function withDurable(state: State, now: Instant): State {
  let durable = adoptMark(state);
  durable = settlePromotion({ ...state, durable });
  const facts = factsOf({ ...state, durable }, now);
  durable = withOriginTerm(facts);
  durable = withoutFloor(factsOf({ ...state, durable }, now));
  return durable === state.durable ? state : { ...state, durable };
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
  if (!isOnTimelineOf(terms, running, entry) && !streamsFromHolder(facts, running, entry)) return durable;
  return { ...durable, originTerm: entry.term };
}

function streamsFromHolder(facts: Facts, running: RunningInstance, entry: TermEntry): boolean {
  const { upstream, state } = facts;
  if (running.replicationState !== 'streaming' || running.timeline !== entry.timeline || state.job !== undefined)
    return false;
  if (entry.member !== facts.holder || running.upstream === undefined) return false;
  return running.upstream.host === upstream?.host && running.upstream.port === upstream.port;
}

/** A rewound or cloned member counts again when it is as far as it was, or as far as the primary was just now. */
function withoutFloor(facts: Facts): Durable {
  const { durable } = facts.state;
  const { position, running, view } = facts;
  if (durable.floor === undefined || position === undefined || running === undefined || durable.rewinding)
    return durable;
  const { floor, ...rest } = durable;
  if (floor !== 'infinite') return comparePositions(position, floor) >= 0 ? rest : durable;
  const primaryLsn = view?.status?.value.lsn;
  const caughtUp =
    running.replicationState === 'streaming' && facts.holder !== undefined && facts.holder !== facts.self;
  return caughtUp && primaryLsn !== undefined && position.lsn >= primaryLsn ? rest : durable;
}
