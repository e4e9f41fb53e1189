/** Storage that hangs, or is full: what a look and a write probe show of it, and how an instance on it is ended. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StorageOutcome } from '../../src/core/events.ts';
import { canMakeDisks, empty, fill, makeDisk } from '../disks/disk.ts';
import { clock, type Instance, lastKind, openLab, processesOf, settings, until } from './postgres-lab.ts';

const skip = !canMakeDisks() && 'loop devices need root';
const durableSettings = { parameters: { ...settings.parameters, fsync: 'on' } };

/** An instance in `<path>/data` that runs, with a table. */
async function instanceOn(lab: ReturnType<typeof openLab>, name: string, path: string): Promise<Instance> {
  const it = await lab.instance(name, (options) => ({ ...options, dataDir: join(path, 'data') }));
  await it.must({ kind: 'initdb' });
  await it.start('primary', undefined, durableSettings);
  await it.sql('CREATE TABLE t (number int)');
  await it.sql('CHECKPOINT');
  return it;
}

function statesOf(dataDir: string): readonly string[] {
  return processesOf(dataDir).map(
    (link) => /^State:\t(.)/m.exec(readFileSync(link.replace('cwd', 'status'), 'utf8'))?.[1] ?? '',
  );
}

/** What the probe said, if it has come back. */
function probing(it: Instance): { outcome: StorageOutcome | undefined } {
  const probe: { outcome: StorageOutcome | undefined } = { outcome: undefined };
  void it.postgres.probeStorage().then((outcome) => (probe.outcome = outcome));
  return probe;
}

function hasAnswered({ outcome }: { readonly outcome: StorageOutcome | undefined }): boolean {
  return outcome !== undefined;
}

for (const hangs of ['writes', 'flushes'] as const) {
  describe(`storage whose ${hangs} hang`, { skip }, () => {
    const lab = openLab();
    const disk = skip ? undefined : makeDisk(lab.folder, `disk-${hangs}`, 320, hangs);
    after(async () => {
      disk?.thaw();
      await lab.close();
    });

    test('looks go on and show it, the probe does not come back, and what cannot be ended is told from what can', async (t) => {
      assert.ok(disk);
      const it = await instanceOn(lab, 'pg', disk.path);
      const well = await it.postgres.probeStorage();
      assert.ok(well.ok && well.freeBytes > 0 && well.freeBytes < 320 << 20, JSON.stringify(well));
      assert.equal((await it.running()).awaitsWal, false);

      disk.freeze();
      const insert = it.sql('INSERT INTO t VALUES (1)').then(
        () => 'acknowledged',
        (error: unknown) => String(error),
      );
      const probe = probing(it);
      await until('a session waits for WAL', async () => (await it.running()).awaitsWal);
      const before = await it.running();
      const began = clock.now();
      for (let round = 0; round < 20; round += 1) await it.postgres.inspect();
      t.diagnostic(`a look while storage hangs: ${((clock.now() - began) / 20).toFixed(1)} ms`);
      await sleep(1000);
      assert.deepEqual([(await it.running()).flushedLsn, (await it.running()).awaitsWal], [before.flushedLsn, true]);
      assert.equal(hasAnswered(probe), false);
      // The agent's own files, names and timers have not come to wait behind it.
      readFileSync('/proc/self/stat');
      await import('node:dns/promises').then(({ lookup }) => lookup('localhost'));

      const stopBegan = clock.now();
      const stopped = await it.run({ kind: 'stop', mode: 'immediate', unable: 'storage hangs' });
      const tookMs = clock.now() - stopBegan;
      t.diagnostic(`ended, as far as it can be, after ${tookMs.toFixed(0)} ms`);
      assert.ok(stopped.ok, JSON.stringify(stopped));
      assert.ok(tookMs < 3000, `${tookMs} ms`);
      const { instance } = await it.postgres.inspect();
      assert.ok(instance.kind === 'dying', JSON.stringify(instance));
      assert.match(instance.because, /the kernel holds its processes \d+/);
      assert.deepEqual(new Set(statesOf(it.dataDir)), new Set(['D']));
      const start = await it.run({
        kind: 'start',
        as: 'primary',
        upstream: undefined,
        settings,
        synchronousStandbyNames: '',
      });
      assert.ok(!start.ok && /waits for its storage/.test(start.error), JSON.stringify(start));

      disk.thaw();
      await until('nothing is left', () => lastKind(it) === 'stopped');
      assert.deepEqual(processesOf(it.dataDir), []);
      assert.notEqual(await insert, 'acknowledged');
      await until('the probe has come back', () => hasAnswered(probe));
      assert.equal(probe.outcome?.ok, true);
      assert.equal((await it.postgres.probeStorage()).ok, true);
    });

    test('a job that storage holds does not keep a stop from its work, and is over before the next job begins', async () => {
      assert.ok(disk);
      const it = await lab.instance('held', (options) => ({ ...options, dataDir: join(disk.path, 'data') }));
      await it.start('primary', undefined, durableSettings);
      disk.freeze();
      const job = {
        kind: 'configure',
        upstream: undefined,
        settings,
        synchronousStandbyNames: '',
        prove: 'nothing',
      } as const;
      const held = it.run({ ...job, settings: { ...settings, parameters: { work_mem: '7MB' } } });
      await sleep(500);
      const stopped = await it.run({ kind: 'stop', mode: 'immediate', unable: 'storage hangs' });
      assert.ok(stopped.ok, JSON.stringify(stopped));
      const next = it.run({ kind: 'start', as: 'primary', upstream: undefined, settings, synchronousStandbyNames: '' });
      disk.thaw();
      await held;
      const started = await next;
      assert.ok(started.ok, JSON.stringify(started));
      await until('it runs', () => lastKind(it) === 'running');
      // Written by the start, after whatever the held job still wrote.
      assert.deepEqual(await it.sql('SHOW work_mem'), [{ work_mem: '4MB' }]);
      await it.must({ kind: 'stop', mode: 'fast' });
    });
  });
}

describe('full storage', { skip }, () => {
  const lab = openLab();
  after(() => lab.close());

  function mount(path: string, megabytes: number): void {
    mkdirSync(path);
    execFileSync('mount', [
      '-t',
      'tmpfs',
      '-o',
      `size=${megabytes}m,mode=700,uid=postgres,gid=postgres`,
      'pgherd-test',
      path,
    ]);
  }

  test('what is left on the fuller of two file systems is told', async () => {
    const path = join(lab.folder, 'data-disk');
    const wal = join(lab.folder, 'wal-disk');
    mount(path, 200);
    mount(wal, 64);
    const it = await lab.instance('full', (options) => ({
      ...options,
      dataDir: join(path, 'data'),
      initdb: [{ waldir: join(wal, 'wal') }],
    }));
    await it.must({ kind: 'initdb' });
    await it.start('primary', undefined, {
      parameters: { ...settings.parameters, min_wal_size: '32MB', max_wal_size: '32MB' },
    });
    const free = async (): Promise<number> => {
      const outcome = await it.postgres.probeStorage();
      assert.ok(outcome.ok, JSON.stringify(outcome));
      return outcome.freeBytes;
    };
    const wellBytes = await free();
    assert.ok(wellBytes > 16 << 20 && wellBytes < 64 << 20, `${wellBytes}`);
    fill(path);
    assert.equal(await free(), 0);
    empty(path);
    fill(wal);
    assert.equal(await free(), 0);
    empty(wal);
    assert.ok((await free()) > 16 << 20);
    await it.must({ kind: 'stop', mode: 'fast' });
  });

  test('a file system that takes no writes at all says so', async () => {
    const path = join(lab.folder, 'read-only');
    mount(path, 200);
    const it = await lab.instance('read-only', (options) => ({ ...options, dataDir: join(path, 'data') }));
    await it.must({ kind: 'initdb' });
    assert.equal((await it.postgres.probeStorage()).ok, true);
    execFileSync('mount', ['-o', 'remount,ro', path]);
    const outcome = await it.postgres.probeStorage();
    assert.ok(!outcome.ok && outcome.error.endsWith('Read-only file system'), JSON.stringify(outcome));
    execFileSync('mount', ['-o', 'remount,rw', path]);
    assert.equal((await it.postgres.probeStorage()).ok, true);
  });

  test('a directory that is empty, or being made, is not written to', async () => {
    const it = await lab.instance('empty');
    assert.deepEqual(await it.postgres.probeStorage(), { ok: true, freeBytes: Infinity });
    assert.equal((await it.postgres.inspect()).directory.kind, 'empty');
  });

  test('the helper that was killed is replaced', async () => {
    const it = await lab.instance('helper', (options) => ({
      ...options,
      dataDir: join(lab.folder, 'data-disk', 'data'),
    }));
    assert.equal((await it.postgres.probeStorage()).ok, true);
    execFileSync('pkill', ['-KILL', '-P', String(process.pid), '-f', 'pgherd.probe']);
    const outcome = async (): Promise<boolean> => {
      const told = await it.postgres.probeStorage();
      return told.ok && Number.isFinite(told.freeBytes);
    };
    await until('it is answered again', outcome);
  });
});
