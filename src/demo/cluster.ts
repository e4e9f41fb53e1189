/** The demo's cluster: a monitor and three members on loopback, each with a folder and ports of its own. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { ClusterAnswer } from '../api/answers.ts';
import { askMember, command } from '../api/client.ts';
import { formatLsn, lsn } from '../core/lsn.ts';
import { connectionUri, type Login, type Target } from '../drill/login.ts';
import { startProgram } from './processes.ts';

export const memberNames = ['pg1', 'pg2', 'pg3'] as const;
export const scope = 'demo';
/** For the demo's own roles; nothing listens beyond loopback. */
const password = 'demo';

/** One member, and where it is. */
export interface DemoMember {
  readonly name: string;
  readonly config: string;
  readonly port: number;
  readonly apiUrl: string;
}

/** The cluster of the story, laid out in its folder. */
export interface DemoCluster {
  readonly folder: string;
  readonly monitorPort: number;
  readonly members: readonly DemoMember[];
}

/** Writes the configurations. Nothing is started. */
export async function layOut(folder: string): Promise<DemoCluster> {
  mkdirSync(folder, { recursive: true });
  // PostgreSQL runs as another user when the demo is started by root, and has to reach its directories.
  chmodSync(folder, 0o755);
  const ports = await freePorts(1 + 2 * memberNames.length);
  const monitorPort = ports[0] ?? 0;
  const members = memberNames.map((name, index): DemoMember => {
    const port = ports[1 + 2 * index] ?? 0;
    const apiPort = ports[2 + 2 * index] ?? 0;
    const config = join(folder, `${name}.yml`);
    writeFileSync(config, stringify(configuration(folder, name, port, apiPort, monitorPort)), { mode: 0o600 });
    return { name, config, port, apiUrl: `http://127.0.0.1:${apiPort}` };
  });
  return { folder, monitorPort, members };
}

function configuration(folder: string, name: string, port: number, apiPort: number, monitorPort: number): object {
  return {
    scope,
    name,
    restapi: { listen: `127.0.0.1:${apiPort}`, connect_address: `127.0.0.1:${apiPort}` },
    monitor: { uri: `postgres://pgherd@127.0.0.1:${monitorPort}/pgherd` },
    bootstrap: {
      dcs: { synchronous_mode: 'quorum', postgresql: { parameters: { max_connections: 50, shared_buffers: '32MB' } } },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }],
    },
    postgresql: {
      listen: `127.0.0.1:${port}`,
      connect_address: `127.0.0.1:${port}`,
      data_dir: join(folder, name, 'data'),
      authentication: {
        superuser: { username: 'postgres', password },
        replication: { username: 'replicator', password },
        rewind: { username: 'rewinder', password },
      },
      parameters: { unix_socket_directories: '' },
    },
  };
}

/** Where psql connects: all members, the writable one is found. */
export function psqlUri(cluster: DemoCluster): string {
  return connectionUri(targetsOf(cluster)).replace('@', `:${password}@`);
}

/** The members as clients reach them. */
export function targetsOf(cluster: DemoCluster): readonly Target[] {
  const login: Login = { user: 'postgres', password, database: 'postgres', sslMode: 'disable', tls: undefined };
  return cluster.members.map(({ name, port }) => ({ name, address: { host: '127.0.0.1', port }, login }));
}

/** It goes on when the demo ends; `killAll` ends it. */
export function startMonitor(cluster: DemoCluster): void {
  const { folder, monitorPort } = cluster;
  const words = [
    'monitor',
    '--pgdata',
    join(folder, 'monitor'),
    '--listen',
    `127.0.0.1:${monitorPort}`,
    '--auth',
    'trust',
  ];
  startProgram(words, join(folder, 'monitor.log')).unref();
}

/** Its agent, which starts PostgreSQL. It goes on when the demo ends; `killAll` ends it. */
export function startMember(cluster: DemoCluster, member: DemoMember): void {
  startProgram(['agent', member.config], join(cluster.folder, `${member.name}.log`)).unref();
}

/** The cluster as the first agent that answers sees it; undefined while none does. */
export async function look(cluster: DemoCluster): Promise<ClusterAnswer | undefined> {
  const asked = cluster.members.map(async (member) => {
    const outcome = await askMember(member.apiUrl, '/cluster', { timeoutMs: 400 });
    return outcome.ok ? outcome.answer : Promise.reject(new Error(outcome.error));
  });
  return await Promise.any(asked).catch(() => undefined);
}

/** How far the leader has written, in its own words. */
export async function writtenBy(cluster: DemoCluster, seen: ClusterAnswer | undefined): Promise<string | undefined> {
  const leader = cluster.members.find((member) => member.name === (seen && leaderOf(seen)));
  if (leader === undefined) return undefined;
  const outcome = await askMember(leader.apiUrl, '/patroni', { timeoutMs: 400 });
  const xlog: unknown = outcome.ok ? outcome.answer['xlog'] : undefined;
  if (typeof xlog !== 'object' || xlog === null || !('location' in xlog)) return undefined;
  return typeof xlog.location === 'number' ? formatLsn(lsn(xlog.location)) : undefined;
}

/** A planned hand-over, by the API of the present leader. */
export async function switchOver(from: DemoMember, to: DemoMember): Promise<string | undefined> {
  const outcome = await command(
    from.apiUrl,
    '/switchover',
    { leader: from.name, candidate: to.name },
    { timeoutMs: 60_000 },
  );
  if (!outcome.ok) return outcome.error;
  return outcome.status === 200 ? undefined : outcome.text;
}

/** Waits for a condition on the cluster; false when it does not hold within `timeoutMs`. */
export async function waitFor(
  cluster: DemoCluster,
  condition: (seen: ClusterAnswer) => boolean,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const endAt = performance.now() + timeoutMs;
  while (performance.now() < endAt && !signal.aborted) {
    const seen = await look(cluster);
    if (seen !== undefined && condition(seen)) return true;
    await sleep(50);
  }
  return false;
}

/** The leader, if it runs. */
export function leaderOf(seen: ClusterAnswer): string | undefined {
  return seen.members.find((member) => member.role === 'leader' && member.state === 'running')?.name;
}

/** One leader; everybody else streams from it, and is one of those that commits may wait for. */
export function isHealthy(seen: ClusterAnswer): boolean {
  const standbys = seen.members.filter(({ role, state }) => role === 'quorum_standby' && state === 'streaming');
  return leaderOf(seen) !== undefined && standbys.length === memberNames.length - 1;
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
