/**
 * The DCS as members reach it: requests that are lost, or applied though the answer is lost, or that land when their
 * sender has long given up; watches that come late, folded or twice; leases that end early; outages and restores.
 */

import type { Effect, Transaction } from '../core/effects.ts';
import type { TransactionOutcome } from '../core/events.ts';
import type { ClusterView } from '../core/model.ts';
import {
  expire,
  grantLease,
  nextEnd,
  renewLease,
  restart,
  revokeLease,
  transact as transactIn,
} from '../dcs/memory/model.ts';
import { applied } from './authority.ts';
import { after, inAgent, isDeaf, localNow } from './clock.ts';
import { checkKept, sharedTexts } from './kept.ts';
import { dcsEnd, hopMs, passes } from './network.ts';
import { viewFor } from './next-release.ts';
import { push } from './queue.ts';
import { between, happens } from './random.ts';
import { holderIn, viewOf } from './records.ts';
import { written } from './releases.ts';
import { wallText } from './wall.ts';
import type { Chance, Member, Store, World } from './world.ts';

const requestTimeoutMs = 1000;
/** The order of magnitude of a watch's reconnecting. */
const reconnectMs = [10, 800] as const;

/* ---------------------------------------------------------------- requests */

/** `arrive` is done at the store, if the request gets there; `reply` in the agent, with what came of it, or undefined. */
function request<Answer>(
  world: World,
  member: Member,
  kind: 'read' | 'write' | 'lease',
  arrive: () => Answer,
  reply: (answer: Answer | undefined) => void,
): void {
  const { store, random } = world;
  const { life } = member.agent;
  const sentAt = world.now;
  const timeout = (): void =>
    push(world.queue, Math.max(world.now, sentAt + requestTimeoutMs), () =>
      inAgent(world, member, life, () => reply(undefined)),
    );
  if (!passes(world, 'dcs', member.name, dcsEnd) || strikes(world, store.loseRequests)) return timeout();
  const isLate = kind === 'write' && strikes(world, store.landLate);
  const lateMs = isLate ? between(random.dcs, 50, happens(random.dcs, 0.3) ? 30_000 : 2500) : 0;
  // Its sender gives up long before it lands.
  const isGivenUp = lateMs >= requestTimeoutMs;
  if (isGivenUp) timeout();
  // Whoever sent it: it is on its way.
  after(world, serviceMs(world) + lateMs, () => {
    if (store.down) return isGivenUp ? undefined : timeout();
    const answer = arrive();
    if (isGivenUp) return;
    if (!passes(world, 'dcs', dcsEnd, member.name) || strikes(world, store.loseReplies)) return timeout();
    const slowMs = kind === 'read' && strikes(world, store.lateReads) ? between(random.dcs, 10, 900) : 0;
    const backMs = hopMs(world) + slowMs;
    if (world.now + backMs > sentAt + requestTimeoutMs) return timeout();
    after(world, backMs, () => inAgent(world, member, life, () => reply(answer)));
  });
}

function strikes(world: World, chance: Chance): boolean {
  return world.now < chance.until && happens(world.random.dcs, chance.probability);
}

function serviceMs(world: World): number {
  const { random, store } = world;
  return hopMs(world) + (store.kind === 'etcd' ? between(random.dcs, 1, 6) : between(random.dcs, 0.2, 1.2));
}

/** The effect `transact`. */
export function transact(world: World, member: Member, id: number, transaction: Transaction): void {
  const quiet = transaction.name.startsWith('publish');
  const asSent = written(world, member, transaction);
  const { release } = member.agent;
  request<TransactionOutcome>(
    world,
    member,
    'write',
    () => {
      const { model } = world.store;
      const before = model.revision;
      const texts = sharedTexts(world);
      const outcome = transactIn(model, asSent, world.now);
      if (!quiet) world.say?.(member.name, `  ${transaction.name}: ${outcome.kind}`);
      if (outcome.kind === 'applied') {
        checkKept(world, member, release, texts);
        applied(world, member, transaction);
      }
      if (model.revision !== before) changed(world);
      return outcome;
    },
    (outcome) =>
      world.hooks.tell(member, {
        kind: 'transaction-answered',
        id,
        outcome: outcome ?? { kind: 'unanswered', error: 'no answer in time' },
        at: wallText(world, member),
      }),
  );
}

/** The effect `read`. */
export function read(world: World, member: Member): void {
  const askedAt = localNow(world, member);
  request(
    world,
    member,
    'read',
    () => viewFor(world, member, currentView(world)),
    (view) =>
      world.hooks.tell(
        member,
        view === undefined ? { kind: 'read-failed', error: 'no answer in time' } : { kind: 'dcs-read', view, askedAt },
      ),
  );
}

/** The effects on leases. */
export function askLease(
  world: World,
  member: Member,
  effect: Extract<Effect, { kind: 'grant-lease' | 'renew-lease' | 'revoke-lease' }>,
): void {
  const sentAt = localNow(world, member);
  const { store } = world;
  if (effect.kind === 'revoke-lease') {
    const revoke = (): void => {
      const before = store.model.revision;
      revokeLease(store.model, effect.leaseId, world.now);
      if (store.model.revision !== before) changed(world);
    };
    return request(world, member, 'lease', revoke, () => undefined);
  }
  const { purpose } = effect;
  const lost = (): void => world.hooks.tell(member, { kind: 'lease-failed', purpose, error: 'no answer in time' });
  if (effect.kind === 'grant-lease') {
    const { ttlMs } = effect;
    const grant = (): string => {
      const leaseId = grantLease(store.model, ttlMs, world.now);
      watchExpiry(world);
      return leaseId;
    };
    return request(world, member, 'lease', grant, (leaseId) => {
      if (leaseId === undefined) lost();
      else world.hooks.tell(member, { kind: 'lease-granted', purpose, sentAt, leaseId, ttlMs, askedTtlMs: ttlMs });
    });
  }
  const { leaseId } = effect;
  const renew = (): { readonly ttlMs: number | undefined } => {
    endLeases(world);
    return { ttlMs: renewLease(store.model, leaseId, world.now) };
  };
  request(world, member, 'lease', renew, (answer) => {
    if (answer === undefined) lost();
    else if (answer.ttlMs === undefined) world.hooks.tell(member, { kind: 'lease-gone', purpose, leaseId });
    else world.hooks.tell(member, { kind: 'lease-renewed', purpose, sentAt, leaseId, ttlMs: answer.ttlMs });
  });
}

/* ---------------------------------------------------------------- leases */

/** etcd ends leases late, every half second. */
function granularityMs(store: Store): number {
  return store.kind === 'etcd' ? 500 : 1;
}

/** There is one moment in the queue at which leases are looked at. */
export function watchExpiry(world: World): void {
  const { store } = world;
  const next = nextEnd(store.model);
  if (next === undefined || store.expiryAt <= next) return;
  const unit = granularityMs(store);
  const at = Math.ceil(next / unit) * unit;
  if (store.expiryAt <= at) return;
  store.expiryAt = at;
  push(world.queue, at, () => {
    if (store.expiryAt !== at) return;
    store.expiryAt = Infinity;
    if (!store.down) endLeases(world);
    if (!store.down) watchExpiry(world);
  });
}

function endLeases(world: World): void {
  const { store } = world;
  const before = store.model.revision;
  expire(store.model, world.now);
  if (store.model.revision !== before) changed(world);
}

/** The holder's lease, or a member's, ends before its time. */
export function loseLease(world: World, key: string): void {
  const { model } = world.store;
  const leaseId = model.keys.get(key)?.leaseId;
  if (leaseId === undefined) return;
  // In asynchronous mode safety rests on leases that last as long as they were promised to.
  if (key === 'leader') world.checks.brokenLease = holderIn(model);
  revokeLease(model, leaseId, world.now);
  changed(world);
}

/* ---------------------------------------------------------------- watches */

/** The same object for the same contents. */
export function currentView(world: World): ClusterView {
  const { store } = world;
  const { model, view } = store;
  if (view?.model === model && view.revision === model.revision) return view.contents;
  const contents = viewOf(model);
  store.view = { model, revision: model.revision, contents };
  return contents;
}

/** All who watch are told, each in its own time. */
export function changed(world: World): void {
  watchExpiry(world);
  for (const member of world.members) notify(world, member);
}

/** What changes until the last telling has gone out is folded into the next. */
export function notify(world: World, member: Member): void {
  const { watch, agent } = member;
  if (!agent.alive || watch.lost) return;
  if (watch.pending) {
    watch.dirty = true;
    return;
  }
  watch.pending = true;
  const { life } = agent;
  const view = viewFor(world, member, currentView(world));
  const askedAt = localNow(world, member) - 0.1;
  const lateMs = world.now < watch.lateUntil ? between(world.random.dcs, 50, 1500) : 0;
  after(world, serviceMs(world) + lateMs, () => {
    if (agent.life !== life) return;
    watch.pending = false;
    if (canWatch(world, member) && !watch.lost) {
      inAgent(world, member, life, () => world.hooks.tell(member, { kind: 'dcs-read', view, askedAt }));
      if (lateMs > 0 && happens(world.random.dcs, 0.3))
        after(world, 30, () =>
          inAgent(world, member, life, () => world.hooks.tell(member, { kind: 'dcs-read', view, askedAt })),
        );
    }
    if (watch.dirty) {
      watch.dirty = false;
      notify(world, member);
    }
  });
}

function canWatch(world: World, member: Member): boolean {
  return (
    !world.store.down &&
    world.now >= member.watch.cutUntil &&
    passes(world, 'dcs', member.name, dcsEnd) &&
    passes(world, 'dcs', dcsEnd, member.name)
  );
}

/** A new agent begins to watch. */
export function beginWatch(world: World, member: Member): void {
  Object.assign(member.watch, { lost: true, pending: false, dirty: false });
  tryWatch(world, member, member.agent.life);
}

function tryWatch(world: World, member: Member, life: number): void {
  const { watch, agent } = member;
  after(world, between(world.random.dcs, ...reconnectMs) / (agent.state.view === undefined ? 10 : 1), () => {
    if (!agent.alive || agent.life !== life || !watch.lost) return;
    if (!canWatch(world, member)) return tryWatch(world, member, life);
    watch.lost = false;
    notify(world, member);
  });
}

/** Something on the way to the DCS broke, or came back: whoever cannot see it learns that in a while. */
export function checkWatches(world: World): void {
  for (const member of world.members) {
    const { watch, agent } = member;
    const { life } = agent;
    if (!agent.alive || watch.lost || canWatch(world, member)) continue;
    after(world, between(world.random.dcs, 300, 1800), () => {
      if (agent.life !== life || watch.lost) return;
      // What changed meanwhile was not told.
      if (canWatch(world, member)) return notify(world, member);
      watch.lost = true;
      inAgent(world, member, life, () => world.hooks.tell(member, { kind: 'dcs-lost', error: 'no connection' }));
      tryWatch(world, member, life);
    });
  }
}

/* ---------------------------------------------------------------- outages and restores */

/** The store's process ends. */
export function stopStore(world: World): void {
  world.store.down = true;
  checkWatches(world);
}

/** It is back: every lease runs a full TTL again. */
export function startStore(world: World): void {
  const { store } = world;
  store.down = false;
  restart(store.model, world.now);
  store.expiryAt = Infinity;
  changed(world);
}

/** Now and then a copy is kept. */
export function backUp(world: World): void {
  const { store } = world;
  const { model } = store;
  store.backups.push({ at: world.now, model: { ...model, keys: new Map(model.keys), leases: new Map(model.leases) } });
}

/** The contents of an earlier moment; under the same identity, or another. */
export function restore(world: World, agoMs: number, storeId: string | undefined): void {
  const { store } = world;
  const backup = store.backups.findLast((one) => one.at <= world.now - agoMs) ?? store.backups[0];
  if (backup === undefined) return;
  const leases = new Map([...backup.model.leases].map(([id, lease]) => [id, { ...lease }]));
  store.model = { ...backup.model, keys: new Map(backup.model.keys), leases };
  // No lease's name is given twice.
  store.model.granted += 1_000_000;
  if (storeId !== undefined) store.model.storeId = storeId;
  store.wasRestored = true;
  startStore(world);
}

/** The effect `beat`: the holder's sign of life, to all who watch. */
export function beat(world: World, member: Member, term: number): void {
  if (!passes(world, 'dcs', member.name, dcsEnd) || strikes(world, world.store.loseRequests)) return;
  after(world, serviceMs(world), () => {
    if (world.store.down) return;
    for (const other of world.members) {
      if (other === member || !other.agent.alive || other.watch.lost || !canWatch(world, other)) continue;
      const { life } = other.agent;
      after(world, hopMs(world), () => {
        if (isDeaf(world, other)) return;
        inAgent(world, other, life, () => world.hooks.tell(other, { kind: 'alive', member: member.name, term }));
      });
    }
  });
}
