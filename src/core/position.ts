/** Comparing members' WAL: who has more. */
import { type Lsn, maxLsnOf } from './lsn.ts';
import type { Durable, Position, RunningInstance, TermEntry } from './model.ts';
import { forkOf, writerTerm } from './term-tree.ts';

/** A position as it is compared: by the term that began the writer's timeline. */
export function comparable(terms: readonly TermEntry[], { originTerm, lsn }: Position): Position {
  return { originTerm: writerTerm(terms, originTerm), lsn };
}

/** How much of the cluster's history is here: WAL beside it is no part of it. Undefined: nobody knows where it left it. */
export function commonLsn(terms: readonly TermEntry[], { originTerm, lsn }: Position): Lsn | undefined {
  const fork = forkOf(terms, originTerm);
  if (fork === undefined) return lsn;
  if (fork.at === undefined) return undefined;
  return lsn < fork.at ? lsn : fork.at;
}

/** Less than 0: `a` is behind `b`. WAL of a later term is always more, whatever its LSN. */
export function comparePositions(a: Position, b: Position): number {
  if (a.originTerm !== b.originTerm) return a.originTerm - b.originTerm;
  if (a.lsn === b.lsn) return 0;
  return a.lsn < b.lsn ? -1 : 1;
}

/** The end of the WAL that a running instance has: written, or the greater of received and replayed. */
export function lsnOf(instance: RunningInstance): Lsn | undefined {
  return instance.inRecovery ? maxLsnOf(instance.receivedLsn, instance.replayedLsn) : instance.writtenLsn;
}

/** A member that was rewound or re-cloned counts for nothing until it is as far again as it once was. */
export function isPastFloor({ floor }: Durable, position: Position, terms: readonly TermEntry[]): boolean {
  if (floor === undefined) return true;
  return floor !== 'infinite' && comparePositions(comparable(terms, position), comparable(terms, floor)) >= 0;
}
