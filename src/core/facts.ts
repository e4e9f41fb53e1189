/** What the rules judge by: derived from the state at one moment, never stored. */
import type { Job } from './effects.ts';
import { deadlineOf } from './lease.ts';
import type {
  ClusterView,
  Endpoint,
  Instant,
  Position,
  PostgresStatus,
  Rule,
  RunningInstance,
  Settings,
  TermEntry,
} from './model.ts';
import { lsnOf } from './position.ts';
import type { State } from './state.ts';
import { originFromHistory } from './term-tree.ts';

/** What the instance is, in one word. */
export type InstanceKind = 'unknown' | 'empty' | 'unusable' | 'stopped' | 'starting' | 'silent' | 'primary' | 'replica';

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
  /** Where the holder's PostgreSQL is; undefined when it is me or not known. */
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
  readonly foreignSystemId: string | undefined;
  readonly paused: boolean;
}

/** The facts of `state` at `now`. They hold for this moment only. */
export function factsOf(state: State, now: Instant): Facts {
  const { self, view, postgres } = state;
  const settings = view?.config?.value ?? self.bootstrapSettings;
  const running = postgres?.instance.kind === 'running' ? postgres.instance : undefined;
  const holder = view?.leader?.value;
  return {
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
    upstream: holder === undefined || holder === self.name ? undefined : endpointOf(view, holder),
    postgres,
    instance: instanceKind(postgres),
    running,
    mayWrite: mayWrite(state),
    position: positionOf(state, running, view?.terms?.value ?? []),
    keyAbsentMs: state.keyAbsentSince === undefined ? 0 : now - state.keyAbsentSince,
    doubt: view === undefined ? undefined : doubtOf(state, view),
    foreignSystemId: foreignSystemId(view, postgres),
    paused: settings.pause,
  };
}

/** The DCS says so, on my lease, and by my own count it lives (or the guard is off: pause). */
export function holdsKey(state: State, now: Instant): boolean {
  const { view, leaderLease, self } = state;
  if (view?.leader === undefined || leaderLease === undefined) return false;
  if (view.leader.value !== self.name || view.leader.leaseId !== leaderLease.leaseId) return false;
  if (state.abandonedLeases.includes(leaderLease.leaseId)) return false;
  return now < deadlineOf(leaderLease) || state.durable.disarmed;
}

/** Where a member's PostgreSQL listens, from the address that it published. */
export function endpointOf(view: ClusterView | undefined, member: string): Endpoint | undefined {
  const record = view?.members.get(member)?.value;
  const match = /^postgres(?:ql)?:\/\/(\[[^\]]+\]|[^:/]+):(\d+)(?:\/|$)/.exec(record?.connUrl ?? '');
  if (match?.[1] === undefined) return undefined;
  return { member, host: match[1].replace(/^\[|\]$/g, ''), port: Number(match[2]) };
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
  if (postgres === undefined || postgres.instance.kind === 'stopped') return false;
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
  return originTerm === undefined ? undefined : { originTerm, lsn };
}

/** A DCS restored from a backup, or another one, is not believed. */
function doubtOf(state: State, view: ClusterView): string | undefined {
  const { durable } = state;
  const rule = view.rule?.value;
  const seen = `this member has seen term ${durable.maxTerm}`;
  if (durable.maxTerm === 0 || (rule !== undefined && rule.term > durable.maxTerm)) return undefined;
  if (durable.storeId !== undefined && durable.storeId !== view.storeId)
    return `the DCS is another one than before (${seen})`;
  if (rule === undefined) return `the DCS has no record of the cluster (${seen})`;
  if (rule.term < durable.maxTerm) return `the DCS went back in time: it is at term ${rule.term} (${seen})`;
  if (rule.number < durable.maxRuleNumber)
    return `the DCS went back in time: its rule is number ${rule.number}, this member has seen ${durable.maxRuleNumber}`;
  return undefined;
}

function foreignSystemId(view: ClusterView | undefined, postgres: PostgresStatus | undefined): string | undefined {
  const clusterId = view?.initialize?.value;
  if (clusterId === undefined || clusterId === '' || postgres?.directory.kind !== 'present') return undefined;
  const own = postgres.directory.control.systemId;
  return own === clusterId ? undefined : own;
}
