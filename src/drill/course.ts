/** The time from the fault until the cluster is as it was: looked at again and again, each step noted once. */
import type { MemberAnswer } from '../api/answers.ts';
import type { FaultOutcome, FaultPlan } from './fault.ts';
import { isAsBefore, isVictimBack, type SeenCluster } from './recovery.ts';
import { duration } from './text.ts';
import type { Watch } from './watch.ts';
import type { Writer } from './writer.ts';

/** What the course is judged by. */
export interface Scene {
  readonly fault: FaultPlan;
  /** On whom the fault comes, and what its agent said before. */
  readonly victim: string;
  readonly victimBefore: MemberAnswer | undefined;
  readonly before: SeenCluster;
  readonly faultAtMs: number;
  readonly writer: Writer;
  readonly watch: Watch;
  readonly tell: (text: string) => void;
}

/** How far it has come; instants on the clock of `performance.now()`. */
export interface Course {
  /** undefined: it is being done. */
  fault: FaultOutcome | undefined;
  /** Another member than the victim takes writes. */
  movedAtMs: number | undefined;
  /** An agent that stood still goes on. */
  continuedAtMs: number | undefined;
  rejoinedAtMs: number | undefined;
  recoveredAtMs: number | undefined;
}

/** At the moment of the fault. */
export function beginCourse(): Course {
  return {
    fault: undefined,
    movedAtMs: undefined,
    continuedAtMs: undefined,
    rejoinedAtMs: undefined,
    recoveredAtMs: undefined,
  };
}

/** One look; true when the cluster is as it was. */
export function follow(scene: Scene, course: Course): boolean {
  const nowMs = performance.now();
  noteMove(scene, course);
  if (course.fault === undefined) return false;
  if (course.fault.ok && !goesOn(scene, course, nowMs)) return false;
  const seen = scene.watch.cluster();
  const member = seen?.members.find(({ name }) => name === scene.victim);
  // These end the postmaster. One that could not be done may have ended nothing.
  const restarted = course.fault.ok && scene.fault.kind !== 'stop-agent';
  const isBack = isVictimBack(scene.victimBefore, scene.watch.victim(), member, restarted);
  if (isBack && course.rejoinedAtMs === undefined) {
    course.rejoinedAtMs = nowMs;
    scene.tell(`${scene.victim} is back: ${member?.role}, ${member?.state}`);
  }
  const last = scene.writer.acknowledged.at(-1);
  const writes = last !== undefined && last.atMs > (course.continuedAtMs ?? scene.faultAtMs);
  if (!writes || !isBack || seen === undefined || !isAsBefore(scene.before, seen)) return false;
  course.recoveredAtMs = nowMs;
  scene.tell('The cluster is as it was');
  return true;
}

function noteMove({ writer, victim, faultAtMs, tell }: Scene, course: Course): void {
  if (course.movedAtMs !== undefined) return;
  const first = writer.acknowledged.find(({ member, atMs }) => atMs > faultAtMs && member !== victim);
  if (first === undefined) return;
  course.movedAtMs = first.atMs;
  tell(`${first.member} takes writes, ${duration(first.atMs - faultAtMs)} after the fault`);
}

/** Lets a stopped agent go on, when another member takes writes or its time is up. False while it stands still. */
function goesOn({ fault, faultAtMs, victim, tell }: Scene, course: Course, nowMs: number): boolean {
  if (fault.kind !== 'stop-agent' || course.continuedAtMs !== undefined) return true;
  if (course.movedAtMs === undefined && nowMs - faultAtMs < fault.atMostMs) return false;
  if (course.fault?.ok) course.fault.undo?.();
  course.continuedAtMs = nowMs;
  tell(`The agent of ${victim} goes on, after ${duration(nowMs - faultAtMs)}`);
  return true;
}
