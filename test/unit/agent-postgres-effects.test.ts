/** The effects on the instance: what is carried out, and which event comes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgresEffects } from '../../src/agent/postgres-effects.ts';
import type { World } from '../../src/agent/world.ts';
import type { Event } from '../../src/core/events.ts';
import type { PostgresStatus } from '../../src/core/model.ts';
import { createLog } from '../../src/lib/log.ts';
import type { Postgres } from '../../src/ports/postgres.ts';

const status: PostgresStatus = { directory: { kind: 'empty' }, instance: { kind: 'stopped' } };

/** Runs effects on a made-up instance; resolves with the first event, and the calls in their order. */
async function carriedOut(
  answers: Partial<Postgres>,
  begin: (effects: ReturnType<typeof postgresEffects>) => void,
  events: Event[] = [],
): Promise<{ readonly event: Event; readonly calls: readonly string[] }> {
  const calls: string[] = [];
  const unasked = (): never => assert.fail('not asked for');
  const postgres: Postgres = {
    inspect: () => {
      calls.push('inspect');
      return Promise.resolve(status);
    },
    run: ({ kind }) => {
      calls.push(kind);
      return Promise.resolve({ ok: true });
    },
    walReceiverRuns: unasked,
    gate: unasked,
    probe: unasked,
    probeStorage: unasked,
    fence: unasked,
    changeSlots: unasked,
    watch: unasked,
    close: unasked,
    ...answers,
  };
  const clock = { now: () => 42, wall: () => 'now' };
  const log = createLog({ member: 'a', sink: { write: () => true } });
  const event = await new Promise<Event>((resolve) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- these effects have no business with the rest
    const world = { postgres, clock, log } as unknown as World;
    begin(
      postgresEffects(world, (told) => {
        events.push(told);
        resolve(told);
      }),
    );
  });
  return { event, calls };
}

test('a sever has failed when a receiver is there after the position was read', async () => {
  for (const there of [false, true]) {
    const { event, calls } = await carriedOut({ walReceiverRuns: () => Promise.resolve(there) }, (effects) =>
      effects.runJob(7, { kind: 'sever' }),
    );
    assert.deepEqual(calls, ['sever', 'inspect']);
    assert.ok(event.kind === 'job-finished' && event.id === 7);
    assert.equal(event.outcome.ok, !there);
  }
});

test('no other job is asked about receivers', async () => {
  const { event } = await carriedOut({}, (effects) => effects.runJob(8, { kind: 'checkpoint' }));
  assert.ok(event.kind === 'job-finished' && event.outcome.ok);
});

test('a gate and a probe return as events that say what was asked', async () => {
  const outcome = { ok: false, error: 'no answer' } as const;
  const gate = await carriedOut({ gate: () => Promise.resolve(outcome) }, (effects) =>
    effects.gate({ kind: 'gate', mark: 'm' }),
  );
  assert.deepEqual(gate.event, { kind: 'gate', mark: 'm', outcome });
  const endpoint = { member: 'b', host: 'h', port: 1 };
  const probe = await carriedOut({ probe: () => Promise.resolve(true) }, (effects) =>
    effects.probe({ kind: 'probe', endpoint, timeoutMs: 5 }),
  );
  assert.deepEqual(probe.event, { kind: 'probed', member: 'b', askedAt: 42, answered: true });
});

test('a job that begins ends the one before it, which is told under its own number', async () => {
  for (const kind of ['end-senders', 'stop'] as const) {
    const events: Event[] = [];
    const signals: AbortSignal[] = [];
    const { event: first } = await carriedOut(
      {
        run: ({ kind: begun }, _progress, signal) => {
          signals.push(signal);
          if (begun !== 'checkpoint') return Promise.resolve({ ok: true });
          return new Promise((resolve) =>
            signal.addEventListener('abort', () => resolve({ ok: false, error: 'given up' })),
          );
        },
      },
      (effects) => {
        effects.runJob(1, { kind: 'checkpoint' });
        assert.deepEqual(
          signals.map((signal) => signal.aborted),
          [false],
        );
        effects.runJob(2, kind === 'stop' ? { kind, mode: 'fast' } : { kind, members: ['b'] });
        assert.deepEqual(
          signals.map((signal) => signal.aborted),
          [true, false],
        );
      },
      events,
    );
    assert.equal(first.kind, 'job-finished');
    while (events.length < 2) await new Promise(setImmediate);
    const outcomes = events.map((event) => (event.kind === 'job-finished' ? [event.id, event.outcome.ok] : []));
    assert.deepEqual(
      outcomes.toSorted((a, b) => Number(a[0]) - Number(b[0])),
      [
        [1, false],
        [2, true],
      ],
    );
  }
});
