/**
 * Where a run takes place: three database hosts and a fourth for a monitor or a witness, in namespaces on one bridge,
 * each with the folders that the programs of a real host expect. The clients are on the bridge.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  addClientAddress,
  clientWords,
  createNetwork,
  type Host,
  type Network,
  networkTag,
  removeNamespaces,
} from '../test/cluster/lab/host.ts';

/** The newest PostgreSQL that Debian's packages have installed here. */
export const postgresVersion: number = newestPostgres();
export const binDir = `/usr/lib/postgresql/${postgresVersion}/bin`;
/** pgherd itself, of this checkout. */
export const launcher: string = resolve(import.meta.dirname, '../bin/pgherd');
/** The folder of its programs, as their command lines begin with it. */
export const programs: string = resolve(import.meta.dirname, '../dist');

// Not under /tmp, which may be memory: a commit has to reach a disk.
const sites = '/var/tmp';
const prefix = 'pgherd-bench-';

/** All hosts of one cluster, and how to act on them. */
export interface Site {
  readonly network: Network;
  /** n1, n2, n3: those with a database. */
  readonly databaseHosts: readonly [Host, Host, Host];
  /** m: for what a system needs besides. */
  readonly fourthHost: Host;
  /** The network of hosts and clients, for rules of access. */
  readonly subnet: string;
  /** A free address, for systems that move one. */
  readonly virtualAddress: string;
  /** Every host. Nothing runs on them yet. */
  readonly powerOnAll: () => Promise<void>;
  /** A new life: empty /run, and process numbers that are not those of the last one. */
  readonly powerOn: (host: Host) => Promise<void>;
  /** One statement from a client's place: its rows as text; undefined when there was no answer within `withinS`. */
  readonly sql: (host: Host, statement: string, options?: SqlOptions) => readonly (readonly string[])[] | undefined;
  /** The body of a page, asked for from a client's place; undefined when there was none within a second. */
  readonly fetch: (url: string) => string | undefined;
  readonly destroy: () => Promise<void>;
}

/** Where a statement goes, if it is not the database `postgres` on port 5432. */
export interface SqlOptions {
  readonly port?: number;
  readonly database?: string;
  readonly user?: string;
  readonly withinS?: number;
}

/** Four hosts that are off, on a bridge. */
export function createSite(): Site {
  const folder = mkdtempSync(join(sites, `${prefix}${process.pid}-`));
  chmodSync(folder, 0o755);
  const network = createNetwork(folder);
  addClientAddress(network);
  return siteOf(network);
}

/** Removes what runs that were killed have left: data and network namespaces. Their processes ended with them. */
export function removeLeftovers(): void {
  for (const name of readdirSync(sites)) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    removeNamespaces(networkTag(Number(pid)));
    rmSync(join(sites, name), { recursive: true, force: true });
  }
}

function siteOf(network: Network): Site {
  const databaseHosts = [network.host('n1'), network.host('n2'), network.host('n3')] as const;
  const fourthHost = network.host('m');
  const net = fourthHost.address.replace(/\.\d+$/, '');
  const names = [...databaseHosts, fourthHost].map((host) => `${host.address} ${host.name}\n`);
  const hostsFile = join(network.folder, 'hosts');
  writeFileSync(hostsFile, `127.0.0.1 localhost\n${names.join('')}`);
  const asClient = (words: readonly string[], withinS: number): string | undefined => {
    try {
      return execFileSync('ip', clientWords(network, ['timeout', '-k', '1', String(withinS), ...words]), {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        // All numbers that the writers wrote.
        maxBuffer: 64 << 20,
      });
    } catch {
      return undefined;
    }
  };
  const powerOn = async (host: Host): Promise<void> => {
    await host.powerOn();
    host.run(['bash', '-ec', beginLife, 'begin', hostsFile]);
  };
  return {
    network,
    databaseHosts: [...databaseHosts],
    fourthHost,
    subnet: `${net}.0/24`,
    virtualAddress: `${net}.100`,
    async powerOnAll() {
      for (const host of [...databaseHosts, fourthHost]) await powerOn(host);
    },
    powerOn,
    sql(host, statement, { port = 5432, database = 'postgres', user = 'postgres', withinS = 1.5 } = {}) {
      const target = `host=${host.address} port=${port} user=${user} password=x dbname=${database} connect_timeout=2`;
      const answer = asClient([`${binDir}/psql`, target, '-XAtqc', statement], withinS);
      if (answer === undefined) return undefined;
      return answer
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.split('|'));
    },
    fetch: (url) => asClient(['curl', '-sf', '-m', '1', url], 2),
    async destroy() {
      await network.destroy();
      // What was killed may not be gone at once.
      rmSync(network.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

/**
 * What a host's boot does: nothing of the last life in memory file systems, and process numbers that begin elsewhere
 * (a process file that was left behind would name a living process of a host that has so few).
 */
const beginLife = `
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
install -d -o postgres -g postgres -m 2775 /run/postgresql
install -d -o postgres -g postgres -m 700 /run/user-postgres
install -d -o postgres -g postgres /var/lib/postgresql
mount --bind "$1" /etc/hosts
echo $((RANDOM % 20000 + 2000)) > /proc/sys/kernel/ns_last_pid
`;

function newestPostgres(): number {
  const folder = '/usr/lib/postgresql';
  const versions = existsSync(folder) ? readdirSync(folder).map(Number) : [];
  return Math.max(0, ...versions.filter((version) => existsSync(`${folder}/${version}/bin/postgres`)));
}

/** Puts a command under the system user `postgres`, with an environment as a service manager would give it. */
export function asPostgres(words: readonly string[]): readonly string[] {
  const identity = ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'];
  return [...identity, ...inEnvironment('postgres', '/var/lib/postgresql'), ...words];
}

/** The same for root. */
export function asRoot(words: readonly string[]): readonly string[] {
  return [...inEnvironment('root', '/root'), ...words];
}

function inEnvironment(user: string, home: string): readonly string[] {
  const path = `PATH=${binDir}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  const runtime = 'XDG_RUNTIME_DIR=/run/user-postgres';
  return ['env', '-i', '-C', '/', `HOME=${home}`, `USER=${user}`, `LOGNAME=${user}`, 'LC_ALL=C.UTF-8', path, runtime];
}

/**
 * A command on a host to its end; its output with that of its errors. Throws, with the output, when it fails or takes
 * longer than `withinS`.
 */
export function runOn(host: Host, words: readonly string[], withinS = 60): string {
  const shell = ['bash', '-c', 'exec "$@" 2>&1', 'run', 'timeout', '-k', '5', String(withinS), ...words];
  try {
    return host.run(shell);
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
    throw new Error(`${host.name}: ${words.join(' ')}\n${output.slice(-2000)}`, { cause: error });
  }
}

/** The postmaster of a data directory, by its number outside; undefined while there is none. */
export function postmasterOf(host: Host, dataDir: string): number | undefined {
  try {
    return host.outerPid(Number.parseInt(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8'), 10));
  } catch {
    return undefined;
  }
}
