/** The effects in their order while the disk answers, and while it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { effectQueue } from '../../src/agent/effect-queue.ts';
import type { Effect } from '../../src/core/effects.ts';
import type { Event } from '../../src/core/events.ts';
import { emptyDurable } from '../../src/core/state.ts';
import { createLog } from '../../src/lib/log.ts';

const persist: Effect = { kind: 'persist', durable: emptyDurable('a') };
const stop: Effect = { kind: 'job', id: 9, job: { kind: 'stop', mode: 'immediate' } };
const promote: Effect = { kind: 'job', id: 8, job: { kind: 'promote' } };
const renew: Effect = { kind: 'renew-lease', purpose: 'leader', leaseId: 'l' };
const read: Effect = { kind: 'read' };
const release: Effect = {
  kind: 'transact',
  id: 7,
  transaction: { name: 'release', compare: [], write: [{ key: 'leader', value: undefined }] },
};
const publish: Effect = {
  kind: 'transact',
  id: 6,
  transaction: { name: 'publish', compare: [], write: [{ key: 'events', member: 'a', value: [] }] },
};
const wish: Effect = {
  kind: 'transact',
  id: 5,
  transaction: {
    name: 'ask',
    compare: [],
    write: [
      { key: 'failover', value: undefined },
      { key: 'events', member: 'a', value: [] },
    ],
  },
};
const answer: Effect = { kind: 'answer', requestId: 'r', answer: { status: 200, text: 'accepted' } };

/** A queue on a disk that answers when it is told to. */
function queueOnDisk(save: () => Promise<{ readonly ok: true } | { readonly ok: false; readonly error: string }>) {
  const begun: Effect[] = [];
  const events: Event[] = [];
  const ending = new AbortController();
  const durable = { load: () => assert.fail('not asked for'), save };
  const log = createLog({ member: 'a', sink: { write: () => true } });
  const add = effectQueue(
    { durable, clock: { now: () => 42, wall: () => 'now' }, log },
    (effect) => void begun.push(effect),
    (event) => void events.push(event),
    ending.signal,
  );
  return { add, begun, events, ending };
}

function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

test('what relies on what is remembered waits for it, and what does not goes out; afterwards all is in order', async () => {
  const disk = gate();
  const { add, begun } = queueOnDisk(async () => {
    await disk.opened;
    return { ok: true };
  });
  add([read, persist, renew, release, answer]);
  add([wish, publish]);
  assert.deepEqual(begun, [read, release, publish]);
  disk.open();
  await turn();
  assert.deepEqual(begun, [read, release, publish, renew, answer, wish]);
  add([renew, read]);
  assert.deepEqual(begun.slice(6), [renew, read]);
});

test('a stop that goes before its turn makes the jobs void that it would have ended, and no later one', async () => {
  const disk = gate();
  const { add, begun } = queueOnDisk(async () => {
    await disk.opened;
    return { ok: true };
  });
  add([persist, promote, renew]);
  add([persist, stop]);
  const start: Effect = { ...promote, id: 10 };
  add([start]);
  assert.deepEqual(begun, [stop]);
  disk.open();
  await turn();
  await turn();
  assert.deepEqual(begun, [stop, renew, start]);
});

test('a save that takes long, or fails, is told of; so is its end', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const disk = gate();
  let round = 0;
  const { add, begun, events } = queueOnDisk(async () => {
    round += 1;
    if (round === 1) await disk.opened;
    return round < 3 ? { ok: false, error: 'no space left on device' } : { ok: true };
  });
  add([persist, renew]);
  context.mock.timers.tick(999);
  assert.deepEqual(events, []);
  context.mock.timers.tick(1);
  assert.deepEqual(events, [{ kind: 'save-overdue', since: 42, error: 'it is not on disk yet' }]);
  disk.open();
  await turn();
  assert.deepEqual(events.slice(1), [{ kind: 'save-overdue', since: 42, error: 'no space left on device' }]);
  context.mock.timers.tick(100);
  await turn();
  context.mock.timers.tick(200);
  await turn();
  assert.deepEqual(events.at(-1), { kind: 'saved' });
  assert.deepEqual(begun, [renew]);
});

test('a save that is quick is nothing to tell', async () => {
  const { add, begun, events } = queueOnDisk(async () => ({ ok: true }));
  add([persist, renew]);
  await turn();
  assert.deepEqual([begun, events], [[renew], []]);
});
