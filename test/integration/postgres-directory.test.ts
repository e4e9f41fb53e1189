/** The data directory: what is in it, and that nothing destroys it before its replacement is complete. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { asynchronous, type Instance, openLab, settings, until } from './postgres-lab.ts';

const lab = openLab();
let source: Instance;
let copy: Instance;

before(async () => {
  source = await lab.instance('pg-source');
  await source.must({ kind: 'initdb' });
  await source.start('primary');
  await source.must({ kind: 'provision' });
  await source.sql('CREATE TABLE t AS SELECT i, repeat(md5(i::text), 10) AS filler FROM generate_series(1, 60000) i');
  copy = await lab.instance('pg-copy');
});
after(() => lab.close());

function isMark(instance: Instance): Promise<string | undefined> {
  return instance.postgres
    .inspect()
    .then(({ directory }) => (directory.kind === 'present' ? directory.mark : undefined));
}

test('a folder with something else in it is unusable, and the text says what was found', async () => {
  const odd = await lab.instance('odd');
  mkdirSync(odd.dataDir);
  writeFileSync(join(odd.dataDir, 'holiday.jpg'), 'x');
  const { directory } = await odd.postgres.inspect();
  assert.ok(directory.kind === 'unusable');
  assert.match(directory.error, /odd is not a PostgreSQL data directory: it has no PG_VERSION, but holiday\.jpg/);
  const outcome = await odd.run({ kind: 'initdb' });
  assert.ok(!outcome.ok && outcome.error.includes('is not empty'));
  assert.deepEqual(readdirSync(odd.dataDir), ['holiday.jpg']);
});

test('an initdb that fails leaves nothing, and says why', async () => {
  const wrong = await lab.instance('wrong', (options) => ({ ...options, initdb: [{ encoding: 'KLINGON' }] }));
  const outcome = await wrong.run({ kind: 'initdb' });
  assert.ok(!outcome.ok && /KLINGON/.test(outcome.error), JSON.stringify(outcome));
  assert.ok(!existsSync(wrong.dataDir) && !existsSync(`${wrong.dataDir}.initdb`));
  assert.ok(!existsSync(`${wrong.dataDir}.pgherd/initdb-password`));
});

test('a clone that is interrupted, or whose source is away, leaves the old data as they were', async () => {
  await copy.must({ kind: 'clone', source: source.endpoint });
  await copy.start('replica', source.endpoint);
  await copy.must({ kind: 'stop', mode: 'fast' });
  const before = await isMark(copy);

  const away = await copy.run({ kind: 'clone', source: { ...source.endpoint, port: 1 } });
  assert.ok(!away.ok && /cloning from pg-source at .*Connection refused/.test(away.error), JSON.stringify(away));

  const slow = await lab.instance('pg-slow', (options) => ({
    ...options,
    member: 'pg-copy',
    dataDir: copy.dataDir,
    basebackup: [{ 'max-rate': '1M' }, 'verbose'],
  }));
  const controller = new AbortController();
  const cancelled = await slow.postgres.run(
    { kind: 'clone', source: source.endpoint },
    (progress) => {
      if ((progress.doneBytes ?? 0n) > 0n) controller.abort();
    },
    controller.signal,
  );
  assert.deepEqual(
    cancelled.ok ? '' : cancelled.error.slice(0, 40),
    `cloning from pg-source at 127.0.0.1:${source.endpoint.port}`.slice(0, 40),
  );
  await slow.postgres.close();
  assert.ok(!existsSync(`${copy.dataDir}.clone`));
  assert.equal(await isMark(copy), before);
  await copy.start('replica', source.endpoint);
  await copy.must({ kind: 'stop', mode: 'fast' });
});

test('what an agent that was killed left is repaired', async () => {
  const before = await isMark(copy);
  // Between the two renames, and with an unfinished copy of another attempt.
  renameSync(copy.dataDir, `${copy.dataDir}.old`);
  mkdirSync(`${copy.dataDir}.clone`);
  writeFileSync(`${copy.dataDir}.clone/PG_VERSION`, '15\n');
  await copy.reopen();
  assert.equal(await isMark(copy), before);
  await copy.must({ kind: 'clone', source: source.endpoint });
  assert.notEqual(await isMark(copy), before);
  await until('the old one is deleted', () => !existsSync(`${copy.dataDir}.old`));
  assert.ok(!existsSync(`${copy.dataDir}.clone`));
});

test('a full disk ends a clone in words, and the old data stay', async () => {
  const disk = join(lab.folder, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=36m', 'tmpfs', disk]);
  const small = await lab.instance('pg-small', (options) => ({ ...options, dataDir: join(disk, 'data') }));
  execFileSync('chown', ['postgres:postgres', disk]);
  mkdirSync(small.dataDir);
  writeFileSync(join(small.dataDir, 'keep'), 'precious');
  const outcome = await small.run({ kind: 'clone', source: source.endpoint });
  assert.ok(!outcome.ok && /No space left on device/.test(outcome.error), JSON.stringify(outcome));
  assert.equal(readFileSync(join(small.dataDir, 'keep'), 'utf8'), 'precious');
  assert.deepEqual(readdirSync(disk).sort(), ['data', 'data.pgherd']);
  await small.postgres.close();
  execFileSync('umount', [disk]);
});

test('an empty mount point is filled in place, one that is not empty is refused', async () => {
  const disk = join(lab.folder, 'mount');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400m', 'tmpfs', disk]);
  const mounted = await lab.instance('pg-mounted', (options) => ({ ...options, dataDir: disk }));
  await mounted.must({ kind: 'clone', source: source.endpoint });
  await mounted.start('replica', source.endpoint);
  await until('it streams', async () => (await mounted.running()).replicationState === 'streaming');
  await mounted.must({ kind: 'stop', mode: 'fast' });
  const outcome = await mounted.run({ kind: 'clone', source: source.endpoint });
  assert.ok(!outcome.ok && /is a mount point and not empty/.test(outcome.error));
  await mounted.postgres.close();
  execFileSync('umount', [disk]);
});

test('a tablespace outside refuses the clone by name', async () => {
  const place = join(lab.folder, 'space');
  mkdirSync(place);
  execFileSync('chown', ['postgres:postgres', place]);
  await source.sql(`CREATE TABLESPACE elsewhere LOCATION '${place}'`);
  const outcome = await copy.run({ kind: 'clone', source: source.endpoint });
  assert.ok(!outcome.ok && outcome.error.includes(`elsewhere at ${place}`), JSON.stringify(outcome));
  await source.sql('DROP TABLESPACE elsewhere');
});

test('a foreign primary_conninfo in postgresql.auto.conf is neutralised, the rest is kept', async () => {
  const path = join(copy.dataDir, 'postgresql.auto.conf');
  writeFileSync(
    path,
    [
      '# kept comment',
      "primary_conninfo = 'host=192.0.2.1 port=1'",
      "max_connections = '7'",
      "recovery_target_time = '2020-01-01'",
      "synchronous_standby_names = '*'",
      "temp_buffers = '9MB'",
      '',
    ].join('\n'),
  );
  await copy.start('replica', source.endpoint);
  await until('it streams', async () => (await copy.running()).replicationState === 'streaming');
  assert.equal(readFileSync(path, 'utf8'), "# kept comment\ntemp_buffers = '9MB'\n");
  assert.ok(copy.log.some((line) => /auto-conf-cleaned.*primary_conninfo, max_connections/.test(line)));
  // While it runs, by ALTER SYSTEM: configure resets it.
  await copy.sql(`ALTER SYSTEM SET primary_conninfo = 'host=192.0.2.1'`);
  await copy.must({ kind: 'configure', upstream: source.endpoint, settings, ...asynchronous });
  assert.equal((await copy.running()).upstream?.port, source.endpoint.port);
  assert.ok(!readFileSync(path, 'utf8').includes('primary_conninfo'));
  await copy.must({ kind: 'stop', mode: 'fast' });
});

test('a standby starts with less than its primary had, with the value that its WAL needs', async () => {
  const parameters = { ...settings.parameters, max_connections: '150' };
  await source.must({ kind: 'stop', mode: 'fast' });
  await source.start('primary', undefined, { parameters });
  await copy.start('replica', source.endpoint, { parameters });
  await until('it has replayed the change', async () => {
    return (await copy.running()).replayedLsn === (await source.running()).writtenLsn;
  });
  await copy.must({ kind: 'stop', mode: 'fast' });
  await copy.start('replica', source.endpoint);
  assert.equal((await copy.sql('SHOW max_connections'))[0]?.['max_connections'], '150');
  assert.deepEqual((await copy.running()).pendingRestart, ['max_connections']);
  await copy.must({ kind: 'stop', mode: 'fast' });
});

test('postgresql.conf is made where it is missing, our line is added once, and last', async () => {
  const conf = join(copy.dataDir, 'postgresql.conf');
  rmSync(conf);
  rmSync(join(copy.dataDir, 'pg_hba.conf'));
  await copy.start('replica', source.endpoint);
  assert.equal(readFileSync(conf, 'utf8'), "include 'pgherd.conf'\n");
  await copy.must({ kind: 'stop', mode: 'fast' });
  writeFileSync(conf, "include 'pgherd.conf'\nwork_mem = '3MB'\nwal_retrieve_retry_interval = '9s'");
  await copy.start('replica', source.endpoint);
  assert.equal(readFileSync(conf, 'utf8').match(/include 'pgherd.conf'/g)?.length, 1);
  const row = (await copy.sql('SHOW wal_retrieve_retry_interval'))[0];
  assert.equal(row?.['wal_retrieve_retry_interval'], '100ms');
  assert.equal((await copy.sql('SHOW work_mem'))[0]?.['work_mem'], '3MB');
  const written = statSync(join(copy.dataDir, 'pgherd.conf')).ino;
  await copy.must({ kind: 'configure', upstream: source.endpoint, settings, ...asynchronous });
  assert.equal(statSync(join(copy.dataDir, 'pgherd.conf')).ino, written, 'unchanged: not written again');
});
