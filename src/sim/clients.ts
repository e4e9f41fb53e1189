/** Clients: at every instance that takes writes, whatever the cluster thinks of it. What they are told is recorded. */
import { acknowledged, opened } from './checks.ts';
import { onHost } from './clock.ts';
import { between } from './random.ts';
import { onDisk } from './storage.ts';
import { flushMs, isHung, sendAll } from './streaming.ts';
import { waitForStandbys } from './sync-rep.ts';
import { isWritable, type Member, type World } from './world.ts';

/** The instance begins to take writes. Each session has one commit under way at a time. */
export function serveClients(world: World, member: Member): void {
  opened(world, member);
  for (let session = 0; session < world.plan.clients.sessions; session += 1) {
    onHost(world, member, between(world.random.clients, 1, 60), () => write(world, member, member.postgres.serving));
  }
}

function write(world: World, member: Member, serving: number): void {
  const { postgres } = member;
  const { data } = postgres;
  if (postgres.serving !== serving || !isWritable(member) || data === undefined) return;
  const next = (): void =>
    onHost(world, member, world.plan.clients.everyMs * between(world.random.clients, 0.3, 1.7), () =>
      write(world, member, serving),
    );
  if (isHung(world, member)) {
    onHost(world, member, member.moods.hung - world.now + 1, () => write(world, member, serving));
    return;
  }
  data.written += Math.floor(between(world.random.clients, 80, 3000));
  const { branch, written: lsn } = data;
  onDisk(world, member, flushMs(world, member), () => {
    if (postgres.serving !== serving || postgres.data !== data) return;
    data.flushed = Math.max(data.flushed, lsn);
    sendAll(world, member);
    waitForStandbys(member, {
      lsn,
      released: () => {
        if (postgres.serving !== serving) return;
        acknowledged(world, member, branch, lsn);
        next();
      },
    });
  });
}
