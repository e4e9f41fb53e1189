/** Everything that can happen to a member: the input of `step`. */
import type { LeasePurpose } from './effects.ts';
import type { Lsn } from './lsn.ts';
import type { ClusterView, Durable, Instant, PostgresStatus, Progress } from './model.ts';
import type { Heartbeat } from './signs.ts';

/** What the guard did. `at`: wall clock, ISO 8601, for people. */
export interface GuardAct {
  readonly at: string;
  readonly text: string;
}

/** One thing that the core is told. */
export type Event =
  /** The agent began. `armedUntil`: the deadline that an earlier agent left with the guard. */
  | {
      readonly kind: 'started';
      readonly durable: Durable | undefined;
      readonly armedUntil: Instant | undefined;
      /** Of the running kernel: instants of another boot mean nothing. */
      readonly bootId: string;
    }
  /** The clock reached `wakeAt`. */
  | { readonly kind: 'tick' }
  /** The guard did something, perhaps while no agent was there. */
  | { readonly kind: 'guard-acted'; readonly acts: readonly GuardAct[] }
  /** All keys, as they were at some moment after `askedAt`. */
  | { readonly kind: 'dcs-read'; readonly view: ClusterView; readonly askedAt: Instant }
  /** The watch does not see the DCS any more. */
  | { readonly kind: 'dcs-lost'; readonly error: string }
  /** One read had no answer; the watch may be well. */
  | { readonly kind: 'read-failed'; readonly error: string }
  | {
      readonly kind: 'transaction-answered';
      readonly id: number;
      readonly outcome: TransactionOutcome;
      /** Wall clock, for texts. */
      readonly at: string;
    }
  | {
      readonly kind: 'lease-granted';
      readonly purpose: LeasePurpose;
      readonly sentAt: Instant;
      readonly leaseId: string;
      readonly ttlMs: number;
      readonly askedTtlMs: number;
    }
  | {
      readonly kind: 'lease-renewed';
      readonly purpose: LeasePurpose;
      readonly sentAt: Instant;
      readonly leaseId: string;
      readonly ttlMs: number;
    }
  /** The DCS says that the lease does not exist (any more). */
  | { readonly kind: 'lease-gone'; readonly purpose: LeasePurpose; readonly leaseId: string }
  /** A lease request had no answer, or an error. */
  | { readonly kind: 'lease-failed'; readonly purpose: LeasePurpose; readonly error: string }
  | { readonly kind: 'postgres-seen'; readonly status: PostgresStatus }
  | { readonly kind: 'job-progress'; readonly id: number; readonly progress: Progress }
  | {
      readonly kind: 'job-finished';
      readonly id: number;
      readonly outcome: JobOutcome;
      /** As it was after the job. */
      readonly status: PostgresStatus;
      readonly at: string;
    }
  /** A member's own agent was heard: its heartbeat came, or it answered mine. */
  | { readonly kind: 'heard'; readonly heartbeat: Heartbeat }
  /** A heartbeat of the holder came through the DCS. */
  | { readonly kind: 'alive'; readonly member: string; readonly term: number }
  /** A connection to a member's PostgreSQL was tried; `answered`: a postmaster spoke, whatever it said. */
  | { readonly kind: 'probed'; readonly member: string; readonly askedAt: Instant; readonly answered: boolean }
  /** A commit has waited for its sync standbys, and returned. `mark` as it was asked for. */
  | { readonly kind: 'gate'; readonly mark: string; readonly outcome: JobOutcome }
  /** The holder cannot reach the DCS and asks whether it may go on. */
  | {
      readonly kind: 'failsafe-asked';
      readonly requestId: string;
      readonly from: string;
      readonly term: number;
      readonly number: number;
      readonly ttlMs: number;
    }
  /** What a member said to my question, or that it did not. */
  | {
      readonly kind: 'failsafe-answered';
      readonly member: string;
      readonly term: number;
      readonly sentAt: Instant;
      readonly accepted: boolean;
      readonly because: string;
    }
  /** A write probe came back. One that hangs does not. */
  | { readonly kind: 'storage-probed'; readonly outcome: StorageOutcome }
  /** A `persist` has not ended, or not well, since then; the effects that rely on it wait. */
  | { readonly kind: 'save-overdue'; readonly since: Instant; readonly error: string }
  /** That one is on disk now. */
  | { readonly kind: 'saved' }
  | { readonly kind: 'operator'; readonly requestId: string; readonly request: OperatorRequest };

/** What became of a transaction, as far as this host can know. */
export type TransactionOutcome =
  | { readonly kind: 'applied'; readonly revision: number }
  /** A compare did not hold. Nothing was written. */
  | { readonly kind: 'refused' }
  /** It never left this host, or the DCS said no before it tried. Nothing was written. */
  | { readonly kind: 'not-sent'; readonly error: string }
  /** Sent and not answered: it may have been applied, or may yet be. */
  | { readonly kind: 'unanswered'; readonly error: string };

/** What became of a write probe. `error`: the system's words, for people; only what says that storage takes nothing is one. */
export type StorageOutcome =
  /** `freeBytes`: what is left to the user that PostgreSQL runs as, on the fuller of its file systems. */
  { readonly ok: true; readonly freeBytes: number } | { readonly ok: false; readonly error: string };

/** What became of a job; `error` is for people, nothing is decided on its words. */
export type JobOutcome =
  | {
      readonly ok: true;
      /** Of a `configure` that was to be proven: WAL from here on was written under the new setting. */
      readonly lsn?: Lsn;
    }
  | {
      readonly ok: false;
      readonly error: string;
      /** Of a rewind: it failed before it changed anything of the data, so it may be tried again. */
      readonly untouched?: boolean;
    };

/** What people ask a member for, through the REST API or by a signal. */
export type OperatorRequest =
  | { readonly kind: 'switchover'; readonly leader: string | undefined; readonly candidate: string | undefined }
  | { readonly kind: 'failover'; readonly candidate: string; readonly allowDataLoss: boolean }
  | {
      readonly kind: 'restart';
      readonly role: 'primary' | 'replica' | undefined;
      readonly pendingOnly: boolean;
    }
  | { readonly kind: 'reinitialize'; readonly force: boolean }
  | { readonly kind: 'reload' }
  /** The agent is to end: hand over if there is something to hand over, stop the instance. */
  | { readonly kind: 'shutdown' };
