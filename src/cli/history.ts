/** The rows of `history`: which timeline ended where, why, and who made the next one. Pure. */
import type { TermEntry } from '../core/model.ts';
import type { Cell, Table } from './table.ts';

/** `[timeline, lsn, reason, at?, leader?]`: Patroni's `history` key. */
export type HistoryLine = readonly [
  timeline: number,
  lsn: number | string,
  reason: string,
  at: string | undefined,
  leader: string | undefined,
];

/** A row for each timeline that ended; `time` writes a moment for people. */
export function historyTable(lines: readonly HistoryLine[], time: (text: string) => string): Table {
  return {
    columns: [
      { name: 'TL', align: 'right' },
      { name: 'LSN', align: 'right' },
      { name: 'Reason' },
      { name: 'Timestamp' },
      { name: 'New Leader' },
    ],
    rows: lines.map(([timeline, lsn, reason, at, leader]): readonly Cell[] => [
      timeline,
      lsn,
      reason,
      at === undefined ? undefined : time(at),
      leader,
    ]),
  };
}

function textOrNothing(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Reads the `history` key; undefined when it is not one. */
export function parseHistory(text: string): readonly HistoryLine[] | undefined {
  let rows: unknown;
  try {
    rows = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(rows)) return undefined;
  const lines: HistoryLine[] = [];
  for (const row of rows) {
    if (!Array.isArray(row)) return undefined;
    const [timeline, lsn, reason, at, leader]: readonly unknown[] = row;
    if (typeof timeline !== 'number' || (typeof lsn !== 'number' && typeof lsn !== 'string')) return undefined;
    lines.push([timeline, lsn, String(reason), textOrNothing(at), textOrNothing(leader)]);
  }
  return lines;
}

/** The same from the terms, where there is no `history` key. A term that only re-took the key made no timeline. */
export function historyOfTerms(terms: readonly TermEntry[]): readonly HistoryLine[] {
  return terms.flatMap((entry, index): readonly HistoryLine[] => {
    const previous = terms[index - 1];
    if (!previous || previous.timeline === entry.timeline) return [];
    return [[previous.timeline, String(entry.switchLsn), entry.reason, entry.at, entry.member]];
  });
}
