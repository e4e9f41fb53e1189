/**
 * Hosts on one machine: each has its own network, PID, mount, IPC and host name namespace, joined by a bridge.
 * Power-off = the link first (so that nothing says goodbye), then SIGKILL of everything; power-on = a new network
 * namespace without old connections, and a new PID 1. Everything is addressed by names made for this run.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Network {
  readonly tag: string;
  readonly folder: string;
  readonly host: (name: string) => Host;
  readonly destroy: () => Promise<void>;
}

export interface Host {
  readonly name: string;
  readonly address: string;
  /** Its disk: survives a power-off. */
  readonly disk: string;
  /** Before the power is on: `path` is a file system of its own, in memory, and survives a power-off. */
  readonly mountDisk: (path: string, megabytes: number) => void;
  readonly isOn: () => boolean;
  readonly powerOn: () => Promise<void>;
  readonly powerOff: () => void;
  readonly linkDown: () => void;
  readonly linkUp: () => void;
  /** The network behind its card is gone, and the card does not tell: it keeps its carrier. */
  readonly cutOff: () => void;
  readonly plugIn: () => void;
  /** What `other` sends does not arrive here any more; nobody is told. A power-off forgets it. */
  readonly loseFrom: (other: Host) => void;
  readonly hearAll: () => void;
  /** Packets that match (words of nftables) are lost, as they arrive or as they leave. A power-off forgets it. */
  readonly dropPackets: (name: string, arriving: readonly string[], leaving: readonly string[]) => void;
  /** What was asked for under this name is over. */
  readonly passPackets: (name: string) => void;
  /** A daemon; its output goes to `<disk>/<log>`. */
  readonly start: (words: readonly string[], log: string) => void;
  /** A command to its end; its output. Throws when it fails: then the test is at its end too. */
  readonly run: (words: readonly string[]) => string;
  /** SIGKILL of every process whose command line contains `text`, until none is left. */
  readonly kill: (text: string) => Promise<void>;
  /** The outer pids of the host's processes whose command line contains `text`. */
  readonly pids: (text: string) => readonly number[];
  /** The outer pid of a process that the host itself calls `inner`; undefined when there is none. */
  readonly outerPid: (inner: number) => number | undefined;
  /** To all of `pids(text)`. */
  readonly signal: (text: string, signal: NodeJS.Signals) => void;
}

function command(program: string, ...words: string[]): string {
  return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function quietly(program: string, ...words: string[]): void {
  try {
    command(program, ...words);
  } catch {
    // It was not there.
  }
}

/** How the namespaces of a process's network begin. */
export function networkTag(pid: number): string {
  return `pgh${pid % 100_000}`;
}

/** Removes the namespaces of a network whose process is no more. */
export function removeNamespaces(tag: string): void {
  for (const name of command('ip', 'netns', 'list').matchAll(new RegExp(`^${tag}-\\w+`, 'gm'))) {
    quietly('ip', 'netns', 'del', name[0]);
  }
}

/** A bridge of its own, in a namespace of its own for the tests' clients. */
export function createNetwork(folder: string): Network {
  const tag = networkTag(process.pid);
  const bridge = `${tag}-br`;
  const hosts: { readonly host: Host; readonly destroy: () => void }[] = [];
  command('ip', 'netns', 'add', bridge);
  command('ip', '-n', bridge, 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0', 'forward_delay', '0');
  command('ip', '-n', bridge, 'link', 'set', 'br0', 'up');
  return {
    tag,
    folder,
    host(name) {
      const made = createHost(folder, tag, name, hosts.length + 1);
      hosts.push(made);
      return made.host;
    },
    async destroy() {
      for (const one of hosts) one.destroy();
      quietly('ip', 'netns', 'del', bridge);
      await sleep(0);
    },
  };
}

function createHost(
  folder: string,
  tag: string,
  name: string,
  number: number,
): { readonly host: Host; readonly destroy: () => void } {
  const bridge = `${tag}-br`;
  const namespace = `${tag}-${name}`;
  const port = `p-${name}`;
  const address = `10.83.7.${10 + number}`;
  const disk = join(folder, name);
  const mounted: string[] = [];
  let unshare: ChildProcess | undefined;
  let init = 0;

  const killAll = (): void => {
    if (init !== 0) process.kill(init, 'SIGKILL');
    init = 0;
    unshare = undefined;
  };
  const inside = (words: readonly string[]): readonly string[] => [
    '-t',
    String(init),
    '-n',
    '-m',
    '-u',
    '-i',
    '-p',
    '--',
    ...words,
  ];
  const setLink = (state: 'up' | 'down'): void => void command('ip', '-n', bridge, 'link', 'set', port, state);

  const host: Host = {
    name,
    address,
    disk,
    isOn: () => init !== 0,
    mountDisk(path, megabytes) {
      mkdirSync(path, { recursive: true });
      command('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'pgherd-lab', path);
      mounted.push(path);
    },
    async powerOn() {
      mkdirSync(disk, { recursive: true });
      quietly('ip', '-n', bridge, 'link', 'del', port);
      quietly('ip', 'netns', 'del', namespace);
      command('ip', 'netns', 'add', namespace);
      command('ip', '-n', bridge, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
      // A network card keeps its address over a power-off: with another one the neighbours would not reach it for 30 s.
      command('ip', '-n', namespace, 'link', 'set', 'eth0', 'address', `02:00:0a:53:07:${10 + number}`);
      command('ip', '-n', bridge, 'link', 'set', port, 'master', 'br0', 'up');
      command('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
      command('ip', '-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
      command('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
      // PID 1: a shell reaps whatever is orphaned.
      const idle = 'trap : CHLD; while :; do sleep 3600 & wait $!; done';
      const isolated = ['unshare', '-m', '-u', '-i', '-p', '-f', '--kill-child', '--mount-proc', 'bash', '-c', idle];
      // It ends with this process, however that ends.
      unshare = spawn('setpriv', ['--pdeathsig', 'KILL', 'ip', 'netns', 'exec', namespace, ...isolated], {
        stdio: 'ignore',
      });
      init = await childOf(unshare.pid ?? 0);
      command('nsenter', '-t', String(init), '-u', '--', 'hostname', name);
      // What programs keep under /var/lib is this host's own, and goes with its disk.
      mkdirSync(join(disk, 'lib'), { recursive: true });
      command('nsenter', '-t', String(init), '-m', '--', 'mount', '--bind', join(disk, 'lib'), '/var/lib');
      // Names in shared memory are made of pids, which other hosts have too.
      command('nsenter', '-t', String(init), '-m', '--', 'mount', '-t', 'tmpfs', 'tmpfs', '/dev/shm');
    },
    powerOff() {
      setLink('down');
      killAll();
    },
    linkDown: () => setLink('down'),
    linkUp: () => setLink('up'),
    cutOff: () => void command('ip', '-n', bridge, 'link', 'set', port, 'nomaster'),
    plugIn: () => void command('ip', '-n', bridge, 'link', 'set', port, 'master', 'br0'),
    loseFrom: (other) => host.dropPackets(`from-${other.name}`, [`ip saddr ${other.address}`], []),
    hearAll: () => quietly('ip', 'netns', 'exec', namespace, 'nft', 'flush', 'ruleset'),
    dropPackets(table, arriving, leaving) {
      const chain = (hook: string): string =>
        `add chain inet ${table} ${hook} { type filter hook ${hook} priority 0; }`;
      const rule = (hook: string) => (match: string) => `add rule inet ${table} ${hook} ${match} drop`;
      const rules = [...arriving.map(rule('input')), ...leaving.map(rule('output'))];
      const words = [`add table inet ${table}`, chain('input'), chain('output'), ...rules];
      command('ip', 'netns', 'exec', namespace, 'nft', words.join('; '));
    },
    passPackets: (table) => quietly('ip', 'netns', 'exec', namespace, 'nft', 'delete', 'table', 'inet', table),
    start(words, log) {
      const out = openSync(join(disk, log), 'a');
      // Its parent is PID 1: nsenter would stay, and stop with it for good when it is stopped.
      spawn('nsenter', inside(['setsid', '--fork', ...words]), { stdio: ['ignore', out, out], detached: true }).unref();
      closeSync(out);
    },
    run: (words) => command('nsenter', ...inside(words)),
    async kill(text) {
      for (let round = 0; round < 200; round += 1) {
        const pids = init === 0 ? [] : pidsIn(init, text);
        if (pids.length === 0) return;
        for (const pid of pids) quietly('kill', '-9', String(pid));
        await sleep(10);
      }
      throw new Error(`${name}: ${text} does not end`);
    },
    pids: (text) => (init === 0 ? [] : pidsIn(init, text)),
    outerPid: (inner) => (init === 0 ? undefined : pidsIn(init, '').find((pid) => isCalled(pid, inner))),
    signal(text, signal) {
      for (const pid of host.pids(text)) quietly('kill', `-${signal.slice(3)}`, String(pid));
    },
  };
  const destroy = (): void => {
    killAll();
    quietly('ip', 'netns', 'del', namespace);
    for (const path of mounted) quietly('umount', '-l', path);
  };
  return { host, destroy };
}

/** PID 1 of the new namespace, as it is called outside. */
async function childOf(parent: number): Promise<number> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    try {
      const [child] = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').split(' ');
      if (child && readFileSync(`/proc/${child}/comm`, 'utf8').trim() === 'bash') return Number(child);
    } catch {
      // Not yet.
    }
    await sleep(10);
  }
  throw new Error('a host did not come up');
}

function pidsIn(init: number, text: string): readonly number[] {
  const space = readlinkSync(`/proc/${init}/ns/pid`);
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readlinkSync(`/proc/${name}/ns/pid`) !== space) continue;
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
      if (words.includes(text) && !words.startsWith('nsenter')) found.push(Number(name));
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

function isCalled(pid: number, inner: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8').includes(`NSpid:\t${pid}\t${inner}\n`);
  } catch {
    return false;
  }
}

/** Runs a program of the tests in the bridge's namespace, from where every host can be reached. */
export function clientWords(network: Network, words: readonly string[]): readonly string[] {
  return ['netns', 'exec', `${network.tag}-br`, ...words];
}

/** Gives the clients' side of the bridge an address. */
export function addClientAddress(network: Network): void {
  command('ip', '-n', `${network.tag}-br`, 'addr', 'add', '10.83.7.250/24', 'dev', 'br0');
  command('ip', '-n', `${network.tag}-br`, 'link', 'set', 'lo', 'up');
}
