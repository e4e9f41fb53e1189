/** A real monitor for tests, on a free port of the loopback, in a folder of its own. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { connectMonitor } from '../../src/dcs/monitor/dcs.ts';
import type { Auth } from '../../src/monitor/data-directory.ts';
import { runMonitor } from '../../src/monitor/main.ts';
import type { Dcs } from '../../src/ports/dcs.ts';
import { until } from './contract.ts';

export const clock = { now: () => performance.now(), wall: () => '' };

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address);
  await new Promise((resolve) => server.close(resolve));
  return address.port;
}

export interface Folder {
  readonly path: string;
  readonly pgdata: string;
  /** Nothing may run in it any more. */
  remove(): void;
}

export function makeFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'pgherd-test-'));
  chmodSync(path, 0o755);
  return { path, pgdata: join(path, 'data'), remove: () => rmSync(path, { recursive: true, force: true }) };
}

export interface TestMonitor {
  readonly pgdata: string;
  readonly port: number;
  readonly uri: string;
  readonly log: readonly string[];
  /** As the superuser, in the monitor's database. */
  sql(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** A session of the superuser that the caller ends. */
  session(): Promise<Client>;
  postmaster(): number;
  connect(scope: string, timeoutMs?: number): Dcs;
  stop(): Promise<number>;
}

export async function startMonitor(auth: Auth = 'trust', binDir?: string): Promise<TestMonitor> {
  const folder = makeFolder();
  const port = await freePort();
  const log: string[] = [];
  const stopping = new AbortController();
  let code: number | undefined;
  const ended = runMonitor({
    pgdata: folder.pgdata,
    listen: `127.0.0.1:${port}`,
    auth,
    ...(binDir === undefined ? {} : { binDir }),
    log: (line) => void log.push(line),
    signal: stopping.signal,
  }).then((exitCode) => {
    code = exitCode;
    return exitCode;
  });
  await until(
    'the monitor is ready',
    () => code !== undefined || log.some((line) => line.includes('is ready')),
    60_000,
  );
  if (code !== undefined) folder.remove();
  assert.equal(code, undefined, log.join('\n'));
  const monitor = accessTo(folder.pgdata, port);
  return {
    ...monitor,
    log,
    async stop() {
      stopping.abort();
      const exitCode = await ended;
      folder.remove();
      return exitCode;
    },
  };
}

type Access = Omit<TestMonitor, 'log' | 'stop'>;

export function accessTo(pgdata: string, port: number): Access {
  const uri = `postgres://pgherd@127.0.0.1:${port}/pgherd`;
  const session = async (): Promise<Client> => {
    const client = new Client({ host: `${pgdata}.pgherd`, port, user: 'postgres', database: 'pgherd' });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  return {
    pgdata,
    port,
    uri,
    session,
    async sql(text) {
      const client = await session();
      try {
        return (await client.query<Record<string, unknown>>(text)).rows;
      } finally {
        await client.end();
      }
    },
    postmaster: () => Number(readFileSync(join(pgdata, 'postmaster.pid'), 'utf8').split('\n')[0]),
    connect: (scope, timeoutMs = 2000) =>
      connectMonitor({ uri, prefix: `/test/${scope}/`, clock, timeoutMs, noticeMs: () => 1000 }),
  };
}

/** Pids of the agents' sessions, oldest first. */
export async function agentSessions(monitor: Access): Promise<readonly number[]> {
  const rows = await monitor.sql(
    "select pid from pg_stat_activity where usename = 'pgherd' order by backend_start, pid",
  );
  return rows.map((row) => Number(row['pid']));
}

/** The postmaster and everything that it started. */
export function processesOf(postmaster: number): readonly number[] {
  const children = readdirSync('/proc').filter((name) => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === postmaster;
    } catch {
      return false;
    }
  });
  return [postmaster, ...children.map(Number)];
}

export interface MonitorProgram {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exitCode: Promise<number | null>;
}

/** The program in a process of its own, which can be killed. */
export function spawnMonitor(pgdata: string, listen: string, auth: Auth = 'trust'): MonitorProgram {
  const script = fileURLToPath(new URL('./run-monitor.ts', import.meta.url));
  const child = spawn(process.execPath, [script, pgdata, listen, auth], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const exitCode = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { child, output: () => output, exitCode };
}
