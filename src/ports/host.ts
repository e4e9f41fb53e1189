/** This machine: its clock, what must survive a crash, the guard over the postmaster. */
import type { Durable, Instant } from '../core/model.ts';

/** The time; leases turn on `now` alone. */
export interface Clock {
  /** Boot time in milliseconds, suspension included; never set back or forth. */
  now(): Instant;
  /** Wall-clock time for texts, ISO 8601 with offset. */
  wall(): string;
}

/** What a member remembers over a crash, outside the data directory. */
export interface DurableStore {
  /** Undefined when there is none; an unreadable one is an error that names the file. */
  load(): Promise<
    { readonly ok: true; readonly durable: Durable | undefined } | { readonly ok: false; readonly error: string }
  >;
  /** On disk, whatever crashes, when it resolves with ok. One call at a time. */
  save(durable: Durable): Promise<{ readonly ok: true } | { readonly ok: false; readonly error: string }>;
}

/** Ends the instance at a deadline, whatever the agent does. */
export interface Guard {
  /** The deadline that an earlier agent left; undefined when there was none. */
  armedUntil(): Promise<Instant | undefined>;
  /** From now on: the instance ends at `until`, unless a later call moves it. Undefined disarms. */
  arm(until: Instant | undefined): void;
}
