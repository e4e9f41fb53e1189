import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { connectMonitor } from '../../src/dcs/monitor/dcs.ts';
import { upgradeSchema } from '../../src/dcs/monitor/upgrade.ts';
import type { Dcs } from '../../src/ports/dcs.ts';
import { apply, contract, grant, never, put, read, recorder, until } from '../dcs/contract.ts';
import { agentSessions, clock, freePort, processesOf, startMonitor, type TestMonitor } from '../dcs/monitor.ts';

const monitor: TestMonitor = await startMonitor();
after(async () => {
  assert.equal(await monitor.stop(), 0);
});

contract('monitor', async () => ({ connect: (scope) => monitor.connect(scope) }));

let scopes = 0;

/** One member on a cluster of its own; no other agent is connected. */
async function alone(run: (dcs: Dcs) => Promise<void>, timeoutMs = 1000): Promise<void> {
  await until('the earlier agents are gone', async () => (await agentSessions(monitor)).length === 0);
  const dcs = monitor.connect(`alone${++scopes}`, timeoutMs);
  try {
    await run(dcs);
  } finally {
    await dcs.close();
  }
}

/** The only session of an agent that does not watch. */
async function onlySession(): Promise<number> {
  const [pid, ...others] = await agentSessions(monitor);
  assert.ok(pid !== undefined && others.length === 0);
  return pid;
}

describe('unanswered and not sent', () => {
  test('a server that stops in the middle: unanswered at the deadline; it may be done later', async () => {
    await alone(async (dcs) => {
      const revision = await apply(dcs, put('rule', '1'));
      const pid = await onlySession();
      process.kill(pid, 'SIGSTOP');
      const began = performance.now();
      const compare = [{ key: 'rule', modRevision: revision }];
      const outcome = await dcs.transact({ compare, write: [{ key: 'rule', value: 'late' }] }, never);
      const took = performance.now() - began;
      assert.equal(outcome.kind, 'unanswered', JSON.stringify(outcome));
      assert.ok(took >= 990 && took < 1300, `${took} ms`);
      // A new connection works meanwhile, and a read settles nothing: the write lands now.
      assert.equal((await read(dcs)).keys.get('rule')?.value, '1');
      process.kill(pid, 'SIGCONT');
      await until('the late write', async () => (await read(dcs)).keys.get('rule')?.value === 'late');
      // What settles an unanswered write: a later compare-and-swap on the key.
      assert.equal((await dcs.transact({ compare, write: [{ key: 'rule', value: '2' }] }, never)).kind, 'refused');
    });
  });

  test('a session that is ended while a call waits: unanswered, and nothing was done', async () => {
    await alone(async (dcs) => {
      await apply(dcs, put('x', '1'));
      const pid = await onlySession();
      const blocker = await monitor.session();
      await blocker.query('begin; select from pgherd.cluster for update');
      const pending = dcs.transact(put('x', '2'), never);
      await until('it waits', async () => {
        const [row] = await monitor.sql(`select wait_event_type from pg_stat_activity where pid = ${pid}`);
        return row?.['wait_event_type'] === 'Lock';
      });
      process.kill(pid, 'SIGTERM');
      const outcome = await pending;
      assert.equal(outcome.kind, 'unanswered', JSON.stringify(outcome));
      await blocker.end();
      assert.equal((await read(dcs)).keys.get('x')?.value, '1');
    });
  });

  test('a call that is stuck holds up no renewal', async () => {
    await alone(async (dcs) => {
      const watched = recorder();
      dcs.watch(watched);
      const leaseId = await grant(dcs, 60_000);
      await apply(dcs, put('leader', 'a', leaseId));
      await until('the key', () => watched.value('leader'));
      const blocker = await monitor.session();
      await blocker.query('begin; select from pgherd.cluster for update');
      const stuck = dcs.transact(put('x', '1'), never);
      const queued = dcs.transact(put('y', '1'), never);
      const took: number[] = [];
      for (let i = 0; i < 10; i++) {
        const began = performance.now();
        assert.equal((await dcs.renewLease(leaseId, never)).kind, 'alive');
        took.push(performance.now() - began);
      }
      assert.ok(Math.max(...took) < 200, took.join(' '));
      assert.equal((await stuck).kind, 'unanswered');
      await blocker.query('rollback');
      await blocker.end();
      const late = await queued;
      assert.ok(late.kind === 'not-sent' || late.kind === 'unanswered', JSON.stringify(late));
    });
  });

  test('an error that the server reports is not sent: nothing was done, and the connection goes on', async () => {
    await alone(async (dcs) => {
      await apply(dcs, put('x', '1'));
      const pid = await onlySession();
      const twice = { key: 'x', value: '2' };
      const outcome = await dcs.transact({ compare: [], write: [twice, twice] }, never);
      assert.ok(outcome.kind === 'not-sent');
      assert.match(outcome.error, /each key once/);
      assert.equal((await dcs.transact(put('x', 'a\0b'), never)).kind, 'not-sent');
      assert.equal((await dcs.grantLease(0, never)).kind, 'failed');
      assert.equal((await read(dcs)).keys.get('x')?.value, '1');
      assert.equal(await onlySession(), pid);
    });
  });

  test('a call that is cancelled in flight ends at once', async () => {
    await alone(async (dcs) => {
      await apply(dcs, put('x', '1'));
      const pid = await onlySession();
      process.kill(pid, 'SIGSTOP');
      const cancel = new AbortController();
      const pending = dcs.transact(put('x', '2'), cancel.signal);
      const began = performance.now();
      cancel.abort();
      assert.equal((await pending).kind, 'unanswered');
      assert.ok(performance.now() - began < 100);
      process.kill(pid, 'SIGCONT');
    });
  });
});

describe('a watch that loses its connection', () => {
  test('says so, comes back, and has missed nothing', async () => {
    await alone(async (dcs) => {
      const watched = recorder();
      dcs.watch(watched);
      await until('the first snapshot', () => watched.seen[0]);
      const pid = await onlySession();
      await monitor.sql(`select pg_terminate_backend(${pid})`);
      await until('the loss', () => watched.lost[0]);
      assert.match(watched.lost[0] ?? '', /^monitor postgres:\/\/pgherd@127\.0\.0\.1:\d+\/pgherd: /);
      const seen = watched.seen.length;
      await apply(dcs, put('x', '1'));
      await until('the change', () => watched.value('x'));
      assert.ok(watched.seen.length > seen);
      await apply(dcs, put('x', '2'));
      await until('the next change', () => watched.value('x') === '2');
    });
  });

  test('notices a server that freezes, and its return', async () => {
    await alone(async (dcs) => {
      const watched = recorder();
      dcs.watch(watched);
      await until('the first snapshot', () => watched.seen[0]);
      const frozen = processesOf(monitor.postmaster());
      const began = performance.now();
      for (const pid of frozen) process.kill(pid, 'SIGSTOP');
      try {
        await until('the loss', () => watched.lost[0]);
        // `noticeMs`, and half a second more at most.
        assert.ok(performance.now() - began < 1000 + 500 + 200);
        const outcome = await dcs.transact(put('x', '1'), never);
        assert.equal(outcome.kind, 'not-sent', JSON.stringify(outcome));
        assert.equal((await dcs.renewLease('any', never)).kind, 'failed');
      } finally {
        for (const pid of frozen.toReversed()) process.kill(pid, 'SIGCONT');
      }
      const seen = watched.seen.length;
      await until('it is back', () => watched.seen.length > seen, 10_000);
      await apply(dcs, put('y', '1'));
      await until('the change', () => watched.value('y'));
      assert.equal(watched.value('x'), undefined);
    }, 1000);
  });
});

describe('leases of a server that is restarted', () => {
  const ttlMs = 1500;

  /** Grants, waits for most of the TTL, lets `harm` happen, and measures from there. */
  async function lives(harm: () => Promise<void>): Promise<void> {
    await alone(async (dcs) => {
      const watched = recorder();
      dcs.watch(watched);
      const leaseId = await grant(dcs, ttlMs);
      const began = performance.now();
      await apply(dcs, put('leader', 'a', leaseId));
      assert.equal((await dcs.renewLease(leaseId, never)).kind, 'alive');
      await until('the key', () => watched.value('leader'));
      while (performance.now() < began + ttlMs * 0.6) await sleep(5);
      const harmedAt = performance.now();
      const { length: known } = watched.seen;
      await harm();
      const back = await until('the watch is back', () => watched.seen[known], 10_000);
      assert.equal(back.snapshot.keys.get('leader')?.value, 'a');
      const gone = await until('the key goes', () =>
        watched.seen.find(({ at, snapshot }) => at > harmedAt && !snapshot.keys.has('leader')),
      );
      const after = gone.at - harmedAt;
      assert.ok(after >= ttlMs, `gone ${after} ms after the restart began, TTL ${ttlMs} ms`);
      assert.ok(gone.at - back.at < ttlMs + 200, `gone ${gone.at - back.at} ms after the return`);
    });
  }

  test('killed', () => lives(async () => void process.kill(monitor.postmaster(), 'SIGKILL')));

  test('stopped in order', () => lives(async () => void process.kill(monitor.postmaster(), 'SIGINT')));

  test('a crash of a backend, which the postmaster survives', () =>
    lives(async () => {
      const session = await monitor.session();
      const { rows } = await session.query<{ pid: number }>('select pg_backend_pid() as pid');
      const postmaster = monitor.postmaster();
      assert.ok(rows[0]);
      process.kill(rows[0].pid, 'SIGKILL');
      await until('it is back', async () => monitor.sql('select').catch(() => undefined));
      assert.equal(monitor.postmaster(), postmaster);
    }));
});

test('renewals write nothing to the WAL but that they were, and wait for no disk', async () => {
  await alone(async (dcs) => {
    const leaseId = await grant(dcs, 60_000);
    await apply(dcs, put('leader', 'a', leaseId));
    // After a checkpoint the first change of a logged page would write the whole page.
    await monitor.sql('checkpoint');
    const written = async (): Promise<bigint> => {
      const [row] = await monitor.sql("select (pg_current_wal_insert_lsn() - '0/0')::text as bytes");
      return BigInt(String(row?.['bytes']));
    };
    // Background processes write now and then: one quiet attempt of several is proof.
    await until('renewals with little WAL', async () => {
      const before = await written();
      for (let i = 0; i < 50; i++) assert.equal((await dcs.renewLease(leaseId, never)).kind, 'alive');
      return Number((await written()) - before) < 50 * 64;
    });
    const flushes = async (): Promise<number> =>
      Number((await monitor.sql('select pg_stat_force_next_flush(), wal_sync from pg_stat_wal'))[0]?.['wal_sync']);
    await until('renewals without flushes of their own', async () => {
      const before = await flushes();
      for (let i = 0; i < 50; i++) await dcs.renewLease(leaseId, never);
      return (await flushes()) - before < 25;
    });
  });
});

describe('permissions', () => {
  test('the role of the agents may call its functions and nothing else', async () => {
    const client = new Client({ connectionString: monitor.uri });
    await client.connect();
    for (const [sql, allowed] of [
      ['select pgherd.schema_version()', true],
      ["select pgherd.read('/test/p/', -1)", true],
      ['select * from pgherd.key', false],
      ['select * from pgherd.store', false],
      ['update pgherd.cluster set revision = 0', false],
      ['select pgherd.settle(1)', false],
      ["select pgherd.end_leases(1, '{}')", false],
      ['select pgherd.boot_time_ms()', false],
      ['create table pgherd.x ()', false],
      ['create table public.x ()', false],
      ['create temp table x ()', false],
      ['create schema x', false],
      ["select pg_read_file('/etc/passwd')", false],
      ['alter role pgherd superuser', false],
    ] as const) {
      const outcome = await client.query(sql).then(
        () => true,
        (error: unknown) => String(error),
      );
      if (allowed) assert.equal(outcome, true, sql);
      else assert.match(String(outcome), /permission denied|must be superuser/, sql);
    }
    await client.end();
    const stranger = new Client({ connectionString: monitor.uri.replace('pgherd@', 'postgres@') });
    await assert.rejects(stranger.connect(), /no pg_hba.conf entry/);
  });

  test('its functions trust no search_path and no table of the caller', async () => {
    const rows = await monitor.sql(
      `select proname from pg_proc where pronamespace = 'pgherd'::regnamespace and prosecdef
         and not coalesce(proconfig::text, '') like '%search_path=pg_catalog, pg_temp%'`,
    );
    assert.deepEqual(rows, []);
  });
});

async function errorOf(uri: string): Promise<string> {
  const dcs = connectMonitor({ uri, prefix: '/test/x/', clock, timeoutMs: 1000 });
  const watched = recorder();
  dcs.watch(watched);
  const outcome = await dcs.transact(put('x', '1'), never);
  assert.equal(outcome.kind, 'not-sent');
  assert.ok(outcome.kind === 'not-sent');
  const lost = await until('the watch says it', () => watched.lost[0]);
  assert.equal(lost, outcome.error);
  await dcs.close();
  return outcome.error;
}

describe('a monitor that cannot be used is named, and why', () => {
  test('nobody listens', async () => {
    const error = await errorOf(`postgres://pgherd:secret@127.0.0.1:${await freePort()}/pgherd`);
    assert.match(
      error,
      /^monitor postgres:\/\/pgherd@127\.0\.0\.1:\d+\/pgherd: connection refused: is the monitor running/,
    );
  });

  test('no such database; a database that is no monitor', async () => {
    assert.match(await errorOf(monitor.uri.replace(/pgherd$/, 'other')), /no pg_hba.conf entry|does not exist/);
    await monitor.sql('alter schema pgherd rename to hidden');
    try {
      assert.match(await errorOf(monitor.uri), /not a monitor, or its schema was never made/);
    } finally {
      await monitor.sql('alter schema hidden rename to pgherd');
    }
  });

  test('a URI that is none', async () => {
    assert.match(await errorOf('http://x y/'), /^monitor /);
  });

  test('a schema that is too new, for the agent and for the monitor', async () => {
    await monitor.sql('insert into pgherd.migration (version, compatible_since) values (7, 7)');
    try {
      assert.match(await errorOf(monitor.uri), /its schema has version 7.*run a newer pgherd here/);
      const session = await monitor.session();
      const outcome = await upgradeSchema(
        async (sql) => (await session.query<Record<string, unknown>>(sql)).rows ?? [],
        'pgherd',
      );
      await session.end();
      assert.ok(!outcome.ok);
      assert.match(outcome.error, /version 7; this pgherd knows versions up to \d+: run a newer pgherd/);
      // A newer one that old agents can still use.
      await monitor.sql('update pgherd.migration set compatible_since = 1 where version = 7');
      await alone(async (dcs) => void (await read(dcs)));
    } finally {
      await monitor.sql('delete from pgherd.migration where version = 7');
    }
  });

  test('passwords', async () => {
    const guarded = await startMonitor('scram-sha-256');
    try {
      const password = readFileSync(`${guarded.pgdata}.pgherd/pgherd.password`, 'utf8').trim();
      const withPassword = (text: string): string => guarded.uri.replace('pgherd@', `pgherd:${text}@`);
      assert.match(
        await errorOf(withPassword('wrong')),
        /^monitor postgres:\/\/pgherd@[^:]*:\d+\/pgherd: the password was not accepted/,
      );
      assert.match(await errorOf(guarded.uri), /asks for a password and there is none/);
      const dcs = connectMonitor({ uri: withPassword(password), prefix: '/test/x/', clock, timeoutMs: 1000 });
      await read(dcs);
      assert.ok(!dcs.description.includes(password));
      await dcs.close();
      assert.ok(guarded.log.every((line) => !line.includes(password)));
    } finally {
      await guarded.stop();
    }
  });
});

test('an agent that is idle costs next to nothing', async () => {
  await alone(async (dcs) => {
    const watched = recorder();
    dcs.watch(watched);
    await until('the first snapshot', () => watched.seen[0]);
    const before = process.cpuUsage();
    await sleep(3000);
    const { user, system } = process.cpuUsage(before);
    assert.ok((user + system) / 1000 / 3000 < 0.01, `${(user + system) / 1000} ms of CPU in 3 s`);
  });
});
