/**
 * From empty machines to a cluster: a monitor and three hosts, each with its own network, name, /etc and /var/lib, and one
 * command on each, with nothing but defaults. A host that loses its disk joins again under its name.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { createNetwork, type Host, type Network } from './lab/host.ts';
import { parseRows } from './loopback/cluster.ts';
import { postgresOwner } from './loopback/postgres.ts';
import { readLog } from './loopback/processes.ts';
import { until } from './loopback/wait.ts';

const launcher = resolve(import.meta.dirname, '../../bin/pgherd');
const folder = mkdtempSync(join(tmpdir(), 'pgherd-hosts-'));
let network: Network;
let monitor: Host;
let hosts: readonly Host[];
let joinWords: readonly string[];

before(async () => {
  chmodSync(folder, 0o755);
  network = createNetwork(folder);
  monitor = network.host('m');
  hosts = ['n1', 'n2', 'n3'].map((name) => network.host(name));
  for (const host of [monitor, ...hosts]) await powerOn(host);
});
after(async () => {
  await network?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

/** With a system of its own, as far as it matters here: /etc, and the folder for PostgreSQL's sockets. */
async function powerOn(host: Host): Promise<void> {
  await host.powerOn();
  const etc = join(host.disk, 'etc');
  const sockets = join(host.disk, 'sockets');
  host.run(['cp', '-a', '/etc', etc]);
  mkdirSync(sockets);
  const owner = await postgresOwner();
  if (owner) chownSync(sockets, owner.uid, owner.gid);
  host.run(['mount', '--bind', etc, '/etc']);
  host.run(['mount', '--bind', sockets, '/var/run/postgresql']);
}

function hostOf(name: string): Host {
  const host = hosts.find((one) => one.name === name);
  assert.ok(host);
  return host;
}

function logOf(host: Host): string {
  return readLog(join(host.disk, 'pgherd.log'));
}

function start(host: Host, ...words: readonly string[]): void {
  host.start([launcher, ...words], 'pgherd.log');
}

const evidence = (): string =>
  [monitor, ...hosts].map((host) => `--- ${host.name}\n${logOf(host).slice(-1500)}`).join('\n');

/** Without -c: the configuration is where it always is. */
function states(at: Host): readonly string[] {
  try {
    const rows = parseRows(runOn(at, 'list', '--format', 'json'));
    return rows.map((row) => ['Member', 'Host', 'Role', 'State'].map((column) => String(row[column])).join(' '));
  } catch {
    return [];
  }
}

function runOn(host: Host, ...words: readonly string[]): string {
  return host.run([launcher, ...words]);
}

async function isWell(at: Host): Promise<readonly string[]> {
  return until(
    'one primary and two standbys, for which commits wait',
    () => {
      const found = states(at);
      return found.filter((row) => /Leader running|Quorum Standby streaming/.test(row)).length === 3 && found;
    },
    { timeoutMs: 60_000, everyMs: 300, evidence },
  );
}

test('three commands make a cluster of three from empty machines', async () => {
  const began = performance.now();
  start(monitor, 'monitor', '--pgdata', '/var/lib/pgherd/monitor', '--listen', `${monitor.address}:5433`);
  const uri = await until('the monitor is ready', () => /members use (\S+)/.exec(logOf(monitor))?.[1], {
    timeoutMs: 60_000,
    evidence,
  });
  const password = monitor.run(['cat', '/var/lib/pgherd/monitor.pgherd/pgherd.password']).trim();
  const readyAt = performance.now();
  start(hostOf('n1'), 'create', '--monitor', uri.replace('@', `:${password}@`), '--scope', 'orders', '--run');
  const told = await until('the join command is told', () => /^ {2}pgherd (join .*)$/m.exec(logOf(hostOf('n1')))?.[1], {
    evidence,
  });
  joinWords = told.split(' ');
  for (const name of ['n2', 'n3']) start(hostOf(name), ...joinWords, '--run');
  const found = await isWell(hostOf('n1'));
  const seconds = (from: number): string => ((performance.now() - from) / 1000).toFixed(1);
  console.log(`# a cluster of three after ${seconds(readyAt)} s, with the making of the monitor ${seconds(began)} s`);
  assert.deepEqual(
    found.map((row) => row.split(' ').slice(0, 2).join(' ')),
    hosts.map(({ name, address }) => `${name} ${address}`),
  );
});

test('everything is where it is by default, for its owner alone', () => {
  const host = hostOf('n2');
  const config = join(host.disk, 'etc', 'pgherd', 'orders.yml');
  assert.equal(statSync(config).mode & 0o777, 0o600);
  const { name, restapi, postgresql } = parse(readFileSync(config, 'utf8'));
  assert.equal(name, 'n2');
  assert.equal(restapi.listen, `${host.address}:8008`);
  assert.equal(postgresql.listen, `${host.address},127.0.0.1:5432`);
  assert.equal(postgresql.data_dir, '/var/lib/pgherd/orders/data');
  const addresses = hosts.map(({ address }) => `${address}:5432`).join(',');
  assert.equal(runOn(host, 'uri').trim(), `postgres://${addresses}/postgres?target_session_attrs=read-write`);
  // The owner of the server comes in through its socket, without a password.
  const owner = statSync(join(host.disk, 'lib', 'pgherd', 'orders', 'data')).uid;
  const asOwner = ['setpriv', `--reuid=${owner}`, '--clear-groups', '--'];
  assert.equal(host.run([...asOwner, 'psql', '-XAtU', 'postgres', '-c', 'show cluster_name']).trim(), 'orders');
});

test('a host that lost its disk joins again under its name, once the old member is gone', async () => {
  const host = hostOf('n3');
  host.powerOff();
  rmSync(host.disk, { recursive: true });
  await powerOn(host);
  const words = runOn(hostOf('n2'), 'uri', '--join').trim().split(' ').slice(1);
  assert.deepEqual(words, joinWords);
  const refusals = new Set<string>();
  await until(
    'it may join',
    () => {
      try {
        return runOn(host, ...words, '--dry-run');
      } catch (error) {
        const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error);
        for (const line of said.split('\n')) if (!/^ ok {5}|^$/.test(line)) refusals.add(line);
        return undefined;
      }
    },
    { everyMs: 500, evidence },
  );
  const taken = ' FAILS  no other member has this name (n3 is a member: give another --name)';
  for (const refusal of refusals) assert.equal(refusal, taken);
  start(host, ...words, '--run');
  await isWell(hostOf('n1'));
});
