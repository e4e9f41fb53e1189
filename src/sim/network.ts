/** Delay, loss and cuts between two ends, by what runs between them. */
import { between, happens } from './random.ts';
import type { Member, World } from './world.ts';

/** What a message belongs to: agents talk to agents, PostgreSQLs to PostgreSQLs, agents to the DCS. */
export type Traffic = 'agents' | 'postgres' | 'dcs';

/** The store's end of a link. */
export const dcsEnd = 'dcs';

function linkOf(traffic: Traffic, from: string, to: string): string {
  return `${traffic} ${from} ${to}`;
}

/** Messages from `from` to `to` are lost until then. */
export function cut(world: World, traffic: Traffic, from: string, to: string, until: number): void {
  const link = linkOf(traffic, from, to);
  world.network.cut.set(link, Math.max(world.network.cut.get(link) ?? 0, until));
  world.network.cutUntil = Math.max(world.network.cutUntil, until);
}

/** Whether a message gets there at all, if it is sent now. */
export function passes(world: World, traffic: Traffic, from: string, to: string): boolean {
  const { cut: cuts, cutUntil } = world.network;
  return cutUntil <= world.now || (cuts.get(linkOf(traffic, from, to)) ?? 0) <= world.now;
}

/** Both directions, and both hosts have power. */
export function reaches(world: World, traffic: Traffic, one: Member, other: Member): boolean {
  return (
    one.host.up &&
    other.host.up &&
    passes(world, traffic, one.name, other.name) &&
    passes(world, traffic, other.name, one.name)
  );
}

/** One way, in milliseconds. */
export function hopMs(world: World): number {
  const { network, random } = world;
  const base = 0.1 + random.network() * 0.4;
  if (world.now >= network.slowUntil) return happens(random.network, 0.002) ? base + 20 * random.network() : base;
  return base + between(random.network, 0, network.slowMs);
}
