/**
 * The instance beside the agent. The adapter does what it is told and tells what it sees; it knows nothing of
 * the cluster's roles beyond `as: 'primary' | 'replica'`.
 */
import type { Job, SlotWish } from '../core/effects.ts';
import type { JobOutcome, StorageOutcome } from '../core/events.ts';
import type { Endpoint, PostgresStatus, Progress } from '../core/model.ts';

/** Who is told of the instance without asking. */
export interface PostgresListener {
  /** Called when something changed that the core must know at once: the postmaster died, it takes connections, ... */
  onStatus(status: PostgresStatus): void;
}

/** The instance of this member. */
export interface Postgres {
  /**
   * What is there now: directory, process, answers. At most one inspection runs at a time (calls share it).
   * Never throws; has hard deadlines: a frozen postmaster is `silent`, not a call that hangs.
   */
  inspect(): Promise<PostgresStatus>;
  /**
   * Carries one job out. `signal` cancels it as far as that is safe (a clone is thrown away, a rewind is killed
   * and leaves the directory marked by the core's `rewinding`).
   */
  run(job: Job, progress: (progress: Progress) => void, signal: AbortSignal): Promise<JobOutcome>;
  /** Ends the instance at once: SIGQUIT, then SIGKILL, of everything that runs on the data directory. Waits for nothing else. */
  fence(): Promise<void>;
  /**
   * Whether a WAL receiver is among the instance's processes. After a `sever` it is asked once more when the inspection
   * has read the position: then no WAL can have come after that.
   */
  walReceiverRuns(): Promise<boolean>;
  /**
   * Commits something with synchronous_commit = on and waits for it, 5 s at most; jobs go on meanwhile. Fails too when
   * the wait was cancelled, or when another gate is asked for.
   */
  gate(mark: string): Promise<JobOutcome>;
  /** Whether a postmaster answers at another member's address within `timeoutMs`; no answer is never an error. */
  probe(endpoint: Endpoint, timeoutMs: number): Promise<boolean>;
  /**
   * Writes something where the instance writes, and flushes it. While storage hangs this does not resolve; then it is not
   * to be called again before it does.
   */
  probeStorage(): Promise<StorageOutcome>;
  changeSlots(create: readonly SlotWish[], drop: readonly string[]): Promise<JobOutcome>;
  /** Begins to watch the postmaster; PostgreSQL is neither started nor changed by it. */
  watch(listener: PostgresListener): void;
  /** Lets go of the instance, which goes on running. */
  close(): Promise<void>;
}
