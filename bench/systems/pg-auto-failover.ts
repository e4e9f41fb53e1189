/** pg_auto_failover: its monitor on the fourth host, three data nodes. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../test/cluster/lab/host.ts';
import { accessRules, ownedFolder, parameterLines, sameParameters } from '../postgres.ts';
import { asPostgres, binDir, postgresVersion, runOn, type Site } from '../site.ts';
import type { Cluster, System } from './system.ts';

const packages = ['pg-auto-failover-cli', `postgresql-${postgresVersion}-auto-failover`];
const program = '/usr/bin/pg_autoctl';
const database = 'pg_auto_failover';

/** Settings in the tools' own names; what is not named has its default. */
interface Settings {
  readonly monitor: Readonly<Record<string, number>>;
  readonly node: Readonly<Record<string, number>>;
}

function pgAutoFailover(name: string, settings: string, given: Settings): System {
  return { name, settings, isSynchronous: true, packages, open: (site) => open(site, given) };
}

export const pgAutoFailoverSystems: readonly System[] = [
  pgAutoFailover('pg_auto_failover', 'its defaults, number_sync_standbys 1; the monitor on the fourth host', {
    monitor: {},
    node: {},
  }),
  pgAutoFailover(
    'pg_auto_failover-fast',
    'as pg_auto_failover, with health checks every second (1 retry after 0.5 s) and unhealthy, demote, start-up and partition timeouts of 3 s',
    {
      monitor: {
        'pgautofailover.health_check_period': 1000,
        'pgautofailover.health_check_timeout': 1000,
        'pgautofailover.health_check_retry_delay': 500,
        'pgautofailover.health_check_max_retries': 1,
        'pgautofailover.node_considered_unhealthy_timeout': 3000,
        'pgautofailover.primary_demote_timeout': 3000,
        'pgautofailover.startup_grace_period': 3000,
      },
      node: { 'timeout.network_partition_timeout': 3 },
    },
  ),
];

function open(site: Site, settings: Settings): Cluster {
  const hosts = site.databaseHosts;
  const monitor = site.fourthHost;
  const monitorDir = join(monitor.disk, 'pg', 'monitor');
  const dataDir = (host: Host): string => join(host.disk, 'pg', 'data');
  const autoctl = (host: Host, ...words: string[]): string => runOn(host, asPostgres([program, ...words]), 100);
  const startAgents = (host: Host): void =>
    host.start(asPostgres([program, 'run', '--pgdata', dataDir(host)]), 'pg_autoctl.log');
  const ask = (statement: string): readonly (readonly string[])[] | undefined =>
    site.sql(monitor, statement, { database });

  const createMonitor = async (): Promise<void> => {
    ownedFolder(monitor, 'pg');
    const where = ['--pgdata', monitorDir, '--pgport', '5432', '--hostname', monitor.address];
    autoctl(monitor, 'create', 'monitor', ...where, '--auth', 'trust', '--no-ssl', '--pgctl', `${binDir}/pg_ctl`);
    appendFileSync(join(monitorDir, 'pg_hba.conf'), `host all all ${site.subnet} trust\n`);
    monitor.start(asPostgres([program, 'run', '--pgdata', monitorDir]), 'pg_autoctl.log');
    await answers(() => ask('select 1'));
    for (const [name, value] of Object.entries(settings.monitor)) ask(`alter system set ${name} to ${value}`);
    ask('select pg_reload_conf()');
  };
  const createNode = async (host: Host): Promise<void> => {
    ownedFolder(host, 'pg');
    const where = ['--pgdata', dataDir(host), '--pgport', '5432', '--hostname', host.address, '--name', host.name];
    const who = ['--auth', 'trust', '--no-ssl', '--dbname', 'postgres', '--username', 'postgres'];
    const uri = `postgres://autoctl_node@${monitor.address}:5432/${database}?sslmode=disable`;
    autoctl(host, 'create', 'postgres', ...where, ...who, '--pgctl', `${binDir}/pg_ctl`, '--monitor', uri);
    for (const [name, value] of Object.entries(settings.node)) {
      autoctl(host, 'config', 'set', name, String(value), '--pgdata', dataDir(host));
    }
    // The others copy the first one's files.
    if (host === hosts[0]) {
      appendFileSync(join(dataDir(host), 'postgresql.conf'), parameterLines(sameParameters));
      appendFileSync(join(dataDir(host), 'pg_hba.conf'), `${accessRules(site).join('\n')}\n`);
    }
    startAgents(host);
    await answers(() => site.sql(host, 'select 1'));
  };
  const agents = (host: Host): readonly number[] => host.pids('pg_autoctl');
  return {
    hosts,
    dataDir,
    bringsBack: true,
    async bootstrap() {
      await createMonitor();
      for (const host of hosts) await createNode(host);
    },
    boot: startAgents,
    switchover: () => void autoctl(monitor, 'perform', 'switchover', '--pgdata', monitorDir),
    agents,
    startAgents,
    isReady() {
      const rows = ask('select reportedstate, goalstate from pgautofailover.node') ?? [];
      const states = rows.map((row) => row.join(' ')).sort();
      return states.join() === 'primary primary,secondary secondary,secondary secondary';
    },
    processes: () => [
      ...hosts.map((host) => ({ role: 'agent' as const, host, pids: agents(host) })),
      { role: 'store', host: monitor, pids: [...monitor.pids('pg_autoctl'), ...monitor.pids('postgres: ')] },
    ],
    storeTotals() {
      const statement = `select tup_inserted + tup_updated + tup_deleted from pg_stat_database where datname = '${database}'`;
      const writes = ask(statement)?.[0]?.[0];
      return writes === undefined ? undefined : { writes: Number(writes) };
    },
  };
}

/** Waits until something answers. Throws after half a minute. */
async function answers(ask: () => unknown): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt += 1) {
    if (ask() !== undefined) return;
    await sleep(200);
  }
  throw new Error('no answer within 30 s');
}
