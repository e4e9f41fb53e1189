/** Ports, directories and names that somebody has already. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLoopback, type Loopback } from './loopback/cluster.ts';
import { listing } from './loopback/listing.ts';
import type { Member } from './loopback/member.ts';
import { freePort, processesIn, runPgherd } from './loopback/processes.ts';
import { until } from './loopback/wait.ts';

async function occupy(port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return server;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

describe('the port of the REST API or of the monitor is in use', () => {
  let lab: Loopback;
  before(async () => {
    lab = await createLoopback();
  });
  after(() => lab.end());

  test('an agent ends with 1, and starts nothing', async () => {
    const member = await lab.member('pg1');
    const other = await occupy(member.apiPort);
    assert.equal(await member.start().ended, 1);
    await close(other);
    assert.match(
      member.log(),
      new RegExp(
        `the REST API cannot listen on 127\\.0\\.0\\.1:${member.apiPort} \\(restapi\\.listen\\): the port is in use by another process: stop it`,
      ),
    );
    assert.equal(existsSync(member.dataDir), false);
    await until('its guard has ended too', () => processesIn(member.folder).length === 0);
    assert.deepEqual(readdirSync(`${member.dataDir}.pgherd`), [], 'the lock is given back');
  });

  test('a monitor ends with 1, and makes nothing', async () => {
    const port = await freePort();
    const other = await occupy(port);
    const dataDir = join(lab.folder, 'taken', 'data');
    const { code, stdout, stderr } = await runPgherd(['monitor', '--pgdata', dataDir, '--listen', `127.0.0.1:${port}`]);
    await close(other);
    assert.equal(code, 1);
    assert.match(
      stdout + stderr,
      new RegExp(`port ${port} on 127\\.0\\.0\\.1 is in use by another program: end it, or choose another --listen`),
    );
    assert.equal(existsSync(join(lab.folder, 'taken')), false);
  });
});

describe('somebody has it already', () => {
  let lab: Loopback;
  let pg1: Member;
  let pg2: Member;
  before(async () => {
    lab = await createLoopback();
    await lab.monitor.start();
    pg1 = await lab.member('pg1', { settings: { bootstrap: { dcs: { ttl: 4 } } } });
    pg2 = await lab.member('pg2');
    pg1.start();
    await pg1.isLeader();
    pg2.start();
    await pg2.isStreaming();
  });
  after(() => lab.end());

  test("PostgreSQL's port, at a replica: the reason is in list; when it is free again it starts by itself", async () => {
    assert.equal(await pg2.stop(), 0);
    const other = await occupy(pg2.port);
    pg2.start();
    const reason = new RegExp(
      `PostgreSQL did not start: could not bind IPv4 address "127\\.0\\.0\\.1": Address already in use`,
    );
    await pg2.shows('the reason', ({ because }) => reason.test(because));
    await lab.listed(
      pg1,
      'the reason',
      (text) =>
        /^\| pg2 .* start failed /m.test(text) &&
        text.split('\n').some((line) => line.startsWith(' pg2: ') && reason.test(line)),
    );
    await close(other);
    await pg2.isStreaming();
    assert.equal((await pg1.isLeader()).timeline, 1);
  });

  test('a second agent on the same data directory: code 1, the first one does not notice', async () => {
    const before = { agent: pg2.agent().pid, postmaster: pg2.postmaster(), files: listing(`${pg2.dataDir}.pgherd`) };
    const { code, stdout, stderr } = await runPgherd(['agent', pg2.config]);
    assert.equal(code, 1);
    assert.match(
      stdout + stderr,
      new RegExp(
        `another agent \\(process ${before.agent}\\) holds ${pg2.dataDir}\\.pgherd/agent\\.lock: one member, one agent; stop that one first`,
      ),
    );
    await pg2.isStreaming();
    const names = (lines: readonly string[]): readonly string[] => lines.map((line) => line.split(' ')[0] ?? '');
    assert.deepEqual(names(listing(`${pg2.dataDir}.pgherd`)), names(before.files));
    assert.equal(pg2.postmaster(), before.postmaster);
  });

  test('a second monitor on the same data directory: code 1, the first one does not notice', async () => {
    const port = await freePort();
    const words = ['monitor', '--pgdata', lab.monitor.dataDir, '--listen', `127.0.0.1:${port}`, '--auth', 'trust'];
    const { code, stdout, stderr } = await runPgherd(words);
    assert.equal(code, 1);
    assert.match(
      stdout + stderr,
      new RegExp(
        `a monitor runs on ${lab.monitor.dataDir} already \\(process ${lab.monitor.program().pid}\\): end that one first`,
      ),
    );
    assert.equal((await lab.rows(pg1)).length, 2);
  });

  test('a name: the second one waits, and the first one goes on', async () => {
    const before = await lab.rows(pg1);
    const twin = await lab.member('pg2', { directory: 'twin' });
    twin.start();
    const reason = `a member named pg2 is alive at ${pg2.apiUrl}/patroni; give this one another name, or stop that one`;
    const answer = await twin.shows('the reason', ({ because }) => because === reason);
    assert.equal(answer.rule, 'name-in-use');
    assert.equal(existsSync(twin.dataDir), false);
    const shown = await lab.pgherd(twin, 'list');
    assert.equal(shown.code, 0);
    assert.ok(
      shown.stdout.includes(` pg2, whose agent is at 127.0.0.1:${twin.apiPort}, is not in the DCS: ${reason}`),
      shown.stdout,
    );
    const hosts = (await lab.rows(pg1)).map((row) => [row['Member'], row['Host'], row['State']]);
    assert.deepEqual(
      hosts,
      before.map((row) => [row['Member'], row['Host'], row['State']]),
    );
    assert.equal(await twin.stop(), 0);
  });

  test('a name whose first bearer is gone: the second one takes it over', async () => {
    await pg2.kill();
    const twin = await lab.member('pg2', { directory: 'heir' });
    twin.start();
    await twin.isStreaming();
    const rows = await lab.rows(pg1);
    assert.deepEqual(
      rows.map((row) => [row['Member'], row['Host'], row['State']]),
      [
        ['pg1', `127.0.0.1:${pg1.port}`, 'running'],
        ['pg2', `127.0.0.1:${twin.port}`, 'streaming'],
      ],
    );
  });
});

describe("PostgreSQL's port is in use at the one that founds the cluster", () => {
  let lab: Loopback;
  before(async () => {
    lab = await createLoopback();
    await lab.monitor.start();
  });
  after(() => lab.end());

  test('the reason is in list; when it is free again it serves', async () => {
    const member = await lab.member('pg1');
    const other = await occupy(member.port);
    member.start();
    const reason = /PostgreSQL did not start: could not bind IPv4 address "127\.0\.0\.1": Address already in use/;
    await member.shows('the reason', ({ because }) => reason.test(because));
    await lab.listed(member, 'the reason', (text) =>
      text.split('\n').some((line) => line.startsWith(' pg1: ') && reason.test(line)),
    );
    await close(other);
    const { timeline } = await member.isLeader();
    assert.equal(timeline, 1);
  });
});
