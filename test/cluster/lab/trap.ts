/** Strikes in the right moment: when an agent says a word, or while the monitor is in the middle of a write. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Lab, nowMs } from './cluster.ts';
import type { Host } from './host.ts';
import { wholeLines } from './notes.ts';

/** What agents said since it was made. */
export interface Ear {
  /** Waits until one of them says it, whole lines of its log: which one. Looks every few milliseconds. */
  readonly hears: (hosts: readonly Host[], words: RegExp, withinMs: number) => Promise<Host>;
  readonly said: (host: Host) => string;
}

export function listen(lab: Lab): Ear {
  const logOf = (host: Host): string => join(host.disk, 'agent.log');
  const offsets = new Map(lab.hosts.map((host) => [host, statSync(logOf(host)).size]));
  const said = (host: Host): string => wholeLines(logOf(host), offsets.get(host) ?? 0).text;
  return {
    said,
    async hears(hosts, words, withinMs) {
      const began = nowMs();
      while (nowMs() - began < withinMs) {
        const found = hosts.find((host) => words.test(said(host)));
        if (found !== undefined) return found;
        await sleep(2);
      }
      throw new Error(`nobody said ${words} within ${withinMs} ms:\n${hosts.map(said).join('\n---\n')}`);
    },
  };
}

/** A monitor that does not commit: who writes a leader key anew waits, until it is let go. */
export interface HeldMonitor {
  /** A writer of the leader key waits. */
  readonly isWaitedFor: () => Promise<boolean>;
  readonly letGo: () => Promise<void>;
}

const lock = 8301;

/** The next taking of the leader key hangs in the middle of its transaction. */
export async function holdTaking(lab: Lab): Promise<HeldMonitor> {
  const host = join(lab.monitor.disk, 'monitor.pgherd');
  const client = new Client({ host, port: 5433, user: 'postgres', database: 'pgherd' });
  await client.connect();
  await client.query(`
    create or replace function public.hold() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock_shared(${lock}); return new; end $$;
    create or replace trigger hold after insert on pgherd.key
      for each row when (new.name = 'leader') execute function public.hold();
    select pg_advisory_lock(${lock})`);
  return {
    async isWaitedFor() {
      const { rows } = await client.query(`select from pg_locks where objid = ${lock} and not granted`);
      return rows.length > 0;
    },
    async letGo() {
      // Its session held the lock; nobody waits any more, now or later.
      await client.end();
    },
  };
}
