/** The guard of a host: ends the instance when the deadline passes, whatever the agent does. */
import type { Instant } from '../core/model.ts';
import { onHost, trueTime } from './clock.ts';
import { kill } from './instance.ts';
import { push } from './queue.ts';
import type { Member, World } from './world.ts';

const lookEveryMs = 200;

/** From now on: the instance ends at `until` of the host's clock; undefined disarms. */
export function setGuard(world: World, member: Member, until: Instant | undefined): void {
  const { guard } = member.host;
  guard.until = until;
  guard.version += 1;
  if (until !== undefined) watch(world, member, Math.max(world.now, trueTime(member, until)));
}

/** Nobody stands over the deadline any more; it stays on file for the next agent. */
export function abandonGuard(member: Member): void {
  member.host.guard.version += 1;
}

function watch(world: World, member: Member, at: number): void {
  const { guard } = member.host;
  const { version } = guard;
  push(world.queue, at, () =>
    onHost(world, member, 0, () => {
      if (guard.version !== version) return;
      if (member.postgres.process !== 'none') {
        world.say?.(member.name, 'the guard ends PostgreSQL');
        kill(world, member, 'the guard ended it', () => undefined);
      }
      // Somebody may start it once more; while no agent lives that could, there is nobody.
      if (member.agent.alive || member.postgres.process !== 'none') watch(world, member, world.now + lookEveryMs);
    }),
  );
}
