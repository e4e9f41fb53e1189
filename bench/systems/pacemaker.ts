/** Pacemaker, corosync and the agent PAF (`ocf:heartbeat:pgsqlms`) on three hosts, without a fencing device. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../test/cluster/lab/host.ts';
import { initialize, startPostgres } from '../postgres.ts';
import { asPostgres, asRoot, binDir, runOn, type Site } from '../site.ts';
import type { Cluster, System } from './system.ts';

const packages = ['pacemaker', 'corosync', 'crmsh', 'resource-agents', 'resource-agents-paf'];
/** The same path on every host, as the agent wants it; on the host's own disk. */
const dataFolder = '/var/lib/postgresql/data';
const ownFolders = ['/var/lib/pacemaker', '/var/lib/corosync', '/var/log/pacemaker', '/var/log/corosync'];

interface Settings {
  readonly monitorPrimaryS: number;
  readonly monitorStandbyS: number;
  /** corosync's token timeout; undefined: its default. */
  readonly tokenMs: number | undefined;
}

function pacemaker(name: string, settings: string, given: Settings): System {
  return { name, settings, isSynchronous: false, packages, open: (site) => open(site, given) };
}

export const pacemakerSystems: readonly System[] = [
  pacemaker(
    'pacemaker',
    "PAF with its quick start's intervals (15 s, 16 s), corosync's default token (3 s), asynchronous, no fencing device (stonith-enabled false)",
    { monitorPrimaryS: 15, monitorStandbyS: 16, tokenMs: undefined },
  ),
  pacemaker('pacemaker-fast', 'as pacemaker, with intervals of 1 s and 2 s and a token of 1 s', {
    monitorPrimaryS: 1,
    monitorStandbyS: 2,
    tokenMs: 1000,
  }),
];

function open(site: Site, settings: Settings): Cluster {
  const hosts = site.databaseHosts;
  const dataDir = (host: Host): string => join(host.disk, 'lib', 'postgresql', 'data');
  const agents = (host: Host): readonly number[] =>
    ['/usr/sbin/corosync', '/usr/sbin/pacemakerd', '/usr/lib/pacemaker/'].flatMap((text) => host.pids(text));
  const startAgents = (host: Host): void => {
    host.start(asRoot(['/usr/sbin/corosync', '-f']), 'corosync.log');
    const joined = 'until corosync-cfgtool -s >/dev/null 2>&1; do sleep 0.2; done; exec /usr/sbin/pacemakerd';
    host.start(asRoot(['bash', '-c', joined]), 'pacemakerd.log');
  };
  return {
    hosts,
    dataDir,
    virtualAddress: site.virtualAddress,
    bringsBack: true,
    async bootstrap() {
      const [first, ...others] = hosts;
      for (const host of hosts) prepareFolders(host, corosyncConf(hosts, settings.tokenMs));
      initialize(site, first, dataDir(first));
      startPostgres(first, dataDir(first));
      for (const host of others) copyFrom(first, host);
      for (const host of hosts) writeReplication(site, host, dataDir(host));
      runOn(first, asPostgres([`${binDir}/pg_ctl`, '-D', dataFolder, '-m', 'fast', '-w', 'stop']));
      for (const host of others) runOn(host, asPostgres(['touch', `${dataFolder}/standby.signal`]));
      for (const host of hosts) startAgents(host);
      await allOnline(first, hosts);
      const rules = join(first.disk, 'resources');
      writeFileSync(rules, resources(site.virtualAddress, settings));
      runOn(first, asRoot(['bash', '-c', `crm -F configure < ${rules}`]), 100);
    },
    boot(host) {
      prepareFolders(host, corosyncConf(hosts, settings.tokenMs));
      startAgents(host);
    },
    switchover(from) {
      const to = hosts.find((host) => host !== from) ?? from;
      const move = ['--move', '--resource', 'pgsql-ha', '--promoted', '--node', to.name, '--lifetime', 'PT30S'];
      runOn(from, asRoot(['crm_resource', ...move]));
      runOn(from, asRoot(['crm_resource', '--wait', '--timeout', '60']), 70);
    },
    agents,
    startAgents,
    isReady: () => hosts.some((host) => runOn(host, ['ip', '-br', 'addr']).includes(`${site.virtualAddress}/`)),
    processes: () => hosts.map((host) => ({ role: 'agent', host, pids: agents(host) })),
    storeTotals: () => undefined,
  };
}

/** Its own state, logs and configuration; the disk keeps them over a power-off, but not what was mounted. */
function prepareFolders(host: Host, conf: string): void {
  writeFileSync(join(host.disk, 'corosync.conf'), conf);
  const script = `
for folder in ${ownFolders.join(' ')}; do
  mkdir -p "$0/own/$folder" "$folder"
  mount --bind "$0/own/$folder" "$folder"
done
mkdir -p /var/lib/pacemaker/blackbox /var/lib/pacemaker/cib /var/lib/pacemaker/cores /var/lib/pacemaker/pengine
chown -R hacluster:haclient /var/lib/pacemaker /var/log/pacemaker
mkdir -p "$0/own/etc/corosync" /run/crm /run/resource-agents /run/pacemaker
cp "$0/corosync.conf" "$0/own/etc/corosync/corosync.conf"
mount --bind "$0/own/etc/corosync" /etc/corosync
chown hacluster:haclient /run/crm`;
  runOn(host, ['bash', '-ec', script, host.disk]);
}

function corosyncConf(hosts: readonly Host[], tokenMs: number | undefined): string {
  const nodes = hosts.map(
    (host, index) =>
      `  node {\n    ring0_addr: ${host.address}\n    nodeid: ${index + 1}\n    name: ${host.name}\n  }\n`,
  );
  return `totem {
  version: 2
  cluster_name: bench
  transport: udpu
${tokenMs === undefined ? '' : `  token: ${tokenMs}\n`}}
nodelist {
${nodes.join('')}}
quorum {
  provider: corosync_votequorum
}
logging {
  to_logfile: yes
  logfile: /var/log/corosync/corosync.log
  to_syslog: no
}
`;
}

function copyFrom(source: Host, host: Host): void {
  const words = ['-h', source.address, '-U', 'postgres', '-Xs', '-c', 'fast', '-D', dataFolder];
  runOn(host, asPostgres([`${binDir}/pg_basebackup`, ...words]));
}

/** Standbys follow the virtual address; nobody may replicate from itself through it. */
function writeReplication(site: Site, host: Host, dataDir: string): void {
  const from = `host=${site.virtualAddress} user=postgres application_name=${host.name}`;
  writeFileSync(join(dataDir, 'postgresql.auto.conf'), `primary_conninfo = '${from}'\n`);
  const rules = [
    'local replication all reject',
    `host replication all ${site.virtualAddress}/32 reject`,
    `host replication all ${host.address}/32 reject`,
    'local all all trust',
    'host all all 127.0.0.1/32 trust',
    `host all all ${site.subnet} trust`,
    `host replication all ${site.subnet} trust`,
  ];
  writeFileSync(join(dataDir, 'pg_hba.conf'), `${rules.join('\n')}\n`);
}

async function allOnline(asked: Host, hosts: readonly Host[]): Promise<void> {
  for (let attempt = 0; attempt < 60; attempt += 1) {
    const seen = runOn(asked, asRoot(['bash', '-c', 'crm_mon -1 || true']));
    const online = /Online: \[(.*)\]/.exec(seen)?.[1] ?? '';
    if (hosts.every((host) => online.split(' ').includes(host.name))) return;
    await sleep(500);
  }
  throw new Error('Pacemaker does not see all hosts after 30 s');
}

function resources(address: string, settings: Settings): string {
  const agent = `params bindir=${binDir} pgdata=${dataFolder} pghost=/run/postgresql`;
  const limits = [
    'start timeout=60s interval=0',
    'stop timeout=60s interval=0',
    'promote timeout=30s interval=0',
    'demote timeout=120s interval=0',
    `monitor interval=${settings.monitorPrimaryS}s timeout=10s role=Master`,
    `monitor interval=${settings.monitorStandbyS}s timeout=10s role=Slave`,
    'notify timeout=60s interval=0',
  ];
  return `property stonith-enabled=false no-quorum-policy=stop
rsc_defaults resource-stickiness=10 migration-threshold=5
primitive pgsqld ocf:heartbeat:pgsqlms ${agent} ${limits.map((limit) => `op ${limit}`).join(' ')}
ms pgsql-ha pgsqld meta notify=true
primitive vip ocf:heartbeat:IPaddr2 params ip=${address} cidr_netmask=24 op monitor interval=10s
colocation vip-with-primary inf: vip pgsql-ha:Master
order promote-then-vip Mandatory: pgsql-ha:promote vip:start sequential=true symmetrical=false
order demote-then-stop-vip Mandatory: pgsql-ha:demote vip:stop sequential=true symmetrical=false
commit
`;
}
