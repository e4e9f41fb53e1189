/** The monitor's PostgreSQL: started, taken over, watched, stopped. */
import { spawn } from 'node:child_process';
import { closeSync, constants, fchownSync, fstatSync, openSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Binaries } from '../postgres/binaries.ts';
import { asOsUser, type OsUser, osUserEnvironment } from '../postgres/os-user.ts';
import {
  type InstanceProcess,
  instanceProcesses,
  readPidFile,
  serverProcess,
  signalProcess,
  stillThere,
} from '../postgres/process-table.ts';

/** Where a monitor's PostgreSQL runs, and as whom. */
export interface Place {
  readonly pgdata: string;
  readonly user: OsUser;
  readonly binaries: Binaries;
  readonly serverLog: string;
  /** Of this server alone. */
  readonly socketDirectory: string;
}

/** A PostgreSQL that was started. */
export interface Server {
  readonly process: InstanceProcess;
  readonly hasEnded: () => boolean;
  /** Resolves with how it ended, when it has. */
  readonly ended: Promise<string>;
  /** The server log's size when it was started: what follows is this server's. */
  readonly logFrom: number;
}

/** The server that an earlier monitor program left running; undefined: none. */
export function runningServer({ pgdata, user }: Place): Server | undefined {
  const found = readPidFile(pgdata, user);
  if (found === undefined || found.singleUser) return undefined;
  const process = found.process;
  // Not our child: nobody tells us its end. One file of /proc, twice a second.
  const ended = new Promise<string>((resolve) => {
    const timer = setInterval(() => {
      if (stillThere(process)) return;
      clearInterval(timer);
      resolve('it is gone');
    }, 500);
    timer.unref();
  });
  return { process, hasEnded: () => stillThere(process) === undefined, ended, logFrom: 0 };
}

/** Starts it, in a session of its own: the terminal's Ctrl-C is ours to pass on, and our end is not its. */
export async function startServer(place: Place): Promise<Server | { readonly error: string }> {
  await clearRemains(place);
  const { pgdata, user, binaries } = place;
  const log = openLog(place);
  const logFrom = fstatSync(log).size;
  const run = asOsUser(user, join(binaries.dir, 'postgres'), false);
  const child = spawn(run.command, [...run.arguments, '-D', pgdata], {
    cwd: '/',
    env: osUserEnvironment(user),
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const { pid } = child;
  let over = false;
  const ended = new Promise<string>((resolve) => {
    const end = (how: string): void => {
      over = true;
      resolve(how);
    };
    child.once('error', (error) => end(error.message));
    child.once('exit', (code, signal) => end(signal === null ? `exit code ${code}` : signal));
  });
  if (pid === undefined) return { error: `PostgreSQL could not be started: ${await ended}` };
  // Between the fork and the name "postgres" lies setpriv.
  while (serverProcess(pid) === undefined && !isOver()) await sleep(2);
  const process = serverProcess(pid) ?? { pid, startTicks: '' };
  return { process, hasEnded: isOver, ended, logFrom };

  function isOver(): boolean {
    return over;
  }
}

/**
 * What a killed postmaster leaves: children that still hold its shared memory, and lock files whose number may by now
 * be another server's, or still be that of its unreaped remains; PostgreSQL would take either for its own.
 */
async function clearRemains({ pgdata, user, socketDirectory }: Place): Promise<void> {
  for (let left = instanceProcesses(pgdata, user); left.length > 0; left = instanceProcesses(pgdata, user)) {
    for (const process of left) signalProcess(process, 'SIGKILL');
    await sleep(10);
  }
  await rm(join(pgdata, 'postmaster.pid'), { force: true });
  for (const name of readdirSync(socketDirectory)) {
    if (name.startsWith('.s.PGSQL.')) await rm(join(socketDirectory, name), { force: true });
  }
}

/** Fast; when that takes too long, at once. Ends when no process is left. */
export async function stopServer(place: Place, server: Server): Promise<void> {
  const steps = [
    ['SIGINT', 15_000],
    ['SIGQUIT', 5000],
  ] as const;
  for (const [signal, withinMs] of steps) {
    if (server.hasEnded()) break;
    signalProcess(server.process, signal);
    const end = performance.now() + withinMs;
    while (!server.hasEnded() && performance.now() < end) await Promise.race([server.ended, sleep(20)]);
  }
  if (!server.hasEnded()) signalProcess(server.process, 'SIGKILL');
  for (let left = 1; left > 0; ) {
    left = instanceProcesses(place.pgdata, place.user).length;
    if (left > 0) await sleep(10);
    if (server.hasEnded()) for (const one of instanceProcesses(place.pgdata, place.user)) signalProcess(one, 'SIGKILL');
  }
}

/** Takes up changed access rules. */
export function reloadServer(server: Server): void {
  signalProcess(server.process, 'SIGHUP');
}

const rotateAboveBytes = 10 * 1024 * 1024;

function openLog({ serverLog, user }: Place): number {
  const open = (): number => openSync(serverLog, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600);
  let descriptor = open();
  if (fstatSync(descriptor).size > rotateAboveBytes) {
    closeSync(descriptor);
    renameSync(serverLog, `${serverLog}.1`);
    descriptor = open();
  }
  if (user.become) fchownSync(descriptor, user.uid, user.gid);
  return descriptor;
}

/** The last words of weight that a server wrote, on one line. */
export function lastWords({ serverLog }: Place, server: Server): string {
  try {
    const lines = readFileSync(serverLog).subarray(server.logFrom).toString('utf8').trimEnd().split('\n').slice(-20);
    const grave = lines.filter((line) => /\b(FATAL|PANIC|HINT|ERROR|could not)\b/.test(line)).slice(-3);
    return grave.map((line) => line.replace(/^.*?\] ?/, '').trim()).join('; ');
  } catch {
    return '';
  }
}
