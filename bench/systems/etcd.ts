/** etcd on the three database hosts, as it is usually set up beside Patroni. */
import { join } from 'node:path';
import type { Host } from '../../test/cluster/lab/host.ts';
import { ownedFolder } from '../postgres.ts';
import { asPostgres, type Site } from '../site.ts';
import type { ProcessGroup, StoreTotals } from './system.ts';

/** An etcd cluster on a site. */
export interface Etcd {
  /** `address:port` of every member, for clients. */
  readonly endpoints: readonly string[];
  /** The first start or a later one. */
  readonly start: (host: Host) => void;
  readonly processes: () => readonly ProcessGroup[];
  readonly totals: () => StoreTotals | undefined;
}

/** Nothing runs before `start`. */
export function etcdOn(site: Site): Etcd {
  const hosts = site.databaseHosts;
  const members = hosts.map((host) => `${host.name}=http://${host.address}:2380`).join(',');
  return {
    endpoints: hosts.map((host) => `${host.address}:2379`),
    start(host) {
      const flags = {
        name: host.name,
        'data-dir': join(ownedFolder(host, 'etcd'), 'data'),
        'listen-client-urls': `http://${host.address}:2379`,
        'advertise-client-urls': `http://${host.address}:2379`,
        'listen-peer-urls': `http://${host.address}:2380`,
        'initial-advertise-peer-urls': `http://${host.address}:2380`,
        'initial-cluster': members,
      };
      const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
      host.start(asPostgres(['/usr/bin/etcd', ...words]), 'etcd.log');
    },
    processes: () => hosts.map((host) => ({ role: 'store', host, pids: host.pids('/usr/bin/etcd') })),
    totals() {
      for (const host of hosts) {
        const page = site.fetch(`http://${host.address}:2379/metrics`);
        const found = /^etcd_server_proposals_committed_total (\S+)$/m.exec(page ?? '');
        if (found) return { writes: Number(found[1]) };
      }
      return undefined;
    },
  };
}
