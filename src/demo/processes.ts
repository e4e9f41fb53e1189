/** The demo's processes: started in its folder, found again after a crash of the demo, and ended without remains. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The launcher of this very installation. */
export function launcher(): readonly string[] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? ''];
}

/** Starts pgherd with `words`; what it says goes to `logFile`. In a session of its own, so that ^C reaches only the demo. */
export function startProgram(words: readonly string[], logFile: string): ChildProcess {
  const [command = '', ...first] = launcher();
  const log = openSync(logFile, 'a');
  const child = spawn(command, [...first, ...words], { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  return child;
}

/** All processes that belong to the folder: those that work in it, and those whose command line names it. */
export function processesOf(folder: string): readonly number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (Number.isInteger(pid) && pid !== process.pid && pid !== process.ppid && isAlive(pid) && belongs(pid, folder))
      found.push(pid);
  }
  return found;
}

function belongs(pid: number, folder: string): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const isProgram = words.some((word) =>
      /\/(pgherd(\.js)?|guard(\.js|\/main\.ts)|postgres|pg_basebackup|pg_rewind)$/.test(word),
    );
    if (isProgram && words.some((word) => word.startsWith(`${folder}/`))) return !words.includes('demo');
    return (
      readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`) &&
      readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('postgres')
    );
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !['Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3));
  } catch {
    return false;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}

/**
 * Ends everything in the folder as a power cut would: agents first, so that none of them restarts what dies.
 * False when something outlives it.
 */
export async function killAll(folder: string, timeoutMs: number): Promise<boolean> {
  const endAt = performance.now() + timeoutMs;
  while (performance.now() < endAt) {
    const pids = processesOf(folder);
    if (pids.length === 0) return true;
    for (const pid of pids) kill(pid, 'SIGKILL');
    await sleep(50);
  }
  return processesOf(folder).length === 0;
}

/** The pids of one member: its agent, and every process that works in its data directory. */
export function memberProcesses(folder: string, member: string): readonly number[] {
  const own = join(folder, member);
  return processesOf(folder).filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return (
        words.includes(`${own}.yml`) ||
        words.includes(`${own}/`) ||
        readlinkSync(`/proc/${pid}/cwd`).startsWith(`${own}/`)
      );
    } catch {
      return false;
    }
  });
}

/** As when a host is lost: all of the member at once, nobody says goodbye. */
export function killMember(folder: string, member: string): void {
  // Twice: a backend may be born between the look and the kill.
  for (let round = 0; round < 2; round += 1) {
    for (const pid of memberProcesses(folder, member)) kill(pid, 'SIGKILL');
  }
}
