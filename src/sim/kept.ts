/** What agents of a newer release wrote has to be there still when an older one has written: records, and a member's memory. */
import type { Durable } from '../core/model.ts';
import { violated } from './checks.ts';
import { countOf, fieldsOf, parsed } from './next-release.ts';
import type { Release } from './releases.ts';
import type { Member, World } from './world.ts';

/** Records that outlive who wrote them: each is rewritten by whoever may change it. */
const shared: readonly string[] = ['rule', 'terms', 'config', 'failover'];

/** What the keys hold that a transaction is about to write. */
export function sharedTexts(world: World): ReadonlyMap<string, unknown> {
  if (world.plan.mixed !== true) return new Map();
  return new Map(shared.map((key) => [key, world.store.model.keys.get(key)?.value]));
}

/** What the next release wrote is there as before, whoever wrote since. */
export function checkKept(world: World, member: Member, by: Release, before: ReadonlyMap<string, unknown>): void {
  for (const [key, former] of before) {
    const now = world.store.model.keys.get(key)?.value;
    if (former === undefined || now === undefined || now === former) continue;
    const lost = lostFrom(key, parsed(former), parsed(now), by);
    if (lost !== undefined) violated(world, 'newer-field-destroyed', `${member.name} wrote ${key} without ${lost}`);
  }
}

function lostFrom(key: string, former: unknown, now: unknown, by: Release): string | undefined {
  if (Array.isArray(former)) {
    const rows: readonly unknown[] = Array.isArray(now) ? now : [];
    const has = (row: unknown): unknown => fieldsOf(row)['next'];
    const lost = former.findIndex((row, index) => has(row) !== undefined && has(row) !== has(rows[index]));
    return lost < 0 ? undefined : `what row ${lost + 1} said besides`;
  }
  if (key === 'rule') {
    const wanted = countOf(former) + (by === 'next' ? 1 : 0);
    return countOf(now) === wanted ? undefined : `its count of ${wanted}`;
  }
  // A wish that is replaced by another one is another record.
  if (key === 'failover' && fieldsOf(fieldsOf(now)['pgherd'])['refused'] === undefined) return undefined;
  return countOf(now) >= countOf(former) ? undefined : 'what it said besides';
}

/** What an agent of its release puts on its disk, over what is there. */
export function remembered({ agent }: Member, by: Release, durable: Durable): Durable {
  if (by === 'this') return durable;
  return { ...durable, newer: { count: countOnDisk(agent.durable) + 1 } };
}

/** The same of the member's own memory. */
export function checkRemembered(world: World, member: Member, by: Release, durable: Durable): void {
  if (by === 'next' || countOnDisk(member.agent.durable) === countOnDisk(durable)) return;
  violated(world, 'newer-field-destroyed', `${member.name} put its memory on disk without what it does not know`);
}

function countOnDisk(durable: Durable | undefined): number {
  return Number(durable?.newer?.['count'] ?? 0);
}
