/** The whole life of two instances: made, cloned, streaming, promoted, repointed, crashed, rewound. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Progress } from '../../src/core/model.ts';
import { slotNameOf } from '../../src/core/slots.ts';
import { asynchronous, type Instance, openLab, passwords, postmasterPid, settings, until } from './postgres-lab.ts';

const lab = openLab();
let first: Instance;
let second: Instance;

before(async () => {
  first = await lab.instance('pg-1');
  second = await lab.instance('pg-2');
});
after(() => lab.close());

async function streams(replica: Instance, from: Instance): Promise<void> {
  await until(`${replica.name} streams from ${from.name}`, async () => {
    const senders = (await from.running()).walSenders;
    return senders.some((sender) => sender.applicationName === replica.name && sender.state === 'streaming');
  });
  await until(`${replica.name} knows it`, async () => (await replica.running()).replicationState === 'streaming');
}

test('a new cluster is made, started and provisioned', async (t) => {
  assert.deepEqual(await first.postgres.inspect(), { directory: { kind: 'empty' }, instance: { kind: 'stopped' } });
  await first.must({ kind: 'initdb' });
  const made = await first.postgres.inspect();
  assert.equal(made.directory.kind, 'present');
  assert.deepEqual(made.instance, { kind: 'stopped' });
  assert.ok(made.directory.kind === 'present' && made.directory.control.dataChecksums);
  assert.deepEqual(
    readdirSync(lab.folder).filter((name) => !name.startsWith('.s.')),
    ['pg-1', 'pg-1.pgherd', 'pg-2.pgherd'],
  );

  const began = first.options.clock.now();
  await first.start('primary');
  t.diagnostic(`from the start job to ready: ${(first.options.clock.now() - began).toFixed(0)} ms`);
  await first.must({ kind: 'provision' });
  await first.must({ kind: 'provision' });
  const log = readFileSync(join(lab.folder, 'pg-1.pgherd', 'postgres.log'), 'utf8');
  for (const password of Object.values(passwords)) assert.ok(!log.includes(password), 'no password in the log');
  const command = readFileSync(`/proc/${postmasterPid(first)}/cmdline`, 'utf8');
  for (const password of Object.values(passwords)) assert.ok(!command.includes(password), 'nor on the command line');
  const roles = await first.sql(`SELECT rolname, left(rolpassword, 14) AS kind FROM pg_authid
    WHERE rolpassword IS NOT NULL ORDER BY rolname`);
  assert.deepEqual(
    roles,
    ['postgres', 'replicator', 'rewinder'].map((rolname) => ({ rolname, kind: 'SCRAM-SHA-256$' })),
  );
  const running = await first.running();
  assert.equal(running.inRecovery, false);
  assert.equal(running.timeline, 1);
  assert.deepEqual(running.pendingRestart, []);
});

test('a second one is cloned and streams, through its slot', async () => {
  await first.sql('CREATE TABLE t AS SELECT generate_series(1, 1000) AS i');
  // What a stranger left in the source must not make the clone follow somebody else.
  await first.sql(`ALTER SYSTEM SET primary_conninfo = 'host=192.0.2.1 user=nobody'`);
  await first.sql(`ALTER SYSTEM SET temp_buffers = '5MB'`);
  const seen: Progress[] = [];
  const outcome = await second.run({ kind: 'clone', source: first.endpoint }, (progress) => seen.push(progress));
  assert.deepEqual(outcome, { ok: true });
  const last = seen.at(-1);
  assert.ok(last?.doneBytes !== undefined && last.doneBytes > 1_000_000n, 'progress in bytes');
  assert.equal(last.doneBytes, last.totalBytes);
  const auto = readFileSync(join(second.dataDir, 'postgresql.auto.conf'), 'utf8');
  assert.ok(!auto.includes('primary_conninfo') && auto.includes("temp_buffers = '5MB'"), auto);
  assert.ok(existsSync(join(second.dataDir, 'standby.signal')));

  const slot = slotNameOf(second.name);
  assert.deepEqual(await first.postgres.changeSlots([{ name: slot, reserve: true }], []), { ok: true });
  assert.deepEqual(await first.postgres.changeSlots([{ name: slot, reserve: true }], ['never_was']), { ok: true });
  await second.start('replica', first.endpoint, { useSlots: true });
  await streams(second, first);
  const replica = await second.running();
  assert.equal(replica.inRecovery, true);
  assert.deepEqual(replica.upstream, { host: '127.0.0.1', port: first.endpoint.port });
  assert.equal((await second.postgres.inspect()).directory.kind, 'present');
  await until('the slot is active', async () => (await first.running()).slots[0]?.active === true);
  await until('all WAL is replayed', async () => {
    const [primary, standby] = [await first.running(), await second.running()];
    return standby.localWalUsedUp && standby.replayedLsn === primary.writtenLsn;
  });
  assert.equal(Number((await second.sql('SELECT count(*) FROM t'))[0]?.['count']), 1000);
});

test('the replica is promoted, and the former primary follows it by a reload', async (t) => {
  await first.must({ kind: 'stop', mode: 'fast' });
  const stopped = await first.postgres.inspect();
  assert.deepEqual(stopped.instance, {
    kind: 'stopped',
    exit: { kind: 'stopped', because: 'PostgreSQL was stopped by pgherd (fast)' },
  });
  assert.ok(stopped.directory.kind === 'present');
  const shutdown = stopped.directory.control;
  assert.equal(shutdown.state, 'shut down');
  const had = await second.running();
  assert.ok(
    had.replayedLsn !== undefined && had.replayedLsn > shutdown.checkpointLsn,
    'it has the shutdown checkpoint',
  );

  await second.sql('SELECT pg_wal_replay_pause()');
  await until('the pause is seen', async () => (await second.running()).replayPaused);
  const began = second.options.clock.now();
  await second.must({ kind: 'promote' });
  t.diagnostic(`promotion: ${(second.options.clock.now() - began).toFixed(0)} ms`);
  await second.sql('INSERT INTO t VALUES (0)');
  const promoted = await second.running();
  assert.equal(promoted.inRecovery, false);
  assert.equal(promoted.timeline, 2);
  assert.deepEqual(
    promoted.history.map((entry) => entry.timeline),
    [1],
  );

  // First it follows nobody, then it is told whom to follow, without a restart.
  await first.start('replica');
  assert.equal((await first.running()).upstream, undefined);
  const pid = postmasterPid(first);
  await first.must({ kind: 'configure', upstream: second.endpoint, settings, ...asynchronous });
  assert.equal((await first.running()).upstream?.port, second.endpoint.port);
  await streams(first, second);
  await until('its replay is on the new timeline', async () => (await first.running()).timeline === 2);
  assert.equal(postmasterPid(first), pid);
  const replica = await first.running();
  assert.deepEqual(
    replica.history.map((entry) => entry.switchLsn),
    promoted.history.map((entry) => entry.switchLsn),
  );
});

test('changed parameters hold after configure, or are reported as waiting for a restart', async () => {
  const changed = {
    ...settings,
    parameters: {
      ...settings.parameters,
      work_mem: '7MB',
      max_connections: '120',
      max_logical_replication_workers: '5',
    },
  };
  await second.must({ kind: 'configure', upstream: undefined, settings: changed, ...asynchronous });
  assert.equal((await second.sql('SHOW work_mem'))[0]?.['work_mem'], '7MB');
  assert.deepEqual((await second.running()).pendingRestart, ['max_connections', 'max_logical_replication_workers']);
  const wrong = { ...settings, parameters: { ...settings.parameters, work_mem: 'much' } };
  const outcome = await second.run({ kind: 'configure', upstream: undefined, settings: wrong, ...asynchronous });
  assert.ok(!outcome.ok && outcome.error.includes('work_mem'), JSON.stringify(outcome));
  await second.must({ kind: 'configure', upstream: undefined, settings, ...asynchronous });
  assert.deepEqual((await second.running()).pendingRestart, []);
});

test('a primary that crashed with WAL that nobody has is rewound, and streams', async (t) => {
  await first.must({ kind: 'stop', mode: 'fast' });
  await second.sql('INSERT INTO t SELECT generate_series(1, 5000)');
  await first.start('replica', second.endpoint);
  await streams(first, second);
  await second.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_replication`);
  await first.must({ kind: 'configure', upstream: undefined, settings, ...asynchronous });
  await second.sql('CREATE TABLE lost AS SELECT generate_series(1, 1000) AS i');
  const killed = postmasterPid(second);
  process.kill(killed, 'SIGKILL');
  await until('the crash is seen', () => second.statuses.at(-1)?.instance.kind === 'stopped');
  const crashed = second.statuses.at(-1);
  assert.ok(crashed?.instance.kind === 'stopped' && crashed.instance.exit?.kind === 'crashed');
  assert.ok(crashed.directory.kind === 'present' && crashed.directory.control.state === 'in production');

  await first.must({ kind: 'promote' });
  await first.must({ kind: 'checkpoint' });
  await first.sql('INSERT INTO t VALUES (-1)');
  const hba = readFileSync(join(second.dataDir, 'pg_hba.conf'), 'utf8');
  const own = readFileSync(join(second.dataDir, 'pgherd.conf'), 'utf8');
  const began = first.options.clock.now();
  await second.must({ kind: 'rewind', source: first.endpoint });
  t.diagnostic(`rewind of a crashed primary: ${(first.options.clock.now() - began).toFixed(0)} ms`);
  assert.equal(readFileSync(join(second.dataDir, 'pg_hba.conf'), 'utf8'), hba);
  assert.equal(readFileSync(join(second.dataDir, 'pgherd.conf'), 'utf8'), own);
  const rewound = await second.postgres.inspect();
  assert.ok(rewound.directory.kind === 'present' && rewound.directory.standbySignal);
  await second.start('replica', first.endpoint);
  await streams(second, first);
  await until('it has what the new primary has', async () => {
    return Number((await second.sql('SELECT count(*) FROM t WHERE i = -1'))[0]?.['count']) === 1;
  });
  assert.deepEqual(await second.sql(`SELECT to_regclass('lost')::text AS lost`), [{ lost: null }]);
});

test('a standby that crashed ahead of the primary recovers as a standby before it is rewound', async () => {
  // The standby gets WAL on timeline 3 that its primary, gone back, does not have.
  const third = await lab.instance('pg-3');
  await third.must({ kind: 'clone', source: first.endpoint });
  await third.start('replica', first.endpoint);
  await streams(third, first);
  await second.must({ kind: 'configure', upstream: undefined, settings, ...asynchronous });
  await until('the second one is cut', async () => (await first.running()).walSenders.length === 1);
  await first.sql('CREATE TABLE only_third AS SELECT generate_series(1, 1000) AS i');
  await until('the third one has it', async () => {
    return (await third.running()).replayedLsn === (await first.running()).writtenLsn;
  });
  process.kill(postmasterPid(third), 'SIGKILL');
  await first.postgres.fence();
  await second.must({ kind: 'promote' });
  await second.must({ kind: 'checkpoint' });
  await until('the crash is seen', () => third.statuses.at(-1)?.instance.kind === 'stopped');
  await third.must({ kind: 'rewind', source: second.endpoint });
  await third.start('replica', second.endpoint);
  await streams(third, second);
  await until('its history is the new one', async () => (await third.running()).timeline === 4);
  assert.deepEqual(await third.sql(`SELECT to_regclass('only_third')::text AS it`), [{ it: null }]);
});

test('a rewind that fails says why in its own words, and the directory stays a replica', async () => {
  await first.postgres.fence();
  const nowhere = { member: 'gone', host: '127.0.0.1', port: 1 };
  const outcome = await first.run({ kind: 'rewind', source: nowhere });
  assert.ok(!outcome.ok && /gone at 127\.0\.0\.1:1: .*refused/.test(outcome.error), JSON.stringify(outcome));
  const status = await first.postgres.inspect();
  assert.ok(status.directory.kind === 'present' && status.directory.standbySignal);
});

test('a data directory is set aside', async () => {
  await first.must({ kind: 'set-aside' });
  assert.deepEqual((await first.postgres.inspect()).directory, { kind: 'empty' });
  assert.ok(existsSync(`${first.dataDir}.failed/PG_VERSION`));
});
