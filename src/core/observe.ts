/** Folding what happened into the state. No decisions: what follows from an event is the rules' matter. */

import { readRequestMs } from './chores.ts';
import type { Event, JobOutcome, TransactionOutcome } from './events.ts';
import { type Facts, factsOf } from './facts.ts';
import { renewed, retryLeaseAfterMs } from './lease.ts';
import type { ClusterView, Instant } from './model.ts';
import { observePostgres } from './observe-postgres.ts';
import { acceptRequest } from './requests.ts';
import { emptyDurable, type PendingTransaction, type State } from './state.ts';
import { applyTransaction } from './view.ts';

/** How long a transaction that could not be sent, or whose fate is not known, is not tried again. */
const transactionRetryMs = 200;
const readRetryMs = 500;
/** After so many failed copies the operator's wish for one is over; what the rules want goes on. */
const reinitTries = 5;

/** `event` folded into the state. Nothing is decided here; a late or repeated answer is recognised by its number. */
export function observe(state: State, event: Event, now: Instant): State {
  switch (event.kind) {
    case 'started':
      return { ...state, durable: event.durable ?? emptyDurable(state.self.name), armedUntil: event.armedUntil };
    case 'tick':
      return state;
    case 'dcs-read':
      return observeView(state, event.view, event.askedAt, now);
    case 'dcs-lost':
      return {
        ...state,
        readAskedAt: undefined,
        dcs: state.dcs.kind === 'never' ? { kind: 'never', error: event.error } : { kind: 'lost', error: event.error },
      };
    case 'read-failed':
      return {
        ...state,
        readAskedAt: now + readRetryMs - readRequestMs,
        dcs: state.dcs.kind === 'never' ? { kind: 'never', error: event.error } : state.dcs,
      };
    case 'transaction-answered':
      return observeAnswer(state, event.id, event.outcome, now);
    case 'lease-granted':
      return observeGrant(state, event);
    case 'lease-renewed':
      return observeRenewal(state, event);
    case 'lease-gone':
      return observeLeaseGone(state, event.leaseId, now);
    case 'lease-failed': {
      const busyUntil = now + retryLeaseAfterMs(factsOf(state, now).settings.ttlMs);
      return event.purpose === 'leader'
        ? { ...state, leaderLeaseBusyUntil: busyUntil }
        : { ...state, memberLeaseBusyUntil: busyUntil };
    }
    case 'postgres-seen':
      return observePostgres(state, event.status, now);
    case 'job-progress':
      return state.job?.id === event.id ? { ...state, job: { ...state.job, progress: event.progress } } : state;
    case 'job-finished':
      return observeJob(state, event, now);
    case 'operator':
      return acceptRequest(state, event.requestId, event.request, now);
  }
}

/* ---------------------------------------------------------------- the DCS */

function observeView(state: State, view: ClusterView, askedAt: Instant, now: Instant): State {
  const connected: State = { ...state, readAskedAt: undefined, dcs: { kind: 'connected' } };
  const old = state.view;
  const older = old !== undefined && old.storeId === view.storeId && view.revision < old.revision;
  // A snapshot that was on its way while I learnt of something newer. One that was asked for later and still shows
  // less is another matter: then the DCS went back, and the facts will say so.
  if (older && askedAt < state.viewKnownAt) return connected;
  const next = withView({ ...connected, viewAskedAt: Math.max(askedAt, state.viewAskedAt) }, view, now);
  return settleBySight(next, now);
}

/**
 * A taking that is seen has landed, exactly once: its nonce is its own. That it was not answered (yet) does not matter
 * any more.
 */
function settleBySight(state: State, now: Instant): State {
  const pending = state.ruleTransaction;
  const mine = pending?.transaction.write.find((write) => write.key === 'rule')?.value;
  const { rule, leader } = state.view ?? {};
  if (
    pending?.leaseId === undefined ||
    mine === undefined ||
    rule?.value.nonce !== mine.nonce ||
    rule.value.number !== mine.number
  )
    return state;
  if (leader?.leaseId !== pending.leaseId) return state;
  return afterApplied({ ...state, ruleTransaction: undefined }, pending, now);
}

/** Everything that depends on the view alone. */
function withView(state: State, view: ClusterView, now: Instant): State {
  const next: State = {
    ...state,
    view,
    viewKnownAt: now,
    keyAbsentSince: view.leader === undefined ? (state.keyAbsentSince ?? now) : undefined,
    failures: isNewTerm(state, view) ? withoutPromotion(state) : state.failures,
    abstainTerm: view.rule !== undefined && view.rule.value.term !== state.abstainTerm ? undefined : state.abstainTerm,
    wishSeenAt: view.failover?.modRevision === state.view?.failover?.modRevision ? state.wishSeenAt : now,
    switchover: view.failover?.modRevision === state.switchover?.revision ? state.switchover : undefined,
  };
  return rememberRule(next, now);
}

function isNewTerm(state: State, view: ClusterView): boolean {
  return view.rule?.value.term !== state.view?.rule?.value.term;
}

/** A promotion that failed in another term says nothing about this one. */
function withoutPromotion(state: State): State['failures'] {
  return new Map([...state.failures].filter(([kind]) => kind !== 'promote'));
}

/** The greatest term and rule number that were seen, so that a DCS which goes back in time is noticed. */
function rememberRule(state: State, now: Instant): State {
  const rule = state.view?.rule?.value;
  const facts: Facts = factsOf(state, now);
  if (rule === undefined || facts.doubt !== undefined || state.view === undefined) return state;
  const { durable, view } = state;
  if (durable.storeId === view.storeId && durable.maxTerm === rule.term && durable.maxRuleNumber === rule.number)
    return state;
  return { ...state, durable: { ...durable, storeId: view.storeId, maxTerm: rule.term, maxRuleNumber: rule.number } };
}

function observeAnswer(state: State, id: number, outcome: TransactionOutcome, now: Instant): State {
  if (state.publication?.id === id) {
    const next: State = { ...state, publication: undefined };
    return settle(next, state.publication, outcome, now, 'publicationRetryAt');
  }
  if (state.ruleTransaction?.id !== id) return state;
  const next: State = { ...state, ruleTransaction: undefined };
  return settle(next, state.ruleTransaction, outcome, now, 'transactionRetryAt');
}

function settle(
  state: State,
  pending: PendingTransaction,
  outcome: TransactionOutcome,
  now: Instant,
  retryAt: 'transactionRetryAt' | 'publicationRetryAt',
): State {
  switch (outcome.kind) {
    case 'applied':
      if (state.view === undefined) return state;
      return afterApplied(
        withView(state, applyTransaction(state.view, pending.transaction, outcome.revision), now),
        pending,
        now,
      );
    case 'refused':
      return retryAt === 'publicationRetryAt'
        ? publicationRefused(state, now)
        : { ...state, viewNeededSince: now, [retryAt]: now };
    case 'not-sent':
      return { ...state, [retryAt]: now + transactionRetryMs };
    case 'unanswered':
      // It may have been applied, or may yet be. What hangs on a lease is given up with the lease; everything else is
      // settled by the next compare-and-swap on the same key. A read settles nothing.
      return {
        ...state,
        viewNeededSince: now,
        [retryAt]: now + transactionRetryMs,
        // A wish that may be in the DCS is not written twice: at worst its asker learns that its fate is not known.
        requests: wishWritten(state, pending),
        ...(pending.leaseId === undefined
          ? {}
          : { abandonedLeases: abandon(state, pending.leaseId), leasesToEnd: [...state.leasesToEnd, pending.leaseId] }),
      };
  }
}

/** Most likely my lease is dead, though nobody told me: it is renewed at once, which tells. */
function publicationRefused(state: State, now: Instant): State {
  const { memberLease } = state;
  return {
    ...state,
    publicationRetryAt: now + transactionRetryMs,
    memberLeaseBusyUntil: undefined,
    memberLease: memberLease && { ...memberLease, validFrom: 0 },
  };
}

function afterApplied(state: State, pending: PendingTransaction, now: Instant): State {
  const { transaction } = pending;
  const published = transaction.write.some((write) => write.key === 'member');
  const identified = transaction.write.find((write) => write.key === 'initialize');
  const ruled = transaction.write.find((write) => write.key === 'rule');
  let next: State = {
    ...state,
    requests: wishWritten(state, pending),
    publishedAt: published ? now : state.publishedAt,
  };
  if (ruled !== undefined && pending.leaseId !== undefined) next = { ...next, reinit: undefined };
  // Only now is the record there that keeps others from taking over an unguarded primary.
  if (ruled?.value.disarmed === true) next = { ...next, durable: { ...next.durable, disarmed: true } };
  if (identified?.value !== undefined && identified.value !== '') {
    // Mine is the cluster's identifier: the directory is no longer a mere attempt, and is whole by definition.
    const { floor: _none, ...durable } = next.durable;
    const mark = state.postgres?.directory.kind === 'present' ? { dirMark: state.postgres.directory.mark } : {};
    next = { ...next, durable: { ...durable, ...mark, systemId: identified.value, founding: false } };
  }
  return next;
}

function wishWritten(state: State, pending: PendingTransaction): State['requests'] {
  const wish = pending.transaction.write.find((write) => write.key === 'failover')?.value;
  if (wish?.requestId === undefined) return state.requests;
  return state.requests.map((request) =>
    request.requestId === wish.requestId ? { ...request, written: true } : request,
  );
}

/* ---------------------------------------------------------------- leases */

function observeGrant(state: State, event: Extract<Event, { kind: 'lease-granted' }>): State {
  const { purpose, leaseId, ttlMs, sentAt } = event;
  const lease = { purpose, leaseId, ttlMs, askedTtlMs: event.askedTtlMs, validFrom: sentAt };
  return purpose === 'leader'
    ? { ...state, leaderLease: lease, leaderLeaseBusyUntil: undefined }
    : { ...state, memberLease: lease, memberLeaseBusyUntil: undefined };
}

function observeRenewal(state: State, event: Extract<Event, { kind: 'lease-renewed' }>): State {
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

function observeLeaseGone(state: State, leaseId: string, now: Instant): State {
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

/* ---------------------------------------------------------------- jobs */

/** Failed jobs are tried again after 0.5 s, then twice as long each time, at most a minute. */
function retryDelayMs(count: number): number {
  return Math.min(500 * 2 ** (count - 1), 60_000);
}

function observeJob(state: State, event: Extract<Event, { kind: 'job-finished' }>, now: Instant): State {
  const running = state.job;
  if (running?.id !== event.id) return observePostgres(state, event.status, now);
  const { job } = running;
  const failures = withOutcome(state, job.kind, event.outcome, now);
  const next: State = { ...state, job: undefined, failures };
  const changed = event.outcome.ok
    ? afterSuccess(next, running, event.status)
    : afterFailure(next, running.job.kind, event.outcome);
  return observePostgres(changed, event.status, now);
}

function withOutcome(state: State, kind: RunningKind, outcome: JobOutcome, now: Instant): State['failures'] {
  const failures = new Map(state.failures);
  if (outcome.ok) {
    if (kind !== 'start') failures.delete(kind);
    if (kind === 'clone') failures.delete('rewind');
    return failures;
  }
  const count = (failures.get(kind)?.count ?? 0) + 1;
  failures.set(kind, { count, retryAt: now + retryDelayMs(count), error: outcome.error });
  return failures;
}

type RunningKind = NonNullable<State['job']>['job']['kind'];

function afterSuccess(state: State, running: NonNullable<State['job']>, status: NonNullable<State['postgres']>): State {
  const { job } = running;
  const { floor: _floor, lastLsn: _lsn, ...rest } = state.durable;
  const mark =
    status.directory.kind === 'present'
      ? { dirMark: status.directory.mark, systemId: status.directory.control.systemId }
      : {};
  switch (job.kind) {
    case 'promote':
      return state;
    case 'checkpoint':
      return {
        ...state,
        durable: { ...state.durable, checkpointDue: false },
        switchover: state.switchover && { ...state.switchover, phase: 'stop' },
      };
    case 'stop':
      return {
        ...state,
        stoppedByUs: true,
        switchover: state.switchover && { ...state.switchover, phase: isShutDown(status) ? 'release' : 'failed' },
        restart: state.restart?.phase === 'stop' ? { ...state.restart, phase: 'start' } : state.restart,
      };
    case 'initdb':
      return { ...state, durable: { ...rest, ...mark, rewinding: false } };
    case 'set-aside':
      return { ...state, durable: { ...rest, founding: false } };
    case 'rewind':
      return { ...state, durable: { ...rest, ...withOrigin(running), ...floorOf(state), rewinding: false } };
    case 'clone':
      return {
        ...state,
        reinit: undefined,
        durable: { ...rest, ...mark, ...withOrigin(running), rewinding: false, founding: false, floor: 'infinite' },
      };
    case 'provision':
      return { ...state, provisioned: true };
    case 'start':
    case 'configure':
      return state;
  }
}

function floorOf(state: State): { floor?: NonNullable<State['durable']['floor']> } {
  return state.durable.floor === undefined ? {} : { floor: state.durable.floor };
}

function isShutDown(status: NonNullable<State['postgres']>): boolean {
  return status.directory.kind === 'present' && status.directory.control.state === 'shut down';
}

/** What was copied is of the term that the source was in when it began. */
function withOrigin(running: NonNullable<State['job']>): { originTerm?: number } {
  return running.term === undefined ? {} : { originTerm: running.term };
}

function afterFailure(state: State, kind: RunningKind, outcome: Extract<JobOutcome, { ok: false }>): State {
  switch (kind) {
    case 'checkpoint':
    case 'stop':
      return { ...state, switchover: undefined };
    case 'clone':
      return (state.failures.get('clone')?.count ?? 0) >= reinitTries ? { ...state, reinit: undefined } : state;
    case 'rewind':
      return outcome.untouched === true ? { ...state, durable: { ...state.durable, rewinding: false } } : state;
    default:
      return state;
  }
}
