/** The jobs that an agent asks for: how long they take, what they come to, and what is left when they are interrupted. */

import type { Job } from '../core/effects.ts';
import type { JobOutcome } from '../core/events.ts';
import { lsn } from '../core/lsn.ts';
import { began } from './authority.ts';
import { dropped, unfinished } from './checks.ts';
import { inAgent, onHost } from './clock.ts';
import { cloneFrom, rewindTo } from './copies.ts';
import { checkpoint, initdb, kill, promote, reloadConf, shutDown, startPostmaster, writeConf } from './instance.ts';
import { between } from './random.ts';
import { statusOf } from './status.ts';
import { hangs, onDisk } from './storage.ts';
import { endReceiver, endSender, sendAll } from './streaming.ts';
import { wallText } from './wall.ts';
import { type Conf, isWritable, type Member, type RunningJob, type World } from './world.ts';

const ok: JobOutcome = { ok: true };
const promoteLimitMs = 60_000;
const fastStopLimitMs = 60_000;
const severLimitMs = 500;

function failed(error: string): JobOutcome {
  return { ok: false, error };
}

/** Begins; the outcome comes as an event to the agent that asked, if it still lives. */
export function beginJob(world: World, member: Member, id: number, job: Job): void {
  const { postgres, agent } = member;
  // A stop ends whatever runs; its late outcome carries an old number.
  if (job.kind === 'stop' && postgres.job !== undefined) cancelJob(world, member);
  const { life } = agent;
  let isOver = false;
  const running: RunningJob = {
    id,
    job,
    cancelled: false,
    touched: false,
    hadData: postgres.data !== undefined,
    done: (outcome) => {
      if (isOver) return;
      isOver = true;
      if (postgres.job === running) postgres.job = undefined;
      if (!outcome.ok) world.say?.(member.name, `job ${job.kind} failed: ${outcome.error}`);
      if (!outcome.ok) unfinished(world, member, running);
      inAgent(world, member, life, () =>
        world.hooks.tell(member, {
          kind: 'job-finished',
          id,
          outcome,
          status: statusOf(world, member),
          at: wallText(world, member),
        }),
      );
    },
  };
  postgres.job = running;
  began(world, member, job);
  carryOut(world, member, running);
}

/** The agent is gone, or wants something else: its subprocesses end. What PostgreSQL does by itself goes on. */
export function cancelJob(world: World, member: Member): void {
  const { postgres } = member;
  const { job: running } = postgres;
  if (running === undefined) return;
  running.cancelled = true;
  postgres.job = undefined;
  if (running.touched && postgres.data !== undefined) {
    postgres.data.torn = true;
    world.say?.(member.name, 'the rewind is interrupted: the data directory is half the one, half the other');
  }
  if (running.job.kind !== 'stop') running.done(failed('it was cancelled'));
}

function carryOut(world: World, member: Member, running: RunningJob): void {
  const { job } = running;
  const { postgres, random, moods } = member;
  const slow = world.now < moods.jobsSlow ? between(random, 2, 20) : 1;
  const unlessCancelled = (run: () => void) => () => {
    if (!running.cancelled) run();
  };
  const later = (min: number, max: number, run: () => void): void =>
    onDisk(world, member, between(random, min, max) * slow, unlessCancelled(run));
  switch (job.kind) {
    case 'initdb':
      return later(200, 500, () => {
        if (world.now < moods.diskFull) return running.done(failed('no space left on device'));
        postgres.data = initdb(world, member);
        postgres.slots.clear();
        running.done(ok);
      });
    case 'set-aside':
      return later(2, 10, () => {
        dropped(world, member, 'set aside');
        postgres.data = undefined;
        running.done(ok);
      });
    case 'start':
      return later(5, 40, () => start(world, member, running, job));
    case 'stop':
      return stop(world, member, running, job.mode);
    case 'promote':
      if (postgres.process !== 'running') return later(1, 5, () => running.done(failed('it is not running')));
      promote(world, member, () => running.done(ok));
      return onHost(
        world,
        member,
        promoteLimitMs,
        unlessCancelled(() => running.done(failed('not writable in time'))),
      );
    case 'configure':
      return later(1, 8, () => configure(world, member, running, job));
    case 'sever':
      return later(1, 5, () => sever(world, member, running));
    case 'end-senders':
      return later(1, 10, () => {
        for (const sender of postgres.senders.slice())
          if (job.members.includes(sender.standby.name)) endSender(world, member, sender);
        running.done(ok);
      });
    case 'provision':
      return later(5, 30, () => running.done(isWritable(member) ? ok : failed('it is not writable')));
    case 'checkpoint':
      return later(5, 200, () => {
        if (!isWritable(member)) return running.done(failed('it is not writable'));
        checkpoint(member);
        sendAll(world, member);
        running.done(ok);
      });
    case 'rewind':
      return rewindTo(world, member, running, job.source.member, slow);
    case 'clone':
      return cloneFrom(world, member, running, job.source.member, slow);
  }
}

function confOf(job: Extract<Job, { kind: 'start' | 'configure' }>): Conf {
  return { upstream: job.upstream?.member, names: job.synchronousStandbyNames, slots: job.settings.useSlots };
}

function start(world: World, member: Member, running: RunningJob, job: Extract<Job, { kind: 'start' }>): void {
  const { postgres, moods, random } = member;
  if (postgres.process !== 'none') return running.done(failed('a postmaster runs already'));
  if (postgres.data === undefined) return running.done(failed('there is no data directory'));
  writeConf(member, confOf(job));
  if (world.now < moods.startFails || world.now < moods.diskFull) {
    postgres.exit = { kind: 'crashed', because: 'could not start: no space left on device' };
    return running.done(failed('it does not start'));
  }
  startPostmaster(world, member, job.as);
  onHost(world, member, between(random, 5, 20), () => running.done(ok));
}

function stop(world: World, member: Member, running: RunningJob, mode: 'fast' | 'immediate'): void {
  const { postgres } = member;
  if (postgres.process === 'none') {
    onHost(world, member, 1, () => running.done(ok));
    return;
  }
  if (mode === 'immediate') return kill(world, member, 'it was stopped at once', () => running.done(ok));
  // One that is just starting ends without more ado; so does one that is being shut down already.
  if (postgres.process === 'starting')
    kill(world, member, 'it was stopped while it was starting', () => running.done(ok));
  else if (postgres.process === 'running') shutDown(world, member, () => running.done(ok));
  else whenStopped(world, member, running);
  onHost(world, member, fastStopLimitMs, () => {
    if (!running.cancelled) running.done(failed('it did not stop in time'));
  });
}

function whenStopped(world: World, member: Member, running: RunningJob): void {
  if (member.postgres.process === 'none') running.done(ok);
  else if (!running.cancelled) onHost(world, member, 20, () => whenStopped(world, member, running));
}

function configure(world: World, member: Member, running: RunningJob, job: Extract<Job, { kind: 'configure' }>): void {
  const { postgres, random } = member;
  if (postgres.process !== 'running') return running.done(failed('it is not running'));
  if (world.now < member.moods.diskFull) return running.done(failed('no space left on device'));
  writeConf(member, confOf(job));
  const { incarnation, conf } = postgres;
  onHost(world, member, between(random, 0.1, 3), () => {
    // Between the file and the signal the agent may die.
    if (running.cancelled || postgres.incarnation !== incarnation) return running.done(failed('it is gone'));
    reloadConf(world, member);
    if (job.prove === 'in-force' || job.prove === 'from-none') prove(world, member, running, conf, job.prove);
    else onHost(world, member, between(random, 1, 8), () => running.done(ok));
  });
}

/** A new session sees it; WAL was written after that; the checkpointer has seen it. */
function prove(world: World, member: Member, running: RunningJob, conf: Conf, what: 'in-force' | 'from-none'): void {
  const { postgres, random } = member;
  const { incarnation } = postgres;
  const look = (): void => {
    if (running.cancelled) return;
    if (postgres.incarnation !== incarnation || postgres.process !== 'running')
      return running.done(failed('it is gone'));
    const { data, loaded } = postgres;
    const isSeen = loaded === conf && data !== undefined;
    const isDefined = what === 'in-force' || postgres.syncDefined;
    if (!isSeen || !isDefined || hangs(world, member)) {
      onHost(world, member, between(random, 5, 20), look);
      return;
    }
    // A standby writes no WAL, and acknowledges nothing yet.
    if (!isWritable(member)) return running.done(ok);
    data.written += 64;
    data.flushed = data.written;
    sendAll(world, member);
    running.done({ ok: true, lsn: lsn(data.written) });
  };
  look();
}

function sever(world: World, member: Member, running: RunningJob): void {
  const { postgres, random } = member;
  if (postgres.process !== 'running' && postgres.process !== 'starting')
    return running.done(failed('it is not running'));
  if (world.now < member.moods.diskFull) return running.done(failed('no space left on device'));
  writeConf(member, { ...postgres.conf, upstream: undefined });
  const { incarnation, conf } = postgres;
  reloadConf(world, member);
  const began = world.now;
  const look = (): void => {
    if (running.cancelled) return;
    if (postgres.incarnation !== incarnation) return running.done(failed('it is gone'));
    const { receiver, applied } = postgres;
    if (applied === conf && receiver === undefined) return running.done(ok);
    if (world.now - began > severLimitMs) return running.done(failed('a WAL receiver is left'));
    // One that is connecting is told to end as well.
    if (applied === conf && receiver?.state === 'connecting' && world.now >= member.moods.receiverStuck)
      endReceiver(world, member, receiver);
    onHost(world, member, between(random, 5, 30), look);
  };
  onHost(world, member, between(random, 5, 30), look);
}
