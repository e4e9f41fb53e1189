/**
 * Carries out what the core asks for and reports what comes of it, without judgement of its own.
 *
 * Effects are carried out in their order; only `persist` is waited for, so that what must be on disk before
 * something else happens is. Everything else returns as an event.
 */
import { randomUUID } from 'node:crypto';
import type { Answer, Effect, Job } from '../core/effects.ts';
import type { Event, OperatorRequest } from '../core/events.ts';
import { newMember, step } from '../core/member.ts';
import type { Durable, Instant, Self } from '../core/model.ts';
import { type Report, reportOf } from '../core/report.ts';
import type { State } from '../core/state.ts';
import { decodeView, encodeTransaction } from '../dcs/records.ts';
import type { Log } from '../lib/log.ts';
import type { Dcs, LeaseOutcome } from '../ports/dcs.ts';
import type { Clock, DurableStore, Guard } from '../ports/host.ts';
import type { Postgres } from '../ports/postgres.ts';

export interface World {
  readonly dcs: Dcs;
  readonly postgres: Postgres;
  readonly durable: DurableStore;
  readonly guard: Guard;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Runtime {
  /** Begins: with what was remembered, and the deadline that an earlier agent left. */
  readonly start: (durable: Durable | undefined, armedUntil: Instant | undefined) => void;
  readonly report: () => Report;
  readonly operate: (request: OperatorRequest, signal: AbortSignal) => Promise<Answer>;
  readonly lastStepAt: () => Instant;
  /** Wall clock, epoch seconds, when the DCS was heard last. */
  readonly dcsLastSeenEpochS: () => number | undefined;
  /** Lets go of everything. The instance goes on. */
  readonly close: () => Promise<void>;
}

/** Timers stand still while the machine is suspended, so the clock is asked at least this often. */
const sleepMsMax = 1000;

export function createRuntime(self: Self, world: World): Runtime {
  const { dcs, postgres, clock, log } = world;
  const ending = new AbortController();
  const waiting = new Map<string, (answer: Answer) => void>();
  const queue: Effect[] = [];
  let state: State = newMember(self);
  let carrying = false;
  let timer: NodeJS.Timeout | undefined;
  let jobEnding = new AbortController();
  let lastStepAt = clock.now();
  let dcsSeenEpochS: number | undefined;
  let rule = '';
  let unwatch = (): void => {};

  /** The one way in: every event, in the order in which they come. */
  function dispatch(event: Event): void {
    if (ending.signal.aborted) return;
    lastStepAt = clock.now();
    const done = step(state, event, lastStepAt, clock.wall());
    state = done.state;
    if (done.rule !== rule && done.rule !== 'busy') {
      rule = done.rule;
      log.info(rule, done.because, { term: state.view?.rule?.value.term });
    }
    queue.push(...done.effects);
    void carryOut();
    clearTimeout(timer);
    const sleepMs = Math.min(Math.max(done.wakeAt - clock.now(), 0), sleepMsMax);
    timer = setTimeout(() => dispatch({ kind: 'tick' }), sleepMs);
  }

  async function carryOut(): Promise<void> {
    if (carrying) return;
    carrying = true;
    for (let effect = queue.shift(); effect !== undefined; effect = queue.shift()) {
      if (effect.kind === 'persist') await persist(effect.durable);
      else begin(effect);
    }
    carrying = false;
  }

  async function persist(durable: Durable): Promise<void> {
    for (let delayMs = 100; !ending.signal.aborted; delayMs = Math.min(delayMs * 2, 2000)) {
      const saved = await world.durable.save(durable);
      if (saved.ok) return;
      // Nothing that relies on it may happen. The lease is not renewed meanwhile, so a primary ends in time.
      log.error('state-not-saved', saved.error);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }

  function begin(effect: Exclude<Effect, { kind: 'persist' }>): void {
    switch (effect.kind) {
      case 'guard':
        world.guard.arm(effect.until);
        return;
      case 'inspect':
        void postgres.inspect().then((status) => dispatch({ kind: 'postgres-seen', status }));
        return;
      case 'job':
        void runJob(effect.id, effect.job);
        return;
      case 'change-slots':
        void changeSlots(effect);
        return;
      case 'answer':
        waiting.get(effect.requestId)?.(effect.answer);
        waiting.delete(effect.requestId);
        return;
      case 'transact':
        void transact(effect);
        return;
      case 'read':
        void read();
        return;
      case 'grant-lease':
      case 'renew-lease':
      case 'revoke-lease':
        void askLease(effect);
        return;
    }
  }

  /* -------------------------------------------------------------- PostgreSQL */

  async function runJob(id: number, job: Job): Promise<void> {
    // A stop ends whatever runs; its late outcome carries an old number, which the core knows not to believe.
    if (job.kind === 'stop') jobEnding.abort();
    jobEnding = new AbortController();
    const { signal } = jobEnding;
    const began = clock.now();
    log.info('job-begun', describeJob(job));
    const outcome = await postgres.run(job, (progress) => dispatch({ kind: 'job-progress', id, progress }), signal);
    const tookMs = Math.round(clock.now() - began);
    if (outcome.ok) log.info('job-done', describeJob(job), { tookMs });
    else log.warn('job-failed', `${describeJob(job)}: ${outcome.error}`, { tookMs });
    const status = await postgres.inspect();
    dispatch({ kind: 'job-finished', id, outcome, status, at: clock.wall() });
  }

  async function changeSlots(effect: Extract<Effect, { kind: 'change-slots' }>): Promise<void> {
    const outcome = await postgres.changeSlots(effect.create, effect.drop);
    const fields = { create: effect.create.map((slot) => slot.name).join(','), drop: effect.drop.join(',') };
    if (outcome.ok) log.debug('slots-changed', 'replication slots changed', fields);
    else log.warn('slots-not-changed', outcome.error, fields);
    dispatch({ kind: 'postgres-seen', status: await postgres.inspect() });
  }

  /* -------------------------------------------------------------- the DCS */

  async function transact(effect: Extract<Effect, { kind: 'transact' }>): Promise<void> {
    const { id, transaction } = effect;
    const outcome = await dcs.transact(encodeTransaction(transaction, state.view), ending.signal);
    const quiet = transaction.write.some((write) => write.key === 'member');
    const error = 'error' in outcome ? { error: outcome.error } : {};
    if (outcome.kind === 'applied') seen();
    log[quiet ? 'debug' : 'info']('transaction', `${transaction.name}: ${outcome.kind}`, error);
    dispatch({ kind: 'transaction-answered', id, outcome, at: clock.wall() });
  }

  async function read(): Promise<void> {
    const askedAt = clock.now();
    const outcome = await dcs.read(ending.signal);
    if (outcome.kind === 'failed') return dispatch({ kind: 'read-failed', error: outcome.error });
    seen();
    dispatch({ kind: 'dcs-read', view: decodeView(outcome.snapshot), askedAt });
  }

  async function askLease(
    effect: Extract<Effect, { kind: 'grant-lease' | 'renew-lease' | 'revoke-lease' }>,
  ): Promise<void> {
    const sentAt = clock.now();
    const outcome = await sendLease(effect);
    if (outcome.kind === 'alive') seen();
    if (effect.kind === 'revoke-lease') return;
    const { purpose } = effect;
    if (outcome.kind === 'failed') {
      log.warn('lease-failed', outcome.error, { purpose });
      dispatch({ kind: 'lease-failed', purpose, error: outcome.error });
    } else if (outcome.kind === 'gone') {
      log.warn('lease-gone', 'the DCS does not know the lease any more', { purpose });
      dispatch({ kind: 'lease-gone', purpose, leaseId: effect.kind === 'renew-lease' ? effect.leaseId : '' });
    } else {
      const { leaseId, ttlMs } = outcome;
      dispatch({
        kind: effect.kind === 'grant-lease' ? 'lease-granted' : 'lease-renewed',
        purpose,
        sentAt,
        leaseId,
        ttlMs,
      });
    }
  }

  function sendLease(
    effect: Extract<Effect, { kind: 'grant-lease' | 'renew-lease' | 'revoke-lease' }>,
  ): Promise<LeaseOutcome> {
    if (effect.kind === 'grant-lease') return dcs.grantLease(effect.ttlMs, ending.signal);
    if (effect.kind === 'renew-lease') return dcs.renewLease(effect.leaseId, ending.signal);
    return dcs.revokeLease(effect.leaseId, ending.signal);
  }

  function seen(): void {
    dcsSeenEpochS = Math.floor(Date.parse(clock.wall()) / 1000);
  }

  return {
    start(durable, armedUntil) {
      dispatch({ kind: 'started', durable, armedUntil });
      unwatch = dcs.watch({
        onSnapshot: (snapshot, askedAt) => {
          seen();
          dispatch({ kind: 'dcs-read', view: decodeView(snapshot), askedAt });
        },
        onLost: (error) => {
          log.warn('dcs-lost', error);
          dispatch({ kind: 'dcs-lost', error });
        },
      });
      postgres.watch({ onStatus: (status) => dispatch({ kind: 'postgres-seen', status }) });
    },
    report: () => reportOf(state, clock.now()),
    operate: (request, signal) =>
      new Promise((resolve) => {
        const requestId = randomUUID();
        const giveUp = (): void => {
          waiting.delete(requestId);
          resolve({ status: 503, text: 'the request was given up before it was done; it may still be in progress' });
        };
        if (signal.aborted) return giveUp();
        signal.addEventListener('abort', giveUp, { once: true });
        waiting.set(requestId, (answer) => {
          signal.removeEventListener('abort', giveUp);
          resolve(answer);
        });
        log.info('operator', `asked for: ${request.kind}`, { ...request, kind: undefined });
        dispatch({ kind: 'operator', requestId, request });
      }),
    lastStepAt: () => lastStepAt,
    dcsLastSeenEpochS: () => dcsSeenEpochS,
    async close() {
      clearTimeout(timer);
      unwatch();
      ending.abort();
      await Promise.all([dcs.close(), postgres.close()]);
    },
  };
}

function describeJob(job: Job): string {
  switch (job.kind) {
    case 'start':
      return `start as ${job.as}${job.upstream === undefined ? '' : ` of ${job.upstream.member}`}`;
    case 'stop':
      return `${job.mode} stop`;
    case 'rewind':
    case 'clone':
      return `${job.kind} from ${job.source.member}`;
    case 'configure':
      return `configure ${job.upstream === undefined ? 'without upstream' : `to follow ${job.upstream.member}`}`;
    default:
      return job.kind;
  }
}
