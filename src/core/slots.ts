/** A physical slot for each other member, so that no WAL is removed that it still needs, and that only it uses. */
import type { Effect, SlotWish } from './effects.ts';
import type { Facts } from './facts.ts';
import type { Rule } from './model.ts';
import type { Slot } from './replicas.ts';

const plain = /^[a-z0-9_]{1,63}$/;

/**
 * Patroni's rule: lower case; `-` and `.` become `_`, anything else that a slot name cannot hold becomes
 * `u` and its code point in four decimal digits; at most 63 characters.
 */
export function slotNameOf(member: string): string {
  if (plain.test(member)) return member;
  const name = Array.from(member.toLowerCase())
    .map((character) => {
      if (/[a-z0-9_]/.test(character)) return character;
      if (character === '-' || character === '.') return '_';
      return `u${String(character.codePointAt(0) ?? 0).padStart(4, '0')}`;
    })
    .join('');
  return name.slice(0, 63);
}

/**
 * The primary keeps WAL for every member that the rule knows. A replica has the same slots without keeping anything,
 * so that they are there in the moment it is promoted; what an earlier life as primary reserved is let go.
 */
export function slotChanges(facts: Facts): Extract<Effect, { kind: 'change-slots' }> | undefined {
  const { running, settings, rule, state } = facts;
  if (running === undefined || !settings.useSlots || rule === undefined || facts.paused || state.job !== undefined)
    return undefined;
  if (running.inRecovery ? facts.holder === undefined : !facts.iHold) return undefined;
  const reserve = !running.inRecovery;
  const wanted = wantedSlots(facts, rule);
  const physical = running.slots.filter((slot) => slot.physical);
  const create: SlotWish[] = wanted
    .filter((name) => !physical.some((slot) => slot.name === name))
    .map((name) => ({ name, reserve }));
  const drop = physical.filter((slot) => !slot.active && isSurplus(facts, slot, wanted)).map((slot) => slot.name);
  return create.length === 0 && drop.length === 0 ? undefined : { kind: 'change-slots', create, drop };
}

/** Of all others, each once. One that is too like me has no slot, and does not take part. */
function wantedSlots({ self, view }: Facts, { failsafe }: Rule): readonly string[] {
  const own = slotNameOf(self);
  const wanted: string[] = [];
  const want = (member: string): void => {
    const name = slotNameOf(member);
    if (name !== own && !wanted.includes(name)) wanted.push(name);
  };
  for (const member of failsafe) want(member);
  for (const member of view?.members.keys() ?? []) if (!failsafe.includes(member)) want(member);
  return wanted;
}

/** Mine, or a forgotten member's, or one that keeps WAL at a replica. */
function isSurplus({ self, state, running }: Facts, { name, restartLsn }: Slot, wanted: readonly string[]): boolean {
  if (wanted.includes(name)) return running?.inRecovery === true && restartLsn !== undefined;
  return name === slotNameOf(self) || state.forgotten.some((member) => slotNameOf(member) === name);
}
