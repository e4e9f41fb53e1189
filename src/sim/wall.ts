/**
 * The wall clocks of hosts: each has its own idea of the time, and somebody sets it at times, by minutes or by an hour. They
 * are in texts for people only: a cluster takes the same course whatever they show.
 */

import { between, happens, pick, type Random } from './random.ts';
import type { Fault } from './script.ts';
import type { Member, MemberPlan, World } from './world.ts';

const hourMs = 3_600_000;
/** Some day. */
const epochMs = 1_900_000_000_000;

/** What the host's wall clock shows, in milliseconds since 1970, as text. */
export function wallText(world: World, { host }: Member): string {
  return String(Math.round(epochMs + world.now + host.wallMs));
}

/** How far a host's wall clock is off when it begins: mostly by little, at times by an hour. */
export function drawOffset(random: Random): number {
  return happens(random, 0.3) ? pick(random, [-hourMs, hourMs]) : Math.round(between(random, -2000, 2000));
}

/** Some jumps of some of them. */
export function drawJumps(
  random: Random,
  members: readonly MemberPlan[],
  fromMs: number,
  toMs: number,
): readonly Fault[] {
  const jumps: Fault[] = [];
  for (let left = Math.floor(between(random, 0, 5)); left > 0; left -= 1) {
    const value = pick(random, [-hourMs, hourMs, Math.round(between(random, -120_000, 120_000))]);
    jumps.push({
      kind: 'wall-jump',
      atMs: Math.round(between(random, fromMs, toMs)),
      member: pick(random, members).name,
      value,
    });
  }
  return jumps;
}
