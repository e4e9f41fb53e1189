/**
 * One drill, from the schema that is made to the schema that is dropped. Whatever happens in between, an agent that was
 * stopped goes on, the writer ends, and the schema is dropped where a primary is left to do it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DecisionEvent } from '../core/signs.ts';
import { beginCourse, type Course, follow, type Scene } from './course.ts';
import { beginFault, type FaultPlan } from './fault.ts';
import type { Target } from './login.ts';
import { usualIntervalMs } from './measure.ts';
import { createSchema, dropSchema, readBack, tableIn } from './own-schema.ts';
import { isAsBefore, primaryOf, type SeenCluster } from './recovery.ts';
import { type Findings, type Report, reportOf } from './report.ts';
import { duration, faultText } from './text.ts';
import { type AgentAddress, askVictim, lookAround, startWatch, type Watch } from './watch.ts';
import { startWriter, type Writer } from './writer.ts';

/** The schema of the writer. */
export const drillSchema = 'pgherd_drill';
/** As which its sessions show. */
export const drillApplication = 'pgherd drill';

/** Everything that a drill needs to know; the checks have been made. */
export interface DrillPlan {
  readonly cluster: string;
  readonly fault: FaultPlan;
  /** The primary, on which the fault comes. */
  readonly victim: AgentAddress;
  readonly agents: readonly AgentAddress[];
  /** Members with PostgreSQL. */
  readonly targets: readonly Target[];
  readonly clockAheadMs: ReadonlyMap<string, number>;
  /** How long the cluster may take to be as before. */
  readonly timeoutMs: number;
  readonly notes: readonly string[];
  /** What the members decided of late; undefined: it could not be read. */
  readEvents(): Promise<readonly DecisionEvent[] | undefined>;
}

/** A report, or why there is none: the drill ended before its fault, or was interrupted. */
export type DrillOutcome =
  | { readonly ok: true; readonly report: Report }
  | { readonly ok: false; readonly error: string };

const warmUpMs = 3000;
const warmUpWrites = 20;
const warmUpWithinMs = 30_000;
/** Afterwards, so that a commit that only seems to go on is not taken for one that does. */
const afterwardsMs = 1500;
const afterwardsWrites = 50;
const lookEveryMs = 20;

/** Runs it; `tell` gets what happens, for people. */
export async function runDrill(
  plan: DrillPlan,
  tell: (text: string) => void,
  signal: AbortSignal,
): Promise<DrillOutcome> {
  const before = await lookAround(plan.agents, undefined);
  if (before === undefined) return { ok: false, error: 'no agent tells how the cluster is' };
  const made = await createSchema(plan.targets, drillSchema, drillApplication, signal);
  if (!made.ok) return { ok: false, error: `the schema ${drillSchema} was not made: ${made.error}` };
  const notes = [...plan.notes];
  const beganAtMs = performance.now();
  const writer = startWriter(plan.targets, tableIn(drillSchema), drillApplication);
  const watch = startWatch(plan.agents, plan.victim);
  try {
    tell(`A writer inserts one row after the other into ${drillSchema}`);
    const findings = await strike(plan, { before, beganAtMs, writer, watch, notes }, tell, signal);
    return findings.ok ? { ok: true, report: reportOf(findings.findings) } : findings;
  } finally {
    await writer.stop();
    await watch.stop();
    // Also when the drill was interrupted: with a time of its own.
    const dropped = await dropSchema(plan.targets, drillSchema, drillApplication, new AbortController().signal);
    if (!dropped.ok) tell(`The schema ${drillSchema} could not be dropped, do it by hand: ${dropped.error}`);
  }
}

interface Stage {
  readonly before: SeenCluster;
  readonly beganAtMs: number;
  readonly writer: Writer;
  readonly watch: Watch;
  readonly notes: string[];
}

type StrikeOutcome =
  | { readonly ok: true; readonly findings: Findings }
  | { readonly ok: false; readonly error: string };

async function strike(
  plan: DrillPlan,
  stage: Stage,
  tell: (text: string) => void,
  signal: AbortSignal,
): Promise<StrikeOutcome> {
  const { writer, watch, beganAtMs, before } = stage;
  const { victim } = plan;
  const warm = (): boolean => performance.now() - beganAtMs > warmUpMs && writer.acknowledged.length >= warmUpWrites;
  if (!(await until(warm, warmUpWithinMs, signal)))
    return { ok: false, error: signal.aborted ? 'interrupted' : 'nobody took writes' };
  const usually = duration(usualIntervalMs(writer.acknowledged));
  tell(`${writer.target() ?? 'nobody'} takes writes; from one commit to the next it is usually ${usually}`);
  const victimBefore = await askVictim(victim);
  const eventsBefore = await plan.readEvents();
  const seen = watch.cluster();
  if (seen === undefined || primaryOf(seen)?.name !== victim.name || !isAsBefore(before, seen))
    return { ok: false, error: 'the cluster changed before the fault; look at it, then try again' };
  const course = beginCourse();
  tell(faultText(plan.fault.kind, victim.name));
  const faultAtMs = performance.now();
  const faultEpochMs = Date.now();
  const scene = { fault: plan.fault, victim: victim.name, victimBefore, before, faultAtMs, writer, watch, tell };
  await passThrough(scene, course, plan.timeoutMs, signal);
  if (signal.aborted) return { ok: false, error: 'interrupted' };
  const endedAtMs = performance.now();
  await writer.stop();
  tell('Reading back every acknowledged commit');
  const read = await readBack(plan.targets, drillSchema, drillApplication, signal);
  if (!read.ok) stage.notes.push(`What was written could not be read back: ${read.error}`);
  const eventsAfter = await plan.readEvents();
  const known = eventsBefore !== undefined && eventsAfter !== undefined;
  if (!known) stage.notes.push('What the members decided could not be read from the DCS.');
  const findings: Findings = {
    cluster: plan.cluster,
    fault: plan.fault.kind,
    victim: victim.name,
    beganAtMs,
    faultAtMs,
    faultEpochMs,
    endedAtMs,
    continuedAtMs: course.continuedAtMs,
    rejoinedAtMs: course.rejoinedAtMs,
    recoveredAtMs: course.recoveredAtMs,
    faultError: course.fault?.ok === false ? course.fault.error : undefined,
    acknowledged: writer.acknowledged,
    unanswered: writer.unanswered,
    present: read.ok ? read.numbers : undefined,
    before,
    after: watch.cluster(),
    changes: watch.changes,
    decisions: known ? newSince(eventsBefore, eventsAfter) : [],
    clockAheadMs: plan.clockAheadMs,
    notes: stage.notes,
  };
  return { ok: true, findings };
}

/** From the fault until the cluster is as it was, or its time is up. What has to be undone is undone in any case. */
async function passThrough(scene: Scene, course: Course, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const begun = beginFault(scene.fault, signal).then((outcome) => {
    course.fault = outcome;
    if (!outcome.ok) scene.tell(`It was not done: ${outcome.error}`);
  });
  try {
    if (!(await until(() => follow(scene, course), timeoutMs, signal))) return;
    const { writer } = scene;
    const enough = writer.acknowledged.length + afterwardsWrites;
    const settledAtMs = performance.now() + afterwardsMs;
    const settled = (): boolean => performance.now() > settledAtMs && writer.acknowledged.length >= enough;
    await until(settled, warmUpWithinMs, signal);
  } finally {
    await begun;
    if (course.fault?.ok) course.fault.undo?.();
  }
}

/** The events that were not there before: no clock is asked. */
function newSince(before: readonly DecisionEvent[], after: readonly DecisionEvent[]): readonly DecisionEvent[] {
  const known = new Set(before.map((event) => JSON.stringify(event)));
  return after.filter((event) => !known.has(JSON.stringify(event)));
}

/** False: not within the time, or interrupted. */
async function until(condition: () => boolean, withinMs: number, signal: AbortSignal): Promise<boolean> {
  const endAtMs = performance.now() + withinMs;
  while (!signal.aborted) {
    if (condition()) return true;
    if (performance.now() > endAtMs) return false;
    await sleep(lookEveryMs, undefined, { signal }).catch(() => {});
  }
  return false;
}
