/** PostgreSQL as every system gets it, so that only what manages it differs. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../test/cluster/lab/host.ts';
import { asPostgres, binDir, runOn, type Site } from './site.ts';

/** Parameters that a system may set itself where it insists on it (address, port, sockets). */
export const ownParameters: Readonly<Record<string, string>> = {
  listen_addresses: '*',
  port: '5432',
  unix_socket_directories: '/run/postgresql',
};

/** Parameters that are the same under every system. */
export const sameParameters: Readonly<Record<string, string>> = {
  max_connections: '300',
  shared_buffers: '128MB',
  wal_level: 'replica',
  hot_standby: 'on',
  max_wal_senders: '10',
  max_replication_slots: '10',
  wal_log_hints: 'on',
  wal_keep_size: '512MB',
  max_wal_size: '1GB',
  fsync: 'on',
  full_page_writes: 'on',
};

/** Who may come in: everybody of the site, without a password. */
export function accessRules(site: Site): readonly string[] {
  return [
    'local all all trust',
    'host all all 127.0.0.1/32 trust',
    `host all all ${site.subnet} trust`,
    'local replication all trust',
    `host replication all ${site.subnet} trust`,
  ];
}

/** Parameters as the lines of a configuration file. */
export function parameterLines(parameters: Readonly<Record<string, string>>): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name} = '${value}'\n`)
    .join('');
}

/** An empty instance for systems that leave this to their user; nothing is started. */
export function initialize(
  site: Site,
  host: Host,
  dataDir: string,
  parameters: Readonly<Record<string, string>> = {},
): void {
  ownedFolder(host, 'pg');
  runOn(
    host,
    asPostgres([`${binDir}/initdb`, '-D', dataDir, '-E', 'UTF8', '--locale=C', '-U', 'postgres', '-A', 'trust']),
  );
  appendFileSync(
    join(dataDir, 'postgresql.conf'),
    parameterLines({ ...ownParameters, ...sameParameters, ...parameters }),
  );
  writeFileSync(join(dataDir, 'pg_hba.conf'), `${accessRules(site).join('\n')}\n`);
}

/** A folder on the host's disk that belongs to `postgres`; its path. */
export function ownedFolder(host: Host, name: string): string {
  const path = join(host.disk, name);
  runOn(host, ['install', '-d', '-o', 'postgres', '-g', 'postgres', path]);
  return path;
}

/** The words that start an instance and wait until it answers. */
export function startWords(host: Host, dataDir: string): readonly string[] {
  return asPostgres([
    `${binDir}/pg_ctl`,
    '-D',
    dataDir,
    '-l',
    join(ownedFolder(host, 'log'), 'postgres.log'),
    '-w',
    'start',
  ]);
}

/** Starts an instance and waits until it answers. */
export function startPostgres(host: Host, dataDir: string): void {
  runOn(host, startWords(host, dataDir));
}
