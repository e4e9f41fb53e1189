/** What the rules judge by: derived from the state at one moment, never stored. */
import type { Job } from './effects.ts';
import { writeDeadline } from './failsafe.ts';
import { type Lsn, lsnZero } from './lsn.ts';
import { keepingLast } from './memo.ts';
import type {
  ClusterView,
  Durable,
  Endpoint,
  Instant,
  MemberRecord,
  Position,
  PostgresStatus,
  Rule,
  RunningInstance,
  Settings,
  TermEntry,
} from './model.ts';
import { comparable, lsnOf } from './position.ts';
import type { State } from './state.ts';
import { standingTightening, type Tightening } from './sync-standbys.ts';
import { entryOf, originFromHistory } from './term-tree.ts';

/** What the instance is, in one word. */
export type InstanceKind =
  | 'unknown'
  | 'empty'
  | 'unusable'
  | 'stopped'
  | 'starting'
  | 'silent'
  | 'dying'
  | 'primary'
  | 'replica';

/** All that a rule may look at. */
export interface Facts {
  readonly state: State;
  readonly now: Instant;
  readonly self: string;
  readonly settings: Settings;
  readonly view: ClusterView | undefined;
  readonly rule: Rule | undefined;
  readonly terms: readonly TermEntry[];
  /** Whom the DCS names as holder of the leader key, as far as is known. */
  readonly holder: string | undefined;
  /** The key is mine, on my lease, and by my own count the lease lives. */
  readonly iHold: boolean;
  /** The DCS says that I hold the key, but not on a lease that I know. */
  readonly keyOnUnknownLease: string | undefined;
  /** I have revoked the present term: nothing is streamed from its holder. */
  readonly isRevoked: boolean;
  /** A change of the sync standbys that is in PostgreSQL and not yet in the DCS, if it is still wanted. */
  readonly tightening: Tightening | undefined;
  /** Where the holder's PostgreSQL is; undefined when it is me, not known, or revoked. */
  readonly upstream: Endpoint | undefined;
  readonly postgres: PostgresStatus | undefined;
  readonly instance: InstanceKind;
  readonly running: RunningInstance | undefined;
  /** The instance takes writes, or may begin to at any moment. */
  readonly mayWrite: boolean;
  readonly position: Position | undefined;
  /** For how long the leader key has been absent. */
  readonly keyAbsentMs: number;
  /** The DCS is older than what this member saw of it before, or another one. */
  readonly doubt: string | undefined;
  /** Another member has seen a later term than the DCS shows: nobody stands on its word, but whoever leads goes on. */
  readonly hearsay: string | undefined;
  readonly foreignSystemId: string | undefined;
  readonly paused: boolean;
}

/** The facts of `state` at `now`. They hold for this moment only; who asks for the same ones again gets the same object. */
export const factsOf = keepingLast((state: State, now: Instant): Facts => {
  const { self, view, postgres } = state;
  const settings = view?.config?.value ?? self.bootstrapSettings;
  const running = postgres?.instance.kind === 'running' ? postgres.instance : undefined;
  const holder = view?.leader?.value;
  const isRevoked = hasRevoked(state, view);
  const facts: Facts = {
    state,
    now,
    self: self.name,
    settings,
    view,
    rule: view?.rule?.value,
    terms: view?.terms?.value ?? [],
    holder,
    iHold: holdsKey(state, now),
    keyOnUnknownLease:
      holder === self.name && view?.leader?.leaseId !== state.leaderLease?.leaseId ? view?.leader?.leaseId : undefined,
    isRevoked,
    tightening: undefined,
    upstream: holder === undefined || holder === self.name || isRevoked ? undefined : endpointOf(view, holder),
    postgres,
    instance: instanceKind(postgres),
    running,
    mayWrite: mayWrite(state),
    position: positionOf(state, running, view?.terms?.value ?? []),
    keyAbsentMs: state.keyAbsentSince === undefined ? 0 : now - state.keyAbsentSince,
    doubt: view === undefined ? undefined : doubtOf(state, view),
    hearsay: view === undefined ? undefined : hearsayOf(state, view),
    foreignSystemId: foreignSystemId(view, postgres),
    paused: settings.pause,
  };
  const tightening = standingTightening(facts);
  return tightening === undefined ? facts : { ...facts, tightening };
});

/**
 * By what is on my disk, or by the record in the DCS: that one counts as long as it stands, also when the disk that it
 * was written for is gone.
 */
function hasRevoked({ durable, self }: State, view: ClusterView | undefined): boolean {
  const rule = view?.rule?.value;
  if (durable.revokedTerm !== undefined && durable.revokedTerm >= (rule?.term ?? 0)) return true;
  return rule?.mode === 'sync' && view?.revocations.get(self.name)?.value.term === rule.term;
}

/** The DCS says so, on my lease, and by my own count it lives (or the guard is off: pause). */
export function holdsKey(state: State, now: Instant): boolean {
  const { view, leaderLease, self } = state;
  if (view?.leader === undefined || leaderLease === undefined) return false;
  if (view.leader.value !== self.name || view.leader.leaseId !== leaderLease.leaseId) return false;
  if (state.abandonedLeases.includes(leaderLease.leaseId)) return false;
  return now < (writeDeadline(state) ?? -Infinity) || state.durable.disarmed;
}

/** Where a member's PostgreSQL listens, from the address that it published. */
export function endpointOf(view: ClusterView | undefined, member: string): Endpoint | undefined {
  const record = view?.members.get(member)?.value;
  if (record === undefined) return undefined;
  let address = addresses.get(record);
  if (address === undefined) {
    address = addressIn(record.connUrl);
    addresses.set(record, address);
  }
  return address === 'none' ? undefined : { member, ...address };
}

type Address = Pick<Endpoint, 'host' | 'port'> | 'none';

/** Read once from each record. */
const addresses = new WeakMap<MemberRecord, Address>();

function addressIn(connUrl: string): Address {
  const match = /^postgres(?:ql)?:\/\/(\[[^\]]+\]|[^:/]+):(\d+)(?:\/|$)/.exec(connUrl);
  return match?.[1] === undefined ? 'none' : { host: match[1].replace(/^\[|\]$/g, ''), port: Number(match[2]) };
}

function instanceKind(postgres: PostgresStatus | undefined): InstanceKind {
  if (postgres === undefined) return 'unknown';
  const { instance, directory } = postgres;
  if (instance.kind === 'running') return instance.inRecovery ? 'replica' : 'primary';
  if (instance.kind !== 'stopped') return instance.kind;
  if (directory.kind === 'present') return 'stopped';
  return directory.kind;
}

function mayWrite(state: State): boolean {
  const { postgres, job, durable } = state;
  if (writes(job?.job)) return true;
  if (postgres === undefined || postgres.instance.kind === 'stopped' || postgres.instance.kind === 'dying')
    return false;
  // A promotion that was asked for may happen at any moment, whoever still waits for it.
  if (durable.promoting !== undefined) return true;
  if (postgres.instance.kind === 'running') return !postgres.instance.inRecovery;
  return postgres.directory.kind === 'present' && !postgres.directory.standbySignal;
}

function writes(job: Job | undefined): boolean {
  return job?.kind === 'promote' || (job?.kind === 'start' && job.as === 'primary');
}

function positionOf(
  state: State,
  running: RunningInstance | undefined,
  terms: readonly TermEntry[],
): Position | undefined {
  if (running === undefined) return undefined;
  const lsn = lsnOf(running);
  if (lsn === undefined) return undefined;
  const originTerm = state.durable.originTerm ?? originFromHistory(terms, running.timeline, lsn);
  if (isOfAnotherTerm(running, lsn, entryOf(terms, originTerm))) return undefined;
  return originTerm === undefined ? undefined : comparable(terms, { originTerm, lsn });
}

/** WAL beyond the beginning of a timeline that is not the term's: whose it is nobody can tell yet, so it counts for nothing. */
function isOfAnotherTerm(running: RunningInstance, lsn: Lsn, entry: TermEntry | undefined): boolean {
  if (!running.inRecovery || entry === undefined || entry.timeline === running.timeline) return false;
  return lsn > (running.history.at(-1)?.switchLsn ?? lsnZero);
}

/** A DCS restored from a backup, or another one, is not believed. */
function doubtOf(state: State, view: ClusterView): string | undefined {
  const { durable } = state;
  const rule = view.rule?.value;
  if (durable.maxTerm === 0) return undefined;
  if (rule !== undefined && rule.term > durable.maxTerm) return undefined;
  if (durable.storeId !== undefined && durable.storeId !== view.storeId)
    return `the DCS is another one than before (${seenText(durable)})`;
  if (rule === undefined) return `the DCS has no record of the cluster (${seenText(durable)})`;
  if (rule.term < durable.maxTerm)
    return `the DCS went back in time: it is at term ${rule.term} (${seenText(durable)})`;
  if (rule.term === durable.maxTerm && durable.maxNonce !== undefined && rule.nonce !== durable.maxNonce)
    return `the DCS went back in time: term ${rule.term} was taken a second time`;
  if (rule.number < durable.maxRuleNumber)
    return `the DCS went back in time: its rule is number ${rule.number}, this member has seen ${durable.maxRuleNumber}`;
  return undefined;
}

function seenText({ maxTerm }: Durable): string {
  return `this member has seen term ${maxTerm}`;
}

/** A read that was asked for after the word came should show at least that term. */
function hearsayOf(state: State, view: ClusterView): string | undefined {
  const term = view.rule?.value.term;
  if (term === undefined) return undefined;
  for (const { termSince, heartbeat } of state.heard.values()) {
    if (heartbeat.storeId === view.storeId && heartbeat.term > term && termSince < state.viewAskedAt)
      return `the DCS is at term ${term}, and ${heartbeat.from} has seen term ${heartbeat.term}`;
  }
  return undefined;
}

function foreignSystemId(view: ClusterView | undefined, postgres: PostgresStatus | undefined): string | undefined {
  const clusterId = view?.initialize?.value;
  if (clusterId === undefined || clusterId === '' || postgres?.directory.kind !== 'present') return undefined;
  const own = postgres.directory.control.systemId;
  return own === clusterId ? undefined : own;
}
