/** A real etcd for tests: members on free ports of the loopback, in a folder of their own, and what can happen to them. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { connectEtcd, type EtcdOptions } from '../../src/dcs/etcd/dcs.ts';
import type { Dcs } from '../../src/ports/dcs.ts';
import { until } from './contract.ts';
import { clock, type Folder, freePort, makeFolder } from './monitor.ts';

export interface EtcdMember {
  readonly name: string;
  readonly url: string;
  /** For `post`: always without TLS. */
  readonly apiUrl: string;
  start(): void;
  /** At once, as when its host is lost. */
  kill(): Promise<void>;
  /** Orderly. */
  stop(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** What is sent to its clients' port is lost, and what it answers: nobody is told. */
  blackHole(): void;
  /** The other members do not hear it, nor it them; clients do. */
  isolate(): void;
  /** No black hole of these tests is left, here or elsewhere. */
  heal(): void;
  isLeader(): Promise<boolean>;
  hasLeader(): Promise<boolean>;
}

export interface TestEtcd {
  readonly members: readonly EtcdMember[];
  readonly urls: readonly string[];
  /** Waits until there is one. */
  leader(): Promise<EtcdMember>;
  followers(): Promise<readonly EtcdMember[]>;
  /** Nothing is wrong with any member any more. */
  settled(): Promise<void>;
  /** Hands the lead to another member. */
  moveLeader(): Promise<void>;
  /** The JSON API, for what the product does not do. */
  post(path: string, body: object, token?: string): Promise<Readonly<Record<string, unknown>>>;
  connect(scope: string, more?: Partial<EtcdOptions>): Dcs;
  end(): Promise<void>;
}

export interface EtcdSettings {
  readonly members?: number;
  readonly words?: readonly string[];
  /** Of the clients' side: `https` needs certificates in `words`. */
  readonly scheme?: 'http' | 'https';
}

const answerForm = z.record(z.string(), z.unknown());

/** Half of etcd's default: elections take half as long, and the least TTL is a second. */
const electionMs = 500;
export const leastTtlMs = 1000;

interface Place {
  readonly name: string;
  /** Its user's number, by which what it sends is known. */
  readonly uid: number;
  readonly ports: { readonly client: number; readonly peer: number; readonly metrics: number; readonly api: number };
  readonly folder: string;
  readonly scheme: string;
}

const running = new Set<ChildProcess>();
let hasTable = false;
const table = `pgherd_etcd_${process.pid}`;

/** What is sent so is lost. */
function lose(...packets: readonly string[]): void {
  const chain = `add table inet ${table}; add chain inet ${table} leave { type filter hook output priority 0; }`;
  const rules = packets.map((what) => `add rule inet ${table} leave ${what} drop`);
  execFileSync('nft', [[chain, ...rules].join('; ')]);
  hasTable = true;
}

function removeTable(): void {
  if (hasTable) execFileSync('nft', [`delete table inet ${table}`]);
  hasTable = false;
}

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  removeTable();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

export async function startEtcd({ members = 3, words = [], scheme = 'http' }: EtcdSettings = {}): Promise<TestEtcd> {
  const folder = makeFolder();
  const places: Place[] = [];
  for (let number = 1; number <= members; number += 1) {
    const ports = {
      client: await freePort(),
      peer: await freePort(),
      metrics: await freePort(),
      api: await freePort(),
    };
    places.push({ name: `etcd${number}`, uid: 61_000 + number, ports, folder: folder.path, scheme });
  }
  const peerPorts = places.map(({ ports }) => ports.peer);
  const cluster = places.map(({ name, ports }) => `${name}=http://127.0.0.1:${ports.peer}`).join(',');
  const all = places.map((place) => createMember(place, peerPorts, [...words, '--initial-cluster', cluster]));
  for (const member of all) member.start();
  const etcd = accessTo(all, folder);
  await etcd.leader();
  return etcd;
}

function createMember(place: Place, peerPorts: readonly number[], words: readonly string[]): EtcdMember {
  const { name, uid, ports, folder, scheme } = place;
  const url = `${scheme}://127.0.0.1:${ports.client}`;
  let child: ChildProcess | undefined;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ended = child;
    if (!isRunning(ended)) return;
    const gone = new Promise((resolve) => ended.once('exit', resolve));
    ended.kill('SIGCONT');
    ended.kill(signal);
    await gone;
  };
  return {
    name,
    url,
    apiUrl: `http://127.0.0.1:${ports.api}`,
    start() {
      if (isRunning(child)) return;
      const data = join(folder, name);
      mkdirSync(data, { recursive: true, mode: 0o700 });
      chownSync(data, uid, uid);
      const log = openSync(join(folder, `${name}.log`), 'a');
      const started = spawn('etcd', [...flagsOf(place, url), ...words], { stdio: ['ignore', log, log], uid, gid: uid });
      closeSync(log);
      running.add(started);
      started.once('exit', () => running.delete(started));
      child = started;
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    blackHole: () => lose(`tcp dport ${ports.client}`, `tcp sport ${ports.client}`),
    // It talks to the others from its own address.
    isolate: () => lose(`tcp dport ${ports.peer}`, `meta skuid ${uid} tcp dport { ${peerPorts.join(', ')} }`),
    heal: removeTable,
    isLeader: () => says(ports.metrics, /^etcd_server_is_leader 1$/m),
    hasLeader: () => says(ports.metrics, /^etcd_server_has_leader 1$/m),
  };
}

function isRunning(child: ChildProcess | undefined): child is ChildProcess {
  return child !== undefined && child.exitCode === null && child.signalCode === null;
}

async function says(metricsPort: number, what: RegExp): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${metricsPort}/metrics`, { signal: AbortSignal.timeout(1000) });
    return what.test(await response.text());
  } catch {
    return false;
  }
}

function flagsOf({ name, ports, folder }: Place, url: string): readonly string[] {
  const peer = `http://127.0.0.1:${ports.peer}`;
  return Object.entries({
    name,
    'data-dir': join(folder, name),
    'listen-client-urls': `${url},http://127.0.0.1:${ports.api}`,
    'advertise-client-urls': url,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'listen-metrics-urls': `http://127.0.0.1:${ports.metrics}`,
    'heartbeat-interval': String(electionMs / 10),
    'election-timeout': String(electionMs),
    'log-level': 'warn',
    logger: 'zap',
  }).map(([flag, value]) => `--${flag}=${value}`);
}

function accessTo(members: readonly EtcdMember[], folder: Folder): TestEtcd {
  const logs = (): string =>
    members
      .map(({ name }) =>
        readFileSync(join(folder.path, `${name}.log`), 'utf8')
          .split('\n')
          .slice(-8)
          .join('\n'),
      )
      .join('\n');
  const leader = async (): Promise<EtcdMember> => {
    const found = async (): Promise<EtcdMember | undefined> => {
      const leaders = await Promise.all(members.map(async (member) => ((await member.isLeader()) ? [member] : [])));
      const [one, ...others] = leaders.flat();
      return others.length === 0 ? one : undefined;
    };
    return await until('etcd has a leader', found, 20_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${logs()}`);
    });
  };
  const urls = members.map(({ url }) => url);
  const post = async (url: string, path: string, body: object, token?: string) => {
    const headers = token === undefined ? undefined : { authorization: token };
    const response = await fetch(`${url}/v3${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      ...(headers === undefined ? {} : { headers }),
      signal: AbortSignal.timeout(5000),
    });
    const text = await response.text();
    assert.equal(response.status, 200, `${path}: ${text}`);
    return answerForm.parse(JSON.parse(text));
  };
  return {
    members,
    urls,
    leader,
    followers: async () => {
      const first = await leader();
      return members.filter((member) => member !== first);
    },
    async settled() {
      for (const member of members) {
        member.heal();
        member.thaw();
        member.start();
      }
      const haveLeader = async (): Promise<boolean> =>
        (await Promise.all(members.map((member) => member.hasLeader()))).every(Boolean);
      await until('every member has a leader', haveLeader, 20_000);
      await leader();
    },
    async moveLeader() {
      const former = await leader();
      const { members: listed } = await post(former.apiUrl, '/cluster/member/list', {});
      assert.ok(Array.isArray(listed));
      const other = listed.find(({ clientURLs }) => clientURLs[0] !== former.url);
      await post(former.apiUrl, '/maintenance/transfer-leadership', { targetID: other.ID });
    },
    post: async (path, body, token) => post((await leader()).apiUrl, path, body, token),
    connect: (scope, more = {}) => connectEtcd({ ...optionsFor(urls, scope), ...more }),
    async end() {
      for (const member of members) member.heal();
      await Promise.all(members.map((member) => member.kill()));
      folder.remove();
    },
  };
}

export function optionsFor(urls: readonly string[], scope: string): EtcdOptions {
  return {
    seeds: { urls, srv: undefined },
    discover: false,
    tls: { cacert: undefined, cert: undefined, key: undefined },
    user: undefined,
    prefix: `/test/${scope}/`,
    clock,
    timeoutMs: 2000,
    noticeMs: () => 1000,
  };
}
