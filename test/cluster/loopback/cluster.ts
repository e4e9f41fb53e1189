/**
 * A cluster on loopback for one test file: a monitor and members, each a process of its own started through
 * bin/pgherd, in a fresh folder with free ports. Everything ends and is removed with `end`, whatever happened.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { createMember, type Member, type MemberOptions } from './member.ts';
import {
  freePort,
  killAllIn,
  killIn,
  type Outcome,
  type Program,
  readLog,
  runPgherd,
  startPgherd,
} from './processes.ts';
import { until } from './wait.ts';

export interface Monitor {
  readonly port: number;
  readonly uri: string;
  readonly dataDir: string;
  readonly program: () => Program;
  /** Starts it, and waits until it says that it is ready. */
  start(): Promise<void>;
  /** Program and PostgreSQL at once, as when its host is lost. */
  kill(): Promise<void>;
  log(): string;
}

const rowsForm = z.array(z.record(z.string(), z.unknown()));

/** A row of `pgherd list --format json`. */
export type Row = Readonly<Record<string, unknown>>;

export function parseRows(text: string): readonly Row[] {
  return rowsForm.parse(JSON.parse(text));
}

export interface Loopback {
  readonly folder: string;
  readonly scope: string;
  readonly monitor: Monitor;
  /** A configuration for a member is written; nothing is started. */
  member(name: string, options?: MemberOptions): Promise<Member>;
  /** `pgherd -c <configuration of the member> words`. */
  pgherd(member: Member, ...words: readonly string[]): Promise<Outcome>;
  rows(member: Member): Promise<readonly Row[]>;
  /** What `pgherd list` prints, once it satisfies `condition`. */
  listed(member: Member, what: string, condition: (text: string) => boolean): Promise<string>;
  /** As `until`, with the logs as evidence. */
  until: typeof until;
  end(): Promise<void>;
}

export interface LoopbackOptions {
  readonly auth?: 'trust' | 'scram-sha-256';
  readonly scope?: string;
}

const open = new Set<string>();

/** A test run that is told to end leaves nothing either. */
function cleanUpAtOnce(): void {
  for (const folder of open) {
    while (killIn(folder) > 0);
    removeFolder(folder);
  }
}
process.once('exit', cleanUpAtOnce);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

export function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pgherd-test-'));
  // PostgreSQL runs as another user where the tests run as root.
  chmodSync(folder, 0o755);
  open.add(folder);
  return folder;
}

export async function endFolder(folder: string): Promise<void> {
  await killAllIn(folder);
  removeFolder(folder);
  open.delete(folder);
}

function removeFolder(folder: string): void {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  for (const path of mounts.filter((mount) => mount.startsWith(`${folder}/`))) execFileSync('umount', [path]);
  rmSync(folder, { recursive: true, force: true });
}

export async function createLoopback(options: LoopbackOptions = {}): Promise<Loopback> {
  const folder = createFolder();
  const scope = options.scope ?? 'main';
  const monitor = createMonitor(folder, await freePort(), options.auth ?? 'trust');
  const members: Member[] = [];
  const evidence = (): string =>
    [['monitor', monitor.log()] as const, ...members.map((member) => [member.name, member.log()] as const)]
      .map(([name, log]) => `--- ${name}\n${log.split('\n').slice(-25).join('\n')}`)
      .join('\n');
  const pgherd = (member: Member, ...words: readonly string[]): Promise<Outcome> =>
    runPgherd(['-c', member.config, ...words]);

  return {
    folder,
    scope,
    monitor,
    member: async (name, memberOptions = {}) => {
      const member = await createMember({ folder, scope, monitorUri: monitor.uri, name, ...memberOptions });
      members.push(member);
      return member;
    },
    pgherd,
    rows: async (member) => {
      const { stdout, stderr, code } = await pgherd(member, 'list', '--format', 'json');
      if (code !== 0) throw new Error(`list failed: ${stderr}`);
      return parseRows(stdout);
    },
    listed: async (member, what, condition) => {
      let seen = '';
      return until(
        `list shows ${what}`,
        async () => {
          const { stdout, stderr } = await pgherd(member, 'list');
          seen = stdout + stderr;
          return condition(stdout) ? stdout : undefined;
        },
        { everyMs: 200, evidence: () => `last seen:\n${seen}\n${evidence()}` },
      );
    },
    until: (what, look, waitOptions) => until(what, look, { evidence, ...waitOptions }),
    end: () => endFolder(folder),
  };
}

function createMonitor(folder: string, port: number, auth: 'trust' | 'scram-sha-256'): Monitor {
  const dataDir = join(folder, 'monitor', 'data');
  const logFile = join(folder, 'monitor.log');
  let program: Program | undefined;
  const log = (): string => readLog(logFile);
  return {
    port,
    uri: `postgres://pgherd@127.0.0.1:${port}/pgherd`,
    dataDir,
    program: () => {
      if (program === undefined) throw new Error('the monitor was not started');
      return program;
    },
    start: async () => {
      const from = log().length;
      const words = ['monitor', '--pgdata', dataDir, '--listen', `127.0.0.1:${port}`, '--auth', auth];
      const started = startPgherd(words, logFile);
      program = started;
      await until('the monitor is ready', () => log().slice(from).includes('the monitor is ready'), {
        evidence: () => log(),
      });
    },
    kill: () => killAllIn(join(folder, 'monitor')),
    log,
  };
}
