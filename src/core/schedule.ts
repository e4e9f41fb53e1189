/** When the core must look again although nothing happened: the earliest moment at which a rule or a chore could change its mind. */
import { abilityMoments } from './ability.ts';
import { inspectionEveryMs } from './chores.ts';
import { electionWaitMs } from './election.ts';
import type { Facts } from './facts.ts';
import { failsafeEveryMs, writeDeadline } from './failsafe.ts';
import { beatEveryMs, listens } from './heartbeat.ts';
import { deadlineOf, renewalDueAt } from './lease.ts';
import type { Instant } from './model.ts';
import { positionsEveryMs } from './publish.ts';
import { crowdedMs, unableStopMs } from './rules/ability.ts';

/** Of so many who wait for each other. */
const ranksMax = 8;

/** The next moment to take a step at; at most `loopWaitMs` from now. */
export function wakeAt(facts: Facts): Instant {
  const { state, now, settings } = facts;
  let next = now + settings.loopWaitMs;
  const at = (moment: Instant | undefined): void => {
    if (moment !== undefined && moment > now && moment < next) next = moment;
  };
  at(state.armedUntil);
  if (state.leaderLease !== undefined) {
    at(deadlineOf(state.leaderLease));
    at(state.leaderLeaseBusyUntil ?? renewalDueAt(state.leaderLease));
  }
  at(writeDeadline(state));
  if (state.memberLease !== undefined) at(state.memberLeaseBusyUntil ?? renewalDueAt(state.memberLease));
  at(state.leaderLeaseBusyUntil);
  at(state.memberLeaseBusyUntil);
  at(state.transactionRetryAt);
  at(state.publicationRetryAt);
  at(state.publishedAt + positionsEveryMs);
  at(state.announcedAt + 500);
  at(state.givenUpAt + 200);
  if (state.slotsChangedAt !== undefined) at(state.slotsChangedAt + 1000);
  if (state.downSince !== undefined) at(state.downSince + settings.primaryStartTimeoutMs);
  for (const { retryAt } of state.failures.values()) at(retryAt);
  for (const { until } of state.requests) at(until);
  at(inspectionMoment(facts));
  abilityMoments(facts, at);
  if (state.crowdedAt !== undefined) at(state.crowdedAt + crowdedMs);
  if (state.job !== undefined) at(state.job.startedAt + unableStopMs);
  if (listens(facts)) synchronousMoments(facts, at);
  if (state.keyAbsentSince !== undefined) vacancyMoments(facts, state.keyAbsentSince, at);
  return next;
}

/** Takes a moment into account, if there is one. */
type At = (moment: Instant | undefined) => void;

/** In synchronous mode silence, beats and heartbeats are looked after several times in a failure timeout. */
function synchronousMoments({ state, now, settings }: Facts, at: At): void {
  at(now + settings.failureTimeoutMs / 4);
  at(state.heartbeatSentAt + settings.heartbeatIntervalMs);
  at(state.beatSentAt + beatEveryMs(settings.failureTimeoutMs));
  at(state.revokeAgainAt);
  at(state.gate?.retryAt);
  at(state.durable.promise?.until);
  at(state.failsafeAskedAt + failsafeEveryMs(settings.ttlMs));
}

function inspectionMoment(facts: Facts): Instant | undefined {
  const everyMs = inspectionEveryMs(facts);
  return everyMs === undefined ? undefined : Math.max(facts.state.seenAt, facts.state.inspectionAskedAt) + everyMs;
}

/** While the key is free, waiting ends after whole failure timeouts and election waits. */
function vacancyMoments({ settings }: Facts, since: Instant, at: At): void {
  const timeout = settings.failureTimeoutMs;
  at(since + electionWaitMs);
  at(since + 10_000);
  for (let rank = 1; rank <= ranksMax; rank += 1) {
    at(since + rank * timeout);
    at(since + rank * (timeout + electionWaitMs));
  }
}
