/** pgherd of this checkout. */
import { join } from 'node:path';
import type { Host } from '../../test/cluster/lab/host.ts';
import { asRoot, launcher, programs, runOn, type Site } from '../site.ts';
import { dataDirOf, writeMemberFile } from './patroni-file.ts';
import type { Cluster, ProcessGroup, StoreTotals, System } from './system.ts';

/** Where the members agree. */
interface Store {
  readonly start: () => void;
  /** What a database host starts for it when it boots. */
  readonly boot: (host: Host) => void;
  /** How the members' file names it. */
  readonly section: Readonly<Record<string, unknown>>;
  readonly processes: () => readonly ProcessGroup[];
  readonly totals: () => StoreTotals | undefined;
}

interface Member {
  readonly role: string;
  readonly state: string;
}

/** `dcs`: the dynamic configuration; what it does not name has its default. */
function pgherd(
  name: string,
  settings: string,
  dcs: Readonly<Record<string, unknown>>,
  storeOn: (site: Site) => Store = monitorOn,
): System {
  const isSynchronous = dcs['synchronous_mode'] !== undefined;
  return { name, settings, isSynchronous, packages: [], open: (site) => open(site, dcs, storeOn(site)) };
}

export const pgherdSystems: readonly System[] = [
  pgherd('pgherd', 'its defaults (ttl 10), asynchronous; the monitor on the fourth host', {}),
  pgherd(
    'pgherd-quorum',
    'synchronous_mode quorum, else its defaults (ttl 10, failure_timeout 2); the monitor on the fourth host',
    { synchronous_mode: 'quorum' },
  ),
  pgherd('pgherd-quorum-fast', 'as pgherd-quorum, with failure_timeout 0.5', {
    synchronous_mode: 'quorum',
    failure_timeout: 0.5,
  }),
];

function monitorOn(site: Site): Store {
  const host = site.fourthHost;
  const address = `${host.address}:5433`;
  return {
    start() {
      const words = ['monitor', '--pgdata', join(host.disk, 'monitor'), '--listen', address, '--auth', 'trust'];
      host.start(asRoot([launcher, ...words]), 'monitor.log');
    },
    boot: () => {},
    section: { monitor: { uri: `postgres://pgherd@${address}/pgherd` } },
    processes: () => [{ role: 'store', host, pids: [...host.pids('pgherd.js monitor'), ...host.pids('postgres')] }],
    totals() {
      const statement =
        "select sum(tup_inserted + tup_updated + tup_deleted) from pg_stat_database where datname = 'pgherd'";
      const rows = site.sql(host, statement, { port: 5433, database: 'pgherd', user: 'pgherd' });
      return rows?.[0]?.[0] === undefined ? undefined : { writes: Number(rows[0][0]) };
    },
  };
}

function open(site: Site, dcs: Readonly<Record<string, unknown>>, store: Store): Cluster {
  const hosts = site.databaseHosts;
  const config = (host: Host): string => join(host.disk, 'pgherd.yml');
  const startAgents = (host: Host): void => host.start(asRoot([launcher, 'agent', config(host)]), 'pgherd.log');
  const members = (): readonly Member[] => {
    for (const host of hosts) {
      const page = site.fetch(`http://${host.address}:8008/cluster`);
      if (page === undefined) continue;
      const parsed: { readonly members: readonly Member[] } = JSON.parse(page);
      return parsed.members;
    }
    return [];
  };
  return {
    hosts,
    dataDir: dataDirOf,
    bringsBack: true,
    async bootstrap() {
      store.start();
      for (const host of hosts) {
        writeMemberFile(site, host, { path: config(host), store: store.section, dcs });
        store.boot(host);
        startAgents(host);
      }
    },
    boot(host) {
      store.boot(host);
      startAgents(host);
    },
    switchover(from) {
      runOn(from, asRoot([launcher, '-c', config(from), 'switchover', 'bench', '--leader', from.name, '--force']), 100);
    },
    agents: (host) => host.pids(`agent ${config(host)}`),
    startAgents,
    isReady() {
      const seen = members();
      const isRunning = seen.every(({ state }) => state === 'running' || state === 'streaming');
      const waitsFor = seen.filter(({ role }) => role === 'quorum_standby').length;
      const isQuorate = dcs['synchronous_mode'] === undefined || waitsFor === hosts.length - 1;
      return seen.length === hosts.length && isRunning && isQuorate;
    },
    processes: () => [
      // The agent and its guard.
      ...hosts.map((host) => ({ role: 'agent' as const, host, pids: host.pids(programs) })),
      ...store.processes(),
    ],
    storeTotals: () => store.totals(),
  };
}
