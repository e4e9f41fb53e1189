/** pgherd and PostgreSQL as processes of a test: started through bin/pgherd, found by the test's folder, ended for good. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../../bin/pgherd', import.meta.url));

/** What a service manager gives, and nothing of PostgreSQL's or of a configuration. */
const environment = { PATH: process.env['PATH'], HOME: process.env['HOME'], LANG: 'C.UTF-8' };

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end, without a terminal. */
export function runPgherd(words: readonly string[], extra: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return runCommand(launcher, words, { ...environment, ...extra });
}

/** `timeoutMs`: then it is killed, and the code is null. */
export function runCommand(
  command: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv = environment,
  timeoutMs: number = 60_000,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, words, { env, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
}

export interface Program {
  readonly pid: number;
  /** Resolves with the exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  readonly hasEnded: () => boolean;
  kill(signal: NodeJS.Signals): void;
}

/** Starts a program that stays; what it says is appended to `logFile`. */
export function startPgherd(words: readonly string[], logFile: string, extra: NodeJS.ProcessEnv = {}): Program {
  const log = openSync(logFile, 'a');
  const child = spawn(launcher, words, {
    env: { ...environment, ...extra },
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  return programOf(child);
}

function programOf(child: ChildProcess): Program {
  let over = child.pid === undefined;
  const ended = new Promise<number | null>((resolve) => {
    const end = (code: number | null): void => {
      over = true;
      resolve(code);
    };
    child.once('exit', end);
    child.once('error', () => end(null));
  });
  return { pid: child.pid ?? -1, ended, hasEnded: () => over, kill: (signal) => void child.kill(signal) };
}

export function readLog(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/* ---------------------------------------------------------------- everything in a folder */

/** Processes whose command line names something in the folder, or that work in it: agents, monitors, PostgreSQL's. */
export function processesIn(folder: string): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    return Number.isInteger(pid) && pid !== process.pid && belongs(pid, folder) ? [pid] : [];
  });
}

function belongs(pid: number, folder: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    if (/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))) return false;
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words.some((word) => word.startsWith(`${folder}/`)) || `${cwdOf(pid)}/`.startsWith(`${folder}/`);
  } catch {
    return false;
  }
}

function cwdOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

/** One volley of SIGKILL at all of them; how many there were. */
export function killIn(folder: string): number {
  const pids = processesIn(folder);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  return pids.length;
}

/** Until none is left: an agent's last act may have been to start another one. */
export async function killAllIn(folder: string): Promise<void> {
  const endAt = performance.now() + 10_000;
  while (killIn(folder) > 0) {
    if (performance.now() > endAt) throw new Error(`processes outlive SIGKILL: ${processesIn(folder).join(', ')}`);
    await sleep(10);
  }
}

/* ---------------------------------------------------------------- ports */

const given = new Set<number>();

/** Below the range from which the kernel takes ports for outgoing connections: nobody else picks it up meanwhile. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error('no free port was found');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (free) await new Promise((resolve) => server.close(resolve));
  return free;
}
