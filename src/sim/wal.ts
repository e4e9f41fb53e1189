/**
 * Who wrote which WAL: the truth that PostgreSQL's timeline numbers only stand for. Every life of a writer begins a
 * branch, also where the timeline goes on (a restart after a power loss writes other records at the same positions).
 * A log is a branch and a position on it, so that comparing two costs some steps up the tree.
 */
import { lsn } from '../core/lsn.ts';
import type { TimelineSwitch } from '../core/timeline.ts';

/** What one life of a writer adds to the log that it found. */
export interface Branch {
  readonly id: number;
  readonly writer: string;
  readonly timeline: number;
  readonly parent: Branch | undefined;
  /** Where it leaves its parent. */
  readonly from: number;
  readonly depth: number;
  readonly history: readonly TimelineSwitch[];
  /** Where checkpoints begin that were written on it, ascending. */
  readonly checkpoints: number[];
  /** The end of what clients were told to be committed: while the rule said synchronous, and else. */
  ackedSync: number;
  ackedAsync: number;
}

/** A point in a log. */
export interface WalPoint {
  readonly branch: Branch;
  readonly lsn: number;
}

/** The first branch of a cluster, or the next one of a log. */
export function newBranch(id: number, writer: string, timeline: number, after: WalPoint | undefined): Branch {
  const parent = after?.branch;
  const from = after?.lsn ?? 0;
  const history =
    parent === undefined || parent.timeline === timeline
      ? (parent?.history ?? [])
      : [
          ...parent.history,
          { timeline: parent.timeline, switchLsn: lsn(from), reason: 'no recovery target specified' },
        ];
  const depth = (parent?.depth ?? 0) + 1;
  return { id, writer, timeline, parent, from, depth, history, checkpoints: [], ackedSync: 0, ackedAsync: 0 };
}

/** Up to where both are the same; Infinity for a branch and itself. */
export function commonLsn(one: Branch, other: Branch): number {
  let a: Branch | undefined = one;
  let b: Branch | undefined = other;
  let until = Infinity;
  while (a !== b) {
    if (a === undefined || b === undefined) return 0;
    if (a.depth >= b.depth) {
      until = Math.min(until, a.from);
      a = a.parent;
    } else {
      until = Math.min(until, b.from);
      b = b.parent;
    }
  }
  return until;
}

/** Whether the log that ends at `end` has everything up to `point`. */
export function contains(end: WalPoint, point: WalPoint): boolean {
  return end.lsn >= point.lsn && (end.branch === point.branch || commonLsn(end.branch, point.branch) >= point.lsn);
}

/** The branch that the log has at `position`: a log that is cut short may end before its last branch begins. */
export function branchAt(branch: Branch, position: number): Branch {
  let at = branch;
  while (at.parent !== undefined && position < at.from) at = at.parent;
  return at;
}

/** The begin of the newest checkpoint before `end`, and its timeline. */
export function lastCheckpoint(end: WalPoint): { readonly lsn: number; readonly timeline: number } {
  for (let branch: Branch | undefined = end.branch, until = end.lsn; branch !== undefined; branch = branch.parent) {
    for (let index = branch.checkpoints.length - 1; index >= 0; index -= 1) {
      const begin = branch.checkpoints[index] ?? 0;
      if (begin < until) return { lsn: begin, timeline: branch.timeline };
    }
    until = Math.min(until, branch.from);
  }
  return { lsn: 0, timeline: 1 };
}

/**
 * What PostgreSQL believes to be common, by timeline numbers alone (pg_rewind, src/bin/pg_rewind/pg_rewind.c):
 * Infinity when both are on the same timeline.
 */
export function commonByNumbers(target: Branch, source: Branch): number {
  const rows = (branch: Branch): readonly (readonly [number, number])[] => [
    ...branch.history.map((row) => [row.timeline, Number(row.switchLsn)] as const),
    [branch.timeline, Infinity],
  ];
  const mine = rows(target);
  const theirs = rows(source);
  let until = 0;
  for (let index = 0; index < mine.length; index += 1) {
    const [a, b] = [mine[index], theirs[index]];
    if (a === undefined || b === undefined || a[0] !== b[0]) break;
    until = Math.min(a[1], b[1]);
    if (a[1] !== b[1]) break;
  }
  return until;
}
