/** A physical slot for each other member, so that no WAL is removed that it still needs, and that only it uses. */
import type { Effect, SlotWish } from './effects.ts';
import type { Facts } from './facts.ts';

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
  const { running, settings, rule, view, self } = facts;
  if (
    running === undefined ||
    !settings.useSlots ||
    rule === undefined ||
    facts.paused ||
    facts.state.job !== undefined
  )
    return undefined;
  if (running.inRecovery ? facts.holder === undefined : !facts.iHold) return undefined;
  const reserve = !running.inRecovery;
  const alive = new Set([...rule.failsafe, ...(view?.members.keys() ?? [])]);
  const wanted = new Set([...alive].filter((member) => member !== self).map(slotNameOf));
  // One that is too like has no slot, and does not take part.
  wanted.delete(slotNameOf(self));
  const physical = new Map(running.slots.filter((slot) => slot.physical).map((slot) => [slot.name, slot]));
  const create: SlotWish[] = [...wanted].filter((name) => !physical.has(name)).map((name) => ({ name, reserve }));
  const gone = new Set(facts.state.forgotten.map(slotNameOf));
  const drop: string[] = [];
  for (const [name, slot] of physical) {
    if (slot.active) continue;
    if (name === slotNameOf(self) || (gone.has(name) && !wanted.has(name))) drop.push(name);
    else if (!reserve && wanted.has(name) && slot.restartLsn !== undefined) drop.push(name);
  }
  return create.length === 0 && drop.length === 0 ? undefined : { kind: 'change-slots', create, drop };
}
