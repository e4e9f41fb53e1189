/** What became of a job, folded into the state. */
import type { Event, JobOutcome } from './events.ts';
import type { Lsn } from './lsn.ts';
import type { Instant } from './model.ts';
import { observePostgres } from './observe-postgres.ts';
import type { State } from './state.ts';

/** After so many failed copies the operator's wish for one is over; what the rules want goes on. */
const reinitTries = 5;

/** Failed jobs are tried again after 0.5 s, then twice as long each time, at most a minute. */
function retryDelayMs(count: number): number {
  return Math.min(500 * 2 ** (count - 1), 60_000);
}

/** The job's outcome and what it changed; of an older job only the look at the instance counts. */
export function observeJob(state: State, event: Extract<Event, { kind: 'job-finished' }>, now: Instant): State {
  const running = state.job;
  if (running?.id !== event.id) return observePostgres(state, event.status, now);
  const { job } = running;
  const failures = withOutcome(state, job.kind, event.outcome, now);
  const next: State = { ...state, job: undefined, failures };
  const changed = event.outcome.ok
    ? afterSuccess(next, running, event.status, event.outcome.lsn)
    : afterFailure(next, running.job.kind, event.outcome);
  const isCopied = job.kind === 'clone' && event.outcome.ok;
  return observePostgres(isCopied ? { ...changed, viewNeededSince: now } : changed, event.status, now);
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

function afterSuccess(
  state: State,
  running: NonNullable<State['job']>,
  status: NonNullable<State['postgres']>,
  lsn: Lsn | undefined,
): State {
  const { job } = running;
  const { floor: _floor, lastLsn: _lsn, joining: _of, ...rest } = state.durable;
  const mark =
    status.directory.kind === 'present'
      ? { dirMark: status.directory.mark, systemId: status.directory.control.systemId }
      : {};
  switch (job.kind) {
    case 'promote':
      return state;
    case 'sever':
      return { ...state, severed: startTimeOf(status), configuredFor: undefined, catchingUp: undefined };
    case 'end-senders':
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
        durable: {
          ...rest,
          ...mark,
          ...withOrigin(running),
          ...(state.reinit === undefined ? {} : believing(state)),
          rewinding: false,
          founding: false,
          floor: 'infinite',
        },
      };
    case 'provision':
      return { ...state, provisioned: true };
    case 'start':
      return state;
    case 'configure':
      return state.tightening === undefined || lsn === undefined
        ? state
        : { ...state, tightening: { ...state.tightening, markLsn: lsn } };
  }
}

/** An operator has said to copy whoever leads: what was seen before of another DCS holds no more. */
function believing({ view }: State): Partial<State['durable']> {
  const rule = view?.rule?.value;
  if (view === undefined || rule === undefined) return {};
  return { storeId: view.storeId, maxTerm: rule.term, maxRuleNumber: rule.number, maxNonce: rule.nonce };
}

function startTimeOf(status: NonNullable<State['postgres']>): string | undefined {
  return status.instance.kind === 'running' ? status.instance.startTime : undefined;
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
    case 'configure':
    case 'start':
      return { ...state, configuredFor: undefined };
    case 'rewind':
      return outcome.untouched === true ? { ...state, durable: { ...state.durable, rewinding: false } } : state;
    default:
      return state;
  }
}
