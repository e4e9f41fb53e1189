/** What the writers noted: every acknowledged commit, in a file for each writer. */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** A commit that a writer was told of. */
export interface Acknowledged {
  readonly host: string;
  readonly number: number;
  /** CLOCK_MONOTONIC, shared by all processes of the machine. */
  readonly atMs: number;
}

/** Reads a folder of files `HOST.ROUND` with lines `NUMBER MILLISECONDS`. */
export interface Notes {
  /** All of them so far, in the order of their times: one list, which grows. */
  readonly read: () => readonly Acknowledged[];
}

/** The folder's files may come and grow at any time; nothing is read twice. */
export function createNotes(folder: string): Notes {
  const offsets = new Map<string, number>();
  const rows: Acknowledged[] = [];
  return {
    read() {
      const fresh = readdirSync(folder).flatMap((name) => {
        const { text, nextOffset } = wholeLines(join(folder, name), offsets.get(name) ?? 0);
        offsets.set(name, nextOffset);
        return parse(name.split('.')[0] ?? '', text);
      });
      const first = Math.min(...fresh.map(({ atMs }) => atMs));
      // Some that are in the list already may belong between those that are new.
      const from = rows.findLastIndex(({ atMs }) => atMs <= first) + 1;
      const tail = [...rows.splice(from), ...fresh].sort((a, b) => a.atMs - b.atMs);
      for (const row of tail) rows.push(row);
      return rows;
    },
  };
}

/** What a file that grows has had since `offset`, without an unfinished last line. */
export function wholeLines(path: string, offset: number): { readonly text: string; readonly nextOffset: number } {
  const file = openSync(path, 'r');
  try {
    const parts: Buffer[] = [];
    for (let at = offset; ; ) {
      const buffer = Buffer.alloc(1 << 16);
      const length = readSync(file, buffer, 0, buffer.length, at);
      if (length === 0) break;
      parts.push(buffer.subarray(0, length));
      at += length;
    }
    const all = Buffer.concat(parts);
    const end = all.lastIndexOf(0x0a) + 1;
    return { text: all.toString('utf8', 0, end), nextOffset: offset + end };
  } finally {
    closeSync(file);
  }
}

function parse(host: string, text: string): readonly Acknowledged[] {
  return text.split('\n').flatMap((line) => {
    const [number, atMs] = line.split(' ');
    return number && atMs ? [{ host, number: Number(number), atMs: Number(atMs) }] : [];
  });
}
