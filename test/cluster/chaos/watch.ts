/**
 * What is watched while faults come and go: that no data directory goes before its replacement is complete, and that
 * an agent which starts over a running instance changes nothing before it has decided.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Lab, nowMs } from '../lab/cluster.ts';
import type { Host } from '../lab/host.ts';
import { wholeLines } from '../lab/notes.ts';
import { postgresOf } from '../lab/processes.ts';

/** Watches until it is told to end. */
export interface Watch {
  /** Starts the host's agent, and watches it until its first decision. */
  readonly start: (host: Host) => void;
  /** What was seen that must not be, since it was asked last. */
  readonly violations: () => readonly string[];
  readonly end: () => void;
}

const lookEveryMs = 100;
/** An agent that has not decided by then waits for something. */
const decidesWithinMs = 15_000;
/** The lines that tell a decision. Those of the first two rules say that there is none yet. */
const decision = /^\S+ \S+ INFO +(?!begin:|inspecting:|waiting-for-the-dcs:)/m;

/** Begins with hosts whose data directories exist. */
export function beginWatch(lab: Lab): Watch {
  let seen: string[] = [];
  const watching = { isOver: false };
  const lost = new Set<Host>();
  const timer = setInterval(() => {
    for (const host of lab.hosts) {
      const hasOne = isComplete(lab.dataDir(host)) || isComplete(`${lab.dataDir(host)}.old`);
      if (!hasOne && !lost.has(host)) seen.push(`${host.name} has no complete data directory`);
      if (hasOne) lost.delete(host);
      else lost.add(host);
    }
  }, lookEveryMs);
  const watchStart = async (host: Host, files: string, logFrom: number): Promise<void> => {
    const began = nowMs();
    while (!watching.isOver && host.isOn() && nowMs() - began < decidesWithinMs) {
      const now = configuration(lab, host);
      // Read after the files: what it does it says first.
      if (hasDecided(host, logFrom)) return;
      if (now !== files) {
        seen.push(`the agent of ${host.name} changed files before it had decided:\n${files}\nbecame\n${now}`);
        return;
      }
      await sleep(10);
    }
  };
  return {
    start(host) {
      const isRunning = postgresOf(host).length > 0;
      const files = configuration(lab, host);
      const logFrom = statSync(logOf(host)).size;
      lab.start(host);
      if (isRunning) void watchStart(host, files, logFrom);
    },
    violations() {
      const some = seen;
      seen = [];
      return some;
    },
    end() {
      watching.isOver = true;
      clearInterval(timer);
    },
  };
}

function isComplete(directory: string): boolean {
  return ['PG_VERSION', 'global/pg_control', 'base', 'pg_wal'].every((name) => existsSync(join(directory, name)));
}

function logOf(host: Host): string {
  return join(host.disk, 'agent.log');
}

function hasDecided(host: Host, logFrom: number): boolean {
  return decision.test(wholeLines(logOf(host), logFrom).text);
}

/** PostgreSQL's configuration as it is on disk. */
function configuration(lab: Lab, host: Host): string {
  const names = ['postgresql.conf', 'pgherd.conf', 'postgresql.auto.conf', 'pg_hba.conf', 'pg_ident.conf'];
  return names
    .map((name) => {
      try {
        const path = join(lab.dataDir(host), name);
        return `${name} ${statSync(path).mtimeMs} ${readFileSync(path, 'utf8').length}`;
      } catch {
        return `${name} is not there`;
      }
    })
    .join('\n');
}
