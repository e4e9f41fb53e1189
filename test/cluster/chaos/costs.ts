/** What each kind of fault may cost at most. Beyond that somebody has to explain it. */
import { availableParallelism, loadavg } from 'node:os';
import type { FaultName } from '../lab/faults.ts';
import type { PlannedFault } from './plan.ts';

export const ttlMs = 10_000;
export const failureTimeoutMs = 2000;
/** From the end of a fault until writes are acknowledged, beyond what time-outs explain. */
const primaryWithinMs = 5000;
/** From the end of a fault until everybody is back: copies included. */
const backWithinMs = 60_000;
/** A pause of the writers that people would not call an outage. */
const noticeableMs = 1500;
/** An agent that is away for so long has not let a renewal pass. */
const agentMayMissMs = 2500;

/** What was done in one step may cost this much, all in milliseconds. */
export interface Limits {
  /** The primary stays who it is, and writers pause no longer; undefined: a failover is in order. */
  readonly gapMs: number | undefined;
  readonly primaryMs: number;
  readonly backMs: number;
}

/** Nobody has to move for these, whoever is struck. */
const harmless: ReadonlySet<FaultName> = new Set([
  'guard-kill',
  'guard-freeze',
  'pair-cut',
  'pair-cut-one-way',
  'monitor-cut',
  'monitor-requests-lost',
  'monitor-replies-lost',
  'clock-ahead',
  'clock-back',
]);

/** Nobody has to move for these when they are short. */
const harmlessWhenShort: ReadonlySet<FaultName> = new Set(['agent-kill', 'agent-freeze', 'agent-storm']);

/** These keep a lease alive that nobody uses, or let leases begin anew. */
const leaseRunsOut: ReadonlySet<FaultName> = new Set([
  'agent-kill',
  'agent-freeze',
  'agent-storm',
  'agent-and-guard-kill',
]);

/**
 * `wasWell`: everybody was, before it began. `busy`: how many times longer everything may take on a machine that others
 * use too.
 */
export function limitsOf(faults: readonly PlannedFault[], wasWell: boolean, busy: number): Limits {
  const [only, ...more] = faults;
  const isHarmless = wasWell && only !== undefined && more.length === 0 && costsNoPrimary(only);
  const isLease = !wasWell || faults.some(({ name, on }) => on === 'monitor' || leaseRunsOut.has(name));
  return {
    gapMs: isHarmless ? noticeableMs * busy : undefined,
    primaryMs: failureTimeoutMs + (isLease ? ttlMs : 0) + primaryWithinMs * busy,
    backMs: backWithinMs * busy,
  };
}

function costsNoPrimary({ name, on, forMs }: PlannedFault): boolean {
  if (on !== 'primary') return true;
  return harmless.has(name) || (harmlessWhenShort.has(name) && forMs <= agentMayMissMs);
}

/** How busy the machine is: processes that want to run for each CPU, at least 1. */
export function busyness(): number {
  return Math.max(1, (loadavg()[0] ?? 1) / availableParallelism());
}
