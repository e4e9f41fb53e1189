/** The program `monitor`: a PostgreSQL that is the DCS of many clusters, in the foreground. */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { whyNotFree } from '../host/free-port.ts';
import { messageOf } from '../lib/caught.ts';
import { makeDirectory, writeDurably } from '../lib/durable-write.ts';
import { findBinaries } from '../postgres/binaries.ts';
import { chooseOsUser, type OsUser } from '../postgres/os-user.ts';
import { readPidFile } from '../postgres/process-table.ts';
import { type ListenAddress, memberUri, parseListen } from './address.ts';
import { type Auth, configure, create, examine } from './data-directory.ts';
import { prepareDatabase, whyNotReady } from './database.ts';
import { lastWords, type Place, reloadServer, runningServer, type Server, startServer, stopServer } from './server.ts';

/** `monitor`, as given on the command line. */
export interface MonitorProgramOptions {
  /** Created when it is not there. Passwords, socket and log are beside it, in `<pgdata>.pgherd`. */
  readonly pgdata: string;
  /** `HOST:PORT`. */
  readonly listen: string;
  readonly auth: Auth;
  /** Where PostgreSQL's programs are; looked for when absent. */
  readonly binDir?: string;
  /** One line for people. */
  readonly log: (line: string) => void;
  /** Stops PostgreSQL and ends the program. */
  readonly signal: AbortSignal;
}

/** Everything that was found out before anything is changed. */
interface Plan extends Place {
  readonly options: MonitorProgramOptions;
  readonly address: ListenAddress;
  readonly isNew: boolean;
  readonly stateDir: string;
}

/** Runs until `signal` aborts. The exit code: 0, or 1 when the monitor could not be started (the reason was logged). */
export async function runMonitor(options: MonitorProgramOptions): Promise<number> {
  const plan = await makePlan(options);
  if (typeof plan === 'string') {
    options.log(plan);
    return 1;
  }
  const claim = join(plan.stateDir, 'monitor.pid');
  try {
    const error = await carryOut(plan, claim);
    if (error !== undefined) options.log(error);
    return error === undefined ? 0 : 1;
  } catch (error) {
    options.log(`the monitor cannot go on: ${messageOf(error)}`);
    return 1;
  }
}

async function makePlan(options: MonitorProgramOptions): Promise<Plan | string> {
  const listen = parseListen(options.listen);
  if (!listen.ok) return listen.error;
  const pgdata = resolve(options.pgdata);
  const found = examine(pgdata);
  if (found.kind === 'unusable') return found.error;
  const chosen = chooseOsUser(pgdata);
  if (!chosen.ok) return chosen.error;
  const programs = await findBinaries(options.binDir, found.kind === 'monitor' ? found.major : undefined);
  if (!programs.ok) return programs.error;
  const stateDir = `${pgdata}.pgherd`;
  const plan: Plan = {
    options,
    pgdata,
    user: chosen.user,
    binaries: programs.binaries,
    serverLog: join(stateDir, 'postgresql.log'),
    address: listen.address,
    isNew: found.kind === 'new',
    stateDir,
    socketDirectory: socketDirectoryOf(stateDir),
  };
  const other = claimant(join(stateDir, 'monitor.pid'));
  if (other !== undefined) return `a monitor runs on ${pgdata} already (process ${other}): end that one first`;
  // A server of ours that runs already may hold the address itself.
  if (readPidFile(pgdata, chosen.user)?.port !== listen.address.port) {
    const taken = await whyNotFree(listen.address, '--listen');
    if (taken !== undefined) return taken;
  }
  return plan;
}

/** Returns why the monitor could not be started; undefined after an orderly end. */
async function carryOut(plan: Plan, claim: string): Promise<string | undefined> {
  const { options, pgdata, user } = plan;
  const { log, signal } = options;
  const version = `PostgreSQL ${plan.binaries.major}`;
  if (user.become) log(`running ${version} as user ${user.name}: ${user.because}`);
  await makeDirectory(plan.stateDir, 0o700, user.become ? user : undefined);
  await makeDirectory(plan.socketDirectory, 0o700, user.become ? user : undefined);
  // In /tmp somebody else may have been first; who owns the folder is let in as the superuser.
  const door = statSync(plan.socketDirectory);
  if (door.uid !== user.uid || (door.mode & 0o077) !== 0) {
    return `${plan.socketDirectory} must belong to user ${user.name} alone (mode 0700): remove it`;
  }
  await writeDurably(claim, `${process.pid} ${startTicks(process.pid)}\n`, 0o600);
  try {
    if (plan.isNew) {
      log(`creating the monitor in ${pgdata}`);
      const made = await create(pgdata, user, plan.binaries, signal);
      if (!made.ok) return signal.aborted ? undefined : made.error;
    }
    const mustRestart = await configure(pgdata, user, plan.address, options.auth, plan.socketDirectory);
    const orphan = await takeOver(plan, mustRestart);
    return await supervise(plan, orphan);
  } finally {
    await rm(claim, { force: true });
  }
}

/** A PostgreSQL that outlived its monitor program goes on, unless it would have to be started with other settings. */
async function takeOver(plan: Plan, mustRestart: boolean): Promise<Server | undefined> {
  const running = runningServer(plan);
  if (running === undefined) return undefined;
  if (mustRestart) {
    plan.options.log(`PostgreSQL runs already (process ${running.process.pid}), with other settings: restarting it`);
    await stopServer(plan, running);
    return undefined;
  }
  plan.options.log(`PostgreSQL runs already (process ${running.process.pid}): taking it over`);
  reloadServer(running);
  return running;
}

const firstBackoffMs = 100;
const maxBackoffMs = 5000;
/** A server that ran so long had started well: its end is a new trouble. */
const calmMs = 60_000;

async function supervise(plan: Plan, orphan: Server | undefined): Promise<string | undefined> {
  const { log, signal } = plan.options;
  let prepared = false;
  let backoffMs = firstBackoffMs;
  let adopted = orphan;
  while (!signal.aborted) {
    const wasAdopted = adopted !== undefined;
    const server = adopted ?? runningServer(plan) ?? (await startServer(plan));
    adopted = undefined;
    if ('error' in server) return server.error;
    const began = performance.now();
    const ready = await untilReady(plan, server);
    if (ready && !prepared) {
      const error = await prepare(plan);
      if (error !== undefined) {
        // One that ran before we came is not ours to stop.
        if (!wasAdopted) await stopServer(plan, server);
        return error;
      }
      prepared = true;
    }
    if (ready) await endOrAbort(server, signal);
    if (signal.aborted) {
      await stopServer(plan, server);
      log('stopped');
      return undefined;
    }
    const how = `PostgreSQL ended (${await server.ended}): ${lastWords(plan, server) || `see ${plan.serverLog}`}`;
    if (!prepared) return how;
    if (performance.now() - began > calmMs) backoffMs = firstBackoffMs;
    log(`${how}; starting it again in ${backoffMs} ms`);
    await sleep(backoffMs, undefined, { signal }).catch(() => {});
    backoffMs = Math.min(backoffMs * 2, maxBackoffMs);
  }
  return undefined;
}

/** False when it ended, or the program is to end, before it took connections. Recovery may take its time. */
async function untilReady(plan: Plan, server: Server): Promise<boolean> {
  const { log, signal } = plan.options;
  const access = { socketDirectory: plan.socketDirectory, port: plan.address.port };
  let told = performance.now();
  while (!signal.aborted && !server.hasEnded()) {
    const why = await whyNotReady(access);
    if (why === undefined) return true;
    if (performance.now() - told > 10_000) {
      told = performance.now();
      log(`waiting for PostgreSQL: ${why}`);
    }
    await sleep(30);
  }
  return false;
}

async function prepare(plan: Plan): Promise<string | undefined> {
  const { options, address } = plan;
  const { log } = options;
  const secret = options.auth === 'trust' ? undefined : await passwordOf(plan);
  const database = await prepareDatabase(
    { socketDirectory: plan.socketDirectory, port: address.port },
    secret?.password,
  );
  if (!database.ok) return database.error;
  const { from, to } = database;
  if (from !== to) log(from === 0 ? `schema version ${to} created` : `schema upgraded from version ${from} to ${to}`);
  if (secret === undefined) log(`whoever reaches ${address.host}:${address.port} may use the monitor (--auth trust)`);
  else log(`the password of role pgherd is ${secret.where}; give it to members in the URI, PGPASSWORD or ~/.pgpass`);
  log(`the monitor is ready; members use ${memberUri(address)}`);
  return undefined;
}

/** From PGHERD_MONITOR_PASSWORD; else made once, and kept in a file that only PostgreSQL's user (and root) can read. */
async function passwordOf(plan: Plan): Promise<{ readonly password: string; readonly where: string }> {
  const given = process.env['PGHERD_MONITOR_PASSWORD'];
  if (given) return { password: given, where: 'that of PGHERD_MONITOR_PASSWORD' };
  const path = join(plan.stateDir, 'pgherd.password');
  const where = `in ${path}`;
  try {
    const kept = readFileSync(path, 'utf8').trim();
    if (kept !== '') return { password: kept, where };
  } catch {
    // Not made yet.
  }
  const password = randomBytes(24).toString('base64url');
  await writeDurably(path, `${password}\n`, 0o600, owner(plan.user));
  return { password, where };
}

function owner(user: OsUser): OsUser | undefined {
  return user.become ? user : undefined;
}

async function endOrAbort(server: Server, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const aborted = Promise.withResolvers<void>();
  const abort = (): void => aborted.resolve();
  signal.addEventListener('abort', abort, { once: true });
  // A server that is not our child is watched by a timer that holds nobody: this one keeps the program running.
  const alive = setInterval(() => {}, 2 ** 30);
  await Promise.race([server.ended, aborted.promise]);
  clearInterval(alive);
  signal.removeEventListener('abort', abort);
}

/** Beside the data, or, where that path is too long for a socket (107 bytes), a folder of its own in /tmp. */
function socketDirectoryOf(stateDir: string): string {
  if (Buffer.byteLength(join(stateDir, '.s.PGSQL.65535')) <= 107) return stateDir;
  return join(tmpdir(), `pgherd-${createHash('sha256').update(stateDir).digest('hex').slice(0, 16)}`);
}

/** The monitor program that has the directory now; undefined: none. A number alone may be another process's by now. */
function claimant(path: string): number | undefined {
  try {
    const [pid, ticks] = readFileSync(path, 'utf8').trim().split(' ');
    return ticks !== undefined && startTicks(Number(pid)) === ticks ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

/** When a process began, in clock ticks since boot; '' when there is none. proc(5), field 22 of stat. */
function startTicks(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
