/** What a drill found, put in order and judged. Pure; the JSON that programs get is exactly this. */
import type { DecisionEvent } from '../core/signs.ts';
import { writeTimeouts } from './client.ts';
import type { FaultKind } from './fault.ts';
import { lostNumbers, standstills, usualIntervalMs, writeGapMs } from './measure.ts';
import { primaryOf, type SeenCluster } from './recovery.ts';
import type { Observation } from './watch.ts';
import type { Acknowledgement } from './writer.ts';

/** What was measured; instants are on the clock of `performance.now()`. */
export interface Findings {
  readonly cluster: string;
  readonly fault: FaultKind;
  /** On whom the fault came: the primary. */
  readonly victim: string;
  readonly beganAtMs: number;
  readonly faultAtMs: number;
  /** The same instant by this machine's wall clock. */
  readonly faultEpochMs: number;
  readonly endedAtMs: number;
  /** Of an agent that stood still: when it went on. */
  readonly continuedAtMs: number | undefined;
  /** The victim does its part again. */
  readonly rejoinedAtMs: number | undefined;
  /** The cluster is as it was. */
  readonly recoveredAtMs: number | undefined;
  /** The fault could not be done. */
  readonly faultError: string | undefined;
  readonly acknowledged: readonly Acknowledgement[];
  readonly unanswered: readonly number[];
  /** What the primary has in the end; undefined: none could be read. */
  readonly present: ReadonlySet<number> | undefined;
  readonly before: SeenCluster;
  readonly after: SeenCluster | undefined;
  readonly changes: readonly Observation[];
  /** What the members decided since before the fault. */
  readonly decisions: readonly DecisionEvent[];
  /** By how much the wall clock of a member is ahead of ours. */
  readonly clockAheadMs: ReadonlyMap<string, number>;
  readonly notes: readonly string[];
}

/** Times are in milliseconds since the fault, those before it negative; `null` is what could not be found out. */
export interface Report {
  /** Nothing is lost, and the cluster is as it was. */
  readonly ok: boolean;
  readonly cluster: string;
  readonly fault: FaultKind;
  readonly victim: string;
  /** The fault, ISO 8601. */
  readonly faultAt: string;
  readonly faultError: string | null;
  readonly beganMs: number;
  readonly endedMs: number;
  readonly primary: { readonly before: string | null; readonly after: string | null };
  readonly timeline: { readonly before: number | null; readonly after: number | null };
  readonly writes: Writes;
  /** Of stop-agent: how long the agent stood still. */
  readonly stoppedForMs: number | null;
  /** Until the former primary did its part again: since the fault; of stop-agent since its agent went on. */
  readonly rejoinMs: number | null;
  /** Until the cluster was as before. */
  readonly recoveredMs: number | null;
  readonly members: readonly { readonly name: string; readonly role: string; readonly state: string }[];
  readonly observed: readonly Observation[];
  /** `atMs` by this machine's clock, `at` by the member's. */
  readonly events: readonly (DecisionEvent & { readonly atMs: number })[];
  readonly notes: readonly string[];
}

/** What became of the writer's commits. */
export interface Writes {
  readonly acknowledged: number;
  readonly lost: number | null;
  /** The first hundred of them. */
  readonly lostNumbers: readonly number[];
  /** Sent, and not acknowledged. */
  readonly unanswered: number;
  /** Of these: those that are there nevertheless. */
  readonly unansweredPresent: number | null;
  readonly usualIntervalMs: number;
  /** The longest time between two commits from the fault on. */
  readonly gapMs: number;
  /** Somebody takes writes again. */
  readonly resumed: boolean;
  /** All pauses that are much longer than usual. */
  readonly standstills: readonly {
    readonly fromMs: number;
    readonly toMs: number;
    readonly before: string;
    readonly after: string | null;
  }[];
  /** Commits by who acknowledged them, in steps of `stepMs` from `fromMs` on. */
  readonly rate: {
    readonly fromMs: number;
    readonly stepMs: number;
    readonly members: Readonly<Record<string, readonly number[]>>;
  };
}

/** A pause counts as a standstill when it is this many times the usual one, and at least so long. */
const standstillTimes = 5;
const standstillLeastMs = 50;
/** A writer that is stopped may have a write under way, and look for the primary once more. */
const resumedWithinMs = 2 * writeTimeouts.queryMs;
const rateSteps = 400;

/** Puts the findings in order. */
export function reportOf(findings: Findings): Report {
  const { faultAtMs, after, before } = findings;
  const since = (atMs: number | undefined): number | null => (atMs === undefined ? null : Math.round(atMs - faultAtMs));
  const writes = writesOf(findings);
  const rejoinFrom = findings.continuedAtMs ?? faultAtMs;
  const recovered = findings.recoveredAtMs !== undefined && findings.faultError === undefined;
  return {
    ok: recovered && writes.lost === 0 && writes.resumed,
    cluster: findings.cluster,
    fault: findings.fault,
    victim: findings.victim,
    faultAt: new Date(findings.faultEpochMs).toISOString(),
    faultError: findings.faultError ?? null,
    beganMs: since(findings.beganAtMs) ?? 0,
    endedMs: since(findings.endedAtMs) ?? 0,
    primary: { before: primaryOf(before)?.name ?? null, after: (after && primaryOf(after)?.name) ?? null },
    timeline: { before: primaryOf(before)?.timeline ?? null, after: (after && primaryOf(after)?.timeline) ?? null },
    writes,
    stoppedForMs: since(findings.continuedAtMs),
    rejoinMs: findings.rejoinedAtMs === undefined ? null : Math.round(findings.rejoinedAtMs - rejoinFrom),
    recoveredMs: since(findings.recoveredAtMs),
    members: (after?.members ?? []).map(({ name, role, state }) => ({ name, role, state })),
    observed: findings.changes.map((change) => ({ ...change, atMs: since(change.atMs) ?? 0 })),
    events: eventsOf(findings),
    notes: findings.notes,
  };
}

function writesOf(findings: Findings): Writes {
  const { acknowledged, unanswered, present, faultAtMs, endedAtMs } = findings;
  const usual = usualIntervalMs(acknowledged);
  const least = Math.max(standstillLeastMs, standstillTimes * usual);
  const last = acknowledged.at(-1);
  const resumed = last !== undefined && last.atMs > faultAtMs && endedAtMs - last.atMs < resumedWithinMs;
  const lost = present && lostNumbers(acknowledged, present);
  const pauses = standstills(acknowledged, faultAtMs, resumed ? last.atMs : endedAtMs, least);
  const openMs = last === undefined || resumed ? 0 : endedAtMs - last.atMs;
  return {
    acknowledged: acknowledged.length,
    lost: lost?.length ?? null,
    lostNumbers: lost?.slice(0, 100) ?? [],
    unanswered: unanswered.length,
    unansweredPresent: present ? unanswered.filter((number) => present.has(number)).length : null,
    usualIntervalMs: Math.round(usual),
    gapMs: Math.round(Math.max(writeGapMs(acknowledged, faultAtMs), openMs)),
    resumed,
    standstills: pauses.map(({ fromMs, toMs, before, after }) => ({
      fromMs: Math.round(fromMs - faultAtMs),
      toMs: Math.round(toMs - faultAtMs),
      before,
      after: after ?? null,
    })),
    rate: rateOf(findings),
  };
}

function rateOf({ acknowledged, beganAtMs, endedAtMs, faultAtMs }: Findings): Writes['rate'] {
  const lengthMs = endedAtMs - beganAtMs;
  const stepMs = [50, 100, 200, 500, 1000].find((step) => lengthMs / step <= rateSteps) ?? 2000;
  const steps = Math.max(1, Math.ceil(lengthMs / stepMs));
  const members: Record<string, number[]> = {};
  for (const { member, atMs } of acknowledged) {
    const counts = (members[member] ??= Array.from({ length: steps }, () => 0));
    const step = Math.min(steps - 1, Math.max(0, Math.floor((atMs - beganAtMs) / stepMs)));
    counts[step] = (counts[step] ?? 0) + 1;
  }
  return { fromMs: Math.round(beganAtMs - faultAtMs), stepMs, members };
}

/** By our own clock: the hosts' clocks may differ by more than a failover takes. */
function eventsOf({ decisions, clockAheadMs, faultEpochMs }: Findings): Report['events'] {
  return decisions
    .map((decision) => ({
      ...decision,
      atMs: Math.round(Date.parse(decision.at) - (clockAheadMs.get(decision.member) ?? 0) - faultEpochMs),
    }))
    .sort((a, b) => a.atMs - b.atMs);
}
