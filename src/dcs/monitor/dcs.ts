/** The DCS port on the monitor: one SQL function a call, LISTEN and a read for the watch. */
import { createHash } from 'node:crypto';
import type { Dcs, LeaseOutcome, ReadOutcome, StoreOutcome, StoreTransaction } from '../../ports/dcs.ts';
import type { Clock } from '../../ports/host.ts';
import { connectError, redactUri } from './address.ts';
import { type CallOutcome, type Calls, createCalls } from './calls.ts';
import type { Query } from './connection.ts';
import { createLink } from './link.ts';
import { channelPrefixes } from './schema.ts';
import { decodeEvents, decodeRead } from './snapshot.ts';
import { createWatch, type Watch } from './watch.ts';

/** Which monitor, and which cluster in it. */
export interface MonitorOptions {
  /** `postgres://pgherd@HOST:PORT/pgherd`; the password may be in it, in PGPASSWORD or in ~/.pgpass. */
  readonly uri: string;
  /** The cluster's keys: `/<namespace>/<scope>/`. */
  readonly prefix: string;
  readonly clock: Clock;
  /** Of each call, and of each attempt to connect. */
  readonly timeoutMs: number;
  /** A monitor that is gone without a word is noticed by the watch within this, and half a second more at most. */
  readonly noticeMs?: () => number;
}

/** Connects when it is first used, and again whenever it must; at most two connections. */
export function connectMonitor(options: MonitorOptions): Dcs {
  const { uri, prefix, timeoutMs } = options;
  const main = createLink({
    uri,
    timeoutMs,
    onReady: () => calls.pump(),
    onDown: (error, connected) => (connected ? calls.pump() : calls.failWaiting(error)),
  });
  const channels = channelsOf(prefix);
  const listening = createLink({
    uri,
    timeoutMs,
    setUp: Object.entries(channels).map(([name, channel]) => ({ name, text: `listen ${channel}`, values: [] })),
    onReady: () => {
      watch.ready();
      calls.pump();
    },
    onDown: (error) => watch.lost(error),
    onNotification: (channel, payload) => (channel === channels.alive ? hear(watch, payload) : watch.changed()),
  });
  const calls = createCalls(main, listening, timeoutMs, (cause) => connectError(uri, cause));
  const watch = createWatch({
    link: listening,
    clock: options.clock,
    timeoutMs,
    noticeMs: options.noticeMs ?? (() => defaultNoticeMs),
    read: (known) => readQuery(prefix, known),
  });

  return {
    description: `monitor ${redactUri(uri)}`,
    ...storeCalls(calls, prefix),
    ...leaseCalls(calls, prefix),
    beat: createBeat(calls, prefix),
    watch: (listener) => watch.add(listener),
    async close() {
      watch.close();
      calls.failWaiting(`${redactUri(uri)}: closed`);
      main.close();
      listening.close();
    },
  };
}

function storeCalls(calls: Calls, prefix: string): Pick<Dcs, 'read' | 'readEvents' | 'transact'> {
  return {
    async read(signal) {
      return readOutcome(await calls.call(readQuery(prefix, -1), false, signal));
    },
    async readEvents(signal) {
      const query = { name: 'read_events', text: 'select pgherd.read_events($1) as events', values: [prefix] };
      const outcome = await calls.call(query, false, signal);
      if (outcome.kind !== 'row') return { kind: 'failed', error: outcome.error };
      const events = decodeEvents(outcome.row['events']);
      return events ? { kind: 'read', events } : { kind: 'failed', error: unreadable };
    },
    async transact(transaction, signal) {
      return storeOutcome(await calls.call(transactQuery(prefix, transaction), false, signal));
    },
  };
}

function leaseCalls(calls: Calls, prefix: string): Pick<Dcs, 'grantLease' | 'renewLease' | 'revokeLease'> {
  return {
    async grantLease(ttlMs, signal) {
      const values = [prefix, Math.ceil(ttlMs)];
      const query = { name: 'grant_lease', text: 'select pgherd.grant_lease($1, $2) as lease', values };
      const outcome = await calls.call(query, true, signal);
      if (outcome.kind !== 'row') return { kind: 'failed', error: outcome.error };
      return { kind: 'alive', leaseId: String(outcome.row['lease']), ttlMs: Math.ceil(ttlMs) };
    },
    async renewLease(leaseId, signal) {
      const query = { name: 'renew_lease', text: 'select pgherd.renew_lease($1) as ttl', values: [leaseId] };
      const outcome = await calls.call(query, true, signal);
      if (outcome.kind !== 'row') return { kind: 'failed', error: outcome.error };
      const ttl = outcome.row['ttl'];
      return ttl === null ? { kind: 'gone' } : { kind: 'alive', leaseId, ttlMs: Number(ttl) };
    },
    async revokeLease(leaseId, signal): Promise<LeaseOutcome> {
      const query = { name: 'revoke_lease', text: 'select pgherd.revoke_lease($1)', values: [leaseId] };
      const outcome = await calls.call(query, false, signal);
      return outcome.kind === 'row' ? { kind: 'gone' } : { kind: 'failed', error: outcome.error };
    },
  };
}

/** Where nobody says how soon a failure must be noticed. */
const defaultNoticeMs = 4000;

const unreadable = 'the monitor answered what cannot be read';

/** As the schema names them. A hash, since a channel's name is short. */
function channelsOf(prefix: string): Readonly<Record<keyof typeof channelPrefixes, string>> {
  const hash = createHash('md5').update(prefix).digest('hex');
  return { changes: channelPrefixes.changes + hash, alive: channelPrefixes.alive + hash };
}

/** One at a time: a beat that waits says the same as the next one. Before other calls, since it must not be late. */
function createBeat(calls: Calls, prefix: string): (term: number, member: string) => void {
  const never = new AbortController().signal;
  let waiting = false;
  const settled = (): void => {
    waiting = false;
  };
  return (term, member) => {
    if (waiting) return;
    waiting = true;
    const query = { name: 'beat', text: 'select pgherd.beat($1, $2)', values: [prefix, `${term} ${member}`] };
    void calls.call(query, true, never).then(settled);
  };
}

function hear(watch: Watch, payload: string): void {
  const found = /^(\d+) (.+)$/s.exec(payload);
  if (found?.[1] !== undefined && found[2] !== undefined) watch.alive(found[2], Number(found[1]));
}

function readQuery(prefix: string, known: number): Query {
  return { name: 'read', text: 'select pgherd.read($1, $2) as read', values: [prefix, known] };
}

function transactQuery(prefix: string, { compare, write }: StoreTransaction): Query {
  return {
    name: 'transact',
    text: 'select pgherd.transact($1, $2, $3, $4, $5, $6) as revision',
    values: [
      prefix,
      compare.map(({ key }) => key),
      compare.map(({ modRevision }) => modRevision),
      write.map(({ key }) => key),
      write.map(({ value }) => value ?? null),
      write.map(({ leaseId }) => leaseId ?? null),
    ],
  };
}

function readOutcome(outcome: CallOutcome): ReadOutcome {
  if (outcome.kind !== 'row') return { kind: 'failed', error: outcome.error };
  const read = decodeRead(outcome.row['read'], undefined);
  return read ? { kind: 'read', snapshot: read.snapshot } : { kind: 'failed', error: unreadable };
}

function storeOutcome(outcome: CallOutcome): StoreOutcome {
  if (outcome.kind !== 'row') return outcome;
  const revision = outcome.row['revision'];
  return revision === null ? { kind: 'refused' } : { kind: 'applied', revision: Number(revision) };
}
