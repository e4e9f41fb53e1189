/** The monitor is not there, is something else, refuses the password, or is lost: everybody says so, nobody guesses. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLoopback, type Loopback, parseRows, type Row } from './loopback/cluster.ts';
import type { Member } from './loopback/member.ts';
import { startPlainPostgres } from './loopback/postgres.ts';
import { freePort } from './loopback/processes.ts';

/** Neither PostgreSQL nor anything of a data directory. */
function assertNothingStarted(member: Member): void {
  assert.equal(existsSync(member.dataDir), false);
  assert.equal(member.postmaster(), undefined);
}

async function statusOf(member: Member, path: string): Promise<number> {
  const response = await fetch(`${member.apiUrl}${path}`, { signal: AbortSignal.timeout(2000) });
  await response.body?.cancel();
  return response.status;
}

describe('a cluster whose monitor comes late, and is lost', () => {
  let lab: Loopback;
  let pg1: Member;
  let pg2: Member;
  before(async () => {
    lab = await createLoopback();
    pg1 = await lab.member('pg1', { settings: { bootstrap: { dcs: { ttl: 4 } } } });
    pg2 = await lab.member('pg2', { settings: { bootstrap: { dcs: { ttl: 4 } } } });
  });
  after(() => lab.end());

  test('agents wait for it, and say what for', async () => {
    pg1.start();
    pg2.start();
    const refused = `monitor ${lab.monitor.uri}: connection refused: is the monitor running`;
    for (const member of [pg1, pg2]) {
      const answer = await member.shows('why it waits', ({ because }) => because.includes(refused));
      assert.equal(answer.rule, 'waiting-for-the-dcs');
      assert.match(answer.because, /nothing is started or changed without it$/);
      assert.match(JSON.stringify(answer['dcs']), /^\{"state":"never","error":"monitor .*connection refused/);
      assert.ok(member.log().includes(refused), member.log());
      assert.equal(await statusOf(member, '/health'), 503);
      assert.equal(await statusOf(member, '/primary'), 503);
      assert.equal(await statusOf(member, '/replica'), 503);
      assert.equal(await statusOf(member, '/readiness'), 503);
      assert.equal(await statusOf(member, '/liveness'), 200);
      assertNothingStarted(member);
    }
    const { code, stdout, stderr } = await lab.pgherd(pg1, 'list');
    assert.equal(code, 0, stderr);
    assert.ok(stderr.startsWith(`The DCS is unreachable (${refused}`), stderr);
    assert.match(stdout, /^\| pg1 .* stopped /m);
    assert.match(stdout, /^ pg1: the DCS has not answered yet: monitor .*connection refused/m);
  });

  test('verbs that need it fail with code 1 and its reason', async () => {
    for (const words of [['pause'], ['history']]) {
      const { code, stderr, stdout } = await lab.pgherd(pg1, ...words);
      assert.equal(code, 1, words.join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, /^Error: monitor .*: connection refused: is the monitor running/);
    }
    const { code, stderr } = await lab.pgherd(pg1, 'switchover', '--leader', 'pg1', '--candidate', 'pg2', '--force');
    assert.equal(code, 1);
    assert.match(stderr, /^Error: This cluster has no leader/m);
  });

  test('an agent that is told to end meanwhile ends at once', async () => {
    const began = performance.now();
    assert.equal(await pg2.stop(), 0);
    assert.ok(performance.now() - began < 5000, 'it does not wait for the DCS');
    pg2.start();
    await pg2.shows('that it waits', ({ rule }) => rule === 'waiting-for-the-dcs');
  });

  test('when it comes the cluster forms by itself', async () => {
    await lab.monitor.start();
    const members = await lab.until('a leader and a streaming replica', async () => {
      const seen = await lab.rows(pg1);
      const states = seen.map((row) => `${String(row['Role'])} ${String(row['State'])}`).toSorted();
      return states.join(', ') === 'Leader running, Replica streaming' ? seen : undefined;
    });
    assert.deepEqual(
      members.map((row) => row['Member']),
      ['pg1', 'pg2'],
    );
  });

  test('lost with its PostgreSQL: list asks the agents, and says so', async () => {
    const before = await lab.rows(pg1);
    await lab.monitor.kill();
    const { code, stdout, stderr } = await lab.pgherd(pg2, 'list', '--format', 'json');
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /^The DCS is unreachable \(monitor .*: connection refused.*\): this is what the agents say\.$/m,
    );
    const rows = parseRows(stdout);
    const facts = (row: Row): unknown => [row['Member'], row['Host'], row['Role'], row['State']];
    assert.deepEqual(rows.map(facts), before.map(facts));
  });

  test('the primary goes on, since its members promise to wait; nobody else is elected', async () => {
    const statuses = [await statusOf(pg1, '/primary'), await statusOf(pg2, '/primary')];
    assert.deepEqual(
      statuses.toSorted((a, b) => a - b),
      [200, 503],
    );
    for (const member of [pg1, pg2]) assert.equal(await statusOf(member, '/liveness'), 200);
  });

  test('everything is dead: code 1, and both reasons', async () => {
    await pg1.kill();
    await pg2.kill();
    const { code, stdout, stderr } = await lab.pgherd(pg1, 'list');
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^Error: monitor .*connection refused.*; and the agents do not answer either: .*ECONNREFUSED/);
    const json = await lab.pgherd(pg1, 'list', '--format', 'json');
    assert.equal(json.code, 1);
    assert.equal(json.stdout, '');
  });
});

describe('what is at the address of the monitor is none', () => {
  let lab: Loopback;
  let server: Server | undefined;
  before(async () => {
    lab = await createLoopback();
  });
  after(async () => {
    server?.close();
    await lab.end();
  });

  /** Starts an agent with this URI; its reason, as the agent and as `list` tell it. */
  async function reasonOf(name: string, uri: string): Promise<string> {
    const member = await lab.member(name, { settings: { monitor: { uri } } });
    member.start();
    const { because } = await member.shows('a reason', (answer) =>
      /has not answered yet: monitor /.test(answer.because),
    );
    const { code, stdout, stderr } = await lab.pgherd(member, 'list');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^The DCS is unreachable \(monitor /);
    assert.ok(stdout.includes(` ${name}: ${because}`), `${stdout}\n${because}`);
    assertNothingStarted(member);
    await member.kill();
    return because;
  }

  test('a PostgreSQL that knows neither the role nor the database, nor the schema', async () => {
    const { port, admin } = await startPlainPostgres(join(lab.folder, 'plain', 'data'));
    const uri = `postgres://pgherd@127.0.0.1:${port}/pgherd`;
    assert.match(
      await reasonOf('role', uri),
      /role "pgherd" does not exist: is this the address of a monitor, and does it let this host in\?/,
    );
    await admin.query('create role pgherd login');
    assert.match(
      await reasonOf('database', uri),
      /database "pgherd" does not exist: is this the address of a monitor\?/,
    );
    await admin.query('create database pgherd');
    assert.match(await reasonOf('schema', uri), /this database is not a monitor.*start it with "pgherd monitor"/);
  });

  test('a program that accepts connections and says nothing', async () => {
    const port = await freePort();
    const silent = createServer((socket) => socket.on('error', () => {}));
    server = silent;
    await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
    assert.match(await reasonOf('silent', `postgres://pgherd@127.0.0.1:${port}/pgherd`), /no answer within 1500 ms/);
  });

  test('a program that speaks something else', async () => {
    const member = await lab.member('other');
    member.start();
    await member.shows('an answer', () => true);
    const uri = `postgres://pgherd@127.0.0.1:${member.apiPort}/pgherd`;
    assert.match(await reasonOf('http', uri), /is this the address of a monitor\?/);
    await member.kill();
  });

  test('a host without a name', async () => {
    assert.match(await reasonOf('nohost', 'postgres://pgherd@no-such-host.invalid/pgherd'), /host's name is not known/);
  });
});

describe('a monitor that asks for a password', () => {
  let lab: Loopback;
  before(async () => {
    lab = await createLoopback({ auth: 'scram-sha-256' });
    await lab.monitor.start();
  });
  after(() => lab.end());

  const cases = [
    ['none', '', /it asks for a password and there is none: give it in the URI, in PGPASSWORD or in ~\/\.pgpass/],
    ['wrong', ':wrong', /the password was not accepted: give it in the URI, in PGPASSWORD or in ~\/\.pgpass/],
  ] as const;
  for (const [name, text, reason] of cases) {
    test(`${name}: the reason is in list and REST, and no password is`, async () => {
      const uri = lab.monitor.uri.replace('pgherd@', `pgherd${text}@`);
      const member = await lab.member(name, { settings: { monitor: { uri } } });
      member.start();
      const answer = await member.shows('why it waits', ({ because }) => reason.test(because));
      const listed = await lab.pgherd(member, 'list');
      assert.equal(listed.code, 0, listed.stderr);
      assert.match(listed.stderr, reason);
      assert.match(listed.stdout, reason);
      assertNothingStarted(member);
      for (const said of [JSON.stringify(answer), listed.stdout, listed.stderr, member.log()]) {
        assert.ok(!said.includes(':wrong@'), said);
      }
      await member.kill();
    });
  }
});
