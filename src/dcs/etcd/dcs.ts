/** The DCS port on etcd, by its v3 API. */
import type { Dcs, LeaseOutcome, StoreOutcome, StoreTransaction } from '../../ports/dcs.ts';
import type { Clock } from '../../ports/host.ts';
import { createEndpoints, type Endpoints } from './endpoints.ts';
import { parseLease, parseOwnLease } from './leases.ts';
import type { SeedOptions } from './members.ts';
import {
  eventsFolder,
  grantLease,
  isAppliedOnce,
  putBeat,
  readEvents,
  readKeys,
  renewLease,
  revokeLease,
  transact,
} from './requests.ts';
import type { Asked } from './round.ts';
import type { TlsFiles } from './session.ts';
import { createWatch } from './watch.ts';

/** Which etcd, and which cluster in it. */
export interface EtcdOptions {
  readonly seeds: SeedOptions;
  /** The members tell of each other; not where they are behind a proxy. */
  readonly discover: boolean;
  readonly tls: TlsFiles;
  /** Undefined: nobody, or who the certificate says. */
  readonly user: { readonly name: string; readonly password: string } | undefined;
  /** The cluster's keys: `/<namespace>/<scope>/`. */
  readonly prefix: string;
  readonly clock: Clock;
  /** Of each call, and of each attempt to connect. */
  readonly timeoutMs: number;
  /** An etcd that is gone without a word is noticed by the watch within this, and half a second more at most. */
  readonly noticeMs?: () => number;
}

/** Connects when it is first used, and again whenever it must; one connection to each member that is asked. */
export function connectEtcd(options: EtcdOptions): Dcs {
  const { prefix, clock, timeoutMs } = options;
  const endpoints = createEndpoints(options);
  const watch = createWatch({
    endpoints,
    prefix,
    clock,
    timeoutMs,
    noticeMs: options.noticeMs ?? (() => defaultNoticeMs),
  });
  return {
    description: endpoints.description,
    ...storeCalls(endpoints, prefix),
    ...leaseCalls(endpoints, prefix),
    beat: createBeat(endpoints, prefix),
    watch: (listener) => watch.add(listener),
    async close() {
      watch.close();
      endpoints.close();
    },
  };
}

/** Where nobody says how soon a failure must be noticed. */
const defaultNoticeMs = 4000;
/** Before the next beat is due. */
const beatAnswerMs = 250;

function storeCalls(endpoints: Endpoints, prefix: string): Pick<Dcs, 'read' | 'readEvents' | 'transact'> {
  // The latest revision that a caller was told. What changes nothing in a snapshot has no revision of its own: etcd's would be
  // one at which others may have changed something that the caller has not seen.
  let known = 0;
  return {
    async read(signal) {
      const asked = await endpoints.ask(readKeys(prefix), { isRepeatable: true, signal });
      if (asked.kind !== 'answered') return failed(asked);
      known = Math.max(known, asked.value.revision);
      return { kind: 'read', snapshot: asked.value };
    },
    async readEvents(signal) {
      const asked = await endpoints.ask(readEvents(prefix), { isRepeatable: true, signal });
      return asked.kind === 'answered' ? { kind: 'read', events: asked.value } : failed(asked);
    },
    async transact(transaction, signal) {
      const outcome = await send(endpoints, prefix, transaction, signal);
      if (outcome.kind !== 'applied') return outcome;
      if (!changesSnapshot(transaction)) return { ...outcome, revision: known };
      known = Math.max(known, outcome.revision);
      return outcome;
    },
  };
}

function changesSnapshot({ write }: StoreTransaction): boolean {
  return write.some(({ key }) => !key.startsWith(eventsFolder));
}

async function send(
  endpoints: Endpoints,
  prefix: string,
  transaction: StoreTransaction,
  signal: AbortSignal,
): Promise<StoreOutcome> {
  const leases = new Map<string, bigint>();
  for (const { leaseId } of transaction.write) {
    const id = leaseId === undefined ? undefined : parseOwnLease(leaseId, prefix);
    if (leaseId !== undefined && id === undefined) return { kind: 'refused' };
    if (leaseId !== undefined && id !== undefined) leases.set(leaseId, id);
  }
  const request = transact(prefix, transaction, (leaseId) => leases.get(leaseId) ?? 0n);
  const asked = await endpoints.ask(request, {
    isRepeatable: isAppliedOnce(transaction),
    // That one copy was refused does not say that the other one was: it may be what the first one was refused for.
    isFinal: ({ applied }) => applied !== undefined,
    signal,
  });
  if (asked.kind === 'no-such-lease') return { kind: 'refused' };
  if (asked.kind !== 'answered') return asked;
  const { applied } = asked.value;
  return applied === undefined ? { kind: 'refused' } : { kind: 'applied', revision: applied.revision };
}

function leaseCalls(endpoints: Endpoints, prefix: string): Pick<Dcs, 'grantLease' | 'renewLease' | 'revokeLease'> {
  return {
    async grantLease(ttlMs, signal) {
      const asked = await endpoints.ask(grantLease(prefix, ttlMs), { isRepeatable: true, signal });
      return asked.kind === 'answered' ? { kind: 'alive', ...asked.value } : failed(asked);
    },
    async renewLease(leaseId, signal) {
      const id = parseLease(leaseId);
      if (id === undefined) return { kind: 'gone' };
      const asked = await endpoints.ask(renewLease(id), { isRepeatable: true, signal });
      if (asked.kind !== 'answered') return failed(asked);
      return asked.value === 0 ? { kind: 'gone' } : { kind: 'alive', leaseId, ttlMs: asked.value };
    },
    async revokeLease(leaseId, signal): Promise<LeaseOutcome> {
      const id = parseLease(leaseId);
      if (id === undefined) return { kind: 'gone' };
      const asked = await endpoints.ask(revokeLease(id), { isRepeatable: true, signal });
      return asked.kind === 'answered' || asked.kind === 'no-such-lease' ? { kind: 'gone' } : failed(asked);
    },
  };
}

type NotAnswered = Exclude<Asked<never>, { kind: 'answered' }>;

function failed(asked: NotAnswered): { readonly kind: 'failed'; readonly error: string } {
  return { kind: 'failed', error: 'error' in asked ? asked.error : 'etcd does not know the lease' };
}

/**
 * One at a time: a beat that waits says the same as the next one. It is sent to one member only, so that nobody hears it twice;
 * a member that is slow with it is not asked first any more.
 */
function createBeat(endpoints: Endpoints, prefix: string): (term: number, member: string) => void {
  const never = new AbortController().signal;
  let isWaiting = false;
  async function put(term: number, member: string): Promise<void> {
    const first = await endpoints.current();
    const asked = await endpoints.ask(putBeat(prefix, term, member), {
      isRepeatable: false,
      timeoutMs: beatAnswerMs,
      signal: never,
    });
    if (asked.kind === 'unanswered' && first !== undefined) endpoints.pass(first);
    isWaiting = false;
  }
  return (term, member) => {
    if (isWaiting) return;
    isWaiting = true;
    void put(term, member);
  };
}
