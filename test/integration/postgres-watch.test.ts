/** An instance that is watched: adopted, killed, stopped behind our back, frozen, full, locked. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import {
  asPostgres,
  binDir,
  type Instance,
  lastKind,
  openLab,
  passwords,
  postmasterPid,
  processesOf,
  settings,
  until,
} from './postgres-lab.ts';

const lab = openLab();
let it: Instance;

before(async () => {
  it = await lab.instance('pg-1');
  await it.must({ kind: 'initdb' });
  await it.start('primary');
  await it.must({ kind: 'provision' });
});
after(() => lab.close());

function connection() {
  return {
    host: '127.0.0.1',
    port: it.endpoint.port,
    user: 'postgres',
    password: passwords.superuser,
    database: 'postgres',
  };
}

async function connect(): Promise<Client> {
  const client = new Client(connection());
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Client backends, as the server counts them. */
async function connectionsOf(): Promise<number> {
  const text =
    "SELECT count(*)::int AS clients FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
  return Number((await it.sql(text))[0]?.['clients']);
}

test('an agent that is made anew adopts the instance without touching it', async () => {
  const pid = postmasterPid(it);
  await it.reopen();
  assert.equal((await it.postgres.inspect()).instance.kind, 'running');
  assert.equal(postmasterPid(it), pid);
});

test('an adopted postmaster that is killed is noticed at once, and its busy backends are gone', async (t) => {
  // In the middle of a statement it would not notice the postmaster's end by itself.
  const client = await connect();
  const busy = client.query(`DO $$ BEGIN FOR i IN 1..2000000000 LOOP END LOOP; END $$`).catch(() => 'ended');
  await until('the backend is busy', () => processesOf(it.dataDir).length > 5);
  process.kill(postmasterPid(it), 'SIGKILL');
  const noticed = await until('stopped', () => lastKind(it) === 'stopped');
  assert.deepEqual(processesOf(it.dataDir), []);
  t.diagnostic(`postmaster killed: "stopped" (nothing left) after ${noticed.toFixed(0)} ms`);
  assert.ok(noticed < 100, `${noticed} ms`);
  const status = it.statuses.at(-1);
  assert.ok(status?.instance.kind === 'stopped');
  assert.equal(status.instance.exit?.kind, 'crashed');
  assert.equal(await busy, 'ended');
  await client.end().catch(() => undefined);
});

test('a killed child is noticed as fast', async (t) => {
  await it.start('primary');
  process.kill(postmasterPid(it), 'SIGKILL');
  const noticed = await until('stopped', () => lastKind(it) === 'stopped');
  t.diagnostic(`child killed: "stopped" after ${noticed.toFixed(0)} ms`);
  assert.ok(noticed < 100, `${noticed} ms`);
});

test('one backend that crashes ends the instance, and it is not restarted by itself', async () => {
  await it.start('primary');
  const client = await connect();
  const row = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0];
  assert.ok(row);
  process.kill(row.pid, 'SIGKILL');
  await until('stopped', () => lastKind(it) === 'stopped');
  const status = it.statuses.at(-1);
  assert.ok(status?.instance.kind === 'stopped' && status.instance.exit?.kind === 'crashed');
  await client.end().catch(() => undefined);
});

test('a stop behind our back is an orderly one, and says so', async (t) => {
  await it.start('primary');
  asPostgres(`${binDir}/pg_ctl`, '-D', it.dataDir, '-m', 'fast', '-w', 'stop');
  const noticed = await until('stopped', () => lastKind(it) === 'stopped');
  t.diagnostic(`after pg_ctl stop returned: "stopped" after ${noticed.toFixed(0)} ms`);
  const status = it.statuses.at(-1);
  assert.ok(status?.instance.kind === 'stopped');
  assert.deepEqual(status.instance.exit, { kind: 'stopped', because: 'PostgreSQL was shut down from outside' });
  // An agent that never saw it run knows of no exit.
  await it.reopen();
  assert.deepEqual((await it.postgres.inspect()).instance, { kind: 'stopped' });
});

test('a start behind our back is adopted', async () => {
  asPostgres(
    `${binDir}/pg_ctl`,
    '-D',
    it.dataDir,
    '-w',
    '-l',
    join(lab.folder, 'by-hand.log'),
    '-o',
    `-p ${it.endpoint.port}`,
    'start',
  );
  await until('running', () => lastKind(it) === 'running');
  await it.must({ kind: 'stop', mode: 'immediate' });
});

test('a frozen postmaster is silent, and can be stopped', async () => {
  await it.start('primary');
  process.kill(postmasterPid(it), 'SIGSTOP');
  await until('silent', () => lastKind(it) === 'silent');
  const { instance } = await it.postgres.inspect();
  assert.ok(instance.kind === 'silent' && instance.why === 'frozen', JSON.stringify(instance));
  await it.must({ kind: 'stop', mode: 'fast' });
  assert.deepEqual(processesOf(it.dataDir), []);
  assert.equal((await it.postgres.inspect()).instance.kind, 'stopped');
});

test('a fence ends a frozen postmaster and its working backends at once', async (t) => {
  await it.start('primary');
  const client = await connect();
  process.kill(postmasterPid(it), 'SIGSTOP');
  const began = it.options.clock.now();
  await it.postgres.fence();
  t.diagnostic(`fence of a frozen postmaster: ${(it.options.clock.now() - began).toFixed(0)} ms`);
  assert.deepEqual(processesOf(it.dataDir), []);
  await assert.rejects(client.query('SELECT 1'));
  await client.end().catch(() => undefined);
});

test('a fence in the middle of a start leaves nothing running', async () => {
  for (const waitMs of [0, 3, 8, 15, 30]) {
    const job = it.run({ kind: 'start', as: 'primary', upstream: undefined, settings, synchronousStandbyNames: '' });
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    await it.postgres.fence();
    await job;
    assert.deepEqual(processesOf(it.dataDir), [], `fence after ${waitMs} ms`);
    assert.equal((await it.postgres.inspect()).instance.kind, 'stopped');
  }
});

test('the inspection answers when every connection is taken', async () => {
  const parameters = { ...settings.parameters, max_connections: '25', max_wal_senders: '3' };
  await it.start('primary', undefined, { parameters });
  await it.reopen();
  assert.equal((await it.running()).isCrowded, false);
  const clients: Client[] = [];
  try {
    for (;;) clients.push(await connect());
  } catch (error) {
    assert.match(String(error), /sorry, too many clients|remaining connection slots/);
  }
  assert.ok(clients.length >= 20, `${clients.length} clients`);
  assert.equal((await it.running()).isCrowded, true);
  await it.must({ kind: 'checkpoint' });
  // Those that are left to superusers are taken as well; what clients may have was taken before.
  await clients.pop()?.end();
  await until('one is free', async () => (await connectionsOf()) < clients.length + 1);
  assert.equal((await it.running()).isCrowded, true);
  for (const client of clients.splice(10)) await client.end();
  await until('clients can come again', async () => !(await it.running()).isCrowded);
  for (const client of clients) await client.end();
});

test('the inspection answers when every WAL sender is taken', async () => {
  await it.postgres.close();
  const receivers = [1, 2, 3].map((number) => {
    // The driver knows `replication`, its types do not.
    const options = { ...connection(), replication: 'database', application_name: `taker-${number}` };
    const receiver = new Client(options);
    receiver.on('error', () => undefined);
    return receiver;
  });
  for (const receiver of receivers) await receiver.connect();
  await it.reopen();
  assert.equal((await it.postgres.inspect()).instance.kind, 'running');
  // Nor has it a place among the clients: it lives all the same.
  const clients: Client[] = [];
  await it.postgres.close();
  try {
    for (;;) clients.push(await connect());
  } catch (error) {
    assert.match(String(error), /sorry, too many clients/);
  }
  await it.reopen();
  const { instance } = await it.postgres.inspect();
  assert.ok(instance.kind === 'silent' && instance.why === 'crowded', JSON.stringify(instance));
  for (const client of [...receivers, ...clients]) await client.end();
  await until('it can be looked at again', async () => (await it.postgres.inspect()).instance.kind === 'running');
  await it.must({ kind: 'stop', mode: 'fast' });
});

test('a wrong password is a silent instance with a text that says what to check', async () => {
  await it.start('primary');
  const wrong = { ...it.options.authentication, superuser: { username: 'postgres', password: 'wrong' } };
  const stranger = await lab.instance('stranger', (options) => ({
    ...options,
    dataDir: it.dataDir,
    listen: it.options.listen,
    authentication: wrong,
  }));
  const { instance } = await stranger.postgres.inspect();
  assert.ok(instance.kind === 'silent');
  assert.match(instance.because, /127\.0\.0\.1:\d+ does not let user "postgres" in: .*pg_hba\.conf/);
  const job = await stranger.run({ kind: 'checkpoint' });
  assert.ok(!job.ok && job.error.includes('does not let user "postgres" in'));
  await stranger.postgres.close();
  await it.must({ kind: 'stop', mode: 'fast' });
});

test('a port in use fails the start, and the words name it', async () => {
  const taker = createServer();
  await new Promise<void>((resolve) => taker.listen(it.endpoint.port, '127.0.0.1', resolve));
  const outcome = await it.run({
    kind: 'start',
    as: 'primary',
    upstream: undefined,
    settings,
    synchronousStandbyNames: '',
  });
  await new Promise((resolve) => taker.close(resolve));
  assert.ok(
    !outcome.ok && /could not bind IPv4 address.*Address already in use/.test(outcome.error),
    JSON.stringify(outcome),
  );
  const { instance } = await it.postgres.inspect();
  assert.ok(instance.kind === 'stopped' && instance.exit?.because.includes('Address already in use'));
});

test('a stale pid file whose number is another server is no obstacle', async () => {
  const other = await lab.instance('pg-other');
  await other.must({ kind: 'initdb' });
  await other.start('primary');
  const lines = readFileSync(join(other.dataDir, 'postmaster.pid'), 'utf8').split('\n');
  asPostgres('sh', '-c', `printf '%s\\n%s\\n' ${lines[0]} ${it.dataDir} > ${it.dataDir}/postmaster.pid`);
  await it.reopen();
  assert.equal((await it.postgres.inspect()).instance.kind, 'stopped');
  await it.start('primary');
  assert.equal((await other.postgres.inspect()).instance.kind, 'running');
  await other.must({ kind: 'stop', mode: 'fast' });
});

test('an idle inspection costs little', async (t) => {
  const serverTicks = (): number => {
    assert.equal(lastKind(it), 'running');
    const pid = processesOf(it.dataDir).map((line) => /\/proc\/(\d+)\//.exec(line)?.[1] ?? '');
    return pid.reduce((sum, each) => sum + ticksOf(each), 0);
  };
  await it.postgres.inspect();
  const [server, cpu, began] = [serverTicks(), process.cpuUsage(), it.options.clock.now()];
  const looks = 200;
  for (let look = 0; look < looks; look += 1) await it.postgres.inspect();
  const used = process.cpuUsage(cpu);
  const ownMs = (used.user + used.system) / 1000 / looks;
  const serverMs = ((serverTicks() - server) * 10) / looks;
  const tookMs = (it.options.clock.now() - began) / looks;
  t.diagnostic(
    `one inspection: ${tookMs.toFixed(2)} ms; CPU ${ownMs.toFixed(2)} ms here, ${serverMs.toFixed(2)} ms in the server`,
  );
  // Once a second, 3 ms are 0.3 % of a core.
  assert.ok(ownMs + serverMs < 6, `${ownMs} + ${serverMs} ms`);
});

test('two jobs at a time are a bug of the caller, a stop is not', async () => {
  const checkpoint = it.run({ kind: 'checkpoint' });
  await assert.rejects(it.run({ kind: 'checkpoint' }), /while checkpoint runs/);
  await it.must({ kind: 'stop', mode: 'fast' });
  await checkpoint;
  assert.equal((await it.postgres.inspect()).instance.kind, 'stopped');
});

test('a normal user who may not become the owner is told so', async () => {
  const script = `import { chooseOsUser } from ${JSON.stringify(join(import.meta.dirname, '../../src/postgres/os-user.ts'))};
    console.log(JSON.stringify(chooseOsUser(${JSON.stringify(it.dataDir)})));`;
  const child = spawn('setpriv', [
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    process.execPath,
    '--input-type=module',
    '-e',
    script,
  ]);
  let output = '';
  child.stdout.on('data', (data) => {
    output += String(data);
  });
  await new Promise((resolve) => child.once('close', resolve));
  assert.match(output, /belongs to postgres, and we run as nobody: run pgherd as postgres or as root/);
});

function ticksOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0;
  }
}
