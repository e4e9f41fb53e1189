/** Members whose names PostgreSQL cannot tell apart: at most one of them takes part. */
import type { Facts } from './facts.ts';
import { slotNameOf } from './slots.ts';

/**
 * Whom `member` has to give way to: one of nearly the same name that came before it. Who is known to the rule came
 * first, then who registered first; of two that are both known neither gives way.
 */
export function likeNamed(facts: Facts, member: string): string | undefined {
  const { rule, view } = facts;
  if (rule?.failsafe.includes(member) === true || rule?.leader === member) return undefined;
  const known = rule?.failsafe.find((other) => isLike(facts, other, member));
  if (known !== undefined) return known;
  const registeredAt = view?.members.get(member)?.createRevision ?? Infinity;
  for (const [other, { createRevision }] of view?.members ?? []) {
    if (createRevision < registeredAt && isLike(facts, other, member)) return other;
  }
  return undefined;
}

/** synchronous_standby_names compares application names without case, and a slot serves one standby at a time. */
function isLike({ settings }: Facts, one: string, other: string): boolean {
  if (one === other) return false;
  if (one.toLowerCase() === other.toLowerCase()) return true;
  return settings.useSlots && slotNameOf(one) === slotNameOf(other);
}
