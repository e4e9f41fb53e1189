/**
 * What is watched while faults come and go: that no data directory goes before its replacement is complete, and that
 * an agent which starts over a running instance changes nothing before it has decided. A process of its own looks, since
 * this one waits for commands.
 */
import { fork } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../lab/cluster.ts';
import type { Host } from '../lab/host.ts';
import { postgresOf } from '../lab/processes.ts';
import { configurationOf, type Start, type Watched } from './watcher.ts';

/** Watches until it is told to end. */
export interface Watch {
  /** Starts the host's agent, and watches it until its first decision. */
  readonly start: (host: Host) => void;
  /** What was seen that must not be, since it was asked last. */
  readonly violations: () => readonly string[];
  readonly end: () => void;
}

/** Begins with hosts whose data directories exist. */
export function beginWatch(lab: Lab): Watch {
  let seen: string[] = [];
  const directories = lab.hosts.map((host) => ({ member: host.name, dataDir: lab.dataDir(host) }));
  const watcher = fork(join(import.meta.dirname, 'watcher-main.ts'));
  const tell = (message: Watched): void => void watcher.send(message);
  let isOver = false;
  watcher.on('message', (text: string) => seen.push(text));
  watcher.on('exit', (code) => {
    if (!isOver) seen.push(`the watch broke off with exit code ${code}`);
  });
  tell({ kind: 'directories', directories });
  return {
    start(host) {
      const log = join(host.disk, 'agent.log');
      const dataDir = lab.dataDir(host);
      const start: Start = {
        member: host.name,
        dataDir,
        log,
        logFrom: statSync(log).size,
        files: configurationOf(dataDir),
      };
      const isRunning = postgresOf(host).length > 0;
      lab.start(host);
      if (isRunning) tell({ kind: 'start', start });
    },
    violations() {
      const some = seen;
      seen = [];
      return some;
    },
    end() {
      isOver = true;
      watcher.disconnect();
    },
  };
}
