/** Three members and a monitor, each on a host of its own, with a writer for each database host. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { clockWords, setClock } from './clock.ts';
import { addClientAddress, clientWords, createNetwork, type Host, type Network } from './host.ts';
import { type Acknowledged, createNotes } from './notes.ts';

const bundler = resolve(import.meta.dirname, '../../../build/bundle.ts');
const launcher = resolve(import.meta.dirname, '../../../bin/pgherd');
export const binDir = '/usr/lib/postgresql/15/bin';
export const ttlMs = 10_000;

export interface MemberSeen {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly timeline?: number;
  readonly rule?: string;
  readonly because?: string;
}

export interface Lab {
  readonly network: Network;
  readonly monitor: Host;
  /** Those with PostgreSQL. */
  readonly hosts: readonly Host[];
  /** An agent without PostgreSQL, where one was asked for. */
  readonly witness: Host | undefined;
  readonly start: (host: Host) => void;
  readonly startMonitor: () => void;
  readonly dataDir: (host: Host) => string;
  readonly config: (host: Host) => string;
  readonly log: (host: Host) => string;
  /** What some agent says of the cluster, if possible one that sees the DCS; undefined while none answers. */
  readonly look: () => readonly MemberSeen[] | undefined;
  readonly leader: () => Host | undefined;
  /** The host's own agent answers. */
  readonly answers: (host: Host) => boolean;
  readonly waitFor: (what: string, condition: () => boolean, withinMs: number) => Promise<number>;
  /** One leader that runs, and every other one of `hosts` streams. */
  readonly healthy: (count?: number) => boolean;
  readonly sql: (host: Host, statement: string) => string;
  readonly pgherd: (host: Host, ...words: string[]) => string;
  /** The command line behind `pgherd`. */
  readonly pgherdWords: (host: Host, ...words: string[]) => readonly string[];
  readonly postmaster: (host: Host) => number;
  /** The same, as a list that may be empty. */
  readonly postmasters: (host: Host) => readonly number[];
  readonly startWriters: (inside?: Host) => void;
  /** One more, on the host itself: it writes on when the host is cut off, and ends with its power. */
  readonly startWriterInside: (host: Host) => void;
  readonly acknowledged: () => readonly Acknowledged[];
  readonly stopWriters: () => void;
  readonly end: () => Promise<void>;
}

export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export interface LabOptions {
  /** One more host, whose agent has no PostgreSQL. */
  readonly witness?: boolean;
  /** The wall clock of each database host can be set (`setClock`). */
  readonly ownClocks?: boolean;
  /** PostgreSQL's folder is a file system of its own (in memory), of this size, which can be filled (`fillDisk`). */
  readonly diskMegabytes?: number;
  /** Done to the disk of each database host before it is powered on: what is mounted now, it sees. */
  readonly prepare?: (host: Host) => void;
}

/** Three database hosts and a monitor's, powered on, configured; nothing runs on them yet. */
export async function createLab(
  dcs: Readonly<Record<string, unknown>> = {},
  { witness: hasWitness = false, ownClocks = false, diskMegabytes, prepare }: LabOptions = {},
): Promise<Lab> {
  // An old bundle would be tested in place of the sources.
  execFileSync(process.execPath, [bundler, '--if-changed'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const folder = mkdtempSync(join(tmpdir(), 'pgherd-lab-'));
  chmodSync(folder, 0o755);
  const network = createNetwork(folder);
  addClientAddress(network);
  const hosts = ['n1', 'n2', 'n3'].map((name) => network.host(name));
  const monitor = network.host('m');
  const witness = hasWitness ? network.host('w') : undefined;
  if (diskMegabytes !== undefined) for (const host of hosts) host.mountDisk(pgFolder(host), diskMegabytes);
  if (prepare) hosts.forEach(prepare);
  for (const host of [...hosts, monitor, ...(witness ? [witness] : [])]) await host.powerOn();
  for (const host of hosts) writeConfig(host, monitor, dcs, diskMegabytes);
  if (witness) writeWitnessConfig(witness, monitor, dcs);
  if (ownClocks) for (const host of hosts) setClock(host, 0);
  return labOf(network, hosts, monitor, witness);
}

function pgFolder(host: Host): string {
  return join(host.disk, 'pg');
}

function writeWitnessConfig(host: Host, monitor: Host, dcs: Readonly<Record<string, unknown>>): void {
  const config = {
    scope: 'lab',
    name: host.name,
    restapi: { listen: `${host.address}:8008`, connect_address: `${host.address}:8008` },
    monitor: { uri: `postgres://pgherd@${monitor.address}:5433/pgherd` },
    bootstrap: { dcs },
    tags: { witness: true },
  };
  writeFileSync(join(host.disk, 'pgherd.yml'), stringify(config));
}

function writeConfig(
  host: Host,
  monitor: Host,
  dcs: Readonly<Record<string, unknown>>,
  diskMegabytes: number | undefined,
): void {
  const small = diskMegabytes === undefined ? {} : { max_wal_size: `${Math.floor(diskMegabytes / 8)}MB` };
  const config = {
    scope: 'lab',
    name: host.name,
    restapi: { listen: `${host.address}:8008`, connect_address: `${host.address}:8008` },
    monitor: { uri: `postgres://pgherd@${monitor.address}:5433/pgherd` },
    bootstrap: { dcs, initdb: [{ encoding: 'UTF8' }, { locale: 'C' }] },
    postgresql: {
      listen: `${host.address}:5432`,
      connect_address: `${host.address}:5432`,
      data_dir: join(pgFolder(host), 'data'),
      bin_dir: binDir,
      authentication: {
        superuser: { username: 'postgres', password: 'x' },
        replication: { username: 'replicator', password: 'x' },
        rewind: { username: 'rewinder', password: 'x' },
      },
      parameters: { unix_socket_directories: '', shared_buffers: '32MB', ...small },
    },
  };
  writeFileSync(join(host.disk, 'pgherd.yml'), stringify(config));
}

function labOf(network: Network, hosts: readonly Host[], monitor: Host, witness: Host | undefined): Lab {
  const dataDir = (host: Host): string => join(pgFolder(host), 'data');
  const config = (host: Host): string => join(host.disk, 'pgherd.yml');
  const inside = (words: readonly string[]): string =>
    execFileSync('ip', clientWords(network, words), {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 60_000,
      // All numbers that the writers wrote.
      maxBuffer: 64 << 20,
    });
  const pgherdWords = (host: Host, ...words: string[]): readonly string[] => [launcher, '-c', config(host), ...words];
  const postmasters = (host: Host): readonly number[] => {
    const file = join(dataDir(host), 'postmaster.pid');
    const found = existsSync(file) ? host.outerPid(Number.parseInt(readFileSync(file, 'utf8'), 10)) : undefined;
    return found === undefined ? [] : [found];
  };
  const ask = (host: Host): string => inside(['curl', '-s', '-m', '0.5', `http://${host.address}:8008/cluster`]);
  const look = (): readonly MemberSeen[] | undefined => {
    let old: readonly MemberSeen[] | undefined;
    for (const host of hosts) {
      try {
        const parsed: { members: readonly MemberSeen[]; dcs?: unknown } = JSON.parse(ask(host));
        if (parsed.dcs === undefined) return parsed.members;
        old ??= parsed.members;
      } catch {
        // The next one may answer.
      }
    }
    return old;
  };
  const leader = (): Host | undefined => {
    const name = look()?.find((member) => member.role === 'leader' && member.state === 'running')?.name;
    return hosts.find((host) => host.name === name);
  };
  const writers = createWriters(network, hosts);
  const lab: Lab = {
    network,
    monitor,
    hosts,
    witness,
    dataDir,
    config,
    look,
    leader,
    answers(host) {
      try {
        return ask(host) !== '';
      } catch {
        return false;
      }
    },
    start: (host) => host.start([...clockWords(host), launcher, 'agent', config(host)], 'agent.log'),
    startMonitor: () =>
      monitor.start(
        [
          launcher,
          'monitor',
          '--pgdata',
          join(monitor.disk, 'monitor'),
          '--listen',
          `${monitor.address}:5433`,
          '--auth',
          'trust',
        ],
        'monitor.log',
      ),
    log: (host) => readFileSync(join(host.disk, 'agent.log'), 'utf8'),
    async waitFor(what, condition, withinMs) {
      const began = nowMs();
      while (nowMs() - began < withinMs) {
        if (condition()) return nowMs() - began;
        await sleep(50);
      }
      throw new Error(`not within ${withinMs} ms: ${what}\n${JSON.stringify(look())}\n${lastWords(hosts)}`);
    },
    healthy: (count = hosts.length) => {
      const seen = look() ?? [];
      const leaders = seen.filter((member) => member.role === 'leader' && member.state === 'running');
      return leaders.length === 1 && seen.filter((member) => member.state === 'streaming').length === count - 1;
    },
    sql: (host, statement) =>
      inside([
        'psql',
        `host=${host.address} port=5432 user=postgres password=x dbname=postgres connect_timeout=3`,
        '-XAtqc',
        statement,
      ]).trim(),
    pgherd: (host, ...words) => host.run(pgherdWords(host, ...words)),
    pgherdWords,
    postmaster(host) {
      const [found] = postmasters(host);
      if (found === undefined) throw new Error(`${host.name} has no postmaster`);
      return found;
    },
    postmasters,
    ...writers,
    async end() {
      writers.stopWriters();
      await network.destroy();
      // What was killed may not be gone at once.
      rmSync(network.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
  return lab;
}

function lastWords(hosts: readonly Host[]): string {
  return hosts
    .map(
      (host) =>
        `--- ${host.name}\n${readFileSync(join(host.disk, 'agent.log'), 'utf8').split('\n').slice(-15).join('\n')}`,
    )
    .join('\n');
}

/** One writer a host, so that two hosts that take writes at the same time are seen. */
function createWriters(
  network: Network,
  hosts: readonly Host[],
): Pick<Lab, 'startWriters' | 'startWriterInside' | 'acknowledged' | 'stopWriters'> {
  const output = join(network.folder, 'writers');
  mkdirSync(output, { recursive: true });
  const notes = createNotes(output);
  const running: { readonly kill: () => void }[] = [];
  const script = join(import.meta.dirname, 'writer.ts');
  let round = 0;
  const wordsFor = (host: Host): readonly string[] => {
    const file = join(output, `${host.name}.${round}`);
    writeFileSync(file, '');
    const first = (round * 10 + hosts.indexOf(host)) * 10_000_000;
    return [process.execPath, script, host.address, '5432', String(first), file];
  };
  const startInside = (host: Host): void => host.start(wordsFor(host), 'writer.log');
  return {
    startWriters(inside) {
      round += 1;
      for (const host of hosts) {
        if (inside === host) startInside(host);
        else {
          const child = spawn('ip', clientWords(network, wordsFor(host)), { stdio: 'ignore' });
          running.push({ kill: () => void child.kill('SIGKILL') });
        }
      }
    },
    startWriterInside(host) {
      round += 1;
      startInside(host);
    },
    acknowledged: () => notes.read(),
    stopWriters() {
      for (const one of running.splice(0)) one.kill();
      for (const host of hosts) for (const pid of host.pids('writer.ts')) process.kill(pid, 'SIGKILL');
    },
  };
}
