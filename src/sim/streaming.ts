/**
 * WAL from one instance to another: connecting by PostgreSQL's rules (which compare timeline numbers), sending what is
 * flushed, and the answers. Messages of a stream are never lost, they wait until the link is back, or until one of the
 * two ends gives up. One is under way at a time; what comes meanwhile goes with the next.
 */

import { slotNameOf } from '../core/slots.ts';
import { foreignWal, namesSet } from './checks.ts';
import { after, onHost } from './clock.ts';
import { hopMs, passes, reaches } from './network.ts';
import { between, happens } from './random.ts';
import { onDisk } from './storage.ts';
import { parseNames } from './sync-names.ts';
import { releaseWaiters, seeReload, setSenderNames } from './sync-rep.ts';
import { branchAt, commonLsn } from './wal.ts';
import { type Data, freshId, type Member, memberNamed, type Receiver, type Sender, type World } from './world.ts';

const retryMs = 100;
const connectTimeoutMs = 2000;
/** wal_sender_timeout, wal_receiver_timeout. */
const silenceMs = 5000;
const statusIntervalMs = 1000;
/** A sender sends no more at once (MAX_SEND_SIZE, src/backend/replication/walsender.c). */
const messageBytes = 131_072;

/** The replica asks for a stream, if it follows somebody, has read all WAL that it has, and does not stream yet. */
export function connect(world: World, replica: Member): void {
  const { postgres } = replica;
  const { applied, data, process } = postgres;
  if (data === undefined || !data.standbySignal || !postgres.usedUp) return;
  if ((process !== 'running' && process !== 'starting') || postgres.receiver !== undefined) return;
  const source = applied.upstream === undefined ? undefined : memberNamed(world, applied.upstream);
  if (source === undefined || source === replica) return;
  const receiver: Receiver = { id: freshId(world), source, state: 'connecting', heardAt: world.now };
  postgres.receiver = receiver;
  const isMine = (): boolean => postgres.receiver === receiver;
  if (!reaches(world, 'postgres', replica, source)) {
    onHost(world, replica, connectTimeoutMs, () => isMine() && endReceiver(world, replica, receiver));
    return;
  }
  onHost(world, replica, 2 * hopMs(world) + between(replica.random, 1, 8), () => {
    if (!isMine()) return;
    if (reaches(world, 'postgres', replica, source) && begin(world, replica, receiver)) return;
    endReceiver(world, replica, receiver);
  });
}

/** Asks again in a moment, unless that was asked for already. */
export function connectSoon(world: World, replica: Member, delayMs = retryMs): void {
  const { postgres } = replica;
  if (postgres.receiverRetry) return;
  postgres.receiverRetry = true;
  const { incarnation } = postgres;
  onHost(world, replica, delayMs, () => {
    postgres.receiverRetry = false;
    if (postgres.incarnation === incarnation) connect(world, replica);
  });
}

/** The receiver's process is gone; the startup process asks for another one. */
export function endReceiver(world: World, replica: Member, receiver: Receiver): void {
  const { postgres } = replica;
  if (postgres.receiver !== receiver) return;
  postgres.receiver = undefined;
  for (const sender of receiver.source.postgres.senders) {
    if (sender.receiver !== receiver) continue;
    // The source notices at once where the end of the connection gets through.
    if (passes(world, 'postgres', replica.name, receiver.source.name) && replica.host.up)
      onHost(world, receiver.source, hopMs(world), () => endSender(world, receiver.source, sender));
  }
  connectSoon(world, replica);
}

/** The source takes the request, or refuses it. */
function begin(world: World, replica: Member, receiver: Receiver): boolean {
  const { source } = receiver;
  const from = source.postgres;
  const mine = replica.postgres.data;
  const theirs = from.data;
  if (mine === undefined || theirs === undefined || from.process !== 'running' || letsNobodyIn(world, source))
    return false;
  if (mine.systemId !== theirs.systemId || !mayStream(mine, theirs)) return false;
  const slot = replica.postgres.applied.slots ? slotNameOf(replica.name) : undefined;
  if (slot !== undefined) {
    const isUsed = from.senders.some((one) => one.alive && one.slot === slot);
    if (!from.slots.has(slot) || isUsed) return false;
  }
  const sender: Sender = {
    id: freshId(world),
    standby: replica,
    receiver,
    slot,
    alive: true,
    names: undefined,
    priority: 0,
    sent: mine.written,
    sentBranch: undefined,
    flush: undefined,
    replay: undefined,
    repliedAt: undefined,
    inFlight: false,
    stalled: [],
    reload: undefined,
  };
  setSenderNames(sender, parseNames(from.loaded.names));
  from.senders.push(sender);
  receiver.state = 'streaming';
  receiver.heardAt = world.now;
  replica.postgres.hasReceived = true;
  world.say?.(replica.name, `streams from ${source.name} from ${mine.written} on timeline ${mine.branch.timeline}`);
  namesSet(world, source);
  answer(world, replica, sender);
  send(world, source, sender);
  keepAlive(world, replica, sender);
  world.hooks.see(replica);
  return true;
}

/** By timeline numbers and positions, as the server and the replica's own recovery judge. */
function mayStream(mine: Data, theirs: Data): boolean {
  const { timeline } = mine.branch;
  if (timeline === theirs.branch.timeline) return mine.written <= theirs.flushed;
  const left = theirs.branch.history.findLast((row) => row.timeline === timeline);
  return left !== undefined && mine.written <= Number(left.switchLsn);
}

/* ---------------------------------------------------------------- sending */

/** To all who follow: there is more WAL on this disk. */
export function sendAll(world: World, source: Member): void {
  for (const sender of source.postgres.senders) if (sender.alive) send(world, source, sender);
}

function send(world: World, source: Member, sender: Sender): void {
  const { data } = source.postgres;
  if (data === undefined || sender.inFlight || !sender.alive || isHung(world, source)) return;
  const { branch, flushed } = data;
  if (flushed < sender.sent || (flushed === sender.sent && sender.sentBranch === branch)) return;
  const upTo = Math.min(flushed, sender.sent + messageBytes);
  sender.inFlight = true;
  sender.sent = upTo;
  sender.sentBranch = branch;
  const { standby } = sender;
  const go = (): void => {
    if (!passes(world, 'postgres', source.name, standby.name)) {
      sender.stalled.push(go);
      return;
    }
    onHost(world, standby, hopMs(world), () => {
      sender.inFlight = false;
      receive(world, sender, branch, upTo);
      onHost(world, source, 0, () => sender.alive && send(world, source, sender));
    });
  };
  go();
}

function receive(world: World, sender: Sender, branch: Data['branch'], lsn: number): void {
  const { standby, receiver } = sender;
  const { postgres } = standby;
  const { data } = postgres;
  if (postgres.receiver !== receiver || data === undefined) return;
  receiver.heardAt = world.now;
  if (commonLsn(data.branch, branch) < data.written) foreignWal(world, standby, receiver.source, branch);
  if (lsn < data.written) return;
  const next = branchAt(branch, lsn);
  const isNewTimeline = next.timeline !== data.branch.timeline;
  data.branch = next;
  data.written = lsn;
  flushSoon(world, standby, sender);
  if (isNewTimeline) world.hooks.see(standby);
}

/** The replica's receiver flushes and says so; what is written meanwhile waits for the next flush. */
function flushSoon(world: World, standby: Member, sender: Sender): void {
  const { postgres } = standby;
  if (postgres.flushPending) return;
  postgres.flushPending = true;
  const { incarnation, data } = postgres;
  const target = data?.written ?? 0;
  onDisk(world, standby, flushMs(world, standby), () => {
    if (postgres.incarnation !== incarnation || postgres.data !== data || data === undefined) return;
    postgres.flushPending = false;
    data.flushed = Math.max(data.flushed, Math.min(target, data.written));
    if (sender.receiver === postgres.receiver) answer(world, standby, sender);
    replaySoon(world, standby);
    sendAll(world, standby);
    if (data.written > data.flushed) flushSoon(world, standby, sender);
  });
}

/** How long an fsync takes on this host now. */
export function flushMs(world: World, member: Member): number {
  if (world.now < member.moods.slowDisk) return between(member.random, 20, 800);
  return between(member.random, 0.2, 1.5);
}

function replaySoon(world: World, standby: Member): void {
  const { postgres } = standby;
  const { data } = postgres;
  if (data === undefined) return;
  if (world.now >= standby.moods.replayLags) {
    postgres.replayed = data.flushed;
    return;
  }
  const target = data.flushed;
  const { incarnation } = postgres;
  onHost(world, standby, between(standby.random, 50, 4000), () => {
    if (postgres.incarnation === incarnation) postgres.replayed = Math.max(postgres.replayed, target);
  });
}

/** The receiver's word to its sender: how far it has flushed and replayed. */
function answer(world: World, standby: Member, sender: Sender): void {
  const { data, replayed } = standby.postgres;
  const { source } = sender.receiver;
  if (data === undefined) return;
  const { flushed } = data;
  const go = (): void => {
    if (!passes(world, 'postgres', standby.name, source.name)) {
      sender.stalled.push(go);
      return;
    }
    onHost(world, source, hopMs(world), () => {
      if (!sender.alive || isHung(world, source)) return;
      if (sender.reload !== undefined && flushed > sender.reload.beforeLsn) seeReload(world, source, sender);
      sender.flush = Math.max(sender.flush ?? 0, flushed);
      sender.replay = Math.max(sender.replay ?? 0, replayed);
      sender.repliedAt = world.now;
      releaseWaiters(source, sender);
    });
  };
  go();
}

/** Now and then a word without WAL; and the end of a stream that one side hears nothing of. */
function keepAlive(world: World, standby: Member, sender: Sender): void {
  const { receiver } = sender;
  const { source } = receiver;
  after(world, statusIntervalMs * between(standby.random, 0.9, 1.1), () => {
    const receiverLives = standby.postgres.receiver === receiver;
    if (!sender.alive && !receiverLives) return;
    const isQuiet = world.now - (sender.repliedAt ?? 0) > statusIntervalMs / 2;
    const works = reaches(world, 'postgres', standby, source) && sender.alive && receiverLives;
    if (works && isQuiet && !isAsleep(world, source) && !isAsleep(world, standby)) {
      receiver.heardAt = world.now;
      answer(world, standby, sender);
    }
    const isStuck = world.now < standby.moods.receiverStuck;
    if (receiverLives && world.now - receiver.heardAt > silenceMs && !isStuck)
      onHost(world, standby, 0, () => endReceiver(world, standby, receiver));
    // A replica that was quick to come back is heard less long ago than it seems: it has another sender.
    if (sender.alive && world.now - (sender.repliedAt ?? receiver.heardAt) > silenceMs)
      onHost(world, source, 0, () => endSender(world, source, sender));
    keepAlive(world, standby, sender);
  });
}

function isAsleep(world: World, member: Member): boolean {
  return world.now < member.host.frozenUntil || isHung(world, member);
}

/** The sender's process is gone; the other end notices if it can. */
export function endSender(world: World, source: Member, sender: Sender): void {
  if (!sender.alive) return;
  sender.alive = false;
  const { senders } = source.postgres;
  const index = senders.indexOf(sender);
  if (index >= 0) senders.splice(index, 1);
  const { standby, receiver } = sender;
  if (!source.host.up || !passes(world, 'postgres', source.name, standby.name)) return;
  const isStuck = world.now < standby.moods.receiverStuck && happens(standby.random, 0.5);
  if (!isStuck) onHost(world, standby, hopMs(world), () => endReceiver(world, standby, receiver));
}

/** The links are as they were before the faults, or some of them: what waited goes on. */
export function resumeStreams(world: World): void {
  for (const member of world.members) {
    for (const sender of member.postgres.senders) for (const go of sender.stalled.splice(0)) go();
  }
}

/** A new connection is not answered. */
export function letsNobodyIn(world: World, member: Member): boolean {
  return isHung(world, member) || world.now < member.moods.postmasterFrozen;
}

/** Nothing of the instance gets any time. */
export function isHung(world: World, member: Member): boolean {
  return world.now < member.moods.hung;
}
