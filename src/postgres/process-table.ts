/**
 * The processes of the instance, as the kernel knows them.
 *
 * Every PostgreSQL process has the data directory as its working directory, and is called `postgres`: that finds
 * backends whose postmaster is gone too, and those may still acknowledge commits. All reads are of /proc: they are
 * synchronous, take microseconds and wait for no disk.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../lib/caught.ts';
import type { OsUser } from './os-user.ts';
import { asOsUser } from './os-user.ts';

/** A process, told apart from a later one with its pid. */
export interface InstanceProcess {
  readonly pid: number;
  /** In clock ticks since boot; with the pid it names a process for good. */
  readonly startTicks: string;
}

/** A process as /proc shows it. */
export interface ProcessFacts extends InstanceProcess {
  readonly parentPid: number;
  /** The kernel's letter: R, S, D, T (stopped by a signal), t (traced), ... Zombies are not reported. */
  readonly state: string;
}

const serverNames: ReadonlySet<string> = new Set(['postgres', 'postmaster', 'edb-postgres']);

/** One process, if it is called as PostgreSQL is and is no zombie. */
export function serverProcess(pid: number): ProcessFacts | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  const end = stat.lastIndexOf(')');
  if (!serverNames.has(stat.slice(stat.indexOf('(') + 1, end))) return undefined;
  const fields = stat.slice(end + 2).split(' ');
  const state = fields[0] ?? 'X';
  if (state === 'Z' || state === 'X') return undefined;
  return { pid, state, parentPid: Number(fields[1]), startTicks: fields[19] ?? '' };
}

/** Whether this very process (not another one with its pid) lives, and in which state. */
export function stillThere(process: InstanceProcess): ProcessFacts | undefined {
  const facts = serverProcess(process.pid);
  return facts?.startTicks === process.startTicks ? facts : undefined;
}

/** All processes of the instance on this data directory. */
export function instanceProcesses(dataDir: string, user: OsUser): readonly ProcessFacts[] {
  const directory = identityOf(dataDir);
  if (directory === undefined) return [];
  const candidates: ProcessFacts[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const facts = serverProcess(pid);
    if (facts) candidates.push(facts);
  }
  return withWorkingDirectory(candidates, directory, user);
}

/** The pid file, when the process that it names really is a server on this data directory. */
export interface PidFile {
  readonly process: ProcessFacts;
  /** A single-user backend, as pg_rewind starts one for crash recovery: it takes no connections. */
  readonly singleUser: boolean;
  readonly port: number | undefined;
  readonly socketDirectory: string | undefined;
  /** `starting`, `ready`, `standby`, `stopping`. */
  readonly status: string | undefined;
}

/** `<dataDir>/postmaster.pid`; undefined when there is none, or a stale one. PostgreSQL, src/include/utils/pidfile.h. */
export function readPidFile(dataDir: string, user: OsUser): PidFile | undefined {
  let lines: readonly string[];
  try {
    lines = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return undefined;
  }
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid === 0) return undefined;
  const facts = serverProcess(Math.abs(pid));
  const directory = identityOf(dataDir);
  if (facts === undefined || directory === undefined) return undefined;
  if (withWorkingDirectory([facts], directory, user).length === 0) return undefined;
  const port = Number(lines[3]);
  return {
    process: facts,
    singleUser: pid < 0,
    port: Number.isInteger(port) && port > 0 ? port : undefined,
    socketDirectory: lines[4]?.trim() || undefined,
    status: lines[7]?.trim() || undefined,
  };
}

/**
 * Of the instance's processes the postmaster, for when its pid file is missing: children have a title that begins
 * with "postgres: ", and the postmaster's parent is none of them.
 */
export function postmasterAmong(processes: readonly ProcessFacts[]): ProcessFacts | undefined {
  const pids = new Set(processes.map((process) => process.pid));
  return processes.find((process) => !pids.has(process.parentPid) && !hasChildTitle(process.pid));
}

function hasChildTitle(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('postgres: ');
  } catch {
    return true;
  }
}

/** The processes that a postmaster has made and that live. */
export function childrenOf(postmaster: InstanceProcess): readonly ProcessFacts[] {
  const children: ProcessFacts[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const facts = Number.isInteger(pid) ? serverProcess(pid) : undefined;
    if (facts?.parentPid === postmaster.pid) children.push(facts);
  }
  return children;
}

/**
 * What a process is by its title: `unknown` while a child has none yet, which it gets right after it was forked.
 * A receiver that connects, or that nobody shows in pg_stat_wal_receiver for another reason, has its title too.
 */
export function receiverOrNot(pid: number): 'walreceiver' | 'other' | 'unknown' {
  let title: string;
  try {
    title = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return 'other';
  }
  if (!title.startsWith('postgres: ')) return title === '' ? 'other' : 'unknown';
  return /^postgres: (.*: )?walreceiver\b/.test(title) ? 'walreceiver' : 'other';
}

/** Bit of SIGKILL in the masks of pending signals. */
const killBit = 1n << 8n;

/**
 * Whether SIGKILL has been sent to a process that the kernel holds in an uninterruptible wait (proc(5): state D). From there
 * it can only go on to its death: what the call does is still done, and not one instruction of the program after it.
 */
export function isDying(pid: number): boolean {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return false;
  }
  const pending = [...status.matchAll(/^(?:SigPnd|ShdPnd):\t([0-9a-f]+)$/gm)].map(([, mask]) => BigInt(`0x${mask}`));
  return /^State:\tD/m.test(status) && pending.some((mask) => (mask & killBit) !== 0n);
}

/** Sends a signal to exactly this process; false when it is not there any more. */
export function signalProcess(target: InstanceProcess, signal: NodeJS.Signals): boolean {
  if (!stillThere(target)) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch {
    return false;
  }
}

function identityOf(path: string): string | undefined {
  try {
    const facts = statSync(path, { bigint: true });
    return `${facts.dev}:${facts.ino}`;
  } catch {
    return undefined;
  }
}

/**
 * Those whose working directory is this one. Following another user's link needs the ptrace capability, which
 * root in a container often lacks: then we look as the user that the processes belong to.
 */
function withWorkingDirectory(
  candidates: readonly ProcessFacts[],
  directory: string,
  user: OsUser,
): readonly ProcessFacts[] {
  const denied: ProcessFacts[] = [];
  const found = candidates.filter((candidate) => {
    if (seenInside.has(identity(candidate, directory))) return true;
    try {
      const facts = statSync(`/proc/${candidate.pid}/cwd`, { bigint: true });
      return `${facts.dev}:${facts.ino}` === directory;
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EACCES' || code === 'EPERM') denied.push(candidate);
      return false;
    }
  });
  if (denied.length === 0 || !user.become) return found;
  const run = asOsUser(user, 'stat', true);
  const links = denied.map((candidate) => `/proc/${candidate.pid}/cwd`);
  const output = spawnSync(run.command, [...run.arguments, '-L', '-c', '%d:%i %n', ...links], {
    encoding: 'utf8',
    timeout: 2000,
  }).stdout;
  const inside = new Set(output.split('\n'));
  const confirmed = denied.filter((candidate) => inside.has(`${directory} /proc/${candidate.pid}/cwd`));
  if (seenInside.size > 1000) seenInside.clear();
  for (const candidate of confirmed) seenInside.add(identity(candidate, directory));
  return [...found, ...confirmed];
}

/** Found by asking as another user, which costs a process: a server stays in its directory. */
const seenInside = new Set<string>();

function identity(process: InstanceProcess, directory: string): string {
  return `${directory} ${process.pid} ${process.startTicks}`;
}
