/**
 * Sees every change of a cluster's keys: it listens first and reads then, so that none falls between; reads again at
 * each notification, and when a lease may have ended (its end is what nobody else may notice).
 */

import type { Snapshot, WatchListener } from '../../ports/dcs.ts';
import type { Clock } from '../../ports/host.ts';
import type { Query, Reply } from './connection.ts';
import type { Link } from './link.ts';
import { decodeRead } from './snapshot.ts';

export interface WatchOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** After so long without a word the connection is tried. */
  readonly checkIntervalMs: number;
  /** The query that reads, given the revision that is known already (-1: none). */
  readonly read: (known: number) => Query;
}

export interface Watch {
  add(listener: WatchListener): () => void;
  /** Something changed. */
  changed(): void;
  /** The link became ready: new, or idle again. */
  ready(): void;
  lost(error: string): void;
  close(): void;
}

export function createWatch(options: WatchOptions): Watch {
  const { link, clock } = options;
  /** Each listener, and whether it has the latest snapshot. */
  const listeners = new Map<WatchListener, boolean>();
  let latest: Snapshot | undefined;
  let wanted = false;
  let reading = false;
  let timer: NodeJS.Timeout | undefined;
  let lastError: string | undefined;

  function pump(): void {
    if (listeners.size === 0) return;
    if (!link.ready) return link.need();
    if (wanted && !reading) void refresh();
  }

  async function refresh(): Promise<void> {
    wanted = false;
    reading = true;
    clearTimeout(timer);
    const askedAt = clock.now();
    const reply = await link.query(options.read(latest?.revision ?? -1), options.timeoutMs);
    reading = false;
    deliver(reply, askedAt);
    pump();
  }

  function deliver(reply: Reply, askedAt: number): void {
    if (reply.kind === 'lost') return; // The link tells it: `lost`.
    const read = reply.kind === 'row' ? decodeRead(reply.row?.['read'], latest) : undefined;
    if (read === undefined) {
      const why = reply.kind === 'row' ? 'what it answered cannot be read' : reply.cause.message;
      return link.drop(`the keys could not be read: ${why}`);
    }
    if (read.snapshot !== latest) for (const listener of listeners.keys()) listeners.set(listener, false);
    latest = read.snapshot;
    lastError = undefined;
    clearTimeout(timer);
    timer = setTimeout(again, Math.min(options.checkIntervalMs, Math.max(minWaitMs, read.endsInMs + afterEndMs)));
    for (const [listener, has] of listeners) {
      if (has) continue;
      listeners.set(listener, true);
      listener.onSnapshot(read.snapshot, askedAt);
    }
  }

  function again(): void {
    wanted = true;
    pump();
  }

  return {
    add(listener) {
      // Its own identity: the same listener may be added twice.
      const mine: WatchListener = {
        onSnapshot: (snapshot, askedAt) => listener.onSnapshot(snapshot, askedAt),
        onLost: (error) => listener.onLost(error),
      };
      listeners.set(mine, false);
      again();
      return () => {
        listeners.delete(mine);
        if (listeners.size === 0) clearTimeout(timer);
      };
    },
    changed: again,
    ready: pump,
    lost(error) {
      clearTimeout(timer);
      latest = undefined;
      wanted = true;
      const known = error === lastError;
      lastError = error;
      for (const listener of listeners.keys()) {
        listeners.set(listener, false);
        if (!known) listener.onLost(error);
      }
      pump();
    },
    close() {
      listeners.clear();
      clearTimeout(timer);
    },
  };
}

/** A lease ends when the server's clock, which has steps of 10 ms, has reached its end. */
const afterEndMs = 2;
const minWaitMs = 5;
