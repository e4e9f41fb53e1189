/** One agent's process: it runs the core's `step`, carries its effects out in their order, and may die between any two. */

import { takeNext } from '../core/effect-order.ts';
import type { Effect } from '../core/effects.ts';
import type { Event } from '../core/events.ts';
import { newMember, step } from '../core/member.ts';
import { answered, stepped } from './checks.ts';
import { after, inAgent, localNow, onAgent, onHost, trueTime } from './clock.ts';
import { selfOf } from './fresh.ts';
import { abandonGuard, setGuard } from './guard.ts';
import { beginJob, cancelJob } from './jobs.ts';
import { checkRemembered, remembered } from './kept.ts';
import { askFailsafe, gate, heartbeat, probe } from './peers.ts';
import { push } from './queue.ts';
import { between, happens, hashText } from './random.ts';
import { statusOf } from './status.ts';
import { onDisk, probeStorage } from './storage.ts';
import { askLease, beat, beginWatch, read, transact } from './store.ts';
import { flushMs } from './streaming.ts';
import { wallText } from './wall.ts';
import { hasPostgres, type Member, type World } from './world.ts';

const inspectionEveryMs = 1000;
/** A save that takes longer is told of. */
const saveMs = 1000;

/** A new process, with what the old one left on disk and with the guard. */
export function startAgent(world: World, member: Member): void {
  const { agent, host } = member;
  if (agent.alive || !host.up) return;
  Object.assign(agent, {
    alive: true,
    listens: false,
    life: agent.life + 1,
    state: newMember(selfOf(world.plan, member.plan)),
    wakeAt: Infinity,
    persisting: false,
    rule: '',
    doom: undefined,
    shutdownAnswered: false,
  });
  agent.effects.length = 0;
  agent.deferred.length = 0;
  world.say?.(member.name, 'the agent begins');
  const { life } = agent;
  onAgent(world, member, between(member.random, 1, 20), () => {
    const armedUntil = host.guard.until;
    if (world.plan.guard === 'in-agent') setGuard(world, member, armedUntil);
    agent.listens = true;
    tell(world, member, { kind: 'started', durable: agent.durable, armedUntil, bootId: `boot ${host.boot}` });
    beginWatch(world, member);
    look(world, member, life);
  });
}

/** The process is gone. What it asked PostgreSQL and the DCS for may still happen. */
export function killAgent(world: World, member: Member, why: string): void {
  const { agent } = member;
  if (!agent.alive) return;
  world.say?.(member.name, `the agent is gone: ${why}`);
  agent.alive = false;
  agent.life += 1;
  agent.wakeAt = Infinity;
  agent.effects.length = 0;
  agent.deferred.length = 0;
  agent.frozenUntil = -1;
  agent.doom = undefined;
  if (world.plan.guard === 'in-agent') abandonGuard(member);
  cancelJob(world, member);
}

/** The regular inspection, once a second. */
function look(world: World, member: Member, life: number): void {
  see(world, member);
  onAgent(world, member, inspectionEveryMs, () => member.agent.life === life && look(world, member, life));
}

/** A look at the instance: what it showed some milliseconds ago. */
export function see(world: World, member: Member): void {
  const { agent } = member;
  if (!agent.alive) return;
  const { life } = agent;
  after(world, between(member.random, 0.5, 4), () => {
    if (!agent.alive || agent.life !== life) return;
    const status = hasPostgres(member)
      ? statusOf(world, member)
      : ({ directory: { kind: 'empty' }, instance: { kind: 'stopped' } } as const);
    inAgent(world, member, life, () => tell(world, member, { kind: 'postgres-seen', status }));
  });
}

/* ---------------------------------------------------------------- the core */

/** One step of the core. The caller has made sure that the process lives and is awake. */
export function tell(world: World, member: Member, event: Event): void {
  const { agent } = member;
  if (!agent.alive || !agent.listens) return;
  const now = localNow(world, member);
  const done = step(agent.state, event, now, wallText(world, member));
  agent.state = done.state;
  world.tally.steps += 1;
  const moment = world.hash ^ Math.round(world.now * 1000);
  world.hash = hashText(String(done.effects.length), hashText(done.rule, hashText(event.kind, moment)));
  if (done.rule !== agent.rule) {
    agent.rule = done.rule;
    world.tally.rules.set(done.rule, (world.tally.rules.get(done.rule) ?? 0) + 1);
    if (done.rule !== 'busy') world.say?.(member.name, `${done.rule}: ${done.because}`);
  }
  stepped(world, member, done);
  agent.effects.push(...done.effects);
  wakeAt(world, member, trueTime(member, done.wakeAt));
  carryOut(world, member);
}

/** One wake is in the queue; a later wish is noticed when it comes. */
function wakeAt(world: World, member: Member, wish: number): void {
  const { agent } = member;
  const at = Math.max(wish, world.now + 0.01);
  agent.wakeAt = at;
  const { life } = agent;
  push(world.queue, at, () => {
    if (agent.wakeAt !== at) return;
    inAgent(world, member, life, () => tell(world, member, { kind: 'tick' }));
  });
}

function carryOut(world: World, member: Member): void {
  const { agent } = member;
  const next = (): Effect | undefined => takeNext(agent.effects, agent.persisting);
  for (let effect = next(); effect !== undefined; effect = next()) {
    if (agent.doom !== undefined) {
      const { doom } = agent;
      if (doom.effects <= 0) {
        after(world, doom.againMs, () => startAgent(world, member));
        return killAgent(world, member, `killed before its next effect (${effect.kind})`);
      }
      doom.effects -= 1;
    }
    agent.carriedOut.set(effect.kind, (agent.carriedOut.get(effect.kind) ?? 0) + 1);
    if (effect.kind === 'persist') persist(world, member, effect.durable);
    else {
      begin(world, member, effect);
      spring(world, member, effect);
    }
    if (!agent.alive) return;
  }
}

/** On disk before the next effect begins. Killed meanwhile, nobody knows whether it is. */
function persist(world: World, member: Member, durable: Extract<Effect, { kind: 'persist' }>['durable']): void {
  const { agent } = member;
  const { life, release } = agent;
  const since = localNow(world, member);
  let isOver = false;
  let isTold = false;
  agent.persisting = true;
  onHost(world, member, saveMs, () =>
    inAgent(world, member, life, () => {
      if (isOver) return;
      isTold = true;
      tell(world, member, { kind: 'save-overdue', since, error: 'it is not on disk yet' });
    }),
  );
  onDisk(world, member, flushMs(world, member), () => {
    isOver = true;
    if (agent.life !== life && !happens(member.random, 0.5)) return;
    if (agent.life !== life && agent.alive) return;
    checkRemembered(world, member, release, durable);
    agent.durable = remembered(member, release, durable);
    inAgent(world, member, life, () => {
      agent.persisting = false;
      if (isTold) tell(world, member, { kind: 'saved' });
      else carryOut(world, member);
    });
  });
}

function begin(world: World, member: Member, effect: Exclude<Effect, { kind: 'persist' }>): void {
  switch (effect.kind) {
    case 'guard':
      return setGuard(world, member, effect.until);
    case 'inspect':
      return see(world, member);
    case 'job':
      if (world.say && effect.job.kind !== 'configure') world.say(member.name, `  job ${describe(effect)}`);
      return beginJob(world, member, effect.id, effect.job);
    case 'change-slots':
      return onHost(world, member, between(member.random, 1, 10), () => changeSlots(world, member, effect));
    case 'answer':
      return answer(world, member, effect.requestId, effect.answer.status, effect.answer.text);
    case 'transact':
      return transact(world, member, effect.id, effect.transaction);
    case 'read':
      return read(world, member);
    case 'grant-lease':
    case 'renew-lease':
    case 'revoke-lease':
      return askLease(world, member, effect);
    case 'heartbeat':
      return heartbeat(world, member, effect.member, effect.heartbeat);
    case 'beat':
      return beat(world, member, effect.term);
    case 'probe':
      return probe(world, member, effect.endpoint, effect.timeoutMs);
    case 'probe-storage':
      return probeStorage(world, member);
    case 'gate':
      return gate(world, member, effect.mark);
    case 'ask-failsafe':
      return askFailsafe(world, member, effect);
  }
}

function describe({ job }: Extract<Effect, { kind: 'job' }>): string {
  if (job.kind === 'start')
    return `start as ${job.as}${job.upstream === undefined ? '' : ` of ${job.upstream.member}`}`;
  if (job.kind === 'stop') return `${job.mode} stop`;
  if (job.kind === 'rewind' || job.kind === 'clone') return `${job.kind} from ${job.source.member}`;
  return job.kind;
}

/** Something waits for an effect of this name to have gone out. */
function spring(world: World, member: Member, effect: Effect): void {
  if (world.traps.length === 0) return;
  const name =
    effect.kind === 'transact'
      ? effect.transaction.name
      : effect.kind === 'job'
        ? `job ${effect.job.kind}`
        : effect.kind;
  for (const trap of world.traps.slice()) {
    if (!name.startsWith(trap.after)) continue;
    world.traps.splice(world.traps.indexOf(trap), 1);
    after(world, trap.fault.delayMs ?? 0, () => world.hooks.strike(trap.fault, member));
  }
}

function changeSlots(world: World, member: Member, effect: Extract<Effect, { kind: 'change-slots' }>): void {
  const { postgres } = member;
  if (postgres.process !== 'running') return;
  for (const name of effect.drop) {
    if (!postgres.senders.some((sender) => sender.slot === name)) postgres.slots.delete(name);
  }
  for (const { name, reserve } of effect.create) postgres.slots.set(name, reserve);
  see(world, member);
}

function answer(world: World, member: Member, requestId: string, status: number, text: string): void {
  const asker = world.questions.get(requestId);
  if (asker !== undefined) {
    world.questions.delete(requestId);
    asker(status, text);
    return;
  }
  const kind = requestId.split(' ')[0] ?? '';
  world.say?.(member.name, `answer to ${requestId}: ${status} ${text}`);
  world.tally.answers.set(`${kind} ${status}`, (world.tally.answers.get(`${kind} ${status}`) ?? 0) + 1);
  answered(world, requestId);
  if (kind === 'shutdown') {
    member.agent.shutdownAnswered = true;
    // The program ends when it is told that nothing is left to do.
    after(world, 20, () => {
      killAgent(world, member, 'it was shut down');
      if (world.now >= world.plan.healAtMs) after(world, 500, () => startAgent(world, member));
    });
  }
}
