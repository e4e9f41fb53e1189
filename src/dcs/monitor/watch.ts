/**
 * Sees every change of a cluster's keys: it listens first and reads then, so that none falls between; reads again at
 * each notification, and when a lease may have ended (its end is what nobody else may notice).
 */

import type { Snapshot, WatchListener } from '../../ports/dcs.ts';
import type { Clock } from '../../ports/host.ts';
import type { Query, Reply } from './connection.ts';
import type { Link } from './link.ts';
import { decodeRead } from './snapshot.ts';

/** What to read, over which link, and how often at least. */
export interface WatchOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** After so long without a word the connection is tried. */
  readonly checkIntervalMs: number;
  /** The query that reads, given the revision that is known already (-1: none). */
  readonly read: (known: number) => Query;
}

/** The listeners of one cluster, over one link. */
export interface Watch {
  add(listener: WatchListener): () => void;
  /** Something changed. */
  changed(): void;
  /** The link became ready: new, or idle again. */
  ready(): void;
  lost(error: string): void;
  close(): void;
}

/** Nothing is read before somebody listens. */
export function createWatch(options: WatchOptions): Watch {
  const watch: WatchState = {
    options,
    listeners: new Map(),
    latest: undefined,
    wanted: false,
    reading: false,
    timer: undefined,
    lastError: undefined,
  };
  return {
    add: (listener) => add(watch, listener),
    changed: () => again(watch),
    ready: () => pump(watch),
    lost: (error) => lose(watch, error),
    close() {
      watch.listeners.clear();
      clearTimeout(watch.timer);
    },
  };
}

interface WatchState {
  readonly options: WatchOptions;
  /** Each listener, and whether it has the latest snapshot. */
  readonly listeners: Map<WatchListener, boolean>;
  latest: Snapshot | undefined;
  wanted: boolean;
  reading: boolean;
  timer: NodeJS.Timeout | undefined;
  lastError: string | undefined;
}

function add(watch: WatchState, listener: WatchListener): () => void {
  // Its own identity: the same listener may be added twice.
  const mine: WatchListener = {
    onSnapshot: (snapshot, askedAt) => listener.onSnapshot(snapshot, askedAt),
    onLost: (error) => listener.onLost(error),
  };
  watch.listeners.set(mine, false);
  again(watch);
  return () => {
    watch.listeners.delete(mine);
    if (watch.listeners.size === 0) clearTimeout(watch.timer);
  };
}

function again(watch: WatchState): void {
  watch.wanted = true;
  pump(watch);
}

function pump(watch: WatchState): void {
  const { link } = watch.options;
  if (watch.listeners.size === 0) return;
  if (!link.ready) return link.need();
  if (watch.wanted && !watch.reading) void refresh(watch);
}

async function refresh(watch: WatchState): Promise<void> {
  const { link, clock, read, timeoutMs } = watch.options;
  watch.wanted = false;
  watch.reading = true;
  clearTimeout(watch.timer);
  const askedAt = clock.now();
  const reply = await link.query(read(watch.latest?.revision ?? -1), timeoutMs);
  watch.reading = false;
  deliver(watch, reply, askedAt);
  pump(watch);
}

function deliver(watch: WatchState, reply: Reply, askedAt: number): void {
  if (reply.kind === 'lost') return; // The link tells it: `lost`.
  const { listeners, options } = watch;
  const read = reply.kind === 'row' ? decodeRead(reply.row?.['read'], watch.latest) : undefined;
  if (read === undefined) {
    const why = reply.kind === 'row' ? 'what it answered cannot be read' : reply.cause.message;
    return options.link.drop(`the keys could not be read: ${why}`);
  }
  if (read.snapshot !== watch.latest) for (const listener of listeners.keys()) listeners.set(listener, false);
  watch.latest = read.snapshot;
  watch.lastError = undefined;
  clearTimeout(watch.timer);
  const waitMs = Math.min(options.checkIntervalMs, Math.max(minWaitMs, read.endsInMs + afterEndMs));
  watch.timer = setTimeout(() => again(watch), waitMs);
  for (const [listener, has] of listeners) {
    if (has) continue;
    listeners.set(listener, true);
    listener.onSnapshot(read.snapshot, askedAt);
  }
}

function lose(watch: WatchState, error: string): void {
  const { listeners } = watch;
  clearTimeout(watch.timer);
  watch.latest = undefined;
  watch.wanted = true;
  const known = error === watch.lastError;
  watch.lastError = error;
  for (const listener of listeners.keys()) {
    listeners.set(listener, false);
    if (!known) listener.onLost(error);
  }
  pump(watch);
}

/** A lease ends when the server's clock, which has steps of 10 ms, has reached its end. */
const afterEndMs = 2;
const minWaitMs = 5;
