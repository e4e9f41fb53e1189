/** Turning the goal of the matching rule into effects, once: what is under way is not asked for again. */
import { recordCurrentTerm } from './act-history.ts';
import { catchUp, takeRevocationBack, tighten } from './act-synchronous.ts';
import { baseOf, joining, offeredTerm, parentOf } from './branch.ts';
import { type Configuration, configurationOf } from './configuration.ts';
import type { Effect, Job, Transaction } from './effects.ts';
import type { Facts } from './facts.ts';
import { writeDeadline } from './failsafe.ts';
import { deadlineOf } from './lease.ts';
import type { Lsn } from './lsn.ts';
import type { Durable, Ground, Handover, Instant } from './model.ts';
import { abandon } from './observe-leases.ts';
import { type Goal, mayTry } from './rules/rule.ts';
import type { PendingTransaction, State } from './state.ts';
import { announcePosition, found, nextTerm, release, setFailover, take } from './transactions.ts';

/** The state with what was asked for noted in it, and the asking. */
export interface Acted {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** How long an unanswered lease request blocks the next one. The adapters answer sooner. */
const leaseRequestMs = 5000;
const giveUpRetryMs = 200;

/**
 * `at`: wall-clock time for texts. What cannot be done now (an answer is awaited) is left out: the rule matches again.
 */
export function act(facts: Facts, goal: Goal, at: string): Acted {
  const { state } = facts;
  switch (goal.kind) {
    case 'wait':
      return { state, effects: [] };
    case 'job':
      return mayBegin(state, goal.job) && mayTry(facts, goal.job.kind)
        ? beginJob(facts, goal.job)
        : { state, effects: [] };
    case 'stop-now':
      return state.job?.job.kind === 'stop' ? { state, effects: [] } : beginJob(facts, stopBy(goal, 'fast'));
    case 'fence':
      return beginJob(facts, stopBy(goal, 'immediate'));
    case 'transact':
      return send(facts, goal.transaction);
    case 'found':
      return withFreshLease(facts, (leaseId) => {
        const founder = {
          member: facts.self,
          leaseId,
          settings: facts.settings,
          maxTerm: maxTermSeen(state),
          maxRuleNumber: state.durable.maxRuleNumber,
        };
        return facts.view && found(facts.view, founder, goal.systemId);
      });
    case 'take':
      return takeKey(facts, goal.ground);
    case 'reclaim':
      return askLease(facts, { kind: 'renew-lease', purpose: 'leader', leaseId: goal.leaseId });
    case 'give-up':
      return giveUp(facts, goal.leaseId);
    case 'release':
      return releaseKey(facts, goal);
    case 'announce':
    case 'revoke':
      return announce(facts);
    case 'take-back':
      return takeRevocationBack(facts);
    case 'tighten-postgres':
      return tighten(facts, goal.to);
    case 'catch-up':
      return catchUp(facts, goal.source, goal.target);
    case 'refuse-request':
      return facts.view?.failover === undefined
        ? { state, effects: [] }
        : send(facts, setFailover(facts.view, { ...facts.view.failover.value, refused: goal.reason }));
    case 'switchover':
      return beginSwitchover(facts, goal.candidate);
    case 'record-term':
      return recordCurrentTerm(facts, at);
    case 'farewell':
      return farewell(state);
  }
}

/** Also what others have told: a term is never given out twice. */
function maxTermSeen({ durable, heard }: State): number {
  return Math.max(durable.maxTerm, ...[...heard.values()].map(({ heartbeat }) => heartbeat.term));
}

function takeKey(facts: Facts, ground: Ground): Acted {
  const { state } = facts;
  const { view, rule, self } = facts;
  if (view === undefined || rule === undefined) return { state, effects: [] };
  const seen = { member: self, maxTerm: maxTermSeen(state), maxRuleNumber: state.durable.maxRuleNumber };
  const takenOn = { term: nextTerm(rule, seen), ground, from: rule.leader };
  return withFreshLease({ ...facts, state: { ...state, takenOn } }, (leaseId) =>
    take(view, rule, seen, { leaseId, ground, base: baseOf(facts), degraded: isStale(facts, ground) }),
  );
}

/** A record that went back in time says less than PostgreSQL waits for by now. */
function isStale({ doubt, rule, running }: Facts, ground: Ground): boolean {
  if (doubt === undefined || ground !== 'retake') return false;
  return rule?.mode === 'sync' || (running?.synchronousStandbyNames ?? '') !== '';
}

/* ---------------------------------------------------------------- jobs */

/** One job at a time; only a checkpoint, which the server ends by itself, gives way to a new setting. */
export function mayBegin(state: State, job: Job): boolean {
  if (state.job === undefined) return true;
  return state.job.job.kind === 'checkpoint' && (job.kind === 'configure' || job.kind === 'end-senders');
}

function stopBy({ unable }: { readonly unable?: string }, mode: 'fast' | 'immediate'): Job {
  return { kind: 'stop', mode, ...(unable === undefined ? {} : { unable }) };
}

/** The job under way from now on, with what must be remembered before it begins. */
export function beginJob(facts: Facts, job: Job): Acted {
  const { state, now } = facts;
  const id = state.nextId;
  const next: State = {
    ...state,
    nextId: id + 1,
    job: { id, job, startedAt: now, term: facts.rule?.term },
    durable: rememberBefore(facts, job),
    configuredFor: configuredBy(facts, job),
    unable: job.kind === 'stop' ? (job.unable ?? state.unable) : state.unable,
    // What was proven of a tighter setting is void with any other one.
    tightening: isLooseSetting(job) ? undefined : state.tightening,
    severed:
      (job.kind === 'start' || job.kind === 'configure') && job.upstream !== undefined ? undefined : state.severed,
    revokedAt: job.kind === 'sever' && !facts.isRevoked ? now : state.revokedAt,
  };
  return { state: next, effects: [{ kind: 'job', id, job }] };
}

/** What must be on disk before the job begins, since nobody can tell afterwards. */
function rememberBefore(facts: Facts, job: Job): Durable {
  const { durable } = facts.state;
  const term = facts.rule?.term;
  switch (job.kind) {
    case 'initdb': {
      const { dirMark: _another, ...rest } = durable;
      return { ...rest, founding: true };
    }
    case 'promote':
      if (term === undefined || facts.running === undefined) return durable;
      return {
        ...durable,
        ...takenOnOf(facts),
        promoting: { term, fromTimeline: facts.running.timeline },
        branch: { term, promoted: true, ...parentOf(facts) },
        checkpointDue: true,
      };
    case 'start': {
      if (job.as === 'replica') return joining(facts, job.upstream);
      if (term === undefined || durable.originTerm === term) return durable;
      return {
        ...durable,
        ...takenOnOf(facts),
        originTerm: term,
        branch: { term, promoted: false, ...parentOf(facts) },
      };
    }
    case 'stop':
      // A stopped instance does not tell how far its WAL goes.
      return facts.position === undefined ? durable : { ...durable, lastLsn: facts.position.lsn };
    case 'rewind':
      return { ...durable, rewinding: true, floor: floorBefore(facts) };
    case 'configure':
      return joining(facts, job.upstream);
    case 'sever':
      // On disk before the cut: from here on nothing is streamed from this term's holder, whatever becomes of the agent.
      return term === undefined ? durable : { ...durable, revokedTerm: Math.max(term, durable.revokedTerm ?? 0) };
    default:
      return durable;
  }
}

/** It goes to disk together with what the promotion needs there. */
function takenOnOf({ state }: Facts): Pick<Durable, 'takenOn'> {
  return state.takenOn === undefined ? {} : { takenOn: state.takenOn };
}

/** The floor is only ever raised. Where nobody knows how far the WAL went, it is infinite. */
function floorBefore(facts: Facts): Durable['floor'] & {} {
  const { durable } = facts.state;
  if (durable.floor !== undefined) return durable.floor;
  const directory = facts.postgres?.directory;
  if (durable.originTerm === undefined || directory?.kind !== 'present') return 'infinite';
  return { originTerm: durable.originTerm, lsn: durable.lastLsn ?? directory.control.checkpointLsn };
}

function isLooseSetting(job: Job): boolean {
  return job.kind === 'start' || (job.kind === 'configure' && job.prove === 'nothing');
}

function configuredBy(facts: Facts, job: Job): Configuration | undefined {
  // Also one that fails, or is never finished, may have emptied primary_conninfo.
  if (job.kind === 'sever') return undefined;
  return job.kind === 'start' || job.kind === 'configure'
    ? configurationOf(facts, job.upstream, job.synchronousStandbyNames)
    : facts.state.configuredFor;
}

/* ---------------------------------------------------------------- transactions */

/** One transaction on the rule at a time, on a view that shows the outcome of the last one. */
function maySend(facts: Facts): boolean {
  const { state, now } = facts;
  return (
    state.ruleTransaction === undefined &&
    now >= state.transactionRetryAt &&
    state.viewAskedAt >= state.viewNeededSince &&
    state.dcs.kind === 'connected'
  );
}

/** The transaction under way from now on; nothing when another one is, or the view is too old. */
export function send(facts: Facts, transaction: Transaction, leaseId?: string): Acted {
  const { state, now } = facts;
  if (!maySend(facts)) return { state, effects: [] };
  const id = state.nextId;
  const pending: PendingTransaction = { id, transaction, sentAt: now, ...(leaseId === undefined ? {} : { leaseId }) };
  const sent: State = { ...state, nextId: id + 1, ruleTransaction: pending };
  const says = transaction.write.find((write) => write.key === 'rule');
  return {
    state: says?.value.disarmed === false ? rearmed(sent) : sent,
    effects: [{ kind: 'transact', id, transaction }],
  };
}

/** Each attempt at the key has a lease of its own, young enough to serve on. */
function withFreshLease(facts: Facts, transaction: (leaseId: string) => Transaction | undefined): Acted {
  const { state, now, settings } = facts;
  if (!maySend(facts)) return { state, effects: [] };
  const { leaderLease } = state;
  if (leaderLease === undefined || !isFresh(state, settings.ttlMs, now)) {
    const dropped: State =
      leaderLease === undefined
        ? state
        : { ...state, leaderLease: undefined, abandonedLeases: abandon(state, leaderLease.leaseId) };
    return askLease({ ...facts, state: dropped }, { kind: 'grant-lease', purpose: 'leader', ttlMs: settings.ttlMs });
  }
  const made = transaction(leaderLease.leaseId);
  return made === undefined ? { state, effects: [] } : send(facts, made, leaderLease.leaseId);
}

/** A lease that carries nothing, and is young enough to take the key on. */
export function isFresh({ leaderLease, abandonedLeases }: State, ttlMs: number, now: Instant): boolean {
  return (
    leaderLease !== undefined &&
    !abandonedLeases.includes(leaderLease.leaseId) &&
    leaderLease.askedTtlMs === ttlMs &&
    now < leaderLease.validFrom + leaderLease.ttlMs / 4
  );
}

function askLease(facts: Facts, effect: Effect): Acted {
  const { state, now } = facts;
  if (state.leaderLeaseBusyUntil !== undefined && now < state.leaderLeaseBusyUntil) return { state, effects: [] };
  return { state: { ...state, leaderLeaseBusyUntil: now + leaseRequestMs }, effects: [effect] };
}

/** Ended now, and asked for again until the key is seen to be gone. */
function giveUp(facts: Facts, leaseId: string): Acted {
  const { state, now } = facts;
  const { leaderLease } = state;
  const asked = state.abandonedLeases.includes(leaseId) && now < state.givenUpAt + giveUpRetryMs;
  return {
    state: {
      ...state,
      leaderLease: leaderLease?.leaseId === leaseId ? undefined : leaderLease,
      abandonedLeases: abandon(state, leaseId),
      givenUpAt: asked ? state.givenUpAt : now,
    },
    effects: asked ? [] : [{ kind: 'revoke-lease', leaseId }],
  };
}

/** From the sending on I am not the holder, whatever becomes of it. */
function releaseKey(facts: Facts, goal: Extract<Goal, { kind: 'release' }>): Acted {
  const { state, view, rule } = facts;
  if (view === undefined || rule === undefined || state.leaderLease === undefined) return { state, effects: [] };
  const leaseId = state.leaderLease.leaseId;
  const acted = send(facts, release(view, rule, goal.clean ? handoverOf(facts, goal.candidate) : undefined), leaseId);
  if (acted.effects.length === 0) return acted;
  return {
    ...acted,
    state: {
      ...acted.state,
      offeredLsn: goal.clean ? offeredBy(facts) : acted.state.offeredLsn,
      offeredDownSince: acted.state.downSince,
      leaderLease: undefined,
      abandonedLeases: abandon(acted.state, leaseId),
      abstainTerm: goal.abstain ? rule.term : acted.state.abstainTerm,
      switchover: undefined,
      unable: undefined,
    },
  };
}

function offeredBy(facts: Facts): Lsn | undefined {
  const directory = facts.postgres?.directory;
  return directory?.kind === 'present' ? directory.control.checkpointLsn : undefined;
}

/** Whoever sends a record that says "not disarmed" has its guard on from that moment. */
function rearmed(state: State): State {
  return state.durable.disarmed ? { ...state, durable: { ...state.durable, disarmed: false } } : state;
}

function handoverOf(facts: Facts, candidate: string | undefined): Handover | undefined {
  const directory = facts.postgres?.directory;
  if (directory?.kind !== 'present') return undefined;
  const { timeline, checkpointLsn } = directory.control;
  return {
    originTerm: offeredTerm(facts),
    timeline,
    lsn: checkpointLsn,
    ...(candidate === undefined ? {} : { to: candidate }),
  };
}

function announce(facts: Facts): Acted {
  const { state, view, rule, position } = facts;
  if (view === undefined || rule === undefined || position === undefined) return { state, effects: [] };
  const sequence = (view.revocations.get(facts.self)?.value.sequence ?? 0) + 1;
  const acted = send(facts, announcePosition(view, rule, facts.self, { ...position, term: rule.term, sequence }));
  if (acted.effects.length === 0) return acted;
  return {
    ...acted,
    state: { ...acted.state, announcedAt: facts.now, durable: announced(facts, acted.state.durable, position.lsn) },
  };
}

/** In synchronous mode the record itself remembers it: one write to disk less on the way to a new primary. */
function announced({ rule }: Facts, durable: Durable, lastLsn: Lsn): Durable {
  return rule?.mode === 'sync' ? durable : { ...durable, lastLsn };
}

function beginSwitchover(facts: Facts, candidate: string): Acted {
  const revision = facts.view?.failover?.modRevision;
  if (revision === undefined) return { state: facts.state, effects: [] };
  const state: State = { ...facts.state, switchover: { revision, candidate, phase: 'checkpoint' } };
  return beginJob({ ...facts, state }, { kind: 'checkpoint' });
}

/* ---------------------------------------------------------------- the end */

function farewell(state: State): Acted {
  if (state.shutdown === undefined) return { state, effects: [] };
  const { requestId } = state.shutdown;
  if (requestId === '') return { state, effects: [] };
  const effects: Effect[] = [{ kind: 'answer', requestId, answer: { status: 200, text: 'stopped' } }];
  if (state.memberLease !== undefined) effects.push({ kind: 'revoke-lease', leaseId: state.memberLease.leaseId });
  return { state: { ...state, memberLease: undefined, shutdown: { requestId: '' } }, effects };
}

/** Until when the guard lets the instance run; undefined = the guard is off. */
export function guardDeadline(facts: Facts): number | undefined {
  const { state, now } = facts;
  // An agent that has just begun knows less than the one before it.
  if (facts.postgres === undefined) return state.armedUntil;
  if (!facts.mayWrite || state.durable.disarmed) return undefined;
  // Also while a taking is under way: its lease ends before anybody else could take the key after it.
  const { leaderLease, ruleTransaction } = state;
  const carries = facts.holder === facts.self || ruleTransaction?.leaseId === leaderLease?.leaseId;
  if (leaderLease !== undefined && carries) return Math.max(deadlineOf(leaderLease), writeDeadline(state) ?? 0);
  if (state.armedUntil !== undefined) return state.armedUntil;
  // Writable, in a cluster that others may lead by now, and no agent of this boot gave it a lease: somebody else started
  // or promoted it. Not for a moment longer.
  return state.durable.maxTerm > 0 && facts.foreignSystemId === undefined ? now : undefined;
}
