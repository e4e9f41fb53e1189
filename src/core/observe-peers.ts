/** What comes from the other members, folded into the state: who lives, who promised, who asks. */
import type { Event } from './events.ts';
import { factsOf } from './facts.ts';
import { refusal } from './failsafe.ts';
import { gateFailed } from './heartbeat.ts';
import type { Instant } from './model.ts';
import type { State } from './state.ts';

type Heard = Extract<Event, { kind: 'heard' }>;

/** A member that knows a newer term than I do tells me to look at the DCS anew. */
export function observeHeard(state: State, { heartbeat }: Heard, now: Instant): State {
  if (heartbeat.from === state.self.name) return state;
  const before = state.heard.get(heartbeat.from);
  const isSame = before?.heartbeat.term === heartbeat.term && before.heartbeat.storeId === heartbeat.storeId;
  const heard = new Map(state.heard).set(heartbeat.from, {
    at: now,
    termSince: isSame ? before.termSince : now,
    heartbeat,
  });
  const isNewer = heartbeat.term > (state.view?.rule?.value.term ?? 0) && state.viewAskedAt >= state.viewNeededSince;
  return { ...state, heard, viewNeededSince: isNewer ? now : state.viewNeededSince };
}

/** A beat of another term says nothing of the present holder. */
export function observeAlive(state: State, event: Extract<Event, { kind: 'alive' }>, now: Instant): State {
  if (event.term !== state.view?.rule?.value.term) return state;
  return { ...state, alive: { member: event.member, at: now } };
}

/** The outcome of the attempt that is under way; an older one is not believed. */
export function observeProbe(state: State, event: Extract<Event, { kind: 'probed' }>, now: Instant): State {
  const { probe } = state;
  if (probe === undefined || probe.member !== event.member || probe.answered !== undefined) return state;
  const failedAskedAt = event.answered ? probe.failedAskedAt : probe.askedAt;
  return { ...state, probe: { ...probe, at: now, answered: event.answered, failedAskedAt } };
}

/** The commit of the gate returned, or did not. */
export function observeGate(state: State, event: Extract<Event, { kind: 'gate' }>, now: Instant): State {
  if (state.gate === undefined || state.gate.mark !== event.mark) return state;
  return event.outcome.ok ? { ...state, gate: { ...state.gate, passed: true } } : gateFailed(state, now);
}

/** Counted from the sending of my question: the member began to count later. */
export function observePromise(state: State, event: Extract<Event, { kind: 'failsafe-answered' }>): State {
  const term = state.view?.rule?.value.term;
  if (!event.accepted || event.term !== term) return state;
  const before = state.promisesTerm === term ? state.promises : new Map<string, Instant>();
  const sentAt = Math.max(event.sentAt, before.get(event.member) ?? -Infinity);
  return { ...state, promises: new Map(before).set(event.member, sentAt), promisesTerm: term };
}

/** The promise is on disk before the answer goes out, since `persist` comes first among a step's effects. */
export function observeQuestion(state: State, event: Extract<Event, { kind: 'failsafe-asked' }>, now: Instant): State {
  const { requestId, from, term } = event;
  const facts = factsOf(state, now);
  const because = refusal(facts, from, term);
  const answer = because === undefined ? { status: 200, text: 'accepted' } : { status: 409, text: because };
  const answered: State = { ...state, answers: [...state.answers, { requestId, answer }] };
  if (because !== undefined) return answered;
  // Never for less than the asker counts on, whatever either of us knows of the settings.
  const ttlMs = Math.max(event.ttlMs, facts.settings.ttlMs);
  const promise = { term, bootId: state.bootId, until: now + ttlMs, ttlMs };
  return { ...answered, durable: { ...answered.durable, promise } };
}

/** An agent that comes later than it wanted to was frozen, or its host was: it may have missed every sign of life. */
export function noticeSleep(state: State, now: Instant): State {
  const { failureTimeoutMs } = state.view?.config?.value ?? state.self.bootstrapSettings;
  return now > state.wakeBy + failureTimeoutMs / 4 ? { ...state, awakeSince: now } : state;
}
