/** Faults, and what people do at the worst moment: what each record of a script does to the world. */
import type { OperatorRequest } from '../core/events.ts';
import { transact as transactIn } from '../dcs/memory/model.ts';
import { killAgent, startAgent } from './agent.ts';
import { after, inAgent, onHost, thaw } from './clock.ts';
import { olderCopy } from './copies.ts';
import { crash, losePower, shutDown } from './instance.ts';
import { cut, dcsEnd, type Traffic } from './network.ts';
import { expectService } from './outage.ts';
import { between, happens, pick } from './random.ts';
import { holderIn, settingsIn } from './records.ts';
import { writtenSettings } from './releases.ts';
import type { Fault } from './script.ts';
import { changed, checkWatches, loseLease, restore, startStore, stopStore } from './store.ts';
import { connectSoon, resumeStreams, sendAll } from './streaming.ts';
import {
  flushedEnd,
  freshId,
  hasPostgres,
  isWritable,
  type Member,
  type Moods,
  memberNamed,
  type World,
} from './world.ts';

/** It strikes now. `actor`: who did what a trap waited for. */
export function strike(world: World, fault: Fault, actor: Member | undefined): void {
  if (world.now >= world.plan.healAtMs) return;
  const member = target(world, fault, actor);
  if (member === undefined) return;
  const { kind, forMs = 0 } = fault;
  world.tally.faults.set(kind, (world.tally.faults.get(kind) ?? 0) + 1);
  // A wall clock that jumps is nobody's trouble.
  const isTrouble = kind !== 'wall-jump';
  if (isTrouble) world.checks.outage = undefined;
  world.say?.(
    '***',
    `${kind}${fault.member === undefined ? '' : ` ${member.name}`}${forMs > 0 ? ` for ${forMs} ms` : ''}`,
  );
  for (const part of [onAgentOrHost, onNetwork, onStore, onPostgres, byPeople]) {
    if (part(world, fault, member, forMs)) break;
  }
  if (isTrouble) world.struck.push({ at: world.now, until: world.now + forMs, kind });
}

function target(world: World, fault: Fault, actor: Member | undefined): Member | undefined {
  const { random } = world;
  const all = world.members;
  switch (fault.member) {
    case undefined:
      return all[0];
    case '@actor':
      return actor ?? all[0];
    case '@primary':
      return all.find(isWritable) ?? pick(random.faults, all);
    case '@replica': {
      const replicas = all.filter((one) => hasPostgres(one) && !isWritable(one));
      return replicas.length === 0 ? undefined : pick(random.faults, replicas);
    }
    case '@any':
      return pick(random.faults, all);
    default:
      return memberNamed(world, fault.member);
  }
}

/* ---------------------------------------------------------------- agents and hosts */

function onAgentOrHost(world: World, fault: Fault, member: Member, forMs: number): boolean {
  const { agent, host } = member;
  switch (fault.kind) {
    case 'agent-kill':
      killAgent(world, member, 'killed');
      after(world, forMs, () => startAgent(world, member));
      return true;
    case 'another-release':
      killAgent(world, member, 'it is replaced by another release');
      agent.release = agent.release === 'this' ? 'next' : 'this';
      after(world, forMs, () => startAgent(world, member));
      return true;
    case 'agent-kill-soon':
      agent.doom = { effects: Math.floor(fault.value ?? 0), againMs: forMs };
      return true;
    case 'agent-freeze':
      agent.frozenUntil = Math.max(agent.frozenUntil, world.now + forMs);
      after(world, forMs, () => thaw(world, member));
      return true;
    case 'wall-jump':
      host.wallMs += fault.value ?? 0;
      return true;
    case 'host-freeze':
      host.frozenUntil = Math.max(host.frozenUntil, world.now + forMs);
      host.isDeaf = (fault.value ?? 0) >= 0.5;
      after(world, forMs, () => thaw(world, member));
      return true;
    case 'host-off':
      powerOff(world, member);
      after(world, forMs, () => powerOn(world, member));
      return true;
    default:
      return false;
  }
}

function powerOff(world: World, member: Member): void {
  const { host } = member;
  if (!host.up) return;
  killAgent(world, member, 'its host lost power');
  host.up = false;
  losePower(world, member);
  host.guard.until = undefined;
  host.guard.version += 1;
  host.deferred.length = 0;
  host.frozenUntil = -1;
}

/** Another boot: another clock, and nobody remembers a deadline. */
export function powerOn(world: World, member: Member): void {
  const { host } = member;
  if (host.up) return;
  Object.assign(host, {
    up: true,
    boot: host.boot + 1,
    bootedAt: world.now,
    offsetMs: between(member.random, 1000, 9000),
  });
  startAgent(world, member);
}

/* ---------------------------------------------------------------- network */

function onNetwork(world: World, fault: Fault, member: Member, forMs: number): boolean {
  const until = world.now + forMs;
  const others = world.members.filter((one) => one !== member);
  switch (fault.kind) {
    case 'cut-dcs':
      cut(world, 'dcs', member.name, dcsEnd, until);
      cut(world, 'dcs', dcsEnd, member.name, until);
      break;
    case 'cut-dcs-one-way':
      if ((fault.value ?? 0) < 1) cut(world, 'dcs', member.name, dcsEnd, until);
      else cut(world, 'dcs', dcsEnd, member.name, until);
      break;
    case 'cut-all':
      cut(world, 'dcs', member.name, dcsEnd, until);
      cut(world, 'dcs', dcsEnd, member.name, until);
      for (const other of others)
        for (const traffic of ['agents', 'postgres'] as const) cutBoth(world, traffic, member, other, until);
      break;
    case 'cut-postgres':
    case 'cut-agents': {
      if (others.length === 0) return true;
      const other = pick(world.random.faults, others);
      const traffic = fault.kind === 'cut-agents' ? 'agents' : 'postgres';
      const way = Math.floor(fault.value ?? 0);
      if (way !== 1) cut(world, traffic, member.name, other.name, until);
      if (way !== 2) cut(world, traffic, other.name, member.name, until);
      break;
    }
    case 'slow-network':
      world.network.slowUntil = until;
      world.network.slowMs = fault.value ?? 10;
      return true;
    default:
      return false;
  }
  checkWatches(world);
  after(world, forMs, () => resumeStreams(world));
  return true;
}

function cutBoth(world: World, traffic: Traffic, one: Member, other: Member, until: number): void {
  cut(world, traffic, one.name, other.name, until);
  cut(world, traffic, other.name, one.name, until);
}

/* ---------------------------------------------------------------- the DCS */

function onStore(world: World, fault: Fault, member: Member, forMs: number): boolean {
  const { store } = world;
  const until = world.now + forMs;
  const chance = { until, probability: fault.value ?? 0.2 };
  switch (fault.kind) {
    case 'dcs-outage':
    case 'dcs-restart':
      if (store.down) return true;
      stopStore(world);
      after(world, forMs, () => store.down && startStore(world));
      return true;
    case 'dcs-lose-requests':
      store.loseRequests = chance;
      return true;
    case 'dcs-lose-replies':
      store.loseReplies = chance;
      return true;
    case 'dcs-land-late':
      store.landLate = chance;
      return true;
    case 'dcs-late-reads':
      store.lateReads = chance;
      return true;
    case 'dcs-lose-lease':
      loseLease(world, happens(world.random.faults, 0.6) ? 'leader' : `members/${member.name}`);
      return true;
    case 'dcs-restore':
      restore(world, fault.value ?? 1000, undefined);
      return true;
    case 'dcs-replace':
      restore(world, fault.value ?? 1000, 'store-2');
      return true;
    case 'watch-late':
      member.watch.lateUntil = until;
      return true;
    case 'watch-cut':
      member.watch.cutUntil = until;
      checkWatches(world);
      return true;
    default:
      return false;
  }
}

/* ---------------------------------------------------------------- PostgreSQL */

const moodOf: Readonly<Partial<Record<Fault['kind'], keyof Moods>>> = {
  'slow-disk': 'slowDisk',
  'disk-full': 'diskFull',
  'postgres-hang': 'hung',
  'storage-hangs': 'storageHangs',
  'postmaster-frozen': 'postmasterFrozen',
  'connections-used-up': 'crowded',
  'promote-hangs': 'promoteHangs',
  'stop-hangs': 'stopHangs',
  'start-fails': 'startFails',
  'slow-recovery': 'recoveryIsSlow',
  'receiver-stuck': 'receiverStuck',
  'reloads-late': 'reloadsLate',
  'checkpointer-late': 'checkpointerLate',
  'replay-lags': 'replayLags',
  'jobs-slow': 'jobsSlow',
};

function onPostgres(world: World, fault: Fault, member: Member, forMs: number): boolean {
  const { postgres, moods } = member;
  switch (fault.kind) {
    case 'postgres-crash':
      expectService(world, member);
      crash(world, member, 'it was killed (SIGKILL)');
      return true;
    case 'postgres-stop':
      if (postgres.process === 'running') shutDown(world, member, () => undefined);
      return true;
    case 'disk-lost':
      crash(world, member, 'its disk is gone');
      loseData(member);
      return true;
    case 'directory-replaced': {
      const { data } = postgres;
      // Nobody does it while something is done there.
      if (data === undefined || postgres.job !== undefined) return true;
      crash(world, member, 'somebody ended it, and put an older copy of the data in its place');
      loseData(member);
      postgres.data = olderCopy(member, data, fault.value ?? 0);
      postgres.slots.clear();
      return true;
    }
    default:
      break;
  }
  const mood = moodOf[fault.kind];
  if (mood === undefined) return false;
  moods[mood] = Math.max(moods[mood], world.now + forMs);
  // Where WAL needs room PostgreSQL dies of it; where only tables do, it goes on with an error for each.
  if (mood === 'diskFull' && isWritable(member) && happens(world.random.faults, 0.5))
    onHost(world, member, 50, () => crash(world, member, 'no space left on device'));
  if (mood === 'hung') after(world, forMs + 0.1, () => wakeUp(world, member));
  return true;
}

/** The data is gone; commits that rested on it were acknowledged all the same. */
function loseData({ postgres }: Member): void {
  if (postgres.data !== undefined) postgres.lostEnd = flushedEnd(postgres.data);
  postgres.data = undefined;
  if (postgres.job !== undefined) postgres.job.hadData = false;
}

/** An instance that got no time for a while goes on. */
export function wakeUp(world: World, member: Member): void {
  sendAll(world, member);
  if (member.postgres.receiver === undefined) connectSoon(world, member, 1);
  world.hooks.see(member);
}

/* ---------------------------------------------------------------- people */

function byPeople(world: World, fault: Fault, member: Member, forMs: number): boolean {
  switch (fault.kind) {
    case 'switchover': {
      const leader = holderIn(world.store.model);
      const candidate = isWritable(member) ? undefined : member.name;
      ask(world, member, { kind: 'switchover', leader, candidate });
      return true;
    }
    case 'failover':
    case 'failover-forced':
      ask(world, member, { kind: 'failover', candidate: member.name, allowDataLoss: fault.kind === 'failover-forced' });
      return true;
    case 'restart':
      ask(world, member, { kind: 'restart', role: undefined, pendingOnly: false });
      return true;
    case 'reinit':
      ask(world, member, { kind: 'reinitialize', force: false });
      return true;
    case 'pause':
      setSettings(world, { pause: true });
      after(world, forMs, () => setSettings(world, { pause: false }));
      return true;
    case 'settings':
      setSettings(world, fault.settings ?? {});
      return true;
    case 'agent-shutdown':
      ask(world, member, { kind: 'shutdown' });
      after(world, forMs, () => startAgent(world, member));
      return true;
    default:
      return false;
  }
}

/** An operator at this member's REST API. */
export function ask(world: World, member: Member, request: OperatorRequest): string {
  const requestId = `${request.kind} ${freshId(world)}`;
  const { life } = member.agent;
  if (!member.agent.alive) return requestId;
  world.checks.asked.set(requestId, { at: world.now, member, life });
  inAgent(world, member, life, () => world.hooks.tell(member, { kind: 'operator', requestId, request }));
  return requestId;
}

/** The dynamic configuration is edited: on what is there. */
export function setSettings(world: World, change: Partial<NonNullable<ReturnType<typeof settingsIn>>>): void {
  const { store } = world;
  const before = settingsIn(store.model);
  if (before === undefined || store.down) return;
  const value = writtenSettings(world, { ...before, ...change });
  transactIn(store.model, { compare: [], write: [{ key: 'config', value }] }, world.now);
  changed(world);
}
