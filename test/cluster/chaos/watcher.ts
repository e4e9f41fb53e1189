/** What the process behind watch.ts does: it looks at files, and says what must not be. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { wholeLines } from '../lab/notes.ts';

/** An agent that was started over a running instance. */
export interface Start {
  readonly member: string;
  readonly dataDir: string;
  readonly log: string;
  readonly logFrom: number;
  /** `configurationOf` before the start. */
  readonly files: string;
}

/** Whose data directory is watched. */
export interface Directory {
  readonly member: string;
  readonly dataDir: string;
}

/** What it is told. */
export type Watched =
  | { readonly kind: 'directories'; readonly directories: readonly Directory[] }
  | { readonly kind: 'start'; readonly start: Start };

const lookEveryMs = 50;
const startLookEveryMs = 4;
/** An agent that has not decided by then waits for something. */
const decidesWithinMs = 15_000;
/** The lines that tell a decision. Those of the first two rules say that there is none yet. */
const decision = /^\S+ \S+ INFO +(?! |begin:|inspecting:|waiting-for-the-dcs:)/m;

/** PostgreSQL's configuration as it is on disk: names, times and lengths. */
export function configurationOf(dataDir: string): string {
  const names = ['postgresql.conf', 'pgherd.conf', 'postgresql.auto.conf', 'pg_hba.conf', 'pg_ident.conf'];
  return names
    .map((name) => {
      try {
        const path = join(dataDir, name);
        return `${name} ${statSync(path).mtimeMs} ${readFileSync(path, 'utf8').length}`;
      } catch {
        return `${name} is not there`;
      }
    })
    .join('\n');
}

/** `say` gets what must not be. */
export function createWatcher(say: (text: string) => void): (message: Watched) => void {
  const newest = new Map<string, Start>();
  return (message) => {
    if (message.kind === 'directories') return void watchDirectories(message.directories, say);
    const { start } = message;
    newest.set(start.member, start);
    void watchStart(start, () => newest.get(start.member) === start, say);
  };
}

async function watchDirectories(directories: readonly Directory[], say: (text: string) => void): Promise<never> {
  const lost = new Set<string>();
  for (;;) {
    for (const { member, dataDir } of directories) {
      const hasOne = isComplete(dataDir) || isComplete(`${dataDir}.old`);
      if (!hasOne && !lost.has(member)) say(`${member} has no complete data directory`);
      if (hasOne) lost.delete(member);
      else lost.add(member);
    }
    await sleep(lookEveryMs);
  }
}

function isComplete(directory: string): boolean {
  return ['PG_VERSION', 'global/pg_control', 'base', 'pg_wal'].every((name) => existsSync(join(directory, name)));
}

async function watchStart(start: Start, isNewest: () => boolean, say: (text: string) => void): Promise<void> {
  const endAt = performance.now() + decidesWithinMs;
  while (isNewest() && performance.now() < endAt) {
    const files = configurationOf(start.dataDir);
    // Read after the files: what it does it says first.
    if (decision.test(wholeLines(start.log, start.logFrom).text)) return;
    if (files !== start.files) {
      say(`the agent of ${start.member} changed files before it had decided:\n${start.files}\nbecame\n${files}`);
      return;
    }
    await sleep(startLookEveryMs);
  }
}
