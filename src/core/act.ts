/** Turning the goal of the matching rule into effects, once: what is under way is not asked for again. */
import { configurationMark } from './configuration.ts';
import type { Effect, Job, Transaction } from './effects.ts';
import type { Facts } from './facts.ts';
import { deadlineOf } from './lease.ts';
import { formatLsn, type Lsn, lagBytes, lsnZero } from './lsn.ts';
import type { Durable, Handover, TermEntry } from './model.ts';
import { abandon } from './observe.ts';
import { type Goal, mayTry } from './rules/rule.ts';
import type { PendingTransaction, State } from './state.ts';
import { entryOf } from './term-tree.ts';
import { announcePosition, found, nextTerm, recordTerm, release, setFailover, take } from './transactions.ts';

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
      return state.job === undefined && mayTry(facts, goal.job.kind)
        ? beginJob(facts, goal.job)
        : { state, effects: [] };
    case 'stop-now':
      return state.job?.job.kind === 'stop' ? { state, effects: [] } : beginJob(facts, { kind: 'stop', mode: 'fast' });
    case 'fence':
      return beginJob(facts, { kind: 'stop', mode: 'immediate' });
    case 'transact':
      return send(facts, goal.transaction);
    case 'found':
      return withFreshLease(facts, (leaseId) => {
        const founder = {
          member: facts.self,
          leaseId,
          settings: facts.settings,
          maxTerm: state.durable.maxTerm,
          maxRuleNumber: state.durable.maxRuleNumber,
        };
        return facts.view && found(facts.view, founder, goal.systemId);
      });
    case 'take': {
      const { view, rule, self } = facts;
      if (view === undefined || rule === undefined) return { state, effects: [] };
      const takenOn = { term: nextTerm(rule, state.durable), ground: goal.ground, from: rule.leader };
      const acted = withFreshLease(facts, (leaseId) =>
        take(view, rule, { ...state.durable, member: self }, leaseId, goal.ground),
      );
      const isSent = acted.effects.some((effect) => effect.kind === 'transact');
      return isSent ? { ...acted, state: { ...acted.state, durable: { ...acted.state.durable, takenOn } } } : acted;
    }
    case 'reclaim':
      return askLease(facts, { kind: 'renew-lease', purpose: 'leader', leaseId: goal.leaseId });
    case 'give-up':
      return giveUp(facts, goal.leaseId);
    case 'release':
      return releaseKey(facts, goal);
    case 'announce':
      return announce(facts);
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

/* ---------------------------------------------------------------- jobs */

function beginJob(facts: Facts, job: Job): Acted {
  const { state, now } = facts;
  const id = state.nextId;
  const next: State = {
    ...state,
    nextId: id + 1,
    job: { id, job, startedAt: now, term: facts.rule?.term },
    durable: rememberBefore(facts, job),
    configuredFor: configuredBy(facts, job),
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
        promoting: { term, fromTimeline: facts.running.timeline },
        branch: { term, promoted: true, ...parentOf(facts) },
        checkpointDue: true,
      };
    case 'start': {
      if (job.as !== 'primary' || term === undefined || durable.originTerm === term) return durable;
      return { ...durable, originTerm: term, branch: { term, promoted: false, ...parentOf(facts) } };
    }
    case 'stop':
      // A stopped instance does not tell how far its WAL goes.
      return facts.position === undefined ? durable : { ...durable, lastLsn: facts.position.lsn };
    case 'rewind':
      return { ...durable, rewinding: true, floor: floorBefore(facts) };
    default:
      return durable;
  }
}

/** What the new term goes on from. An own term that never came on record is passed over. */
function parentOf(facts: Facts): { parent?: number } {
  const { originTerm, branch } = facts.state.durable;
  const { terms } = facts;
  const isUnrecorded = terms.length > 0 && branch?.term === originTerm && entryOf(terms, originTerm) === undefined;
  const parent = isUnrecorded ? branch?.parent : originTerm;
  return parent === undefined ? {} : { parent };
}

/** The floor is only ever raised. Where nobody knows how far the WAL went, it is infinite. */
function floorBefore(facts: Facts): Durable['floor'] & {} {
  const { durable } = facts.state;
  if (durable.floor !== undefined) return durable.floor;
  const directory = facts.postgres?.directory;
  if (durable.originTerm === undefined || directory?.kind !== 'present') return 'infinite';
  return { originTerm: durable.originTerm, lsn: durable.lastLsn ?? directory.control.checkpointLsn };
}

function configuredBy(facts: Facts, job: Job): string | undefined {
  return job.kind === 'start' || job.kind === 'configure'
    ? configurationMark(facts, job.upstream)
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

function send(facts: Facts, transaction: Transaction, leaseId?: string): Acted {
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
  const isFresh =
    leaderLease !== undefined &&
    !state.abandonedLeases.includes(leaderLease.leaseId) &&
    leaderLease.askedTtlMs === settings.ttlMs &&
    now < leaderLease.validFrom + leaderLease.ttlMs / 4;
  if (!isFresh) {
    const dropped: State =
      leaderLease === undefined
        ? state
        : { ...state, leaderLease: undefined, abandonedLeases: abandon(state, leaderLease.leaseId) };
    return askLease({ ...facts, state: dropped }, { kind: 'grant-lease', purpose: 'leader', ttlMs: settings.ttlMs });
  }
  const made = transaction(leaderLease.leaseId);
  return made === undefined ? { state, effects: [] } : send(facts, made, leaderLease.leaseId);
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
      leaderLease: undefined,
      abandonedLeases: abandon(acted.state, leaseId),
      abstainTerm: goal.abstain ? rule.term : acted.state.abstainTerm,
      switchover: undefined,
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
  return { timeline, lsn: checkpointLsn, ...(candidate === undefined ? {} : { to: candidate }) };
}

function announce(facts: Facts): Acted {
  const { state, view, rule, position } = facts;
  if (view === undefined || rule === undefined || position === undefined) return { state, effects: [] };
  const sequence = (view.revocations.get(facts.self)?.value.sequence ?? 0) + 1;
  const acted = send(facts, announcePosition(view, facts.self, { ...position, term: rule.term, sequence }));
  if (acted.effects.length === 0) return acted;
  return {
    ...acted,
    state: { ...acted.state, announcedAt: facts.now, durable: { ...acted.state.durable, lastLsn: position.lsn } },
  };
}

function beginSwitchover(facts: Facts, candidate: string): Acted {
  const revision = facts.view?.failover?.modRevision;
  if (revision === undefined) return { state: facts.state, effects: [] };
  const state: State = { ...facts.state, switchover: { revision, candidate, phase: 'checkpoint' } };
  return beginJob({ ...facts, state }, { kind: 'checkpoint' });
}

/* ---------------------------------------------------------------- the history */

function recordCurrentTerm(facts: Facts, at: string): Acted {
  const { view, rule, running } = facts;
  if (view === undefined || rule === undefined || running?.writtenLsn === undefined)
    return { state: facts.state, effects: [] };
  const { branch, originTerm } = facts.state.durable;
  const own = branch?.term === rule.term ? branch : { promoted: false, parent: originTerm };
  const from = entryOf(facts.terms, own.parent);
  // A promotion began a timeline: it left its parent's where its own history says. A holder that goes on with its
  // timeline (or with the directory that it brought) begins the term here: everything before is its own.
  const left = running.history.findLast((one) => one.timeline === from?.timeline) ?? running.history.at(-1);
  const switchLsn =
    own.promoted || (from !== undefined && from.timeline !== running.timeline)
      ? (left?.switchLsn ?? lsnZero)
      : running.writtenLsn;
  const entry: TermEntry = {
    term: rule.term,
    timeline: running.timeline,
    switchLsn,
    member: facts.self,
    reason: reasonOf(facts, switchLsn, own.promoted),
    ...(own.parent === undefined ? {} : { parent: own.parent }),
    at,
  };
  return send(facts, recordTerm(view, entry));
}

function reasonOf(facts: Facts, switchLsn: Lsn, switched: boolean): string {
  const before = facts.terms.at(-1);
  if (before === undefined) return facts.state.durable.maxTerm > 1 ? 'cluster founded anew' : 'cluster founded';
  const { takenOn } = facts.state.durable;
  const isNoted = takenOn?.term === facts.rule?.term;
  const { ground, from } =
    isNoted && takenOn !== undefined ? takenOn : { ground: 'retake' as const, from: before.member };
  const last = facts.view?.status?.value.lsn;
  const lost = last === undefined || !switched ? 0n : lagBytes(last, switchLsn);
  const loss =
    lost > 0n ? `; the last primary had written up to ${formatLsn(last ?? lsnZero)}, ${lost} bytes more` : '';
  switch (ground) {
    case 'retake':
      return `${facts.self} took its key again`;
    case 'handover':
      return `handed over by ${from} after a clean shutdown`;
    case 'asynchronous':
      return `failover: ${from} lost the leader key${loss}`;
    case 'forced':
      return `failover forced by an operator${loss}`;
  }
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
  if (leaderLease !== undefined && carries) return deadlineOf(leaderLease);
  if (state.armedUntil !== undefined) return state.armedUntil;
  // Writable, in a cluster that others may lead by now, and no agent of this boot gave it a lease: somebody else started
  // or promoted it. Not for a moment longer.
  return state.durable.maxTerm > 0 && facts.foreignSystemId === undefined ? now : undefined;
}
