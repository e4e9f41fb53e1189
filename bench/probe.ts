/** The clients of a run: a writer for every endpoint, as the cluster tests have them, each a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { clientWords, type Host } from '../test/cluster/lab/host.ts';
import type { Acknowledged } from './evaluate.ts';
import type { Site } from './site.ts';

const script = resolve(import.meta.dirname, '../test/cluster/lab/writer.ts');
/** A writer's numbers are its own: nobody writes that many in a run. */
const numbersEach = 10_000_000;
/** What the writers insert into. */
export const table = 'lab';
/** What the writer through a virtual address is called. */
export const virtualEndpoint = 'virtual';

/** Where one writer writes. */
export interface Endpoint {
  readonly name: string;
  readonly address: string;
  /** The writer runs on this host, and so keeps reaching it when the host is cut off. */
  readonly inside?: Host;
}

/** Writers that run. */
export interface Probe {
  readonly endpoints: readonly Endpoint[];
  /** When an endpoint acknowledged last; undefined: never. */
  readonly lastMs: (endpoint: string) => number | undefined;
  /** Everything that was acknowledged, in order of time. */
  readonly acknowledged: () => readonly Acknowledged[];
  readonly stop: () => void;
}

/** Starts a writer for each endpoint. `round` tells their numbers from those of earlier probes on the same cluster. */
export function startProbe(site: Site, endpoints: readonly Endpoint[], round: number): Probe {
  const folder = join(site.network.folder, `probe-${round}`);
  mkdirSync(folder);
  const fileOf = (endpoint: string): string => join(folder, endpoint);
  const processes: ChildProcess[] = [];
  endpoints.forEach(({ name, address, inside }, index) => {
    writeFileSync(fileOf(name), '');
    const first = (round * 10 + index) * numbersEach;
    const words = [process.execPath, script, address, '5432', String(first), fileOf(name)];
    if (inside) inside.start(words, 'writer.log');
    else {
      // It ends with this process, however that ends.
      const guarded = ['--pdeathsig', 'KILL', 'ip', ...clientWords(site.network, words)];
      processes.push(spawn('setpriv', guarded, { stdio: 'ignore' }));
    }
  });
  return {
    endpoints,
    lastMs: (endpoint) => lastLineOf(fileOf(endpoint))?.atMs,
    acknowledged: () =>
      endpoints
        .flatMap(({ name }) => linesOf(readFileSync(fileOf(name), 'utf8')).map((line) => ({ by: name, ...line })))
        .sort((a, b) => a.atMs - b.atMs),
    stop() {
      for (const one of processes) one.kill('SIGKILL');
      for (const { inside } of endpoints) inside?.signal('lab/writer.ts', 'SIGKILL');
    },
  };
}

interface Line {
  readonly number: number;
  readonly atMs: number;
}

/** Whole lines only: a writer may have been ended within one. */
function linesOf(text: string): readonly Line[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' '))
    .map(([number, atMs]) => ({ number: Number(number), atMs: Number(atMs) }));
}

/** From the file's end, since it is asked often while time is measured. */
function lastLineOf(path: string): Line | undefined {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, 200));
    readSync(file, buffer, 0, buffer.length, size - buffer.length);
    const text = buffer.toString('latin1');
    return linesOf(buffer.length < size ? text.slice(text.indexOf('\n') + 1) : text).at(-1);
  } finally {
    closeSync(file);
  }
}
