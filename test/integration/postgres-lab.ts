/** Real PostgreSQL instances in a fresh folder, for the tests of the adapter. Everything ends with `close`. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Job } from '../../src/core/effects.ts';
import type { JobOutcome } from '../../src/core/events.ts';
import type { Endpoint, PostgresStatus, Progress, RunningInstance, Settings } from '../../src/core/model.ts';
import { bootClock } from '../../src/host/clock.ts';
import type { Postgres } from '../../src/ports/postgres.ts';
import { managePostgres } from '../../src/postgres/instance.ts';
import type { PostgresOptions } from '../../src/postgres/options.ts';
import { chooseOsUser } from '../../src/postgres/os-user.ts';

export const binDir = '/usr/lib/postgresql/15/bin';
export const clock = bootClock();

export const settings: Settings = {
  ttlMs: 10_000,
  loopWaitMs: 10_000,
  retryTimeoutMs: 10_000,
  failureTimeoutMs: 2000,
  maximumLagOnFailoverBytes: 1_048_576n,
  primaryStartTimeoutMs: 300_000,
  storageTimeoutMs: 5000,
  pause: false,
  heartbeatIntervalMs: 500,
  synchronousMode: 'off',
  synchronousModeStrict: false,
  synchronousNodeCount: 1,
  maximumLagOnSyncnodeBytes: undefined,
  failsafeMode: true,
  catchupTimeoutMs: 0,
  usePgRewind: true,
  useSlots: false,
  cloneWhenRewindFails: false,
  cloneWhenDiverged: false,
  memberSlotsTtlMs: 1_800_000,
  parameters: { shared_buffers: '16MB', fsync: 'off' },
};

export const passwords = { superuser: "super 'secret\\", replication: 'repl:pass word', rewind: 'rewind-pass' };

/** The part of a `configure` that most tests have no interest in. */
export const asynchronous = { synchronousStandbyNames: '', prove: 'nothing' } as const;

export interface Instance {
  readonly name: string;
  readonly dataDir: string;
  readonly options: PostgresOptions;
  readonly endpoint: Endpoint;
  readonly statuses: PostgresStatus[];
  readonly log: string[];
  postgres: Postgres;
  /** Closes the adapter and makes a new one, as when the agent is restarted. */
  reopen(): Promise<void>;
  run(job: Job, progress?: (progress: Progress) => void): Promise<JobOutcome>;
  must(job: Job): Promise<void>;
  start(as: 'primary' | 'replica', upstream?: Endpoint, with_?: Partial<Settings>): Promise<void>;
  sql(text: string): Promise<readonly Record<string, unknown>[]>;
  running(): Promise<RunningInstance>;
}

export interface Lab {
  readonly folder: string;
  instance(name: string, change?: (options: PostgresOptions) => PostgresOptions): Promise<Instance>;
  close(): Promise<void>;
}

export function openLab(): Lab {
  const folder = mkdtempSync('/tmp/pgherd-test-');
  const user = chooseOsUser(join(folder, 'nothing'));
  if (!user.ok) throw new Error(user.error);
  chownSync(folder, user.user.uid, user.user.gid);
  chmodSync(folder, 0o755);
  const made: Instance[] = [];
  return {
    folder,
    instance: async (name, change = (options) => options) => {
      const instance = await makeInstance(folder, name, change);
      made.push(instance);
      return instance;
    },
    close: async () => {
      for (const instance of made) {
        await instance.postgres.fence();
        await instance.postgres.close();
      }
      for (const mount of mountsUnder(folder)) execFileSync('umount', ['--lazy', mount]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function makeInstance(
  folder: string,
  name: string,
  change: (options: PostgresOptions) => PostgresOptions,
): Promise<Instance> {
  const port = await freePort();
  const dataDir = join(folder, name);
  const user = chooseOsUser(dataDir);
  if (!user.ok) throw new Error(user.error);
  const log: string[] = [];
  const note = (event: string, text: string): void => {
    log.push(`${event}: ${text}`);
  };
  const options = change({
    member: name,
    scope: 'lab',
    dataDir,
    binDir,
    listen: { hosts: ['127.0.0.1'], port },
    connectAddress: { host: '127.0.0.1', port },
    authentication: {
      superuser: { username: 'postgres', password: passwords.superuser },
      replication: { username: 'replicator', password: passwords.replication },
      rewind: { username: 'rewinder', password: passwords.rewind },
    },
    parameters: { unix_socket_directories: folder },
    initdb: ['data-checksums', { encoding: 'UTF8' }],
    basebackup: [],
    rewind: [],
    useUnixSocket: false,
    osUser: user.user,
    clock,
    log: { debug: note, info: note, warn: note },
  });
  const statuses: PostgresStatus[] = [];
  const open = (): Postgres => {
    const postgres = managePostgres(options);
    postgres.watch({ onStatus: (status) => statuses.push(status) });
    return postgres;
  };
  const instance: Instance = {
    name,
    dataDir: options.dataDir,
    options,
    endpoint: { member: name, host: '127.0.0.1', port: options.listen.port },
    statuses,
    log,
    postgres: open(),
    reopen: async () => {
      await instance.postgres.close();
      instance.postgres = open();
    },
    run: (job, progress = () => undefined) => instance.postgres.run(job, progress, new AbortController().signal),
    must: async (job) => {
      const outcome = await instance.run(job);
      if (!outcome.ok) throw new Error(`${name}: ${job.kind}: ${outcome.error}`);
    },
    start: async (as, upstream, change_ = {}) => {
      const synchronousStandbyNames = '';
      await instance.must({
        kind: 'start',
        as,
        upstream,
        settings: { ...settings, ...change_ },
        synchronousStandbyNames,
      });
      await until(`${name} runs`, () => lastKind(instance) === 'running');
    },
    sql: (text) => query(options.listen.port, text),
    running: async () => {
      const { instance: seen } = await instance.postgres.inspect();
      if (seen.kind !== 'running') throw new Error(`${name} is ${JSON.stringify(seen)}`);
      return seen;
    },
  };
  return instance;
}

export function lastKind(instance: Instance): string | undefined {
  return instance.statuses.at(-1)?.instance.kind;
}

export function postmasterPid(instance: Instance): number {
  return Number(execFileSync('head', ['-1', join(instance.dataDir, 'postmaster.pid')], { encoding: 'utf8' }));
}

export async function query(port: number, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: passwords.superuser,
    database: 'postgres',
    connectionTimeoutMillis: 3000,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** A port that takes no connection and refuses none: whoever connects gets no answer from the kernel. */
export async function blackHole(): Promise<{ readonly port: number; close(): void }> {
  const script = `require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 },
    function () { console.log(this.address().port) })`;
  const frozen = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<number>((resolve) => {
    frozen.stdout.once('data', (data) => resolve(Number(String(data))));
  });
  frozen.kill('SIGSTOP');
  // Until the queue of connections that nobody accepts is full.
  const waiting: Socket[] = [];
  for (let full = false; !full; ) {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => undefined);
    waiting.push(socket);
    full = await Promise.race([
      new Promise<boolean>((resolve) => socket.once('connect', () => resolve(false))),
      sleep(300, true),
    ]);
  }
  return {
    port,
    close: () => {
      for (const socket of waiting) socket.destroy();
      frozen.kill('SIGKILL');
    },
  };
}

/** Waits for a condition, and fails with its name. Returns how long it took, in ms. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 15_000,
): Promise<number> {
  const began = clock.now();
  while (!(await condition())) {
    if (clock.now() - began > deadlineMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await sleep(2);
  }
  return clock.now() - began;
}

/** Processes whose working directory is this data directory, as `/proc/<pid>/cwd`. Looked up as their owner. */
export function processesOf(dataDir: string): readonly string[] {
  const script = `for link in /proc/[0-9]*/cwd; do [ "$(readlink $link)" = '${dataDir}' ] && echo $link; done; true`;
  return asPostgres('sh', '-c', script)
    .split('\n')
    .filter((line) => line !== '');
}

export function asPostgres(...command: readonly string[]): string {
  const become = process.getuid?.() === 0 ? ['--reuid=postgres', '--regid=postgres', '--init-groups'] : [];
  return execFileSync('setpriv', [...become, '--', ...command], {
    encoding: 'utf8',
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function mountsUnder(folder: string): readonly string[] {
  if (!existsSync('/proc/mounts')) return [];
  const mounts = execFileSync('cat', ['/proc/mounts'], { encoding: 'utf8' }).split('\n');
  // What was mounted last first: it may lie on what was mounted before.
  return mounts
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
    .toReversed();
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port);
        else reject(new Error('no port'));
      });
    });
  });
}
