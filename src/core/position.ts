/** Comparing members' WAL: who has more, and who has something that the cluster's history does not have. */
import { type Lsn, maxLsnOf } from './lsn.ts';
import type { Durable, Position, RunningInstance, TermEntry } from './model.ts';

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

/** The entry of `terms` that was current when `term` was: its own, or the last one before it. */
export function entryOf(terms: readonly TermEntry[], term: number): TermEntry | undefined {
  return terms.filter((entry) => entry.term <= term).toSorted((a, b) => b.term - a.term)[0];
}

/** The first entry after `term`. What a member has of `term` beyond its switch point is not in the cluster's history. */
export function entryAfter(terms: readonly TermEntry[], term: number): TermEntry | undefined {
  return terms.filter((entry) => entry.term > term).toSorted((a, b) => a.term - b.term)[0];
}

/**
 * The origin term of WAL that ends at `lsn` on `timeline`, from the cluster's history alone: for a member that
 * brings no state of its own (an adopted standby).
 */
export function originFromHistory(terms: readonly TermEntry[], timeline: number, lsn: Lsn): number | undefined {
  const fits = terms.filter((entry) => entry.timeline === timeline && entry.switchLsn <= lsn);
  const own = fits.toSorted((a, b) => b.term - a.term)[0];
  return own?.term ?? terms.filter((entry) => entry.timeline === timeline).toSorted((a, b) => a.term - b.term)[0]?.term;
}

/**
 * Is the instance on the very timeline that `entry` began? The number is not enough (two terms can make the same
 * one): the switch point in the instance's own history must be the one on record.
 */
export function isOnTimelineOf(instance: RunningInstance, entry: TermEntry): boolean {
  if (instance.timeline !== entry.timeline) return false;
  const parent = instance.history.at(-1);
  return parent !== undefined && parent.switchLsn === entry.switchLsn;
}

/** A member that was rewound or re-cloned counts for nothing until it is as far again as it once was. */
export function isPastFloor(durable: Durable, position: Position): boolean {
  if (durable.floor === undefined) return true;
  if (durable.floor === 'infinite') return false;
  return comparePositions(position, durable.floor) >= 0;
}
