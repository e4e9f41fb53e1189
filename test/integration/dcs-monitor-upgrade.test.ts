import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Client } from 'pg';
import { migrations, schemaVersion } from '../../src/dcs/monitor/schema.ts';
import { type RunSql, upgradeSchema } from '../../src/dcs/monitor/upgrade.ts';
import { startMonitor } from '../dcs/monitor.ts';

const monitor = await startMonitor();
after(async () => {
  assert.equal(await monitor.stop(), 0);
});

test('a schema of version 1 becomes the newest one, and keeps its keys and its identity', async () => {
  await monitor.sql('create database old');
  const client = new Client({
    host: `${monitor.pgdata}.pgherd`,
    port: monitor.port,
    user: 'postgres',
    database: 'old',
  });
  await client.connect();
  const run: RunSql = async (sql) => {
    // One result for each statement; of several the last one counts.
    const results: unknown = await client.query(sql);
    const last: unknown = Array.isArray(results) ? results.at(-1) : results;
    return typeof last === 'object' && last !== null && 'rows' in last && Array.isArray(last.rows) ? last.rows : [];
  };
  try {
    await run(`create schema pgherd;
      create table pgherd.migration (
        version integer primary key, compatible_since integer not null, applied_at timestamptz not null default now());
      ${migrations[0]?.sql};
      insert into pgherd.migration (version, compatible_since) values (1, 1)`);
    const put = (keys: string): string =>
      `select pgherd.transact('/x/', '{}', '{}', '{${keys}}', '{${keys}}', '{null}') as revision`;
    const read = async (): Promise<{ storeId: string; revision: number; keys: readonly (readonly unknown[])[] }> =>
      JSON.parse(String((await run("select pgherd.read('/x/', -1) as read"))[0]?.['read']));
    await run(put('rule'));
    await run(put('events/a'));
    const before = await read();
    assert.deepEqual(before.keys.map(([name]) => String(name)).sort(), ['events/a', 'rule']);

    assert.deepEqual(await upgradeSchema(run, 'old'), { ok: true, from: 1, to: schemaVersion });
    const since = await read();
    assert.deepEqual([since.storeId, since.revision], [before.storeId, before.revision]);
    assert.deepEqual(
      since.keys.map(([name]) => name),
      ['rule'],
    );
    assert.equal(Number((await run(put('events/b')))[0]?.['revision']), before.revision, 'events leave the revision');
    assert.deepEqual((await run("select pgherd.read_events('/x/') as events"))[0]?.['events'], {
      'events/a': 'events/a',
      'events/b': 'events/b',
    });
    assert.deepEqual(await upgradeSchema(run, 'old'), { ok: true, from: schemaVersion, to: schemaVersion });
  } finally {
    await client.end();
  }
});
