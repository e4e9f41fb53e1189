/**
 * From nothing to a cluster of three, on loopback: a monitor, `create`, and two `join`s that need nothing but the token.
 * Then a switchover under a writer loses nothing. Whoever may not join, or not create, is refused and changes nothing.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import { parse } from 'yaml';
import * as z from 'zod';
import type { Report } from '../../src/drill/report.ts';
import { createLoopback, type Loopback, parseRows } from './loopback/cluster.ts';
import { listing } from './loopback/listing.ts';
import { makeDataDirectory } from './loopback/postgres.ts';
import {
  freePort,
  type Outcome,
  type Program,
  readLog,
  runCommand,
  runPgherd,
  startPgherd,
} from './loopback/processes.ts';

/** A member that is to be. */
interface Place {
  readonly name: string;
  readonly config: string;
  readonly dataDir: string;
  readonly port: number;
  readonly words: readonly string[];
}

let lab: Loopback;
let monitorPassword: string;
let token: string;
let db1: Place;
let db2: Place;
let db3: Place;
let agent: Program;
/** Was the first agent made a process that the kernel spares when memory runs out? */
let spared = false;

before(async () => {
  lab = await createLoopback({ auth: 'scram-sha-256', scope: 'orders' });
  await lab.monitor.start();
  monitorPassword = readFileSync(join(`${lab.monitor.dataDir}.pgherd`, 'pgherd.password'), 'utf8').trim();
  db1 = await place('db1');
  db2 = await place('db2');
  db3 = await place('db3');
});
after(() => lab?.end());

async function place(name: string): Promise<Place> {
  const folder = join(lab.folder, name);
  const config = join(folder, 'etc', 'orders.yml');
  const dataDir = join(folder, 'data');
  const port = await freePort();
  const ports = ['--port', String(port), '--api-port', String(await freePort())];
  const words = ['--scope', 'orders', '--name', name, '--config', config, '--data-dir', dataDir, ...ports];
  return { name, config, dataDir, port, words };
}

function logOf({ name }: Place): string {
  return join(lab.folder, `${name}.log`);
}

const creating = (at: Place): readonly string[] => ['create', '--monitor', lab.monitor.uri, ...at.words];
const joining = (at: Place): readonly string[] => ['join', lab.monitor.uri, ...at.words];

/** As a unit of systemd's would; false: this user may not. */
function spare({ pid }: Program): boolean {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '-300');
    return true;
  } catch {
    return false;
  }
}

const configForm = z.object({
  postgresql: z.object({
    authentication: z.object({
      superuser: z.object({ password: z.string() }),
      replication: z.object({ password: z.string() }),
      rewind: z.object({ password: z.string() }),
    }),
  }),
});

function passwordsOf({ config }: Place): readonly string[] {
  const { authentication } = configForm.parse(parse(readFileSync(config, 'utf8'))).postgresql;
  return Object.values(authentication).map(({ password }) => password);
}

async function states(): Promise<readonly string[]> {
  const { stdout } = await runPgherd(['-c', db1.config, 'list', '--format', 'json']);
  return parseRows(stdout || '[]').map((row) =>
    ['Member', 'Role', 'State'].map((column) => String(row[column])).join(' '),
  );
}

async function isWell(): Promise<void> {
  const evidence = (): string => [db1, db2, db3].map((one) => readLog(logOf(one)).slice(-1500)).join('\n---\n');
  await lab.until(
    'three members are well',
    async () => (await states()).filter((row) => /Leader running|Quorum Standby streaming/.test(row)).length === 3,
    { evidence },
  );
}

describe('from nothing to a cluster', () => {
  test('--dry-run makes nothing, and shows no password', async () => {
    const { code, stdout } = await runPgherd([...creating(db1), '--dry-run'], { PGPASSWORD: monitorPassword });
    assert.equal(code, 0, stdout);
    assert.match(stdout, /Dry run: .*orders\.yml would be:\n\n# Member db1 of the cluster orders/);
    assert.match(stdout, /superuser: \{ username: postgres, password: '\(not shown\)' \}/);
    assert.ok(!stdout.includes(monitorPassword));
    assert.deepEqual(listing(join(lab.folder, 'db1')), ['absent']);
  });

  test('the first member: its files, and the token for the next', async () => {
    agent = startPgherd([...creating(db1), '--run'], logOf(db1), { PGPASSWORD: monitorPassword });
    spared = spare(agent);
    const told = await lab.until(
      'the join command is told',
      () => /^ {2}(pgherd join .*)$/m.exec(readLog(logOf(db1)))?.[1],
    );
    token = /--token (\S+)$/.exec(told)?.[1] ?? '';
    assert.equal(told, `pgherd join ${lab.monitor.uri} --scope orders --token ${token}`);
    for (const path of [db1.config, db1.config.replace(/yml$/, 'join-token')]) {
      assert.equal(statSync(path).mode & 0o777, 0o600, path);
    }
    assert.equal(new Set(passwordsOf(db1)).size, 3);
    const again = await runPgherd(['uri', db1.config, '--join']);
    assert.equal(again.stdout.trim(), told);
  });

  test('the others join at once: they wait for the first, and need nothing but the token', async () => {
    startPgherd([...joining(db2), '--run'], logOf(db2), { PGHERD_JOIN_TOKEN: token });
    const file = join(lab.folder, 'token');
    writeFileSync(file, `${token}\n`, { mode: 0o600 });
    startPgherd([...joining(db3), '--token-file', file, '--run'], logOf(db3));
    await isWell();
    assert.deepEqual(passwordsOf(db2), passwordsOf(db1));
    assert.deepEqual(parse(readFileSync(db3.config, 'utf8')).bootstrap.dcs, { synchronous_mode: 'quorum' });
  });

  test('nothing that the DCS holds has a password in it', async () => {
    const client = new Client({ connectionString: lab.monitor.uri.replace('@', `:${monitorPassword}@`) });
    await client.connect();
    const { rows } = await client.query(`select pgherd.read('/service/orders/', -1) as read`);
    await client.end();
    const read = String(rows[0].read);
    assert.match(read, /"join"/);
    for (const secret of [...passwordsOf(db1), monitorPassword, token, ...token.split('.')])
      assert.ok(!read.includes(secret));
  });
});

describe('what users ask next', () => {
  test('uri: psql finds the primary, and a standby for reading', async () => {
    const [password] = passwordsOf(db1);
    const select = 'select pg_is_in_recovery()';
    for (const [words, inRecovery] of [
      [[], 'f'],
      [['--read-only'], 't'],
    ] as const) {
      const { stdout: uri } = await runPgherd(['uri', db2.config, '--user', 'postgres', ...words]);
      const environment = { PATH: process.env['PATH'], PGPASSWORD: password };
      const answer = await runCommand('psql', ['-XAtc', select, uri.trim()], environment);
      assert.equal(answer.stdout.trim(), inRecovery, answer.stderr);
    }
  });

  test('files: nothing of a member is anywhere else', async () => {
    for (const member of [db1, db2]) {
      const { stdout } = await runPgherd(['files', member.config, '--format', 'tsv']);
      const rows = stdout.split('\n').map((line) => line.split('\t'));
      const paths = rows.map(([, path]) => path ?? '');
      const state = `${member.dataDir}.pgherd`;
      const folder = join(lab.folder, member.name);
      const there = [
        ...readdirSync(state).map((name) => join(state, name)),
        ...readdirSync(folder).map((name) => join(folder, name)),
      ];
      const unknown = there.filter((path) => !paths.includes(path) && basename(path) !== 'etc');
      assert.deepEqual(unknown, []);
      for (const what of [
        'configuration (with passwords)',
        'data directory',
        'socket of PostgreSQL',
        'log of PostgreSQL',
      ]) {
        const [, path, found] = rows.find(([name]) => name === what) ?? [];
        assert.match(found ?? '', /^there/, `${what}: ${path}`);
      }
    }
  });

  test('systemd: a unit that runs this configuration', async () => {
    const { code, stdout } = await runPgherd(['systemd', db1.config]);
    assert.equal(code, 0);
    const [, program = ''] = /^ExecStart=(\S+) agent (\S+)$/m.exec(stdout) ?? [];
    assert.ok(existsSync(program), stdout);
    assert.equal((await runCommand(program, ['agent', '--validate-config', db1.config])).code, 0);
  });

  test('when memory runs out, sessions go before the postmaster', async () => {
    const [postmaster = ''] = readFileSync(join(db1.dataDir, 'postmaster.pid'), 'utf8').split('\n');
    const environment = readFileSync(`/proc/${postmaster}/environ`, 'utf8').split('\0');
    const told = environment.filter((variable) => variable.startsWith('PG_OOM_')).toSorted();
    assert.deepEqual(told, ['PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj', 'PG_OOM_ADJUST_VALUE=0']);
    // Not every root may spare a process: containers' may not.
    if (!spared) return;
    const [password] = passwordsOf(db1);
    const client = new Client({ host: '127.0.0.1', port: db1.port, user: 'postgres', password, database: 'postgres' });
    await client.connect();
    const { rows } = await client.query('select pg_backend_pid() as pid');
    const score = (pid: unknown): string => readFileSync(`/proc/${String(pid)}/oom_score_adj`, 'utf8').trim();
    const found = [score(postmaster), score(rows[0].pid)];
    await client.end();
    assert.deepEqual(found, ['-300', '0']);
  });

  test('a switchover while a client writes: nothing is lost', async () => {
    const { code, stdout, stderr } = await runPgherd(['drill', db1.config, '--force', '--format', 'json']);
    assert.equal(code, 0, stderr);
    const report: Report = JSON.parse(stdout);
    assert.equal(report.writes.lost, 0);
    assert.ok(report.writes.acknowledged > 100);
    assert.notEqual(report.primary.after, 'db1');
    await isWell();
  });
});

describe('who may not', () => {
  let asItWas: readonly string[];
  before(async () => {
    asItWas = await states();
  });
  after(async () => {
    assert.deepEqual(await states(), asItWas);
  });

  async function refused(words: readonly string[], told: RegExp, at: Place, environment = {}): Promise<void> {
    const before1 = listing(join(lab.folder, at.name));
    const outcome: Outcome = await runPgherd(words, environment);
    assert.equal(outcome.code, 1, outcome.stdout + outcome.stderr);
    const fails = outcome.stdout.split('\n').filter((line) => line.startsWith(' FAILS '));
    assert.equal(fails.length, 1, outcome.stdout);
    assert.match(fails[0] ?? '', told);
    assert.equal(outcome.stderr.trim(), 'Error: see what FAILS above; nothing was done');
    assert.deepEqual(listing(join(lab.folder, at.name)), before1);
  }

  test('create a cluster that is there', async () => {
    const at = await place('db4');
    const there = /it has no cluster orders yet \(it has one, of db1, db2, db3: add this host to it with `pgherd join`/;
    await refused([...creating(at), '--replace'], there, at, { PGPASSWORD: monitorPassword });
  });

  test('join with another token, which has the right password of the DCS', async () => {
    const at = await place('db4');
    const [, passwordPart] = token.split('.');
    await refused(
      [...joining(at), '--token', `${'A'.repeat(43)}.${passwordPart}`],
      /the token opens its credentials \(it is the token of another/,
      at,
    );
  });

  test('join a cluster that nobody knows', async () => {
    const at = await place('db4');
    const words = [...joining(at), '--scope', 'other', '--token', token];
    await refused(words, /it has the cluster other \(it knows none of this name/, at);
  });

  test('join under the name of a member that lives', async () => {
    const at = await place('db4');
    await refused(
      [...joining(at), '--name', 'db2', '--token', token],
      /no other member has this name \(db2 is a member/,
      at,
    );
  });

  test('join with somebody else’s data', async () => {
    const at = await place('db4');
    await makeDataDirectory(at.dataDir);
    const foreign = /is free, or of this cluster \(it has system identifier \d+, the cluster has \d+: it is left alone/;
    await refused([...joining(at), '--token', token], foreign, at);
  });

  test('join with a PostgreSQL of another version than the primary’s', async () => {
    const at = await place('db5');
    const binDir = join(lab.folder, 'bin99');
    mkdirSync(binDir);
    writeFileSync(join(binDir, 'postgres'), '#!/bin/sh\necho "postgres (PostgreSQL) 99.1"\n', { mode: 0o755 });
    await refused(
      [...joining(at), '--bin-dir', binDir, '--token', token],
      /the primary's version, is here \(here is version 99/,
      at,
    );
  });

  test('create what another host has prepared; --replace takes its place', async () => {
    const elsewhere = await place('db6');
    const at = await place('db7');
    const scope = ['--scope', 'spare'];
    const environment = { PGPASSWORD: monitorPassword };
    assert.equal((await runPgherd([...creating(elsewhere), ...scope], environment)).code, 0);
    await refused([...creating(at), ...scope], /db6 prepared it at .* take its place with --replace/, at, environment);
    const early = await runPgherd([
      ...joining(at),
      ...scope,
      '--timeout',
      '0.1',
      '--token',
      readFileSync(elsewhere.config.replace(/yml$/, 'join-token'), 'utf8').trim(),
    ]);
    assert.equal(early.code, 1);
    assert.match(
      early.stdout,
      /the cluster spare has a primary that runs \(db6 has not made it yet: start the agent there\)/,
    );
    assert.equal((await runPgherd([...creating(at), ...scope, '--replace'], environment)).code, 0);
    assert.notDeepEqual(passwordsOf(at), passwordsOf(elsewhere));
  });
});

test('an agent that `create --run` became ends as any other', async () => {
  agent.kill('SIGTERM');
  assert.equal(await agent.ended, 0, readLog(logOf(db1)));
});
