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
  /** How soon a dead connection is to be noticed. Half of it may pass in silence, in the other half it must answer. */
  readonly noticeMs: () => number;
  /** The query that reads, given the revision that is known already (-1: none). */
  readonly read: (known: number) => Query;
}

/** The listeners of one cluster, over one link. */
export interface Watch {
  add(listener: WatchListener): () => void;
  /** Something changed. */
  changed(): void;
  /** A beat came. */
  alive(member: string, term: number): void;
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
    heardAtMs: 0,
    leaseEndsAtMs: Number.POSITIVE_INFINITY,
    lastError: undefined,
  };
  return {
    add: (listener) => add(watch, listener),
    changed: () => again(watch),
    alive(member, term) {
      watch.heardAtMs = performance.now();
      for (const listener of watch.listeners.keys()) listener.onAlive(member, term);
    },
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
  /** When the connection showed last that it lives, and when the next lease may end; of performance.now. */
  heardAtMs: number;
  leaseEndsAtMs: number;
  lastError: string | undefined;
}

function add(watch: WatchState, listener: WatchListener): () => void {
  // Its own identity: the same listener may be added twice.
  const mine: WatchListener = {
    onSnapshot: (snapshot, askedAt) => listener.onSnapshot(snapshot, askedAt),
    onAlive: (member, term) => listener.onAlive(member, term),
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
  const { link, clock, read } = watch.options;
  watch.wanted = false;
  watch.reading = true;
  clearTimeout(watch.timer);
  const askedAt = clock.now();
  const reply = await link.query(read(watch.latest?.revision ?? -1), answerMs(watch));
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
  watch.heardAtMs = performance.now();
  watch.leaseEndsAtMs = watch.heardAtMs + read.endsInMs + afterEndMs;
  waitForNext(watch);
  for (const [listener, has] of listeners) {
    if (has) continue;
    listeners.set(listener, true);
    listener.onSnapshot(read.snapshot, askedAt);
  }
}

/** Reads when a lease may have ended, or when nothing was heard for too long; a beat is heard too. */
function waitForNext(watch: WatchState): void {
  clearTimeout(watch.timer);
  const now = performance.now();
  const silentAtMs = watch.heardAtMs + watch.options.noticeMs() / 2;
  const waitMs = Math.min(silentAtMs, watch.leaseEndsAtMs) - now;
  const look = (): void => {
    const isDue = performance.now() >= Math.min(watch.leaseEndsAtMs, watch.heardAtMs + watch.options.noticeMs() / 2);
    if (isDue) again(watch);
    else waitForNext(watch);
  };
  watch.timer = setTimeout(look, Math.max(minWaitMs, waitMs));
}

/** The first read brings all keys. Later ones are quick; but a server that waits for its disk is not dead. */
function answerMs({ latest, options }: WatchState): number {
  if (latest === undefined) return options.timeoutMs;
  return Math.min(options.timeoutMs, Math.max(leastAnswerMs, options.noticeMs() / 2));
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
const leastAnswerMs = 500;
