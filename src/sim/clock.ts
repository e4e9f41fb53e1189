/** When things happen: on the true clock, and on the clocks of hosts, which differ and drift, stop and start. */
import type { Instant } from '../core/model.ts';
import { push } from './queue.ts';
import { between } from './random.ts';
import type { Member, World } from './world.ts';

/** After `delayMs` of true time, whatever becomes of anybody. */
export function after(world: World, delayMs: number, run: () => void): void {
  push(world.queue, world.now + delayMs, run);
}

/** On the member's host: not after it lost power, and only when it is awake. */
export function onHost(world: World, member: Member, delayMs: number, run: () => void): void {
  const { host } = member;
  const { boot } = host;
  const go = (): void => {
    if (!host.up || host.boot !== boot) return;
    if (world.now < host.frozenUntil) host.deferred.push(go);
    else run();
  };
  push(world.queue, world.now + delayMs, go);
}

/** In the agent's process: not in a later life of it, and only when it is awake. */
export function onAgent(world: World, member: Member, delayMs: number, run: () => void): void {
  const { life } = member.agent;
  push(world.queue, world.now + delayMs, () => inAgent(world, member, life, run));
}

/** Now, in this life of the agent; later, if it is frozen. */
export function inAgent(world: World, member: Member, life: number, run: () => void): void {
  const { agent } = member;
  if (!agent.alive || agent.life !== life) return;
  if (isFrozen(world, member)) agent.deferred.push(() => inAgent(world, member, life, run));
  else run();
}

/** The agent's process gets no time. */
export function isFrozen(world: World, member: Member): boolean {
  return world.now < member.host.frozenUntil || world.now < member.agent.frozenUntil;
}

/** Its host gets no time, and what comes to it meanwhile is lost instead of waiting. */
export function isDeaf(world: World, { host }: Member): boolean {
  return host.isDeaf && world.now < host.frozenUntil;
}

/** What waited goes on, in no particular order within some milliseconds. */
export function thaw(world: World, member: Member): void {
  const waiting = member.host.deferred.splice(0);
  if (!isFrozen(world, member)) waiting.push(...member.agent.deferred.splice(0));
  for (const run of waiting) after(world, between(member.random, 0, 4), run);
}

/** The host's boot-time clock. */
export function localNow(world: World, member: Member): Instant {
  const { host } = member;
  return (world.now - host.bootedAt) * (1 + host.drift) + host.offsetMs;
}

/** When the host's clock shows `local`. */
export function trueTime(member: Member, local: Instant): number {
  const { host } = member;
  return (local - host.offsetMs) / (1 + host.drift) + host.bootedAt;
}
