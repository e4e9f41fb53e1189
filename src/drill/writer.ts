/**
 * A client that writes: one row after the other, each number once, to whichever member takes it.
 * It records every commit that was acknowledged, and when: that is what may not be lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApplicationName, findWritable, type WritableSession } from './client.ts';
import type { Target } from './login.ts';

/** A commit that PostgreSQL said was done. */
export interface Acknowledgement {
  readonly number: number;
  readonly member: string;
  /** When it was acknowledged, on the clock of `performance.now()`. */
  readonly atMs: number;
}

/** A client that writes and keeps count. */
export interface Writer {
  readonly acknowledged: readonly Acknowledgement[];
  /** Numbers that were sent, and not acknowledged: each may be there or not. */
  readonly unanswered: readonly number[];
  /** Who takes the writes now; undefined while nobody does. */
  target(): string | undefined;
  /** Ends after the write that is under way. */
  stop(): Promise<void>;
}

const pauseMs = 10;
/** A member at which a write hung is asked again only after this time: one that has taken over meanwhile comes first. */
const avoidMs = 200;

/** Writes one row after the other into `table` of whoever is primary, until it is stopped. */
export function startWriter(targets: readonly Target[], table: string, applicationName: ApplicationName): Writer {
  const acknowledged: Acknowledgement[] = [];
  const unanswered: number[] = [];
  const avoidUntil = new Map<string, number>();
  const stopping = new AbortController();
  const { signal } = stopping;
  let current: WritableSession | undefined;
  let next = 1;

  async function run(): Promise<void> {
    while (!signal.aborted) {
      current ??= await findWritable(targets, { applicationName, avoidUntil, signal });
      if (current === undefined) continue;
      const { target, session } = current;
      const number = next;
      next += 1;
      const answer = await session.query(`insert into ${table} (number) values (${number})`);
      // A commit that came back with a warning was not waited for: it is no acknowledgement.
      if (answer.ok && answer.warnings.length === 0) {
        acknowledged.push({ number, member: target.name, atMs: performance.now() });
        await sleep(pauseMs);
        continue;
      }
      unanswered.push(number);
      if (session.wasLate()) avoidUntil.set(target.name, performance.now() + avoidMs);
      session.close();
      current = undefined;
      await sleep(pauseMs);
    }
    current?.session.close();
  }

  const done = run();
  return {
    acknowledged,
    unanswered,
    target: () => current?.target.name,
    stop: async () => {
      stopping.abort();
      await done;
    },
  };
}
