/**
 * Sees every change of a cluster's keys. The watch at a member says that something changed; what there is then, a linearizable read
 * says: it watches first and reads then, so that no change falls between, whatever was compacted or missed while no watch was open.
 *
 * A member that is dead or cut off is noticed by its silence: it has to answer on the watch, and etcd a read. Then another member is
 * watched; the listeners learn of it only when the store is out of sight for `noticeMs`.
 */
import type { Snapshot, WatchListener } from '../../ports/dcs.ts';
import type { Clock } from '../../ports/host.ts';
import type { Endpoints } from './endpoints.ts';
import { decode } from './keys.ts';
import type { Event } from './messages.ts';
import { aliveKey, eventsFolder, readBeat, readKeys } from './requests.ts';
import type { Asked } from './round.ts';
import { openStream, type Stream } from './watch-stream.ts';

/** What to watch, and how soon a failure is to be noticed. */
export interface WatchOptions {
  readonly endpoints: Endpoints;
  readonly prefix: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Half of it may pass in silence, in the other half an answer must come. */
  readonly noticeMs: () => number;
}

/** The listeners of one cluster. */
export interface Watch {
  add(listener: WatchListener): () => void;
  close(): void;
}

/** Nothing is asked before somebody listens. */
export function createWatch(options: WatchOptions): Watch {
  const watch: WatchState = {
    options,
    listeners: new Map(),
    latest: undefined,
    stream: undefined,
    isOpening: false,
    isWanted: false,
    isReading: false,
    heardAtMs: 0,
    pokedAtMs: undefined,
    sightAtMs: undefined,
    lastError: `${options.endpoints.description}: no answer`,
    toldError: undefined,
    backoffMs: 0,
    readBackoffMs: 0,
    timer: undefined,
    retry: undefined,
    ending: new AbortController(),
  };
  return {
    add: (listener) => add(watch, listener),
    close() {
      watch.listeners.clear();
      watch.ending.abort();
      rest(watch);
    },
  };
}

interface WatchState {
  readonly options: WatchOptions;
  /** Each listener, and whether it has the latest snapshot. */
  readonly listeners: Map<WatchListener, boolean>;
  latest: Snapshot | undefined;
  stream: Stream | undefined;
  isOpening: boolean;
  /** The keys have to be read anew. */
  isWanted: boolean;
  isReading: boolean;
  /** The watch said something. This and what follows are of performance.now. */
  heardAtMs: number;
  /** Since when an answer on the watch is waited for. */
  pokedAtMs: number | undefined;
  /** When the store was seen last, with the watch open; undefined before the first time. */
  sightAtMs: number | undefined;
  lastError: string;
  toldError: string | undefined;
  /** Before the next watch, and before the next read. */
  backoffMs: number;
  readBackoffMs: number;
  timer: NodeJS.Timeout | undefined;
  retry: NodeJS.Timeout | undefined;
  readonly ending: AbortController;
}

const firstBackoffMs = 50;
const maxBackoffMs = 1000;
const leastAnswerMs = 500;

function longer(backoffMs: number): number {
  return Math.min(Math.max(backoffMs * 2, firstBackoffMs), maxBackoffMs);
}

function add(watch: WatchState, listener: WatchListener): () => void {
  // Its own identity: the same listener may be added twice.
  const mine: WatchListener = {
    onSnapshot: (snapshot, askedAt) => listener.onSnapshot(snapshot, askedAt),
    onAlive: (member, term) => listener.onAlive(member, term),
    onLost: (error) => listener.onLost(error),
  };
  watch.listeners.set(mine, false);
  watch.isWanted = true;
  pump(watch);
  return () => {
    watch.listeners.delete(mine);
    if (watch.listeners.size === 0) rest(watch);
  };
}

/** Nobody listens: nothing is watched. */
function rest(watch: WatchState): void {
  clearTimeout(watch.timer);
  clearTimeout(watch.retry);
  watch.retry = undefined;
  watch.stream?.end();
  watch.stream = undefined;
  watch.latest = undefined;
  watch.sightAtMs = undefined;
  watch.toldError = undefined;
}

function pump(watch: WatchState): void {
  const { listeners, stream, retry, isOpening, isWanted, isReading } = watch;
  if (listeners.size === 0) return;
  if (stream === undefined && retry === undefined && !isOpening) void open(watch);
  if (isWanted && !isReading && stream?.isOpen) void refresh(watch);
}

/* ---------------------------------------------------------------- the watch at a member */

async function open(watch: WatchState): Promise<void> {
  const { endpoints, prefix } = watch.options;
  watch.isOpening = true;
  const endpoint = await endpoints.current();
  watch.isOpening = false;
  if (watch.listeners.size === 0) return;
  if (endpoint === undefined) return void diagnose(watch);
  const mine = openStream(endpoint, prefix, (one) => endpoints.unfit(one), {
    onOpen() {
      watch.isWanted = true;
      hear(watch, []);
    },
    onHeard: (events) => hear(watch, events),
    onEnd: (error) => streamEnded(watch, mine, error),
  });
  watch.stream = mine;
  watch.pokedAtMs = performance.now();
  schedule(watch);
}

function hear(watch: WatchState, events: readonly Event[]): void {
  const { options, listeners } = watch;
  watch.heardAtMs = performance.now();
  watch.pokedAtMs = undefined;
  for (const { type, kv } of events) {
    if (kv === undefined) continue;
    watch.sightAtMs &&= watch.heardAtMs;
    const key = decode(kv.key).slice(options.prefix.length);
    if (key === aliveKey) {
      const beat = type === put ? readBeat(decode(kv.value)) : undefined;
      if (beat !== undefined) for (const listener of listeners.keys()) listener.onAlive(beat.member, beat.term);
    } else if (!key.startsWith(eventsFolder) && Number(kv.modRevision) > (watch.latest?.revision ?? -1)) {
      watch.isWanted = true;
    }
  }
  schedule(watch);
  pump(watch);
}

const put = 0;

function streamEnded(watch: WatchState, stream: Stream, error: string): void {
  if (watch.stream !== stream) return;
  stream.end();
  watch.stream = undefined;
  watch.options.endpoints.pass(stream.endpoint);
  watch.lastError = `etcd ${stream.endpoint.url}: ${error}`;
  watch.retry = setTimeout(() => {
    watch.retry = undefined;
    pump(watch);
  }, watch.backoffMs);
  watch.backoffMs = longer(watch.backoffMs);
  if (watch.sightAtMs === undefined) void diagnose(watch);
  schedule(watch);
}

/** Before the first sight: is it this member, or all of etcd? Why, a read says in the words that every call would have. */
async function diagnose(watch: WatchState): Promise<void> {
  const { endpoints, prefix, timeoutMs } = watch.options;
  if (watch.isReading) return;
  watch.isReading = true;
  const asked = await endpoints.ask(readKeys(prefix), { isRepeatable: true, timeoutMs, signal: watch.ending.signal });
  watch.isReading = false;
  if (asked.kind !== 'answered' && watch.sightAtMs === undefined) lose(watch, errorOf(asked));
  if (watch.stream === undefined && watch.retry === undefined) {
    watch.retry = setTimeout(() => {
      watch.retry = undefined;
      pump(watch);
    }, maxBackoffMs);
  }
  pump(watch);
}

function errorOf(asked: Exclude<Asked<unknown>, { kind: 'answered' }>): string {
  return 'error' in asked ? asked.error : 'etcd answered what cannot be read';
}

/* ---------------------------------------------------------------- the keys */

async function refresh(watch: WatchState): Promise<void> {
  const { endpoints, prefix, clock, timeoutMs } = watch.options;
  const { stream } = watch;
  watch.isWanted = false;
  watch.isReading = true;
  const askedAt = clock.now();
  const asked = await endpoints.ask(readKeys(prefix), {
    isRepeatable: true,
    timeoutMs,
    signal: watch.ending.signal,
    ...(stream === undefined ? {} : { first: stream.endpoint }),
  });
  watch.isReading = false;
  if (asked.kind === 'answered') {
    deliver(watch, asked.value, askedAt);
  } else {
    watch.isWanted = true;
    watch.lastError = errorOf(asked);
    if (watch.sightAtMs === undefined) lose(watch, watch.lastError);
    // No leader, as a rule: the next read follows soon, the watch itself is kept.
    watch.readBackoffMs = longer(watch.readBackoffMs);
    await new Promise((resolve) => setTimeout(resolve, watch.readBackoffMs));
  }
  pump(watch);
}

function deliver(watch: WatchState, snapshot: Snapshot, askedAt: number): void {
  const { listeners, latest } = watch;
  if (latest === undefined || !isSame(latest, snapshot)) for (const one of listeners.keys()) listeners.set(one, false);
  watch.latest = snapshot;
  watch.sightAtMs = performance.now();
  watch.toldError = undefined;
  watch.lastError = `${watch.options.endpoints.description}: no answer`;
  watch.backoffMs = 0;
  watch.readBackoffMs = 0;
  schedule(watch);
  for (const [listener, has] of listeners) {
    if (has) continue;
    listeners.set(listener, true);
    listener.onSnapshot(snapshot, askedAt);
  }
}

/** Other clusters, and beats, raise the revision too. */
function isSame(before: Snapshot, after: Snapshot): boolean {
  if (before.storeId !== after.storeId || before.keys.size !== after.keys.size) return false;
  return [...after.keys].every(([key, { modRevision }]) => before.keys.get(key)?.modRevision === modRevision);
}

function lose(watch: WatchState, error: string): void {
  const { listeners } = watch;
  const isKnown = error === watch.toldError;
  watch.latest = undefined;
  watch.isWanted = true;
  watch.toldError = error;
  for (const listener of listeners.keys()) {
    listeners.set(listener, false);
    if (!isKnown) listener.onLost(error);
  }
}

/* ---------------------------------------------------------------- silence */

function answerMs({ options }: WatchState): number {
  return Math.min(options.timeoutMs, Math.max(leastAnswerMs, options.noticeMs() / 2));
}

/** When the watch has to have said something, and when the store has to have been seen. */
function dueAtMs(watch: WatchState): number {
  const noticeMs = watch.options.noticeMs();
  const { pokedAtMs, heardAtMs, sightAtMs, toldError } = watch;
  const voiceMs = pokedAtMs === undefined ? heardAtMs + noticeMs / 2 : pokedAtMs + answerMs(watch);
  const isOut = sightAtMs === undefined || toldError !== undefined;
  return Math.min(
    watch.stream === undefined ? Number.POSITIVE_INFINITY : voiceMs,
    isOut ? Infinity : sightAtMs + noticeMs,
  );
}

function schedule(watch: WatchState): void {
  clearTimeout(watch.timer);
  if (watch.listeners.size === 0) return;
  const dueMs = dueAtMs(watch);
  if (dueMs === Number.POSITIVE_INFINITY) return;
  watch.timer = setTimeout(() => look(watch), Math.max(1, dueMs - performance.now()));
}

function look(watch: WatchState): void {
  const { stream, pokedAtMs, sightAtMs, toldError, options } = watch;
  const now = performance.now();
  const noticeMs = options.noticeMs();
  if (sightAtMs !== undefined && toldError === undefined && now >= sightAtMs + noticeMs) lose(watch, watch.lastError);
  if (stream !== undefined && pokedAtMs !== undefined && now >= pokedAtMs + answerMs(watch)) {
    stream.endpoint.doubt();
    stream.end();
    streamEnded(watch, stream, `the watch was silent for ${Math.round(now - pokedAtMs)} ms`);
    return;
  }
  if (stream?.isOpen && pokedAtMs === undefined && now >= watch.heardAtMs + noticeMs / 2) {
    watch.pokedAtMs = now;
    watch.isWanted = true;
    stream.poke();
  }
  pump(watch);
  schedule(watch);
}
