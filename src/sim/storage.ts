/** Storage that hangs: nothing is on disk before it answers, and a process that waits for it cannot be ended. */
import type { StorageOutcome } from '../core/events.ts';
import { inAgent, onHost } from './clock.ts';
import { between } from './random.ts';
import type { Member, World } from './world.ts';

const lookEveryMs = 20;
const plentyBytes = 1e12;

/** Calls on the member's storage do not return. */
export function hangs(world: World, member: Member): boolean {
  return world.now < member.moods.storageHangs;
}

/** As `onHost`, of something that has to be on disk: not before storage answers. */
export function onDisk(world: World, member: Member, delayMs: number, run: () => void): void {
  onHost(world, member, delayMs, () => {
    if (hangs(world, member)) onDisk(world, member, lookEveryMs, run);
    else run();
  });
}

/** The effect `probe-storage`. */
export function probeStorage(world: World, member: Member): void {
  const { life } = member.agent;
  onDisk(world, member, between(member.random, 1, 5), () => {
    const outcome: StorageOutcome = { ok: true, freeBytes: world.now < member.moods.diskFull ? 0 : plentyBytes };
    inAgent(world, member, life, () => world.hooks.tell(member, { kind: 'storage-probed', outcome }));
  });
}
