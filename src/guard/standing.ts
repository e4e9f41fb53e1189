/**
 * The one thing that a guard does: when the deadline passes, the instance ends. Nothing here waits for anything: no disk,
 * no answer, no lock. A volley of SIGQUIT to every process, and of SIGKILL, again and again, to those that it left.
 */
import type { Instant } from '../core/model.ts';
import { type GuardedInstance, signalAll } from './instance.ts';

/** What the guard stands in. */
export interface StandingOptions {
  readonly now: () => Instant;
  readonly instance: GuardedInstance;
  /** For people; must not wait. */
  readonly tell: (text: string) => void;
  /** The instance has ended: nothing behind the guard needs to fire. */
  readonly onFenced: () => void;
}

/** The guard's whole state, and what may be said to it. */
export interface Standing {
  arm(until: Instant | undefined): void;
  until(): Instant | undefined;
  /** Nothing is left to enforce: no deadline, or one that has passed and nothing lives that it is for. */
  isIdle(): boolean;
  close(): void;
}

/** Timers stand still while the machine is suspended, so the clock is asked at least this often. */
const lookEveryMs = 200;
/** How long SIGQUIT has; PostgreSQL's own processes end by it within milliseconds, or not at all. */
const killAfterMs = 1000;
const killEveryMs = 20;

/** Begins without a deadline. */
export function stand({ now, instance, tell, onFenced }: StandingOptions): Standing {
  let until: Instant | undefined;
  let fencing: { readonly since: Instant; killed: boolean } | undefined;
  let idle = true;
  let failed = false;
  let timer: NodeJS.Timeout | undefined;

  const look = (): void => {
    timer = undefined;
    if (until === undefined) return;
    const remainingMs = until - now();
    const nextMs = remainingMs > 0 ? Math.min(remainingMs, lookEveryMs) : again(fence);
    timer = setTimeout(look, nextMs);
  };

  /** A look that fails (no descriptor is left on the host, say) must not end the guard when it is needed. */
  function again(work: () => number): number {
    try {
      return work();
    } catch (error) {
      if (!failed) tell(`the processes cannot be looked at, again and again: ${String(error)}`);
      failed = true;
      return killEveryMs;
    }
  }

  /** One volley; in how many ms the next one may be needed. */
  function fence(): number {
    const left = instance.find();
    idle = left.length === 0;
    if (idle) {
      if (fencing) {
        tell(`PostgreSQL has ended, ${Math.round(now() - fencing.since)} ms after the deadline`);
        onFenced();
      }
      fencing = undefined;
      // Somebody may start it once more.
      return lookEveryMs;
    }
    if (fencing === undefined) {
      fencing = { since: now(), killed: false };
      signalAll(left, 'SIGQUIT');
      tell(`the deadline of the leader key passed: PostgreSQL is ended (${left.length} processes)`);
      return killEveryMs;
    }
    if (now() - fencing.since < killAfterMs) return killEveryMs;
    signalAll(left, 'SIGKILL');
    if (!fencing.killed) tell(`${left.length} processes outlived SIGQUIT for ${killAfterMs} ms: SIGKILL`);
    fencing.killed = true;
    // Those that hang in the kernel end when it lets them go; the signal waits for that.
    return now() - fencing.since > 10_000 ? lookEveryMs : killEveryMs;
  }

  return {
    arm(next) {
      // Only asked whether we live.
      if (next === until) return;
      until = next;
      fencing = undefined;
      idle = next === undefined;
      // Remembers who is there, for when less can be seen.
      again(() => instance.find().length);
      clearTimeout(timer);
      look();
    },
    until: () => until,
    isIdle: () => idle,
    close: () => clearTimeout(timer),
  };
}
