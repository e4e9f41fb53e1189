/** Folding what happened into the state. No decisions: what follows from an event is the rules' matter. */

import { joinTerm } from './branch.ts';
import { readRequestMs } from './chores.ts';
import type { Event, TransactionOutcome } from './events.ts';
import { type Facts, factsOf } from './facts.ts';
import type { ClusterView, Durable, Instant, Rule } from './model.ts';
import { observeJob } from './observe-jobs.ts';
import { abandon, observeGrant, observeLeaseFailure, observeLeaseGone, observeRenewal } from './observe-leases.ts';
import {
  observeAlive,
  observeGate,
  observeHeard,
  observeProbe,
  observePromise,
  observeQuestion,
} from './observe-peers.ts';
import { observePostgres, settleWal } from './observe-postgres.ts';
import { observeStorage } from './observe-storage.ts';
import { coverOf } from './quorum.ts';
import { acceptRequest } from './requests.ts';
import { emptyDurable, type PendingTransaction, type State, withDecisions } from './state.ts';
import { applyTransaction } from './view.ts';

/** How long a transaction that could not be sent, or whose fate is not known, is not tried again. */
const transactionRetryMs = 200;
const readRetryMs = 500;
const revocationPauseMsMax = 30_000;

/** `event` folded into the state. Nothing is decided here; a late or repeated answer is recognised by its number. */
export function observe(state: State, event: Event, now: Instant): State {
  switch (event.kind) {
    case 'started':
      return begin(state, event, now);
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
    case 'guard-acted': {
      const term = state.durable.maxTerm;
      const told = event.acts.map(({ at, text }) => ({
        at,
        member: state.self.name,
        term,
        rule: 'guard',
        because: text,
      }));
      return withDecisions(state, told);
    }
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
    case 'lease-failed':
      return observeLeaseFailure(state, event.purpose, now);
    case 'postgres-seen':
      return observePostgres(state, event.status, now);
    case 'job-progress':
      return state.job?.id === event.id ? { ...state, job: { ...state.job, progress: event.progress } } : state;
    case 'job-finished':
      return observeJob(state, event, now);
    case 'heard':
      return observeHeard(state, event, now);
    case 'alive':
      return observeAlive(state, event, now);
    case 'probed':
      return observeProbe(state, event, now);
    case 'gate':
      return observeGate(state, event, now);
    case 'failsafe-asked':
      return observeQuestion(state, event, now);
    case 'failsafe-answered':
      return observePromise(state, event);
    case 'storage-probed':
    case 'save-overdue':
    case 'saved':
      return observeStorage(state, event, now);
    case 'operator':
      return acceptRequest(state, event.requestId, event.request, now);
  }
}

/** A promise of another boot is of a clock that is gone: it is kept for a full TTL from now. */
function begin(state: State, event: Extract<Event, { kind: 'started' }>, now: Instant): State {
  const { bootId, armedUntil } = event;
  const durable = event.durable ?? emptyDurable(state.self.name);
  const { promise } = durable;
  const kept =
    promise === undefined || promise.bootId === bootId ? promise : { ...promise, bootId, until: now + promise.ttlMs };
  return {
    ...state,
    bootId,
    armedUntil,
    awakeSince: now,
    revokedAt: durable.revokedTerm === undefined ? undefined : now,
    durable: kept === undefined ? durable : { ...durable, promise: kept },
  };
}

/* ---------------------------------------------------------------- the DCS */

function observeView(state: State, view: ClusterView, askedAt: Instant, now: Instant): State {
  const connected: State = {
    ...state,
    readAskedAt: undefined,
    dcs: { kind: 'connected' },
    watchedSince: state.dcs.kind === 'connected' ? state.watchedSince : now,
  };
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
    absentSince: absentIn(view, state.absentSince, now),
    failures: isNewTerm(state, view) ? withoutPromotion(state) : state.failures,
    holderSince: isNewTerm(state, view) || view.leader?.value !== state.view?.leader?.value ? now : state.holderSince,
    coveredSince: coverOf(view).isComplete ? (isNewTerm(state, view) ? now : (state.coveredSince ?? now)) : undefined,
    ...(isNewTerm(state, view) ? { revokedInVain: 0, revokeAgainAt: -Infinity, catchingUp: undefined } : {}),
    abstainTerm: view.rule !== undefined && view.rule.value.term !== state.abstainTerm ? undefined : state.abstainTerm,
    wishSeenAt: view.failover?.modRevision === state.view?.failover?.modRevision ? state.wishSeenAt : now,
    switchover: view.failover?.modRevision === state.switchover?.revision ? state.switchover : undefined,
  };
  return settleWal(joinTerm(rememberRule(next, now), now), now);
}

function absentIn(view: ClusterView, before: ReadonlyMap<string, Instant>, now: Instant): ReadonlyMap<string, Instant> {
  const absent = (view.rule?.value.failsafe ?? []).filter((member) => !view.members.has(member));
  if (absent.length === 0 && before.size === 0) return before;
  return new Map(absent.map((member) => [member, before.get(member) ?? now]));
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
  const { storeId } = view;
  const { term: maxTerm, number: maxRuleNumber, nonce: maxNonce } = rule;
  if (durable.storeId === storeId && durable.maxTerm === maxTerm && durable.maxRuleNumber === maxRuleNumber)
    return state;
  return { ...state, durable: { ...durable, storeId, maxTerm, maxRuleNumber, maxNonce } };
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
        ? { ...publicationRefused(state, now), decisionsTold: [] }
        : {
            ...state,
            viewNeededSince: now,
            refusedInARow: state.refusedInARow + 1,
            [retryAt]:
              now + (state.refusedInARow === 0 ? 0 : Math.min(10 * 2 ** state.refusedInARow, transactionRetryMs)),
          };
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
        decisionsTold: retryAt === 'publicationRetryAt' ? [] : state.decisionsTold,
        ...unsettledBy(state, pending, now),
        ...(pending.leaseId === undefined
          ? {}
          : { abandonedLeases: abandon(state, pending.leaseId), leasesToEnd: [...state.leasesToEnd, pending.leaseId] }),
      };
  }
}

/** What may still land: PostgreSQL is not loosened, and nobody is promised anything, before it is settled. */
function unsettledBy(state: State, pending: PendingTransaction, now: Instant): Partial<State> {
  const changesRule = pending.transaction.write.some((write) => write.key === 'rule');
  const isTaking = changesRule && pending.transaction.write.some((write) => write.key === 'leader');
  const { ttlMs } = state.view?.config?.value ?? state.self.bootstrapSettings;
  return {
    ruleUnsettled: state.ruleUnsettled || changesRule,
    takeUnsettledUntil: isTaking ? now + ttlMs : state.takeUnsettledUntil,
  };
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
  const revoked = transaction.write.find((write) => write.key === 'revoke');
  const decided = transaction.write.find((write) => write.key === 'events');
  let next: State = {
    ...state,
    requests: wishWritten(state, pending),
    publishedAt: published ? now : state.publishedAt,
    decisionsTold: decided?.value ?? state.decisionsTold,
  };
  if (ruled !== undefined && pending.leaseId !== undefined)
    next = { ...next, reinit: undefined, durable: countedByForce(next, ruled.value) };
  if (!published) next = { ...next, refusedInARow: 0 };
  if (ruled !== undefined) next = { ...next, forgotten: forgottenBy(state, ruled.value.failsafe) };
  if (ruled !== undefined) next = { ...next, ruleUnsettled: false, tightening: undefined };
  if (revoked?.value.term === 'free') next = withoutRevocation(next, now);
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

/** What is here is what the cluster goes on from, however much may be missing in it: an operator said so. */
function countedByForce({ durable, takenOn }: State, rule: Rule): Durable {
  if (takenOn?.term !== rule.term || takenOn.ground !== 'forced') return durable;
  const { floor: _by, ...rest } = durable;
  return durable.floor === undefined ? durable : rest;
}

/** Only now, when it is answered, may WAL be streamed again. Before the next one there is a pause, longer each time. */
function withoutRevocation(state: State, now: Instant): State {
  const { revokedTerm: _takenBack, ...durable } = state.durable;
  const { failureTimeoutMs } = factsOf(state, now).settings;
  const revokedInVain = state.revokedInVain + 1;
  const pauseMs = Math.min(failureTimeoutMs * 2 ** (revokedInVain - 1), revocationPauseMsMax);
  return {
    ...state,
    durable,
    revokedInVain,
    revokeAgainAt: now + pauseMs,
    revokedAt: undefined,
    catchingUp: undefined,
  };
}

/** Who was absent, and is not in the list any more. One that is named again has its slot again. */
function forgottenBy({ forgotten, absentSince }: State, failsafe: readonly string[]): readonly string[] {
  return [...new Set([...forgotten, ...absentSince.keys()])].filter((member) => !failsafe.includes(member));
}

function wishWritten(state: State, pending: PendingTransaction): State['requests'] {
  const wish = pending.transaction.write.find((write) => write.key === 'failover')?.value;
  if (wish?.requestId === undefined) return state.requests;
  return state.requests.map((request) =>
    request.requestId === wish.requestId ? { ...request, written: true } : request,
  );
}
