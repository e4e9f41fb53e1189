/**
 * Carries out what the core asks for and reports what comes of it, without judgement of its own: events go in one by
 * one, effects go out in their order, and the core is woken when it wants to be.
 */
import type { Answer } from '../core/effects.ts';
import type { Event, GuardAct, OperatorRequest } from '../core/events.ts';
import { heartbeatOf } from '../core/heartbeat.ts';
import { newMember, step } from '../core/member.ts';
import type { Durable, Instant, Self, Settings } from '../core/model.ts';
import { type Report, reportOf } from '../core/report.ts';
import type { Heartbeat } from '../core/signs.ts';
import type { State } from '../core/state.ts';
import type { FailsafeQuestion } from '../ports/peers.ts';
import { type DcsEffects, dcsEffects } from './dcs-effects.ts';
import { effectQueue, type PromptEffect } from './effect-queue.ts';
import { type Operators, waitingOperators } from './operators.ts';
import { type PeerEffects, peerEffects } from './peer-effects.ts';
import { type PostgresEffects, postgresEffects } from './postgres-effects.ts';
import type { World } from './world.ts';

/** A member that runs. */
export interface Runtime {
  /** Begins: with what was remembered, the deadline that an earlier agent left, and which boot this is. */
  readonly start: (durable: Durable | undefined, armedUntil: Instant | undefined, bootId: string) => void;
  /** What the guard did goes into the cluster's history. */
  readonly guardActed: (acts: readonly GuardAct[]) => void;
  readonly report: () => Report;
  readonly operate: (request: OperatorRequest, signal: AbortSignal) => Promise<Answer>;
  /** Another member lives; gives this member's own heartbeat. */
  readonly hear: (heartbeat: Heartbeat) => Heartbeat;
  /** Another member, which holds the key, asks whether it may go on without the DCS. */
  readonly askFailsafe: (question: FailsafeQuestion, signal: AbortSignal) => Promise<Answer>;
  /** What the cluster agreed on; before it is known, what this member would found it with. */
  readonly failureTimeoutMs: () => number;
  readonly ttlMs: () => number;
  readonly lastStepAt: () => Instant;
  /** Wall clock, epoch seconds, when the DCS was heard last. */
  readonly dcsLastSeenEpochS: () => number | undefined;
  /** Lets go of everything. The instance goes on. */
  readonly close: () => Promise<void>;
}

/** Timers stand still while the machine is suspended, so the clock is asked at least this often. */
const sleepMsMax = 1000;

/** Nothing is touched before `start`. */
export function createRuntime(self: Self, world: World): Runtime {
  const { clock, log } = world;
  const ending = new AbortController();
  let state: State = newMember(self);
  let timer: NodeJS.Timeout | undefined;
  let lastStepAt = clock.now();
  let rule = '';
  let unwatch = (): void => {};

  function dispatch(event: Event): void {
    if (ending.signal.aborted) return;
    lastStepAt = clock.now();
    const done = step(state, event, lastStepAt, clock.wall());
    state = done.state;
    if (done.rule !== rule && done.rule !== 'busy' && done.rule !== 'awaiting-rule') {
      rule = done.rule;
      log.info(rule, done.because, { term: state.view?.rule?.value.term });
    }
    carryOut(done.effects);
    clearTimeout(timer);
    const sleepMs = Math.min(Math.max(done.wakeAt - clock.now(), 0), sleepMsMax);
    timer = setTimeout(() => dispatch({ kind: 'tick' }), sleepMs);
  }

  const postgres = postgresEffects(world, dispatch);
  const dcs = dcsEffects(world, dispatch, () => state.view, ending.signal);
  const settings = (): Settings => state.view?.config?.value ?? self.bootstrapSettings;
  const failureTimeoutMs = (): number => settings().failureTimeoutMs;
  const peers = peerEffects(world, self.name, dispatch, failureTimeoutMs);
  const operators = waitingOperators(log, dispatch);
  const ways: Ways = { self, world, postgres, dcs, peers, operators };
  const carryOut = effectQueue(world, (effect) => begin(effect, ways), dispatch, ending.signal);

  return {
    start(durable, armedUntil, bootId) {
      dispatch({ kind: 'started', durable, armedUntil, bootId });
      unwatch = dcs.watch();
      postgres.watch();
    },
    guardActed: (acts) => dispatch({ kind: 'guard-acted', acts }),
    report: () => reportOf(state, clock.now()),
    operate: operators.operate,
    hear(heartbeat) {
      dispatch({ kind: 'heard', heartbeat });
      return heartbeatOf(state, clock.now());
    },
    askFailsafe: operators.askFailsafe,
    failureTimeoutMs,
    ttlMs: () => settings().ttlMs,
    lastStepAt: () => lastStepAt,
    dcsLastSeenEpochS: dcs.lastSeenEpochS,
    async close() {
      clearTimeout(timer);
      unwatch();
      ending.abort();
      world.peers.close();
      await Promise.all([world.dcs.close(), world.postgres.close()]);
    },
  };
}

interface Ways {
  readonly self: Self;
  readonly world: World;
  readonly postgres: PostgresEffects;
  readonly dcs: DcsEffects;
  readonly peers: PeerEffects;
  readonly operators: Operators;
}

/** Each effect to where it is carried out. */
function begin(effect: PromptEffect, { self, world, postgres, dcs, peers, operators }: Ways): void {
  switch (effect.kind) {
    case 'guard':
      return world.guard.arm(effect.until);
    case 'inspect':
      return postgres.inspect();
    case 'job':
      return postgres.runJob(effect.id, effect.job);
    case 'change-slots':
      return postgres.changeSlots(effect);
    case 'probe':
      return postgres.probe(effect);
    case 'probe-storage':
      return postgres.probeStorage();
    case 'gate':
      return postgres.gate(effect);
    case 'heartbeat':
      return peers.heartbeat(effect);
    case 'ask-failsafe':
      return peers.askFailsafe(effect);
    case 'beat':
      return world.dcs.beat(effect.term, self.name);
    case 'answer':
      return operators.answer(effect.requestId, effect.answer);
    case 'transact':
      return dcs.transact(effect);
    case 'read':
      return dcs.read();
    case 'grant-lease':
    case 'renew-lease':
    case 'revoke-lease':
      return dcs.askLease(effect);
  }
}
