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
import { type Facts, factsOf } from './facts.ts';
import type { Instant, Self } from './model.ts';
import { observe } from './observe.ts';
import { noticeSleep } from './observe-peers.ts';
import { serveRequests } from './requests.ts';
import type { Rule } from './rules/rule.ts';
import { decide } from './rules.ts';
import { wakeAt } from './schedule.ts';
import { initialState, type State, withDecisions } from './state.ts';

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
  const observed = observe(noticeSleep(before, now), event, now);
  const seen = factsOf(observed, now);
  const answered = serveRequests(seen);
  const facts = anew(seen, answered.state);
  const rule: Rule = decide(facts);
  const because = rule.because(facts);
  const told = tellRule(facts, rule.name, because, wall);
  // What a rule's name is changes no fact.
  const toldFacts = told === facts.state ? facts : { ...facts, state: told };
  const acted = act(toldFacts, rule.goal(facts), wall);
  const afterAct = anew(toldFacts, acted.state);
  const done = chores(afterAct);
  const afterChores = anew(afterAct, done.state);
  const guarded = guard(afterChores);
  const wake = wakeAt(anew(afterChores, guarded.state));
  const state: State = { ...guarded.state, wakeBy: wake };
  const effects: Effect[] = [
    ...(state.durable === before.durable ? [] : [{ kind: 'persist', durable: state.durable } as const]),
    ...guarded.effects,
    ...answered.effects,
    ...acted.effects,
    ...done.effects,
  ];
  return { state, effects, wakeAt: wake, rule: rule.name, because };
}

/** The facts of another state at the same moment. */
function anew(facts: Facts, state: State): Facts {
  return state === facts.state ? facts : factsOf(state, facts.now);
}

/** The state of a member whose agent has just begun. */
export function newMember(self: Self): State {
  return initialState(self);
}

/** Rules that are no decisions. */
const undecided: readonly string[] = ['inspecting', 'busy', 'awaiting-rule', 'waiting-for-the-dcs'];

function tellRule({ state, now, rule }: Facts, name: string, because: string, wall: string): State {
  if (state.lastRule.name === name && state.lastRule.because === because) return state;
  const told: State = { ...state, lastRule: { name, because } };
  if (state.lastRule.name === name) return told;
  const next: State = { ...told, ruleSince: now };
  if (undecided.includes(name) || state.decisions.at(-1)?.rule === name) return next;
  const decision = { at: wall, member: state.self.name, term: rule?.term ?? 0, rule: name, because };
  return withDecisions(next, [decision]);
}
