/** What writers were told, compared with what the primary has, a part at a time. */
import { writeGapMs } from '../lab/checks.ts';
import type { Lab } from '../lab/cluster.ts';
import type { Host } from '../lab/host.ts';
import type { Acknowledged } from '../lab/notes.ts';

/** An answer that was under way when its sender lost the primacy is told this much later at most: writers give up then. */
const inFlightMs = 500;

/** The acknowledged commits of one run. Everything is asked of those after an instant. */
export interface Ledger {
  /** The longest pause of all writers that ended after `sinceMs`. */
  readonly gapMs: (sinceMs: number) => number;
  /** When the first commit after `sinceMs` was acknowledged; undefined: none was. */
  readonly firstAfter: (sinceMs: number) => number | undefined;
  /** What the host lacks. */
  readonly missingOn: (host: Host, sinceMs: number) => readonly Acknowledged[];
  /** Who acknowledged, one after the other. */
  readonly turns: (sinceMs: number) => readonly Turn[];
  readonly count: () => number;
}

/** A host that acknowledges, until another one does. */
export interface Turn {
  readonly host: string;
  readonly fromMs: number;
  lastMs: number;
  readonly writers: Set<number>;
  /** Writers that were told of the past when the next turn had begun. */
  readonly late: Set<number>;
}

export function createLedger(lab: Lab): Ledger {
  const after = (sinceMs: number): readonly Acknowledged[] => {
    const rows = lab.acknowledged();
    return rows.slice(
      Math.max(
        0,
        rows.findLastIndex(({ atMs }) => atMs <= sinceMs),
      ),
    );
  };
  return {
    gapMs: (sinceMs) => writeGapMs(after(sinceMs), sinceMs),
    firstAfter: (sinceMs) => after(sinceMs).find(({ atMs }) => atMs > sinceMs)?.atMs,
    missingOn(host, sinceMs) {
      const rows = after(sinceMs);
      const ranges = rangesOf(rows).map(([from, to]) => `number between ${from} and ${to}`);
      if (ranges.length === 0) return [];
      const present = lab.sql(host, `select number from lab where ${ranges.join(' or ')}`);
      const numbers = new Set(present.split('\n').map(Number));
      return rows.filter(({ number }) => !numbers.has(number));
    },
    turns: (sinceMs) => turnsOf(after(sinceMs)),
    count: () => lab.acknowledged().length,
  };
}

/** Each writer counts up in ten millions of its own. */
function writerOf(number: number): number {
  return Math.floor(number / 10_000_000);
}

function rangesOf(rows: readonly Acknowledged[]): readonly (readonly [number, number])[] {
  const ranges = new Map<number, [number, number]>();
  for (const { number } of rows) {
    const range = ranges.get(writerOf(number)) ?? [number, number];
    ranges.set(writerOf(number), [Math.min(range[0], number), Math.max(range[1], number)]);
  }
  return [...ranges.values()];
}

/**
 * A writer has one commit under way at a time, so each of a host's writers may be told once of the past, soon after
 * another host has begun. That the new primary has those commits too is checked with all the others.
 */
export function turnsOf(rows: readonly Acknowledged[]): readonly Turn[] {
  const turns: Turn[] = [];
  for (const { host, number, atMs } of rows) {
    const writer = writerOf(number);
    const last = turns.at(-1);
    const former = turns.at(-2);
    if (last?.host === host) {
      last.lastMs = atMs;
      last.writers.add(writer);
    } else if (former?.host === host && wasUnderWay(former, writer, atMs)) former.late.add(writer);
    else turns.push({ host, fromMs: atMs, lastMs: atMs, writers: new Set([writer]), late: new Set() });
  }
  return turns;
}

function wasUnderWay(former: Turn, writer: number, atMs: number): boolean {
  return former.writers.has(writer) && !former.late.has(writer) && atMs - former.lastMs <= inFlightMs;
}
