/**
 * How a member whose cluster has another primary comes (back) to it: follow, rewind or clone.
 * The least costly way that is right; what is not known yet is found out by starting as a replica, which writes nothing.
 */
import { formatLsn, type Lsn } from './lsn.ts';
import type { Durable, PostgresStatus, Settings, TermEntry } from './model.ts';
import { lsnOf } from './position.ts';
import { entryOf, forkOf, hasTwin, isOnLine, lineOf, newestOf, originFromHistory } from './term-tree.ts';

/** The way back, and the facts that leave no cheaper one. */
export type RejoinPath =
  /** Nothing of mine is missing in the history, or it is not known yet: stream, and look again. */
  | { readonly kind: 'follow' }
  | { readonly kind: 'rewind'; readonly because: string }
  | { readonly kind: 'clone'; readonly because: string }
  /** Diverged, and no allowed way leads back. */
  | { readonly kind: 'stuck'; readonly because: string };

/** After this many failed rewinds the member is cloned anew. */
export const rewindsMax = 6;

/** What the way back depends on. */
export interface RejoinInput {
  readonly durable: Durable;
  readonly postgres: PostgresStatus;
  readonly terms: readonly TermEntry[];
  readonly settings: Settings;
  readonly rewindFailures: number;
}

/** The way back to the primary of the newest term on record. */
export function rejoinPath(input: RejoinInput): RejoinPath {
  const { durable, postgres, terms } = input;
  if (postgres.directory.kind !== 'present') return { kind: 'clone', because: 'there is no data directory yet' };
  if (durable.rewinding) return { kind: 'clone', because: 'a rewind of this data directory was not finished' };
  const diverged = divergence(durable, postgres, terms);
  if (diverged === undefined) return { kind: 'follow' };
  return wayBack(input, diverged);
}

interface Divergence {
  readonly because: string;
  /** pg_rewind compares timeline numbers only: it cannot tell these two histories apart. */
  readonly sameTimelineNumber: boolean;
}

function wayBack(input: RejoinInput, diverged: Divergence): RejoinPath {
  const { settings, postgres } = input;
  const { because } = diverged;
  const clone = (why: string): RejoinPath =>
    settings.cloneWhenDiverged
      ? { kind: 'clone', because: `${because}; ${why}` }
      : {
          kind: 'stuck',
          because: `${because}; ${why}; cloning is switched off (remove_data_directory_on_diverged_timelines): run "pgherd reinit"`,
        };
  if (diverged.sameTimelineNumber)
    return clone('both histories have the same timeline number, so pg_rewind cannot help');
  if (!settings.usePgRewind) return clone('pg_rewind is switched off (use_pg_rewind)');
  const control = postgres.directory.kind === 'present' ? postgres.directory.control : undefined;
  if (control && !control.walLogHints && !control.dataChecksums)
    return clone('pg_rewind needs wal_log_hints or data checksums');
  if (input.rewindFailures < rewindsMax) return { kind: 'rewind', because };
  if (settings.cloneWhenRewindFails)
    return { kind: 'clone', because: `${because}; pg_rewind failed ${input.rewindFailures} times` };
  return {
    kind: 'stuck',
    because: `${because}; pg_rewind failed ${input.rewindFailures} times and cloning is switched off (remove_data_directory_on_rewind_failure): run "pgherd reinit"`,
  };
}

function divergence(durable: Durable, postgres: PostgresStatus, terms: readonly TermEntry[]): Divergence | undefined {
  const known = knownEnd(durable, postgres);
  const stray = strayTimeline(durable, postgres, terms);
  if (stray !== undefined) return stray;
  if (known === undefined) return twin(durable, postgres, terms);
  const originTerm = durable.originTerm ?? originFromHistory(terms, known.timeline, known.lsn);
  const fork = originTerm === undefined ? undefined : forkOf(terms, originTerm);
  if (originTerm === undefined || fork === undefined) return undefined;
  const here = `WAL of term ${originTerm} up to ${formatLsn(known.lsn)} is here`;
  const sameTimelineNumber = isTwinned(durable, terms, originTerm, known.timeline);
  if (fork.at === undefined) {
    return { because: `${here}, and nothing on record says where it left the cluster's history`, sameTimelineNumber };
  }
  const beyond = known.atLeast ? known.lsn >= fork.at : known.lsn > fork.at;
  if (!beyond) return twin(durable, postgres, terms);
  return { because: `${here}, but term ${fork.next.term} began at ${formatLsn(fork.at)}`, sameTimelineNumber };
}

/**
 * A crashed instance does not tell how far its WAL goes, and is started as a replica to find out. Not where its newest
 * WAL is of a timeline that another term made with the same number: it would stream on top of foreign WAL.
 */
function twin(durable: Durable, postgres: PostgresStatus, terms: readonly TermEntry[]): Divergence | undefined {
  const { originTerm } = durable;
  if (originTerm === undefined || postgres.instance.kind !== 'stopped' || postgres.directory.kind !== 'present')
    return undefined;
  const { timeline } = postgres.directory.control;
  if (forkOf(terms, originTerm) === undefined || !isTwinned(durable, terms, originTerm, timeline)) return undefined;
  return {
    because: `WAL of term ${originTerm} is here, on a timeline that another term made too`,
    sameTimelineNumber: true,
  };
}

/**
 * Whether another term made a timeline of the same number as one that may be here beside the history: pg_rewind and the
 * servers compare numbers, and would take the one for the other.
 */
function isTwinned(durable: Durable, terms: readonly TermEntry[], originTerm: number, timeline: number): boolean {
  return timelinesBeside(durable, terms, originTerm, timeline).some((number) => hasTwin(terms, originTerm, number));
}

/**
 * The numbers of the timelines here that the history does not go on from: between the last common one and the newest there
 * may be some that never came on record. The control file of a stopped instance (`timeline`) may be behind its WAL.
 */
function timelinesBeside(
  durable: Durable,
  terms: readonly TermEntry[],
  originTerm: number,
  timeline: number,
): readonly number[] {
  const line = lineOf(terms, newestOf(terms));
  let parent = parentIn(durable, terms, originTerm);
  // What a term began that is not on record is at least the next one after its parent's.
  const begun = entryOf(terms, originTerm)?.timeline ?? (entryOf(terms, parent)?.timeline ?? timeline - 1) + 1;
  if (isOnLine(line, originTerm)) return [timeline, begun];
  while (parent !== undefined && !isOnLine(line, parent)) parent = parentIn(durable, terms, parent);
  const common = entryOf(terms, parent)?.timeline;
  if (common === undefined) return [timeline, begun];
  return Array.from({ length: Math.max(timeline, begun) - common }, (_, index) => common + 1 + index);
}

/** What the term goes on from, by the record, or by what is noted here of one that never came on record. */
function parentIn({ branch }: Durable, terms: readonly TermEntry[], term: number): number | undefined {
  const parent = entryOf(terms, term)?.parent ?? (branch?.term === term ? branch.parent : undefined);
  return parent !== undefined && parent < term ? parent : undefined;
}

/** Somebody promoted the instance by hand: its newest timeline is none of the cluster's. */
function strayTimeline(
  durable: Durable,
  postgres: PostgresStatus,
  terms: readonly TermEntry[],
): Divergence | undefined {
  const entry = entryOf(terms, durable.originTerm);
  if (entry === undefined || durable.joining !== undefined || durable.promoting !== undefined) return undefined;
  const { instance, directory } = postgres;
  if (directory.kind !== 'present' || (instance.kind !== 'running' && instance.kind !== 'stopped')) return undefined;
  const timeline = instance.kind === 'running' ? instance.timeline : directory.control.timeline;
  if (timeline <= entry.timeline) return undefined;
  if (lineOf(terms, newestOf(terms)).some((one) => one.timeline === timeline)) return undefined;
  return {
    because: `WAL of timeline ${timeline} is here, which no term on record began`,
    sameTimelineNumber: terms.some((one) => one.timeline === timeline),
  };
}

interface KnownEnd {
  readonly timeline: number;
  readonly lsn: Lsn;
  /** A record begins at `lsn`, so the WAL ends behind it. */
  readonly atLeast: boolean;
}

/** As much as is known of where the WAL here ends. A crashed instance tells only once it has recovered. */
function knownEnd(durable: Durable, postgres: PostgresStatus): KnownEnd | undefined {
  const { instance, directory } = postgres;
  if (instance.kind === 'running') {
    const lsn = lsnOf(instance);
    return lsn === undefined ? undefined : { timeline: instance.timeline, lsn, atLeast: false };
  }
  if (instance.kind !== 'stopped' || directory.kind !== 'present') return undefined;
  const { lastLsn } = durable;
  if (lastLsn !== undefined && lastLsn > directory.control.checkpointLsn) {
    return { timeline: directory.control.timeline, lsn: lastLsn, atLeast: false };
  }
  // The control file of a standby names a checkpoint of its primary, which may well be in the history.
  const { control } = directory;
  if (control.state !== 'shut down' && control.state !== 'in production') return undefined;
  return { timeline: control.timeline, lsn: control.checkpointLsn, atLeast: true };
}
