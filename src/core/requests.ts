/** What operators ask of a member: accepted or refused at once, done by the rules, answered when it is done. */
import type { Answer, Effect } from './effects.ts';
import { isEligible } from './election.ts';
import type { OperatorRequest } from './events.ts';
import { type Facts, factsOf } from './facts.ts';
import type { FailoverRequest, Instant } from './model.ts';
import type { PendingRequest, State } from './state.ts';
import { setFailover } from './transactions.ts';

/** How long a switchover or failover is waited for, at least. Patroni: 2 * max(10, loop_wait). */
const switchoverWaitMs = 20_000;
const restartWaitMs = 600_000;

/** The event `operator`: the state in which the request stands, with its immediate answer if it has one. */
export function acceptRequest(state: State, requestId: string, request: OperatorRequest, now: Instant): State {
  const facts = factsOf(state, now);
  const answerNow = (status: number, text: string): State => ({
    ...state,
    answers: [...state.answers, { requestId, answer: { status, text } }],
  });
  switch (request.kind) {
    case 'switchover':
    case 'failover': {
      const refusal = refuseSwitchover(facts, request);
      if (refusal !== undefined) return answerNow(refusal.status, refusal.text);
      const { loopWaitMs } = facts.settings;
      const waitedMs = Math.max(switchoverWaitMs, 2 * loopWaitMs);
      const pending: PendingRequest = {
        requestId,
        kind: request.kind,
        leader: request.kind === 'switchover' ? request.leader : undefined,
        candidate: request.candidate,
        allowDataLoss: request.kind === 'failover' && request.allowDataLoss,
        formerLeader: facts.holder,
        formerTerm: facts.rule?.term ?? 0,
        written: false,
        until: now + waitedMs,
        waitedMs,
      };
      return { ...state, requests: [...state.requests, pending] };
    }
    case 'restart': {
      const refusal = refuseRestart(facts, request);
      if (refusal !== undefined) return answerNow(refusal.status, refusal.text);
      const phase = facts.instance === 'stopped' ? 'start' : 'stop';
      return { ...state, restart: { requestId, phase, startedAt: now, postmaster: facts.running?.startTime } };
    }
    case 'reinitialize': {
      const refusal = refuseReinit(facts, request.force);
      if (refusal !== undefined) return answerNow(refusal.status, refusal.text);
      return { ...answerNow(200, 'reinitialize started'), reinit: { force: request.force }, failures: new Map() };
    }
    case 'reload':
      return { ...answerNow(202, 'reload scheduled'), configuredFor: undefined };
    case 'shutdown':
      return {
        ...state,
        shutdown: { requestId },
        restart: undefined,
        reinit: undefined,
        switchover: undefined,
      };
  }
}

/* ---------------------------------------------------------------- what can be refused at once */

function refuse(status: number, text: string): Answer {
  return { status, text };
}

function refuseSwitchover(
  f: Facts,
  request: Extract<OperatorRequest, { kind: 'switchover' | 'failover' }>,
): Answer | undefined {
  if (f.view === undefined || f.state.dcs.kind !== 'connected') return refuse(503, 'the DCS is not accessible');
  const { candidate } = request;
  if (request.kind === 'switchover') {
    if (request.leader === undefined) return refuse(400, 'Switchover could be performed only from a specific leader');
    if (f.paused && candidate === undefined)
      return refuse(400, 'Switchover is possible only to a specific candidate in a paused state');
    if (request.leader === candidate) return refuse(400, 'Switchover target and source are the same');
    if (f.holder === undefined) return refuse(412, 'switchover is not possible: the cluster has no leader');
    if (request.leader !== f.holder) return refuse(412, 'leader name does not match');
  }
  if (candidate !== undefined) return refuseCandidate(f, candidate);
  const others = [...f.view.members.keys()].filter((member) => member !== f.holder);
  return others.length > 0
    ? undefined
    : refuse(412, 'switchover is not possible: cluster does not have members except leader');
}

function refuseCandidate(f: Facts, candidate: string): Answer | undefined {
  const record = f.view?.members.get(candidate)?.value;
  if (record === undefined) return refuse(412, 'candidate does not exists');
  if (candidate === f.holder) return refuse(412, `${candidate} is the leader already`);
  if (!isEligible(record)) return refuse(412, `${candidate} is tagged nofailover`);
  return undefined;
}

function refuseRestart(f: Facts, request: Extract<OperatorRequest, { kind: 'restart' }>): Answer | undefined {
  if (f.state.job !== undefined || f.state.restart !== undefined)
    return refuse(503, `${f.state.job?.job.kind ?? 'restart'} already in progress`);
  if (f.instance === 'starting') return refuse(503, 'postgres is still starting');
  if (f.postgres?.directory.kind !== 'present') return refuse(503, 'restart failed: there is no data directory');
  if (f.foreignSystemId !== undefined)
    return refuse(503, 'restart failed: the data directory belongs to another cluster');
  const role = f.instance === 'primary' ? 'primary' : 'replica';
  if (request.role !== undefined && request.role !== role) return refuse(503, 'restart conditions are not satisfied');
  if (request.pendingOnly && (f.running?.pendingRestart.length ?? 0) === 0)
    return refuse(503, 'restart conditions are not satisfied');
  return undefined;
}

function refuseReinit(f: Facts, force: boolean): Answer | undefined {
  if (f.holder === f.self) return refuse(503, 'I am the leader, can not reinitialize');
  if (f.holder === undefined) return refuse(503, 'Cluster has no leader, can not reinitialize');
  if (f.foreignSystemId !== undefined && !force)
    return refuse(503, 'the data directory belongs to another cluster: it is replaced only with force');
  if (f.state.job !== undefined) return refuse(503, `${f.state.job.job.kind} already in progress`);
  return undefined;
}

/* ---------------------------------------------------------------- what is waited for */

/** As `Acted`: what was asked for is noted in the state. */
export interface Served {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** Writes wishes to the DCS and answers the requests whose outcome is known. */
export function serveRequests(facts: Facts): Served {
  const effects: Effect[] = facts.state.answers.map(({ requestId, answer }) => ({ kind: 'answer', requestId, answer }));
  let state: State = facts.state.answers.length === 0 ? facts.state : { ...facts.state, answers: [] };
  for (const request of state.requests) {
    const answer = outcomeOf(facts, request);
    if (answer !== undefined) {
      effects.push({ kind: 'answer', requestId: request.requestId, answer });
      state = { ...state, requests: state.requests.filter((one) => one !== request) };
      if (answer.status === 503) state = takeBackWish({ ...facts, state }, request, effects);
    } else if (!request.written) {
      state = writeWish({ ...facts, state }, request, effects);
    }
  }
  return state.restart === undefined ? { state, effects } : answerRestart({ ...facts, state }, effects);
}

/** Nobody waits for it any more, so nobody may be surprised by it later. */
function takeBackWish(facts: Facts, request: PendingRequest, effects: Effect[]): State {
  const { state, view } = facts;
  const standing = view?.failover?.value;
  if (view === undefined || standing?.requestId !== request.requestId || state.ruleTransaction !== undefined)
    return state;
  const transaction = setFailover(view, undefined);
  const id = state.nextId;
  effects.push({ kind: 'transact', id, transaction });
  return { ...state, nextId: id + 1, ruleTransaction: { id, transaction, sentAt: facts.now } };
}

function writeWish(facts: Facts, request: PendingRequest, effects: Effect[]): State {
  const { state, view, now } = facts;
  if (view === undefined || state.ruleTransaction !== undefined || now < state.transactionRetryAt) return state;
  if (state.viewAskedAt < state.viewNeededSince) return state;
  const wish: FailoverRequest = {
    kind: request.kind,
    ...(request.leader === undefined ? {} : { leader: request.leader }),
    ...(request.candidate === undefined ? {} : { candidate: request.candidate }),
    ...(request.allowDataLoss ? { allowDataLoss: true } : {}),
    requestId: request.requestId,
  };
  const transaction = setFailover(view, wish);
  const id = state.nextId;
  effects.push({ kind: 'transact', id, transaction });
  return { ...state, nextId: id + 1, ruleTransaction: { id, transaction, sentAt: now } };
}

function outcomeOf(facts: Facts, request: PendingRequest): Answer | undefined {
  const { view, now } = facts;
  const standing = view?.failover?.value;
  if (standing?.requestId === request.requestId && standing.refused !== undefined)
    return { status: 412, text: standing.refused };
  const leader = facts.holder;
  if (request.written && leader !== undefined && leader !== request.formerLeader) {
    const record = view?.members.get(leader)?.value;
    if (record?.role === 'primary' && record.state === 'running')
      return { status: 200, text: doneText(request, leader) };
  }
  const word = request.kind === 'failover' ? 'Failover' : 'Switchover';
  const cameBack =
    leader !== undefined && leader === request.formerLeader && (facts.rule?.term ?? 0) > request.formerTerm;
  if (request.written && cameBack)
    return { status: 503, text: `${word} failed: ${leader} took the key again, since nobody else did` };
  if (now < request.until) return undefined;
  return {
    status: 503,
    text: `${word} status unknown after ${Math.round(request.waitedMs / 1000)} seconds; operation may still be in progress`,
  };
}

function doneText(request: PendingRequest, leader: string): string {
  const verb = request.kind === 'failover' ? 'failed over' : 'switched over';
  if (request.candidate === undefined || request.candidate === leader) return `Successfully ${verb} to "${leader}"`;
  return `${verb === 'failed over' ? 'Failed' : 'Switched'} over to "${leader}" instead of "${request.candidate}"`;
}

function answerRestart(facts: Facts, effects: Effect[]): Served {
  const { state, running, now } = facts;
  const { restart } = state;
  if (restart === undefined) return { state, effects };
  const isNew =
    restart.phase === 'start' &&
    running !== undefined &&
    running.startTime !== restart.postmaster &&
    state.job === undefined;
  const failure = state.failures.get('start');
  if (isNew)
    effects.push({
      kind: 'answer',
      requestId: restart.requestId,
      answer: { status: 200, text: 'restarted successfully' },
    });
  else if (restart.phase === 'start' && failure !== undefined && failure.count >= 2) {
    effects.push({
      kind: 'answer',
      requestId: restart.requestId,
      answer: { status: 503, text: `restart failed: ${failure.error}` },
    });
  } else if (now - restart.startedAt > restartWaitMs) {
    effects.push({
      kind: 'answer',
      requestId: restart.requestId,
      answer: { status: 503, text: 'restart failed: not ready in time' },
    });
  } else return { state, effects };
  return { state: { ...state, restart: undefined }, effects };
}
