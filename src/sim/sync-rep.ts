/**
 * Who waits for whom, and who lets go: PostgreSQL's src/backend/replication/syncrep.c. Each WAL sender judges by its own
 * copy of the setting; whether commits wait at all is one flag, which the checkpointer sets when it comes to it.
 */
import { namesSet } from './checks.ts';
import { onHost } from './clock.ts';
import { between, happens } from './random.ts';
import { parseNames, priorityOf, type SyncNames } from './sync-names.ts';
import type { Conf, Member, Sender, Waiter, World } from './world.ts';

/** A commit is on the primary's disk up to `lsn`; `released` is called when it may be acknowledged. */
export function waitForStandbys(member: Member, waiter: Waiter): void {
  const { postgres } = member;
  if (!postgres.syncDefined || waiter.lsn <= postgres.releasedLsn) waiter.released();
  else postgres.waiters.push(waiter);
}

/** After an answer of the sender's standby (SyncRepReleaseWaiters). */
export function releaseWaiters(member: Member, sender: Sender): void {
  const { postgres } = member;
  const { names } = sender;
  if (names === undefined || sender.priority === 0 || sender.flush === undefined) return;
  const candidates = postgres.senders.filter((one) => one.alive && one.priority > 0 && one.flush !== undefined);
  if (candidates.length < names.count) return;
  const flushed =
    names.method === 'any'
      ? candidates.map((one) => one.flush ?? 0).toSorted((a, b) => b - a)[names.count - 1]
      : firstFlushed(candidates, names.count, sender);
  if (flushed !== undefined) releaseUpTo(member, flushed);
}

/** The least flush position of the first `count` by priority; undefined when `sender` is not one of them. */
function firstFlushed(candidates: readonly Sender[], count: number, sender: Sender): number | undefined {
  const first = candidates.toSorted((a, b) => a.priority - b.priority || a.id - b.id).slice(0, count);
  return first.includes(sender) ? Math.min(...first.map((one) => one.flush ?? 0)) : undefined;
}

function releaseUpTo(member: Member, lsn: number): void {
  const { postgres } = member;
  if (lsn <= postgres.releasedLsn) return;
  postgres.releasedLsn = lsn;
  const free = postgres.waiters.filter((waiter) => waiter.lsn <= lsn);
  if (free.length === 0) return;
  postgres.waiters = postgres.waiters.filter((waiter) => waiter.lsn > lsn);
  for (const waiter of free) waiter.released();
}

/**
 * Its own file was written: the postmaster is told, and tells everybody. Each process comes to it in its own time, and
 * reads the file as it is then.
 */
export function reload(world: World, member: Member, applied: (conf: Conf) => void): void {
  const { postgres, random, moods } = member;
  const { incarnation } = postgres;
  const isSame = (): boolean => postgres.incarnation === incarnation && postgres.process !== 'none';
  onHost(world, member, between(random, 0.5, 5), () => {
    if (!isSame()) return;
    postgres.loaded = postgres.conf;
    namesSet(world, member);
    for (const sender of postgres.senders) tellSender(world, member, sender);
    const late = world.now < moods.checkpointerLate;
    const checkpointerMs = late
      ? between(random, 100, moods.checkpointerLate - world.now + 100)
      : between(random, 1, 40);
    onHost(world, member, checkpointerMs, () => isSame() && defineSync(world, member));
    const startupMs = world.now < moods.reloadsLate ? between(random, 50, 3000) : between(random, 1, 30);
    onHost(world, member, startupMs, () => isSame() && applied(postgres.conf));
  });
}

function tellSender(world: World, member: Member, sender: Sender): void {
  const { postgres, random, moods } = member;
  const wish = { beforeLsn: sender.reload?.beforeLsn ?? postgres.data?.written ?? 0 };
  sender.reload = wish;
  const isLate = world.now < moods.reloadsLate || happens(random, 0.02);
  onHost(world, member, isLate ? between(random, 20, 3000) : between(random, 0.5, 10), () => {
    if (sender.reload === wish) seeReload(world, member, sender);
  });
}

/** The sender's process handles the signal now, if it has not yet. */
export function seeReload(world: World, member: Member, sender: Sender): void {
  if (sender.reload === undefined) return;
  setSenderNames(sender, parseNames(member.postgres.conf.names));
  sender.reload = undefined;
  namesSet(world, member);
  if (sender.alive) releaseWaiters(member, sender);
}

/** What a sender's process works by. */
export function setSenderNames(sender: Sender, names: SyncNames | undefined): void {
  sender.names = names;
  sender.priority = priorityOf(names, sender.standby.name);
}

/** The checkpointer looks at the setting: none means that nobody waits any more, and that all who wait are done. */
export function defineSync(world: World, member: Member): void {
  const { postgres } = member;
  postgres.syncDefined = parseNames(postgres.conf.names) !== undefined;
  namesSet(world, member);
  if (!postgres.syncDefined) for (const waiter of postgres.waiters.splice(0)) waiter.released();
}
