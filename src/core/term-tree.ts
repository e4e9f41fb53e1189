/**
 * The terms are a tree: each goes on from another one's WAL, at the LSN where it began. The line of the newest term is
 * the cluster's history; whatever a member has beside that line is to be undone before it may follow.
 */
import type { Lsn } from './lsn.ts';
import type { RunningInstance, TermEntry } from './model.ts';

/** The row of exactly this term. */
export function entryOf(terms: readonly TermEntry[], term: number | undefined): TermEntry | undefined {
  return terms.find((entry) => entry.term === term);
}

/** The newest term on record. */
export function newestOf(terms: readonly TermEntry[]): TermEntry | undefined {
  let newest: TermEntry | undefined;
  for (const entry of terms) if (newest === undefined || entry.term > newest.term) newest = entry;
  return newest;
}

/** A term and the terms that it goes on from, newest first, as far as they are on record. */
export function lineOf(terms: readonly TermEntry[], entry: TermEntry | undefined): readonly TermEntry[] {
  const line: TermEntry[] = [];
  for (let one = entry; one !== undefined && !line.includes(one); one = entryOf(terms, one.parent)) line.push(one);
  return line;
}

/**
 * The term whose WAL this is, for comparing: a holder that re-takes its key goes on with its timeline, so all of its terms
 * there are one. Which of them a replica has noted depends on when it was looked at last.
 */
export function writerTerm(terms: readonly TermEntry[], term: number): number {
  let own = entryOf(terms, term);
  let parent = entryOf(terms, own?.parent);
  while (
    own !== undefined &&
    parent !== undefined &&
    parent.member === own.member &&
    parent.timeline === own.timeline
  ) {
    own = parent;
    parent = entryOf(terms, own.parent);
  }
  return own?.term ?? term;
}

/** Whether `term` is on the line, or what its oldest term goes on from. */
export function isOnLine(line: readonly TermEntry[], term: number): boolean {
  return line.some((entry) => entry.term === term || entry.parent === term);
}

/** The end of what a member has in common with the cluster's history. */
export interface Fork {
  /** WAL beyond this point is not in the cluster's history; undefined: nobody knows where the two parted. */
  readonly at: Lsn | undefined;
  /** The term of the history that began there. */
  readonly next: TermEntry;
}

/** Where WAL of `originTerm` leaves the history of the newest term; undefined when it does not. */
export function forkOf(terms: readonly TermEntry[], originTerm: number): Fork | undefined {
  const newest = newestOf(terms);
  if (newest === undefined || originTerm >= newest.term) return undefined;
  const line = lineOf(terms, newest);
  if (isOnLine(line, originTerm)) {
    const next = firstFork(terms, line, originTerm);
    return next && { at: next.switchLsn, next };
  }
  let branch = entryOf(terms, originTerm);
  while (branch?.parent !== undefined && !isOnLine(line, branch.parent)) branch = entryOf(terms, branch.parent);
  if (branch?.parent === undefined) return { at: undefined, next: newest };
  const next = firstFork(terms, line, branch.parent);
  if (next === undefined) return { at: branch.switchLsn, next: newest };
  return { at: next.switchLsn < branch.switchLsn ? next.switchLsn : branch.switchLsn, next };
}

/**
 * The first term of the line after `term` that another writer, or another timeline, began. A holder that re-takes the
 * key and goes on writing its own timeline forks nothing.
 */
function firstFork(terms: readonly TermEntry[], line: readonly TermEntry[], term: number): TermEntry | undefined {
  let own = entryOf(terms, term);
  let next = line.find((entry) => entry.parent === term);
  while (own !== undefined && next !== undefined && own.member === next.member && own.timeline === next.timeline) {
    const { term: continued } = next;
    own = next;
    next = line.find((entry) => entry.parent === continued);
  }
  return next;
}

/** Whether another term than those that `originTerm` goes on from made a timeline of the same number: pg_rewind cannot tell them apart. */
export function hasTwin(terms: readonly TermEntry[], originTerm: number, timeline: number): boolean {
  const entry = entryOf(terms, originTerm);
  const own = lineOf(terms, entry);
  // A holder that re-takes the key goes on with its timeline; another timeline than the term's own is nobody's on record.
  const isContinued = entry?.timeline === timeline;
  const isRelated = (other: TermEntry): boolean =>
    other.term === originTerm ||
    isOnLine(own, other.term) ||
    (isContinued && isOnLine(lineOf(terms, other), originTerm));
  return lineOf(terms, newestOf(terms)).some((other) => other.timeline === timeline && !isRelated(other));
}

/**
 * Whether the instance is on the very timeline that `entry` began, and no other term on record can have begun it: the
 * number is not enough, so the switch point in the instance's own history must be the one on record.
 */
export function isOnTimelineOf(terms: readonly TermEntry[], instance: RunningInstance, entry: TermEntry): boolean {
  const parent = instance.history.at(-1);
  const fits = terms.filter((one) => one.timeline === instance.timeline && one.switchLsn === parent?.switchLsn);
  return fits.length === 1 && fits[0] === entry;
}

/**
 * The origin term of WAL that ends at `lsn` on `timeline`, from the history alone: for a member that brings no state
 * of its own (an adopted standby).
 */
export function originFromHistory(terms: readonly TermEntry[], timeline: number, lsn: Lsn): number | undefined {
  const same = terms.filter((entry) => entry.timeline === timeline).toSorted((a, b) => b.term - a.term);
  return (same.find((entry) => entry.switchLsn <= lsn) ?? same.at(-1))?.term;
}
