/** Synchronous replication as the protocol needs it: settings that are proven, gates, probes, senders that are ended. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import type { Job } from '../../src/core/effects.ts';
import type { JobOutcome } from '../../src/core/events.ts';
import { blackHole, clock, type Instance, openLab, passwords, postmasterPid, settings, until } from './postgres-lab.ts';

const lab = openLab();
let primary: Instance;
let standby: Instance;

before(async () => {
  primary = await lab.instance('PG-a');
  await primary.must({ kind: 'initdb' });
  await primary.start('primary');
  await primary.must({ kind: 'provision' });
  await primary.sql('CREATE TABLE t (i int)');
  standby = await lab.instance('PG-b');
  await standby.must({ kind: 'clone', source: primary.endpoint });
  await standby.start('replica', primary.endpoint);
  await streams();
});
after(() => lab.close());

async function streams(): Promise<void> {
  await until('the standby streams', async () =>
    (await primary.running()).walSenders.some((sender) => sender.state === 'streaming'),
  );
}

type Proof = Extract<Job, { kind: 'configure' }>['prove'];

async function configure(synchronousStandbyNames: string, prove: Proof): Promise<JobOutcome & { tookMs: number }> {
  const began = clock.now();
  const job = { kind: 'configure', upstream: undefined, settings, synchronousStandbyNames, prove } as const;
  const outcome = await primary.run(job);
  return { ...outcome, tookMs: clock.now() - began };
}

async function waiting(): Promise<number> {
  const rows = await primary.sql(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'SyncRep'`);
  return Number(rows[0]?.['n']);
}

/** A session whose commits wait for as long as it takes. */
async function client(to: Instance): Promise<Client> {
  const made = new Client({
    host: '127.0.0.1',
    port: to.endpoint.port,
    user: 'postgres',
    password: passwords.superuser,
    database: 'postgres',
  });
  made.on('error', () => undefined);
  await made.connect();
  return made;
}

test('a setting that is proven holds for the very next commit', async (t) => {
  const took: Record<Proof, number[]> = { nothing: [], 'in-force': [], 'from-none': [] };
  for (let round = 0; round < 5; round += 1) {
    const some = await configure('ANY 1 ("nobody")', 'from-none');
    assert.ok(some.ok && some.lsn !== undefined, JSON.stringify(some.ok || some.error));
    took['from-none'].push(some.tookMs);
    const hanging = await client(primary);
    let acknowledged = false;
    const commit = hanging.query('INSERT INTO t VALUES (1)').then(() => {
      acknowledged = true;
    });
    await until('it waits', async () => acknowledged || (await waiting()) === 1);
    assert.equal(acknowledged, false, 'nobody flushed it');
    const other = await configure('ANY 1 ("PG-b")', 'in-force');
    assert.ok(other.ok && other.lsn !== undefined && other.lsn > some.lsn);
    took['in-force'].push(other.tookMs);
    await commit;
    const none = await configure('', 'nothing');
    assert.ok(none.ok && none.lsn === undefined);
    took.nothing.push(none.tookMs);
    assert.equal((await primary.running()).synchronousStandbyNames, '');
    await hanging.end();
  }
  for (const [proof, each] of Object.entries(took)) {
    t.diagnostic(`configure, prove ${proof}: ${each.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  }
});

test('from none, the proof waits for the checkpointer, without which no commit would wait', async () => {
  const rows = await primary.sql(`SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`);
  const checkpointer = Number(rows[0]?.['pid']);
  process.kill(checkpointer, 'SIGSTOP');
  const proof = configure('ANY 1 ("nobody")', 'from-none');
  await until('the proof waits for a checkpoint', async () => {
    const waits = await primary.sql(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'CheckpointStart'`);
    return waits.length === 1;
  });
  assert.equal((await primary.running()).synchronousStandbyNames, 'ANY 1 ("nobody")', 'sessions see it');
  const early = await client(primary);
  await early.query('INSERT INTO t VALUES (3)');
  process.kill(checkpointer, 'SIGCONT');
  assert.ok((await proof).ok);
  let acknowledged = false;
  const commit = early.query('INSERT INTO t VALUES (4)').then(() => {
    acknowledged = true;
  });
  await until('it waits', async () => acknowledged || (await waiting()) === 1);
  assert.equal(acknowledged, false);
  await configure('', 'nothing');
  await commit;
  await early.end();
});

test('a new setting does not wait for a checkpoint that hangs, which the server ends by itself', async (t) => {
  const requested = async (): Promise<number> => {
    const rows = await primary.sql('SELECT checkpoints_req::int AS n FROM pg_stat_bgwriter');
    return Number(rows[0]?.['n']);
  };
  const before = await requested();
  const rows = await primary.sql(`SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'`);
  const checkpointer = Number(rows[0]?.['pid']);
  process.kill(checkpointer, 'SIGSTOP');
  try {
    const checkpoint = primary.run({ kind: 'checkpoint' });
    await until('the checkpoint hangs', async () => {
      const waits = await primary.sql(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'CheckpointStart'`);
      return waits.length === 1;
    });
    const outcome = await configure('ANY 1 ("PG-b")', 'in-force');
    assert.ok(outcome.ok && outcome.lsn !== undefined);
    t.diagnostic(`over a checkpoint that hangs: ${outcome.tookMs.toFixed(0)} ms`);
    assert.equal((await checkpoint).ok, false);
  } finally {
    process.kill(checkpointer, 'SIGCONT');
  }
  await until('the checkpoint was made', async () => (await requested()) > before);
  await configure('', 'nothing');
});

test('the proven position is on disk, and before all that is written later', async () => {
  const outcome = await configure('ANY 1 ("PG-b")', 'in-force');
  assert.ok(outcome.ok && outcome.lsn !== undefined);
  const flushed = await primary.sql(`SELECT pg_current_wal_flush_lsn() - '0/0' AS bytes`);
  assert.ok(BigInt(String(flushed[0]?.['bytes'])) >= outcome.lsn);
  const sees = async (): Promise<boolean> => {
    const sender = (await primary.running()).walSenders[0];
    return (sender?.flushLsn ?? 0n) >= outcome.lsn! && sender?.syncState === 'quorum';
  };
  await until('the standby has flushed it, as a sync standby', sees);
});

test('a text with quotes and backslashes stands in the file as it was given', async () => {
  const names = `FIRST 1 ("we""ird's \\ name", "PG-b")`;
  const outcome = await configure(names, 'in-force');
  assert.ok(outcome.ok, JSON.stringify(outcome.ok || outcome.error));
  assert.equal((await primary.sql('SHOW synchronous_standby_names'))[0]?.['synchronous_standby_names'], names);
  assert.equal((await primary.running()).synchronousStandbyNames, names);
  // Nobody else has a word about it, nor may a file of ours lower what a commit waits for.
  const parameters = { ...settings.parameters, synchronous_standby_names: '*', synchronous_commit: 'local' };
  await primary.must({
    kind: 'configure',
    upstream: undefined,
    settings: { ...settings, parameters, synchronousMode: 'quorum' },
    synchronousStandbyNames: 'ANY 1 ("PG-b")',
    prove: 'in-force',
  });
  assert.equal((await primary.running()).synchronousStandbyNames, 'ANY 1 ("PG-b")');
  assert.equal((await primary.sql('SHOW synchronous_commit'))[0]?.['synchronous_commit'], 'on');
  for (const [name, value] of [
    ['restart_after_crash', 'off'],
    ['wal_receiver_status_interval', '1s'],
    ['wal_retrieve_retry_interval', '100ms'],
  ] as const) {
    assert.equal((await primary.sql(`SHOW ${name}`))[0]?.[name], value);
  }
});

test('a gate passes when the standby flushes, whatever the role has set', async (t) => {
  await primary.sql(`ALTER ROLE postgres SET synchronous_commit = off`);
  await primary.sql(`ALTER ROLE postgres SET client_min_messages = error`);
  const began = clock.now();
  assert.deepEqual(await primary.postgres.gate('1'), { ok: true });
  t.diagnostic(`gate: ${(clock.now() - began).toFixed(0)} ms`);
});

test('a gate fails when its wait is cancelled, terminated, superseded, or too long', async (t) => {
  await configure('ANY 1 ("nobody")', 'in-force');
  for (const how of ['pg_cancel_backend', 'pg_terminate_backend']) {
    const gate = primary.postgres.gate(how);
    await until('it waits', async () => (await waiting()) === 1);
    await primary.sql(`SELECT ${how}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`);
    const outcome = await gate;
    assert.ok(!outcome.ok, how);
    t.diagnostic(`${how}: ${outcome.error}`);
  }
  const first = primary.postgres.gate('first');
  await until('it waits', async () => (await waiting()) === 1);
  const began = clock.now();
  const second = primary.postgres.gate('second');
  assert.equal((await first).ok, false);
  assert.ok(clock.now() - began < 2000, 'at once');
  const late = await second;
  assert.ok(!late.ok && /no answer within 5000 ms/.test(late.error), JSON.stringify(late));
  assert.equal(await waiting(), 0, 'no backend of a gate that was given up goes on waiting');
  await primary.sql(`ALTER ROLE postgres RESET ALL`);
});

test('WAL senders are ended by the names of their members, in any case, and tools are nobody', async (t) => {
  await configure('', 'nothing');
  const pid = async (): Promise<unknown> =>
    (await primary.sql(`SELECT pid FROM pg_stat_replication WHERE application_name = 'PG-b'`))[0]?.['pid'];
  const before = await pid();
  await primary.must({ kind: 'end-senders', members: ['nobody'] });
  assert.equal(await pid(), before);
  // One whose peer is frozen ends as fast.
  process.kill(postmasterPid(standby), 'SIGSTOP');
  const began = clock.now();
  await primary.must({ kind: 'end-senders', members: ["o'clock", 'pg-B'] });
  t.diagnostic(`end-senders: ${(clock.now() - began).toFixed(0)} ms`);
  assert.notEqual(await pid(), before);
  process.kill(postmasterPid(standby), 'SIGCONT');
  await until('it is back', async () => (await pid()) !== undefined);

  const seen = new Set<string>();
  const third = await lab.instance('PG-c', (options) => ({ ...options, basebackup: [{ 'max-rate': '20M' }] }));
  const clone = third.run({ kind: 'clone', source: primary.endpoint });
  await until('the clone streams too', async () => {
    for (const row of await primary.sql('SELECT application_name FROM pg_stat_replication')) {
      seen.add(String(row['application_name']));
    }
    return seen.has('pgherd clone');
  });
  assert.deepEqual(await clone, { ok: true });
  assert.deepEqual(
    [...seen].filter((name) => !name.includes(' ')),
    ['PG-b'],
    'no member has a space in its name',
  );
});

test('ages count from the last word of the other side', async (t) => {
  await streams();
  const sourceAges: number[] = [];
  const replyAges: number[] = [];
  const heardAgain = (ages: readonly number[]): number =>
    ages.filter((age, index) => age < (ages[index - 1] ?? 0)).length;
  await until('both sides have spoken again, and again', async () => {
    const [there, here] = [await primary.running(), await standby.running()];
    const sender = there.walSenders.find((each) => each.applicationName === 'PG-b');
    if (sender?.replyAgeMs !== undefined) replyAges.push(sender.replyAgeMs);
    if (here.sourceAgeMs !== undefined) sourceAges.push(here.sourceAgeMs);
    return heardAgain(sourceAges) >= 2 && heardAgain(replyAges) >= 2;
  });
  t.diagnostic(
    `idle: source silent for up to ${Math.max(...sourceAges).toFixed(0)} ms, standby for up to ${Math.max(...replyAges).toFixed(0)} ms`,
  );
  assert.ok(Math.min(...sourceAges, ...replyAges) >= 0);
  assert.ok(Math.max(...replyAges) < 2000, 'it speaks once a second');
  assert.ok(Math.max(...sourceAges) < 1900, 'less than the default of failure_timeout');
  const senders = await primary.sql(`SELECT pid FROM pg_stat_replication WHERE application_name = 'PG-b'`);
  const sender = Number(senders[0]?.['pid']);
  process.kill(sender, 'SIGSTOP');
  await until('the standby counts', async () => ((await standby.running()).sourceAgeMs ?? 0) > 2500);
  process.kill(sender, 'SIGCONT');
  await until('it has heard again', async () => ((await standby.running()).sourceAgeMs ?? 9999) < 500);
});

test('a probe is answered by a postmaster, and by nobody else', async (t) => {
  const probe = async (endpoint: { host: string; port: number }): Promise<boolean> => {
    const began = clock.now();
    const answered = await standby.postgres.probe({ member: 'x', ...endpoint }, 300);
    const tookMs = clock.now() - began;
    assert.ok(tookMs < 600, `${tookMs} ms`);
    t.diagnostic(`${endpoint.host}: ${answered ? 'answered' : 'no answer'} after ${tookMs.toFixed(0)} ms`);
    return answered;
  };
  assert.equal(await probe(primary.endpoint), true);
  process.kill(postmasterPid(primary), 'SIGSTOP');
  assert.equal(await probe(primary.endpoint), false, 'frozen: the kernel takes the connection, nobody answers');
  process.kill(postmasterPid(primary), 'SIGCONT');
  const closing = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.destroy();
  });
  await new Promise<void>((resolve) => closing.listen(0, '127.0.0.1', resolve));
  const address = closing.address();
  assert.ok(address !== null && typeof address === 'object');
  assert.equal(await probe({ host: '127.0.0.1', port: address.port }), false, 'a hang-up');
  await new Promise((resolve) => closing.close(resolve));
  assert.equal(await probe({ host: '127.0.0.1', port: address.port }), false, 'a refusal');
  const hole = await blackHole();
  assert.equal(await probe({ host: '127.0.0.1', port: hole.port }), false, 'a black hole');
  hole.close();
  assert.equal(await probe({ host: 'no-such-host.invalid', port: 5432 }), false, 'no such name');
});

test('every connection is taken: a postmaster still answers, and the gate still passes', async () => {
  await configure('ANY 1 ("PG-b")', 'from-none');
  await streams();
  const clients: Client[] = [];
  try {
    for (;;) clients.push(await client(primary));
  } catch (error) {
    assert.match(String(error), /too many clients|remaining connection slots/);
  }
  assert.equal(await standby.postgres.probe(primary.endpoint, 1000), true);
  assert.deepEqual(await primary.postgres.gate('full'), { ok: true });
  for (const each of clients) await each.end();
});

test('the first commit after a promotion waits, and the promotion is as quick as without', async (t) => {
  const promoted: Record<string, number> = {};
  const names = 'ANY 1 ("nobody")';
  for (const synchronousStandbyNames of ['', names]) {
    const member = await lab.instance(synchronousStandbyNames === '' ? 'PG-d' : 'PG-e');
    await member.must({ kind: 'clone', source: primary.endpoint });
    await member.must({ kind: 'start', as: 'replica', upstream: primary.endpoint, settings, synchronousStandbyNames });
    await until('it streams', async () => {
      const { instance } = await member.postgres.inspect();
      return instance.kind === 'running' && instance.replicationState === 'streaming';
    });
    assert.equal((await member.running()).synchronousStandbyNames, synchronousStandbyNames);
    await member.must({ kind: 'sever' });
    // Commits from before the promotion on: the first that is taken is taken at the first moment.
    const writer = await client(member);
    let acknowledged = false;
    const first = (async () => {
      for (;;) {
        try {
          await writer.query('INSERT INTO t VALUES (2)');
          acknowledged = true;
          return;
        } catch (error) {
          if (!String(error).includes('read-only')) return;
        }
      }
    })();
    const began = clock.now();
    await member.must({ kind: 'promote' });
    promoted[synchronousStandbyNames] = clock.now() - began;
    const waits = async (): Promise<boolean> =>
      (await member.sql(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)).length === 1;
    await until('the commit is taken', async () => acknowledged || (await waits()));
    assert.equal(acknowledged, synchronousStandbyNames === '');
    await member.postgres.fence();
    await first;
    await writer.end().catch(() => undefined);
  }
  t.diagnostic(`promotion: ${promoted['']?.toFixed(0)} ms; with names set: ${promoted[names]?.toFixed(0)} ms`);
});

test('our files lower nothing, and name the settings that notice a dead link', () => {
  const file = readFileSync(join(primary.dataDir, 'pgherd.conf'), 'utf8');
  assert.ok(!/^synchronous_commit/m.test(file));
  for (const name of ['wal_sender_timeout', 'wal_receiver_timeout', 'tcp_keepalives_idle', 'tcp_user_timeout']) {
    assert.match(file, new RegExp(`^${name} = `, 'm'));
  }
  assert.equal(execFileSync('stat', ['-c', '%a', join(primary.dataDir, 'pgherd.conf')], { encoding: 'utf8' }), '600\n');
});
