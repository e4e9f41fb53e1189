/** Patroni with etcd on the three database hosts. */
import { join } from 'node:path';
import type { Host } from '../../test/cluster/lab/host.ts';
import { asPostgres, runOn, type Site } from '../site.ts';
import { etcdOn } from './etcd.ts';
import { dataDirOf, writeMemberFile } from './patroni-file.ts';
import type { Cluster, System } from './system.ts';

interface Member {
  readonly name: string;
  readonly role: string;
  readonly state: string;
}

const packages = ['patroni', 'etcd-server'];

/** `dcs`: Patroni's dynamic configuration. */
function patroni(name: string, settings: string, dcs: Readonly<Record<string, number | boolean>>): System {
  const isSynchronous = dcs['synchronous_mode'] === true;
  return { name, settings, isSynchronous, packages, open: (site) => open(site, dcs, isSynchronous) };
}

export const patroniSystems: readonly System[] = [
  patroni(
    'patroni',
    'its defaults (ttl 30, loop_wait 10, retry_timeout 10), asynchronous; etcd on the three database hosts',
    {
      ttl: 30,
      loop_wait: 10,
      retry_timeout: 10,
      maximum_lag_on_failover: 1_048_576,
    },
  ),
  patroni(
    'patroni-fast',
    'the least that its documentation allows (ttl 20, loop_wait 1, retry_timeout 3), synchronous_mode, a crashed primary is not restarted in place (primary_start_timeout 0)',
    {
      ttl: 20,
      loop_wait: 1,
      retry_timeout: 3,
      maximum_lag_on_failover: 1_048_576,
      primary_start_timeout: 0,
      synchronous_mode: true,
    },
  ),
  patroni(
    'patroni-below-minimum',
    'below what its documentation allows, which this version does not enforce (ttl 5, loop_wait 1, retry_timeout 2), else as patroni-fast',
    {
      ttl: 5,
      loop_wait: 1,
      retry_timeout: 2,
      maximum_lag_on_failover: 1_048_576,
      primary_start_timeout: 0,
      synchronous_mode: true,
    },
  ),
];

function open(site: Site, dcs: Readonly<Record<string, number | boolean>>, isSynchronous: boolean): Cluster {
  const hosts = site.databaseHosts;
  const etcd = etcdOn(site);
  const config = (host: Host): string => join(host.disk, 'patroni.yml');
  const startAgents = (host: Host): void => host.start(asPostgres(['/usr/bin/patroni', config(host)]), 'patroni.log');
  const members = (): readonly Member[] => {
    for (const host of hosts) {
      const page = site.fetch(`http://${host.address}:8008/cluster`);
      if (page === undefined) continue;
      const parsed: { readonly members: readonly Member[] } = JSON.parse(page);
      return parsed.members;
    }
    return [];
  };
  const agents = (host: Host): readonly number[] => host.pids('/usr/bin/patroni');
  return {
    hosts,
    dataDir: dataDirOf,
    bringsBack: true,
    async bootstrap() {
      for (const host of hosts) etcd.start(host);
      for (const host of hosts) {
        writeMemberFile(site, host, { path: config(host), store: { etcd3: { hosts: etcd.endpoints } }, dcs });
        startAgents(host);
      }
    },
    boot(host) {
      etcd.start(host);
      startAgents(host);
    },
    switchover(from) {
      const seen = members();
      const candidate = seen.find(({ name, role }) => (isSynchronous ? role === 'sync_standby' : name !== from.name));
      const words = ['--leader', from.name, '--candidate', candidate?.name ?? '', '--force'];
      runOn(from, asPostgres(['/usr/bin/patronictl', '-c', config(from), 'switchover', 'bench', ...words]), 100);
    },
    agents,
    startAgents,
    isReady() {
      const seen = members();
      const isRunning = seen.length === hosts.length && seen.every(({ state }) => state === 'running');
      return isRunning && (!isSynchronous || seen.some(({ role }) => role === 'sync_standby'));
    },
    processes: () => [
      ...hosts.map((host) => ({ role: 'agent' as const, host, pids: agents(host) })),
      ...etcd.processes(),
    ],
    storeTotals: () => etcd.totals(),
  };
}
