/** repmgr: repmgrd beside three databases, and a witness on the fourth host. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../test/cluster/lab/host.ts';
import { initialize, ownedFolder, startPostgres, startWords } from '../postgres.ts';
import { asPostgres, asRoot, binDir, postgresVersion, runOn, type Site } from '../site.ts';
import type { Cluster, System } from './system.ts';

const packages = [`postgresql-${postgresVersion}-repmgr`, 'openssh-server', 'openssh-client'];

/** `repmgrd`: rows of repmgr.conf. */
function repmgr(name: string, settings: string, repmgrd: Readonly<Record<string, number | string>>): System {
  return { name, settings, isSynchronous: false, packages, open: (site) => open(site, repmgrd) };
}

export const repmgrSystems: readonly System[] = [
  repmgr(
    'repmgr',
    'its defaults (monitor_interval_secs 2, reconnect_attempts 6, reconnect_interval 10), asynchronous; a witness on the fourth host',
    {},
  ),
  repmgr(
    'repmgr-fast',
    'as repmgr, with monitor_interval_secs 1, reconnect_attempts 2, reconnect_interval 1, async_query_timeout 2, election_rerun_interval 5, sibling_nodes_disconnect_timeout 5',
    {
      monitor_interval_secs: 1,
      reconnect_attempts: 2,
      reconnect_interval: 1,
      async_query_timeout: 2,
      primary_notification_timeout: 10,
      election_rerun_interval: 5,
      sibling_nodes_disconnect_timeout: 5,
    },
  ),
];

interface Places {
  readonly site: Site;
  readonly all: readonly Host[];
  readonly dataDir: (host: Host) => string;
  readonly config: (host: Host) => string;
}

function open(site: Site, repmgrd: Readonly<Record<string, number | string>>): Cluster {
  const hosts = site.databaseHosts;
  const witness = site.fourthHost;
  const config = (host: Host): string => join(host.disk, 'repmgr.conf');
  const dataDir = (host: Host): string => join(host.disk, 'pg', 'data');
  const places: Places = { site, all: [...hosts, witness], dataDir, config };
  const repmgrWords = (host: Host, ...words: string[]): readonly string[] =>
    asPostgres([`${binDir}/repmgr`, '-f', config(host), ...words]);
  const agentWords = (host: Host): readonly string[] =>
    asPostgres([`${binDir}/repmgrd`, '-f', config(host), '--daemonize=false']);
  const startAgents = (host: Host): void => host.start(agentWords(host), 'repmgrd.log');
  const agents = (host: Host): readonly number[] => host.pids('bin/repmgrd');
  return {
    hosts,
    dataDir,
    bringsBack: false,
    async bootstrap() {
      shareKeys(places);
      for (const host of places.all) {
        writeFileSync(config(host), configuration(places, host, repmgrd));
        startSshd(host);
      }
      const [first, ...others] = hosts;
      const from = ['-h', first.address, '-U', 'repmgr', '-d', 'repmgr'];
      for (const host of [first, witness]) {
        initialize(site, host, dataDir(host), { shared_preload_libraries: 'repmgr' });
        startPostgres(host, dataDir(host));
        runOn(host, asPostgres(['createuser', '-s', 'repmgr']));
        runOn(host, asPostgres(['createdb', 'repmgr', '-O', 'repmgr']));
      }
      runOn(first, repmgrWords(first, 'primary', 'register'));
      for (const host of others) {
        ownedFolder(host, 'pg');
        runOn(host, repmgrWords(host, 'standby', 'clone', ...from, '--fast-checkpoint'));
        startPostgres(host, dataDir(host));
        runOn(host, repmgrWords(host, 'standby', 'register', '--upstream-node-id=1', '--wait-sync=20'));
      }
      runOn(witness, repmgrWords(witness, 'witness', 'register', ...from));
      for (const host of places.all) startAgents(host);
    },
    boot(host) {
      startSshd(host);
      // Debian starts PostgreSQL when it boots, then repmgrd.
      const script = `"$@"; until pg_isready -q -h ${host.address}; do sleep 0.5; done; exec ${agentWords(host).join(' ')}`;
      host.start(asRoot(['bash', '-c', script, 'boot', ...startWords(host, dataDir(host))]), 'repmgrd.log');
    },
    switchover(from) {
      const to = hosts.find((host) => host !== from) ?? from;
      runOn(to, repmgrWords(to, 'standby', 'switchover', '--siblings-follow', '--force-rewind'), 100);
    },
    agents,
    startAgents,
    isReady: () => places.all.every((host) => agents(host).length > 0),
    processes: () => [
      ...hosts.map((host) => ({ role: 'agent' as const, host, pids: agents(host) })),
      { role: 'store', host: witness, pids: [...agents(witness), ...witness.pids('postgres')] },
    ],
    storeTotals: () => undefined,
  };
}

function configuration(
  { dataDir, config }: Places,
  host: Host,
  repmgrd: Readonly<Record<string, number | string>>,
): string {
  const number = Number(host.address.split('.').at(-1)) - 10;
  const control = `${binDir}/pg_ctl -D ${dataDir(host)} -l ${ownedFolder(host, 'log')}/postgres.log -w`;
  const rows = {
    node_id: number,
    node_name: host.name,
    conninfo: `host=${host.address} port=5432 user=repmgr dbname=repmgr connect_timeout=2`,
    data_directory: dataDir(host),
    pg_bindir: binDir,
    repmgr_bindir: binDir,
    failover: 'automatic',
    promote_command: `${binDir}/repmgr standby promote -f ${config(host)} --log-to-file`,
    follow_command: `${binDir}/repmgr standby follow -f ${config(host)} --log-to-file --upstream-node-id=%n`,
    service_start_command: `${control} start`,
    service_stop_command: `${control} -m fast stop`,
    service_restart_command: `${control} restart`,
    service_reload_command: `${control} reload`,
    repmgrd_pid_file: '/run/postgresql/repmgrd.pid',
    log_file: join(host.disk, 'log', 'repmgrd.log'),
    ssh_options: '-q -o ConnectTimeout=5 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null',
    ...repmgrd,
  };
  return Object.entries(rows)
    .map(([name, value]) => `${name}='${value}'\n`)
    .join('');
}

/** A switchover goes through ssh without a password: one key for all hosts, made for this run. */
function shareKeys({ all, site }: Places): void {
  const key = join(site.network.folder, 'ssh-key');
  const [first] = site.databaseHosts;
  runOn(first, ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key]);
  const owned = ['-o', 'postgres', '-g', 'postgres', '-m'];
  for (const host of all) {
    const home = '/var/lib/postgresql/.ssh';
    runOn(host, ['install', '-d', ...owned, '700', home]);
    runOn(host, ['install', ...owned, '600', key, `${home}/id_ed25519`]);
    runOn(host, ['install', ...owned, '600', `${key}.pub`, `${home}/authorized_keys`]);
    const rows = [`HostKey ${key}`, 'UsePAM yes', 'PasswordAuthentication no', 'StrictModes no', 'PidFile none'];
    writeFileSync(join(host.disk, 'sshd_config'), `${rows.join('\n')}\nListenAddress ${host.address}\n`);
  }
}

function startSshd(host: Host): void {
  runOn(host, ['install', '-d', '/run/sshd']);
  host.start(asRoot(['/usr/sbin/sshd', '-f', join(host.disk, 'sshd_config')]), 'sshd.log');
}
