/** Signs of life: what a member tells the others, what it asks of them, and when. */
import { inTurn } from './chore.ts';
import type { Effect } from './effects.ts';
import { endpointOf, type Facts } from './facts.ts';
import { askedMembers, failsafeDue, failsafeEveryMs } from './failsafe.ts';
import { gateMark } from './gate.ts';
import type { Instant } from './model.ts';
import type { Heartbeat } from './signs.ts';
import type { State } from './state.ts';
import { probeDue, probeTimeoutMs } from './suspicion.ts';

/** How long an unanswered gate write blocks the next one: the adapter answers sooner. */
const gateMs = 10_000;
const gateRetryMs = 200;

/** What a member in `state` tells the others at `now`. */
export function heartbeatOf(state: State, now: Instant): Heartbeat {
  const heardAgoMs: Record<string, number> = {};
  for (const [member, { at }] of state.heard) heardAgoMs[member] = now - at;
  const term = Math.max(state.view?.rule?.value.term ?? 0, state.durable.maxTerm);
  return { from: state.self.name, term, storeId: state.durable.storeId ?? '', heardAgoMs };
}

/** Whether members of this cluster listen for each other. In asynchronous mode nothing turns on it. */
export function listens(f: Facts): boolean {
  return f.rule?.mode === 'sync' || f.settings.synchronousMode !== 'off';
}

/** What is due now, noted as asked. */
export function signsOfLife(facts: Facts, effects: Effect[]): State {
  return inTurn([tellPeers, tellDcs, tryHolder, passGate, askPeers], facts, effects);
}

/** Of each pair the one whose name is less calls: question and answer are a sign of life each. */
function tellPeers(f: Facts, effects: Effect[]): State {
  const { state, now, view, self } = f;
  if (!listens(f) || now < state.heartbeatSentAt + f.settings.heartbeatIntervalMs) return state;
  const heartbeat = heartbeatOf(state, now);
  for (const [member, { value }] of view?.members ?? []) {
    if (self < member && value.apiUrl !== '')
      effects.push({ kind: 'heartbeat', member, apiUrl: value.apiUrl, heartbeat });
  }
  return { ...state, heartbeatSentAt: now };
}

/** Three beats in a failure timeout. */
export function beatEveryMs(failureTimeoutMs: number): number {
  return failureTimeoutMs / 3;
}

function tellDcs(f: Facts, effects: Effect[]): State {
  const { state, now, rule } = f;
  if (!f.iHold || rule?.mode !== 'sync' || state.dcs.kind !== 'connected') return state;
  if (now < state.beatSentAt + beatEveryMs(f.settings.failureTimeoutMs)) return state;
  effects.push({ kind: 'beat', term: rule.term });
  return { ...state, beatSentAt: now };
}

function tryHolder(f: Facts, effects: Effect[]): State {
  const { state, now, holder } = f;
  if (holder === undefined || !probeDue(f)) return state;
  const endpoint = endpointOf(f.view, holder);
  if (endpoint === undefined)
    return { ...state, probe: { member: holder, askedAt: now, at: now, answered: false, failedAskedAt: now } };
  const failedAskedAt = state.probe?.member === holder ? state.probe.failedAskedAt : undefined;
  effects.push({ kind: 'probe', endpoint, timeoutMs: probeTimeoutMs(f.settings.failureTimeoutMs) });
  return { ...state, probe: { member: holder, askedAt: now, at: now, answered: undefined, failedAskedAt } };
}

function passGate(f: Facts, effects: Effect[]): State {
  const { state, now } = f;
  const mark = gateMark(f);
  if (mark === undefined || state.gate?.mark === mark) {
    if (state.gate === undefined || state.gate.passed || mark === undefined) return state;
    if (now < state.gate.retryAt) return state;
  }
  effects.push({ kind: 'gate', mark });
  return { ...state, gate: { mark, passed: false, retryAt: now + gateMs } };
}

/** The gate's write failed: it is tried again soon. */
export function gateFailed(state: State, now: Instant): State {
  return state.gate === undefined ? state : { ...state, gate: { ...state.gate, retryAt: now + gateRetryMs } };
}

function askPeers(f: Facts, effects: Effect[]): State {
  const { state, now, rule, view } = f;
  if (rule === undefined || state.leaderLease === undefined || !failsafeDue(f)) return state;
  const { ttlMs } = state.leaderLease;
  const timeoutMs = failsafeEveryMs(ttlMs);
  for (const member of askedMembers(rule, f.self)) {
    const apiUrl = view?.members.get(member)?.value.apiUrl;
    if (apiUrl !== undefined && apiUrl !== '')
      effects.push({ kind: 'ask-failsafe', member, apiUrl, term: rule.term, number: rule.number, ttlMs, timeoutMs });
  }
  return { ...state, failsafeAskedAt: now };
}
