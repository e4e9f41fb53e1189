/** When the core must look again although nothing happened: the earliest moment at which a rule or a chore could change its mind. */
import { inspectionEveryMs } from './chores.ts';
import { electionWaitMs } from './election.ts';
import type { Facts } from './facts.ts';
import { failsafeEveryMs, writeDeadline } from './failsafe.ts';
import { beatEveryMs, listens } from './heartbeat.ts';
import { deadlineOf, renewalDueAt } from './lease.ts';
import type { Instant } from './model.ts';
import { positionsEveryMs } from './publish.ts';

/** The next moment to take a step at; at most `loopWaitMs` from now. */
export function wakeAt(facts: Facts): Instant {
  const { state, now, settings } = facts;
  const moments: (Instant | undefined)[] = [
    state.armedUntil,
    state.leaderLease && deadlineOf(state.leaderLease),
    writeDeadline(state),
    ...synchronousMoments(facts),
    state.leaderLease && (state.leaderLeaseBusyUntil ?? renewalDueAt(state.leaderLease)),
    state.memberLease && (state.memberLeaseBusyUntil ?? renewalDueAt(state.memberLease)),
    state.leaderLeaseBusyUntil,
    state.memberLeaseBusyUntil,
    state.transactionRetryAt,
    state.publicationRetryAt,
    state.publishedAt + positionsEveryMs,
    state.announcedAt + 500,
    state.givenUpAt + 200,
    state.slotsChangedAt && state.slotsChangedAt + 1000,
    state.downSince && state.downSince + settings.primaryStartTimeoutMs,
    ...[...state.failures.values()].map((failure) => failure.retryAt),
    ...state.requests.map((request) => request.until),
    inspectionMoment(facts),
    ...vacancyMoments(facts),
  ];
  const next = moments.filter(
    (moment): moment is Instant => moment !== undefined && Number.isFinite(moment) && moment > now,
  );
  return Math.min(now + settings.loopWaitMs, ...next);
}

/** In synchronous mode silence, beats and heartbeats are looked after several times in a failure timeout. */
function synchronousMoments(facts: Facts): readonly Instant[] {
  if (!listens(facts)) return [];
  const { state, now, settings } = facts;
  return [
    now + settings.failureTimeoutMs / 4,
    state.heartbeatSentAt + settings.heartbeatIntervalMs,
    state.beatSentAt + beatEveryMs(settings.failureTimeoutMs),
    state.revokeAgainAt,
    state.gate?.retryAt ?? -Infinity,
    state.durable.promise?.until ?? -Infinity,
    state.failsafeAskedAt + failsafeEveryMs(settings.ttlMs),
  ];
}

function inspectionMoment(facts: Facts): Instant | undefined {
  const everyMs = inspectionEveryMs(facts);
  return everyMs === undefined ? undefined : Math.max(facts.state.seenAt, facts.state.inspectionAskedAt) + everyMs;
}

/** While the key is free, waiting ends after whole failure timeouts and election waits. */
function vacancyMoments(facts: Facts): readonly Instant[] {
  const { state, settings } = facts;
  const since = state.keyAbsentSince;
  if (since === undefined) return [];
  const timeout = settings.failureTimeoutMs;
  const ranks = [1, 2, 3, 4, 5, 6, 7, 8];
  return [
    since + electionWaitMs,
    since + 10_000,
    ...ranks.map((rank) => since + rank * timeout),
    ...ranks.map((rank) => since + rank * (timeout + electionWaitMs)),
  ];
}
