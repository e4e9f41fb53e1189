/**
 * The life of an instance: what a start, a promotion, a shutdown, a crash and a power loss make of it. It goes on by
 * itself, whether an agent watches or not.
 */
import { namesSet, started } from './checks.ts';
import { onHost } from './clock.ts';
import { between, happens } from './random.ts';
import { hangs, onDisk } from './storage.ts';
import { connect, connectSoon, endReceiver, endSender, sendAll } from './streaming.ts';
import { defineSync, reload } from './sync-rep.ts';
import { branchAt, lastCheckpoint, newBranch } from './wal.ts';
import { type Conf, type Data, freshId, isWritable, type Member, type World, writtenEnd } from './world.ts';

const checkpointBytes = 120;
const recoveryEndBytes = 40;
/** Where initdb leaves the end of the log. */
export const initdbEnd = 16_777_336;
/** How long a postmaster that was killed takes to take its children with it. */
const killMs = [3, 30] as const;

/** A data directory as initdb leaves it. */
export function initdb(world: World, member: Member): Data {
  const branch = newBranch(freshId(world), `${member.name} initdb`, 1, undefined);
  branch.checkpoints.push(initdbEnd - checkpointBytes);
  return {
    systemId: String(7_000_000 + freshId(world)),
    mark: newMark(member),
    branch,
    written: initdbEnd,
    flushed: initdbEnd,
    checkpoint: { lsn: initdbEnd - checkpointBytes, timeline: 1 },
    standbySignal: false,
    control: 'shut down',
    consistentFrom: 0,
    torn: false,
    fresh: true,
  };
}

/** Names a directory that was not there before. */
export function newMark(member: Member): string {
  member.postgres.marks += 1;
  return `${member.name}/${member.postgres.marks}`;
}

/* ---------------------------------------------------------------- start */

/** The postmaster begins; it takes connections when its recovery is over, or consistent. */
export function startPostmaster(world: World, member: Member, as: 'primary' | 'replica'): void {
  const { postgres, random, moods } = member;
  const { data } = postgres;
  if (data === undefined || postgres.process !== 'none') return;
  started(world, member, as);
  data.standbySignal = as === 'replica';
  Object.assign(postgres, {
    process: 'starting',
    incarnation: postgres.incarnation + 1,
    serving: postgres.serving + 1,
    exit: undefined,
    loaded: postgres.conf,
    applied: postgres.conf,
    replayed: Math.min(data.checkpoint.lsn, data.written),
    usedUp: false,
    hasReceived: false,
    receiver: undefined,
    receiverRetry: false,
    flushPending: false,
    replyPending: false,
    releasedLsn: 0,
    waiters: [],
  });
  defineSync(world, member);
  const { incarnation } = postgres;
  const slow = world.now < moods.recoveryIsSlow;
  const readMs = slow ? between(random, 500, 8000) : between(random, 20, 200);
  // A replica is consistent, and takes connections, before it has read all WAL that it has.
  const consistentMs = as === 'replica' && happens(random, 0.5) ? readMs * random() : readMs;
  const wasCrashed = data.control !== 'shut down';
  const isSame = (): boolean => postgres.incarnation === incarnation && postgres.data === data;
  onDisk(
    world,
    member,
    consistentMs,
    () => isSame() && data.consistentFrom <= data.written && ready(world, member, wasCrashed),
  );
  onDisk(world, member, readMs, () => isSame() && useUp(world, member, wasCrashed));
}

function useUp(world: World, member: Member, wasCrashed: boolean): void {
  const { postgres } = member;
  const { data } = postgres;
  if (data === undefined || postgres.process === 'none' || postgres.process === 'stopping') return;
  postgres.replayed = Math.max(postgres.replayed, data.written);
  data.flushed = data.written;
  postgres.usedUp = true;
  connect(world, member);
  if (postgres.process === 'starting') awaitConsistency(world, member, wasCrashed);
  else world.hooks.see(member);
}

/** After a rewind the WAL of the source is needed before anybody may read. */
function awaitConsistency(world: World, member: Member, wasCrashed: boolean): void {
  const { postgres } = member;
  const { data, incarnation } = postgres;
  if (data === undefined || postgres.process !== 'starting') return;
  if (data.consistentFrom <= postgres.replayed) return ready(world, member, wasCrashed);
  onHost(world, member, 100, () => postgres.incarnation === incarnation && awaitConsistency(world, member, wasCrashed));
}

function ready(world: World, member: Member, wasCrashed: boolean): void {
  const { postgres } = member;
  const { data } = postgres;
  if (data === undefined || postgres.process !== 'starting') return;
  postgres.process = 'running';
  data.consistentFrom = 0;
  if (data.standbySignal) {
    data.control = 'in archive recovery';
  } else {
    // What was not flushed is written anew, with other records at the same positions.
    data.branch = newBranch(
      freshId(world),
      `${member.name} ${postgres.incarnation}`,
      data.branch.timeline,
      writtenEnd(data),
    );
    if (wasCrashed) checkpoint(member);
    data.control = 'in production';
    beginServing(world, member);
  }
  world.say?.(member.name, `PostgreSQL takes connections as ${data.standbySignal ? 'replica' : 'primary'}`);
  world.hooks.see(member);
}

function beginServing(world: World, member: Member): void {
  member.postgres.serving += 1;
  namesSet(world, member);
  world.hooks.serve(member);
}

/** A checkpoint's record; the control file names it. */
export function checkpoint(member: Member): void {
  const { data } = member.postgres;
  if (data === undefined) return;
  data.branch.checkpoints.push(data.written);
  data.checkpoint = { lsn: data.written, timeline: data.branch.timeline };
  data.written += checkpointBytes;
  data.flushed = data.written;
}

/* ---------------------------------------------------------------- promotion */

/** Asked for: from here on it may happen at any moment, whoever waits for it. `promoted` is called when it did. */
export function promote(world: World, member: Member, promoted: () => void): void {
  const { postgres, random, moods } = member;
  const { incarnation } = postgres;
  const finish = (): void => {
    const { data } = postgres;
    if (postgres.incarnation !== incarnation || data === undefined || postgres.process !== 'running') return;
    const hangMs = Math.max(moods.promoteHangs, moods.hung, moods.storageHangs) - world.now;
    if (hangMs > 0) {
      onHost(world, member, Math.min(hangMs, 1000) + between(random, 0, 50), finish);
      return;
    }
    if (data.standbySignal) becomePrimary(world, member, data);
    promoted();
  };
  onHost(world, member, between(random, 30, 150), finish);
}

function becomePrimary(world: World, member: Member, data: Data): void {
  const { postgres } = member;
  if (postgres.receiver !== undefined) endReceiver(world, member, postgres.receiver);
  postgres.receiver = undefined;
  postgres.replayed = data.written;
  data.standbySignal = false;
  const writer = `${member.name} ${postgres.incarnation} promoted`;
  data.branch = newBranch(freshId(world), writer, data.branch.timeline + 1, writtenEnd(data));
  data.written += recoveryEndBytes;
  data.flushed = data.written;
  data.control = 'in production';
  world.tally.promotions += 1;
  world.say?.(member.name, `PostgreSQL is promoted: timeline ${data.branch.timeline} from ${data.branch.from}`);
  beginServing(world, member);
  sendAll(world, member);
}

/* ---------------------------------------------------------------- end */

/** Every process is gone at once: killed, crashed, or out of memory. */
export function crash(world: World, member: Member, because: string): void {
  const { postgres } = member;
  if (postgres.process === 'none' || postgres.process === 'dying') return;
  end(world, member);
  postgres.exit = { kind: 'crashed', because };
  if (hangs(world, member) && happens(member.random, 0.7)) die(world, member);
  world.hooks.see(member);
}

/** Some process of it was just writing: it is gone when storage lets it go. */
function die(world: World, member: Member): void {
  const { postgres } = member;
  const { incarnation } = postgres;
  postgres.process = 'dying';
  world.say?.(member.name, 'PostgreSQL is dying: storage hangs');
  onDisk(world, member, 1, () => {
    if (postgres.incarnation !== incarnation || postgres.process !== 'dying') return;
    postgres.process = 'none';
    world.hooks.see(member);
  });
}

function end(world: World, member: Member): void {
  const { postgres } = member;
  postgres.process = 'none';
  postgres.waiters = [];
  postgres.incarnation += 1;
  postgres.serving += 1;
  member.moods.postmasterFrozen = -1;
  for (const sender of postgres.senders.slice()) endSender(world, member, sender);
  if (postgres.receiver !== undefined) endReceiver(world, member, postgres.receiver);
  postgres.receiver = undefined;
}

/** `immediate`: nobody waits for anything. */
export function kill(world: World, member: Member, because: string, ended: () => void): void {
  const { postgres, random } = member;
  const { incarnation } = postgres;
  const isHanging = world.now < member.moods.hung;
  onHost(world, member, isHanging ? between(random, 200, 1000) : between(random, ...killMs), () => {
    if (postgres.incarnation === incarnation) crash(world, member, because);
    ended();
  });
}

/**
 * An orderly shutdown. A primary first sends everything, the shutdown checkpoint included, to all who stream, and
 * waits until they have flushed it, or are given up. `ended` may never be called: somebody may kill it meanwhile.
 */
export function shutDown(world: World, member: Member, ended: () => void): void {
  const { postgres, random, moods } = member;
  const { data } = postgres;
  if (data === undefined || postgres.process === 'none') return ended();
  moods.postmasterFrozen = -1;
  const wasPrimary = isWritable(member);
  postgres.process = 'stopping';
  postgres.serving += 1;
  postgres.waiters = [];
  const { incarnation } = postgres;
  const hangMs = Math.max(moods.stopHangs, moods.hung, moods.storageHangs) - world.now;
  onHost(world, member, hangMs > 0 ? hangMs : between(random, 10, 120), () => {
    if (postgres.incarnation !== incarnation) return;
    if (!wasPrimary) return finishShutDown(world, member, false, ended);
    const begin = data.written;
    checkpoint(member);
    data.checkpoint = { lsn: begin, timeline: data.branch.timeline };
    sendAll(world, member);
    const wait = (): void => {
      if (postgres.incarnation !== incarnation) return;
      if (postgres.senders.every((sender) => (sender.flush ?? 0) >= data.flushed))
        finishShutDown(world, member, true, ended);
      else onHost(world, member, 20, wait);
    };
    wait();
  });
}

function finishShutDown(world: World, member: Member, wasPrimary: boolean, ended: () => void): void {
  const { postgres } = member;
  const { data } = postgres;
  if (data !== undefined) {
    data.flushed = data.written;
    if (!wasPrimary) data.checkpoint = lastCheckpoint({ branch: data.branch, lsn: Math.max(postgres.replayed, 1) });
    data.control = wasPrimary ? 'shut down' : 'shut down in recovery';
  }
  end(world, member);
  postgres.exit = { kind: 'stopped', because: 'it was shut down' };
  world.hooks.see(member);
  ended();
}

/** The host is without power: what was not flushed is gone, and nobody is told. */
export function losePower(world: World, member: Member): void {
  const { postgres } = member;
  const { data } = postgres;
  if (postgres.process !== 'none') {
    end(world, member);
    if (data !== undefined) {
      data.written = data.flushed;
      data.branch = branchAt(data.branch, data.written);
    }
  }
  postgres.exit = undefined;
  postgres.job = undefined;
}

/* ---------------------------------------------------------------- configuration */

/** Written to its files; read by a postmaster that starts, or is told to. */
export function writeConf(member: Member, conf: Conf): void {
  member.postgres.conf = conf;
}

/** The running postmaster reads its files. Its startup process ends a WAL receiver that follows another conninfo. */
export function reloadConf(world: World, member: Member): void {
  reload(world, member, (conf) => {
    const { postgres } = member;
    const before = postgres.applied;
    postgres.applied = conf;
    if (before.upstream === conf.upstream && before.slots === conf.slots) return;
    const { receiver } = postgres;
    if (receiver === undefined) return connectSoon(world, member, 1);
    const isStuck = world.now < member.moods.receiverStuck;
    // One that is just connecting may go on with what it was told when it began.
    const escapes = receiver.state === 'connecting' && happens(member.random, 0.3);
    if (!isStuck && !escapes) endReceiver(world, member, receiver);
  });
}
