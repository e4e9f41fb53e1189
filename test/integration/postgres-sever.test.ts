/** A standby whose stream is cut: from then on its word acknowledges no commit, whatever state it was in. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { Client } from 'pg';
import type { RunningInstance } from '../../src/core/model.ts';
import {
  asynchronous,
  blackHole,
  clock,
  type Instance,
  openLab,
  passwords,
  postmasterPid,
  processesOf,
  settings,
  until,
} from './postgres-lab.ts';

const lab = openLab();
const names = 'ANY 1 ("pg-standby")';
let primary: Instance;
let standby: Instance;

before(async () => {
  primary = await lab.instance('pg-primary');
  await primary.must({ kind: 'initdb' });
  await primary.start('primary');
  await primary.must({ kind: 'provision' });
  await primary.sql('CREATE TABLE t (i int)');
  standby = await lab.instance('pg-standby');
  await standby.must({ kind: 'clone', source: primary.endpoint });
  await standby.start('replica', primary.endpoint);
  await streams();
});
after(() => lab.close());

async function streams(): Promise<void> {
  await until('the standby streams', async () => (await standby.running()).replicationState === 'streaming');
}

function follow(change: Partial<typeof settings> = {}): Promise<void> {
  const upstream = primary.endpoint;
  return standby.must({ kind: 'configure', upstream, settings: { ...settings, ...change }, ...asynchronous });
}

function waitForStandbys(synchronousStandbyNames: string): Promise<void> {
  return primary.must({
    kind: 'configure',
    upstream: undefined,
    settings,
    synchronousStandbyNames,
    prove: 'from-none',
  });
}

/** Severs, and says how long it took. What the inspection read afterwards is the standby's word. */
async function sever(t: TestContext, state: string): Promise<RunningInstance> {
  const began = clock.now();
  await standby.must({ kind: 'sever' });
  const tookMs = clock.now() - began;
  await until('it runs', async () => (await standby.postgres.inspect()).instance.kind === 'running');
  const seen = await standby.running();
  assert.equal(await standby.postgres.walReceiverRuns(), false);
  t.diagnostic(`${state}: severed in ${tookMs.toFixed(0)} ms`);
  assert.equal(seen.upstream, undefined);
  return seen;
}

function restarts(): number {
  return standby.log.filter((line) => line.startsWith('sever-by-restart')).length;
}

interface Hammer {
  /** What clients were told is committed. */
  readonly acknowledged: ReadonlySet<number>;
  end(): Promise<void>;
}

const clients = 4;
let next = 0;

/** Clients that insert numbers as fast as they can, each number once. */
async function hammer(): Promise<Hammer> {
  const acknowledged = new Set<number>();
  const ending = new AbortController();
  const work = await Promise.all(
    Array.from({ length: clients }, async () => {
      const client = new Client({
        host: '127.0.0.1',
        port: primary.endpoint.port,
        user: 'postgres',
        password: passwords.superuser,
        database: 'postgres',
        application_name: 'hammer',
      });
      client.on('error', () => undefined);
      let cancelled = false;
      client.on('notice', () => {
        cancelled = true;
      });
      await client.connect();
      const done = (async () => {
        while (!ending.signal.aborted) {
          next += 1;
          const mine = next;
          await client.query(`INSERT INTO t VALUES (${mine})`);
          if (!cancelled) acknowledged.add(mine);
        }
      })();
      return { client, done: done.catch(() => undefined) };
    }),
  );
  return {
    acknowledged,
    end: async () => {
      ending.abort();
      await primary.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hammer'`);
      await Promise.all(work.map(({ done }) => done));
      await Promise.all(work.map(({ client }) => client.end().catch(() => undefined)));
    },
  };
}

/** Every client waits for the standby that will never answer. */
async function allHang(): Promise<void> {
  await until('every commit hangs', async () => {
    const rows = await primary.sql(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'hammer' AND wait_event = 'SyncRep'`,
    );
    return rows[0]?.['n'] === clients;
  });
}

async function rowsOf(instance: Instance): Promise<ReadonlySet<number>> {
  return new Set((await instance.sql('SELECT i FROM t')).map((row) => Number(row['i'])));
}

test('no commit is acknowledged beyond what a severed standby has', async (t) => {
  await waitForStandbys(names);
  const took: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    await follow();
    await streams();
    const writers = await hammer();
    await until('commits are acknowledged', () => writers.acknowledged.size > 50);
    const began = clock.now();
    await standby.must({ kind: 'sever' });
    took.push(clock.now() - began);
    const said = await standby.running();
    assert.equal(await standby.postgres.walReceiverRuns(), false);
    await allHang();
    const later = await standby.running();
    assert.equal(later.receivedLsn, said.receivedLsn, 'nothing came after the position was read');
    await until('it has replayed all', async () => (await standby.running()).localWalUsedUp);
    const rows = await rowsOf(standby);
    const lost = [...writers.acknowledged].filter((mine) => !rows.has(mine));
    assert.deepEqual(lost, [], `round ${round}, of ${writers.acknowledged.size}`);
    await writers.end();
  }
  t.diagnostic(`streaming under load: severed in ${took.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  assert.equal(restarts(), 0);
  await follow();
  await streams();
  await primary.must({ kind: 'configure', upstream: undefined, settings, ...asynchronous });
});

test('what the files say when it is severed survives whoever starts the server', async (t) => {
  await follow({ parameters: { ...settings.parameters, restore_command: 'false', work_mem: '5MB' } });
  await sever(t, 'idle');
  const file = readFileSync(join(standby.dataDir, 'pgherd.conf'), 'utf8');
  assert.match(file, /^primary_conninfo = ''$/m);
  assert.match(file, /^restore_command = ''$/m);
  assert.match(file, /^work_mem = '5MB'$/m, 'the rest is as it was');
  // Once more, with nothing to cut.
  await sever(t, 'severed already');
  await standby.must({ kind: 'stop', mode: 'fast' });
  await standby.must({ kind: 'sever' });
  await standby.start('replica', primary.endpoint);
  await streams();
});

test('ALTER SYSTEM does not keep the stream alive', async (t) => {
  await standby.sql(
    `ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=${primary.endpoint.port} user=replicator'`,
  );
  await sever(t, 'with primary_conninfo by ALTER SYSTEM');
  assert.equal((await standby.sql('SHOW primary_conninfo'))[0]?.['primary_conninfo'], '');
  assert.ok(!readFileSync(join(standby.dataDir, 'postgresql.auto.conf'), 'utf8').includes('primary_conninfo'));
  await follow();
  await streams();
});

test('a receiver that hangs in connect is ended, though PostgreSQL does not show it', async (t) => {
  const sockets: Socket[] = [];
  const mute = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const address = mute.address();
  assert.ok(address !== null && typeof address === 'object');
  const hole = await blackHole();
  // One that takes the connection and says nothing, one that does not even take it.
  for (const upstream of [
    { member: 'mute', host: '127.0.0.1', port: address.port },
    { member: 'hole', host: '127.0.0.1', port: hole.port },
  ]) {
    await standby.must({ kind: 'configure', upstream, settings, ...asynchronous });
    if (upstream.member === 'mute') await until('the receiver is connected', () => sockets.length > 0);
    await until('a receiver is there', () => standby.postgres.walReceiverRuns());
    assert.deepEqual(await standby.sql('SELECT pid FROM pg_stat_wal_receiver'), [], 'hidden from the view');
    await sever(t, `connecting to ${upstream.member}`);
  }
  hole.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => mute.close(resolve));
  assert.equal(restarts(), 0);
  await follow();
  await streams();
});

test('a paused replay goes on, and a backlog of WAL is no obstacle', async (t) => {
  await standby.sql('SELECT pg_wal_replay_pause()');
  await until('it is paused', async () => (await standby.running()).replayPaused);
  await primary.sql('CREATE TABLE heap AS SELECT i, md5(i::text) FROM generate_series(1, 1500000) i');
  const goal = (await primary.running()).writtenLsn;
  assert.ok(goal !== undefined);
  await until('it has received all', async () => ((await standby.running()).receivedLsn ?? 0n) >= goal);
  const seen = await sever(t, 'paused, with a backlog of 120 MB');
  assert.equal(seen.replayPaused, false);
  assert.ok((seen.replayedLsn ?? 0n) < goal, 'the stream ends before the backlog does');
  assert.ok((seen.receivedLsn ?? 0n) >= goal, 'its position is what it has received, replayed or not');
  await until('it replays what it has', async () => ((await standby.running()).replayedLsn ?? 0n) >= goal);
  assert.equal(restarts(), 0);
  await primary.sql('DROP TABLE heap');
  await follow();
  await streams();
});

test('a startup process that does not confirm costs a restart, which needs no proof', async (t) => {
  const parameters = { ...settings.parameters, recovery_min_apply_delay: '1h' };
  await follow({ parameters });
  await primary.sql('INSERT INTO t VALUES (0)');
  await until('the replay waits for the delay', async () => {
    const rows = await standby.sql(`SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup'`);
    return rows[0]?.['wait_event'] === 'RecoveryApplyDelay';
  });
  const before = postmasterPid(standby);
  await sever(t, 'replay delayed by configuration (restart)');
  assert.notEqual(postmasterPid(standby), before);
  assert.equal(restarts(), 1);
  assert.equal((await standby.sql('SHOW recovery_min_apply_delay'))[0]?.['recovery_min_apply_delay'], '1h');
  await standby.must({ kind: 'stop', mode: 'immediate' });
  await standby.start('replica', primary.endpoint);
  await streams();
});

test('one that takes no connections yet, or waits for its archive, is restarted', async (t) => {
  await standby.must({ kind: 'stop', mode: 'immediate' });
  const job = { kind: 'start', as: 'replica', upstream: primary.endpoint, synchronousStandbyNames: '' } as const;
  await standby.must({ ...job, settings });
  await sever(t, 'starting');
  await standby.must({ kind: 'stop', mode: 'fast' });
  const parameters = { ...settings.parameters, restore_command: 'sleep 60 && false' };
  await standby.must({ ...job, settings: { ...settings, parameters } });
  await sever(t, 'in restore_command');
  await follow();
  await streams();
  assert.equal(restarts(), 3, 'with the one before');
});

test('it takes no longer when the primary is frozen, or gone', async (t) => {
  const before = restarts();
  const frozen = processesOf(primary.dataDir).map((path) => Number(/\d+/.exec(path)?.[0]));
  for (const pid of frozen) process.kill(pid, 'SIGSTOP');
  await sever(t, 'primary frozen');
  for (const pid of frozen) process.kill(pid, 'SIGCONT');
  await follow();
  await streams();
  await primary.postgres.fence();
  await until('the receiver has noticed', async () => (await standby.running()).replicationState === undefined);
  await sever(t, 'primary gone');
  assert.equal(restarts(), before);
});

test('a primary is not severed', async () => {
  await standby.must({ kind: 'promote' });
  const outcome = await standby.run({ kind: 'sever' });
  assert.ok(!outcome.ok && outcome.error.includes('standby.signal'), JSON.stringify(outcome));
  assert.equal((await standby.running()).inRecovery, false);
});
