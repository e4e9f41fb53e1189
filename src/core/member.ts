/**
 * One member of a cluster, as a state machine: `step(state, event, now)` gives the next state, the effects that it
 * asks for, and when it wants to be woken. It calls nothing and knows no clock but `now`.
 *
 * A member is in one of these situations, and the table in rules.ts has a section for each:
 *   founding    the DCS knows no cluster: exactly one transaction creates it
 *   holding     the leader key is mine: the instance is to be writable, or the key goes to somebody who can serve
 *   vacant      the key is free: retake, be handed it, or be the best of those heard in time
 *   following   another holds it: stream; where WAL has diverged rewind, where nothing else helps clone
 *   away        the DCS does not answer: the holder goes on until its own count of the lease ends, nobody else acts
 * Safety comes before all of them: an instance that may write without a living lease is stopped at once.
 *
 * Requests to the world are under way while other events come in; each returns as an event, late or never, and is
 * matched by its number. There is one job on the instance and one transaction on the rule at a time.
 */
import { act } from './act.ts';
import { chores, guard } from './chores.ts';
import type { Effect } from './effects.ts';
import type { Event } from './events.ts';
import { factsOf } from './facts.ts';
import type { Instant, Self } from './model.ts';
import { observe } from './observe.ts';
import { serveRequests } from './requests.ts';
import type { Rule } from './rules/rule.ts';
import { decide } from './rules.ts';
import { wakeAt } from './schedule.ts';
import { initialState, type State } from './state.ts';

/** What one event brought about. */
export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
  readonly wakeAt: Instant;
  /** The rule that matched. */
  readonly rule: string;
  readonly because: string;
}

/** `wall`: wall-clock time, for texts that people read; nothing depends on it. */
export function step(before: State, event: Event, now: Instant, wall = ''): Step {
  const observed = observe(before, event, now);
  const answered = serveRequests(factsOf(observed, now));
  const facts = factsOf(answered.state, now);
  const rule: Rule = decide(facts);
  const because = rule.because(facts);
  const told = tellRule(answered.state, rule.name, because, now);
  const acted = act({ ...facts, state: told }, rule.goal(facts), wall);
  const done = chores(factsOf(acted.state, now));
  const guarded = guard(factsOf(done.state, now));
  const { state } = guarded;
  const effects: Effect[] = [
    ...(state.durable === before.durable ? [] : [{ kind: 'persist', durable: state.durable } as const]),
    ...guarded.effects,
    ...answered.effects,
    ...acted.effects,
    ...done.effects,
  ];
  return { state, effects, wakeAt: wakeAt(factsOf(state, now)), rule: rule.name, because };
}

/** The state of a member whose agent has just begun. */
export function newMember(self: Self): State {
  return initialState(self);
}

function tellRule(state: State, name: string, because: string, now: Instant): State {
  if (state.lastRule.name === name && state.lastRule.because === because) return state;
  const ruleSince = state.lastRule.name === name ? state.ruleSince : now;
  return { ...state, lastRule: { name, because }, ruleSince };
}
