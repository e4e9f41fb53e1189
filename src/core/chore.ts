/** What is done under every rule, one small thing after the other. */
import type { Effect } from './effects.ts';
import type { Facts } from './facts.ts';
import type { State } from './state.ts';

/** Asks for what is due, and gives the state in which that is noted; the same state when nothing is due. */
export type Chore = (facts: Facts, effects: Effect[]) => State;

/** Each sees what those before it have noted in the state; what is derived of the state is as it was before the first. */
export function inTurn(chores: readonly Chore[], facts: Facts, effects: Effect[]): State {
  let current = facts;
  for (const chore of chores) {
    const state = chore(current, effects);
    if (state !== current.state) current = { ...current, state };
  }
  return current.state;
}
