/** What members ask of each other directly: signs of life, promises, whether a PostgreSQL answers; and the gate. */
import type { Effect } from '../core/effects.ts';
import { heartbeatOf } from '../core/heartbeat.ts';
import type { Endpoint } from '../core/model.ts';
import type { Heartbeat } from '../core/signs.ts';
import { after, inAgent, isDeaf, localNow, onHost } from './clock.ts';
import { hopMs, passes, reaches } from './network.ts';
import { between } from './random.ts';
import { onDisk } from './storage.ts';
import { flushMs, isHung, letsNobodyIn, sendAll } from './streaming.ts';
import { waitForStandbys } from './sync-rep.ts';
import { freshId, isWritable, type Member, memberNamed, type World } from './world.ts';

const gateLimitMs = 5000;

/** A message from one agent to another's process, if it gets there and somebody listens. */
function toAgent(world: World, from: Member, to: Member, arrive: () => void): void {
  if (!from.host.up || !passes(world, 'agents', from.name, to.name)) return;
  const { life } = to.agent;
  after(world, hopMs(world), () => {
    if (!isDeaf(world, to)) inAgent(world, to, life, arrive);
  });
}

/** The effect `heartbeat`. The answer tells as much of the other one. */
export function heartbeat(world: World, member: Member, name: string, word: Heartbeat): void {
  const other = memberNamed(world, name);
  if (other === undefined) return;
  toAgent(world, member, other, () => {
    world.hooks.tell(other, { kind: 'heard', heartbeat: word });
    const reply = heartbeatOf(other.agent.state, localNow(world, other));
    toAgent(world, other, member, () => world.hooks.tell(member, { kind: 'heard', heartbeat: reply }));
  });
}

/** The effect `ask-failsafe`. */
export function askFailsafe(
  world: World,
  member: Member,
  { member: name, term, number, ttlMs, timeoutMs }: Extract<Effect, { kind: 'ask-failsafe' }>,
): void {
  const other = memberNamed(world, name);
  const sentAt = localNow(world, member);
  const { life } = member.agent;
  let isOver = false;
  const answered = (accepted: boolean, because: string): void => {
    if (isOver) return;
    isOver = true;
    world.hooks.tell(member, { kind: 'failsafe-answered', member: name, term, sentAt, accepted, because });
  };
  after(world, timeoutMs, () => inAgent(world, member, life, () => answered(false, 'no answer in time')));
  if (other === undefined) return;
  const requestId = `failsafe ${freshId(world)}`;
  toAgent(world, member, other, () => {
    world.questions.set(requestId, (status, text) =>
      toAgent(world, other, member, () => answered(status === 200, text)),
    );
    world.hooks.tell(other, { kind: 'failsafe-asked', requestId, from: member.name, term, number, ttlMs });
  });
}

/** The effect `probe`: does a postmaster speak, whatever it says? */
export function probe(world: World, member: Member, endpoint: Endpoint, timeoutMs: number): void {
  const other = memberNamed(world, endpoint.member);
  const askedAt = localNow(world, member);
  const { life } = member.agent;
  const isThere =
    other !== undefined &&
    reaches(world, 'postgres', member, other) &&
    other.postgres.process !== 'none' &&
    other.postgres.process !== 'dying' &&
    !letsNobodyIn(world, other) &&
    world.now >= other.host.frozenUntil;
  const isRefused =
    other !== undefined && reaches(world, 'postgres', member, other) && other.postgres.process === 'none';
  const tookMs = isThere || isRefused ? 2 * hopMs(world) + 1 : timeoutMs;
  after(world, tookMs, () =>
    inAgent(world, member, life, () => {
      // Of an agent that slept meanwhile the timer is over first, whatever has come.
      const answered = isThere && localNow(world, member) < askedAt + timeoutMs;
      world.hooks.tell(member, { kind: 'probed', member: endpoint.member, askedAt, answered });
    }),
  );
}

/** The effect `gate`: a commit that waits as every other one does. */
export function gate(world: World, member: Member, mark: string): void {
  const { postgres } = member;
  const { life } = member.agent;
  const { incarnation } = postgres;
  let isOver = false;
  const over = (outcome: { readonly ok: true } | { readonly ok: false; readonly error: string }): void => {
    if (isOver) return;
    isOver = true;
    inAgent(world, member, life, () => world.hooks.tell(member, { kind: 'gate', mark, outcome }));
  };
  onDisk(world, member, between(member.random, 1, 4) + flushMs(world, member), () => {
    const { data } = postgres;
    if (!isWritable(member) || data === undefined || postgres.incarnation !== incarnation || isHung(world, member))
      return over({ ok: false, error: 'it takes no commits' });
    data.written += 200;
    data.flushed = data.written;
    sendAll(world, member);
    waitForStandbys(member, { lsn: data.written, released: () => over({ ok: true }) });
  });
  onHost(world, member, gateLimitMs, () => over({ ok: false, error: 'the commit still waits' }));
}
