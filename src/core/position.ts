/** Comparing members' WAL: who has more. */
import { type Lsn, maxLsnOf } from './lsn.ts';
import type { Durable, Position, RunningInstance } from './model.ts';

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
export function isPastFloor(durable: Durable, position: Position): boolean {
  if (durable.floor === undefined) return true;
  if (durable.floor === 'infinite') return false;
  return comparePositions(position, durable.floor) >= 0;
}
