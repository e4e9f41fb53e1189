/** Steps of the monitor's wall clock, made with libfaketime (Debian package faketime). */
import assert from 'node:assert/strict';
import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findBinaries } from '../../src/postgres/binaries.ts';
import { apply, grant, never, read, recorder, until } from '../dcs/contract.ts';
import { makeFolder, startMonitor, type TestMonitor } from '../dcs/monitor.ts';

const [library] = globSync('/usr/lib/{*/,}faketime/libfaketimeMT.so.1');
const skip = library === undefined ? 'libfaketime is not installed (Debian package faketime)' : false;

const folder = makeFolder();
after(() => folder.remove());
const offsetFile = join(folder.path, 'offset');

function setOffset(offset: string): void {
  writeFileSync(offsetFile, `${offset}\n`);
}

/** Only the server's clock is a false one: its programs are wrapped, so that no other process is touched. */
async function startWithFakeClock(): Promise<TestMonitor> {
  setOffset('+0');
  const programs = await findBinaries(undefined, undefined);
  assert.ok(programs.ok);
  const fake = `LD_PRELOAD=${library} FAKETIME_TIMESTAMP_FILE=${offsetFile} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1`;
  for (const [name, environment] of [
    ['postgres', `env ${fake} `],
    ['initdb', ''],
  ] as const) {
    const command = `#!/bin/sh\nexec ${environment}${programs.binaries.dir}/${name} "$@"\n`;
    writeFileSync(join(folder.path, name), command, { mode: 0o755 });
  }
  return startMonitor('trust', folder.path);
}

/** How far the server's wall clock is ahead of ours, in minutes. */
async function aheadMinutes(monitor: TestMonitor): Promise<number> {
  const [row] = await monitor.sql('select extract(epoch from clock_timestamp())::float8 as now');
  return Math.round((Number(row?.['now']) - Date.now() / 1000) / 60) + 0;
}

test('no step of the wall clock ends or prolongs a lease', { skip }, async () => {
  const monitor = await startWithFakeClock();
  const dcs = monitor.connect('clock');
  try {
    assert.equal(await aheadMinutes(monitor), 0);
    const watched = recorder();
    dcs.watch(watched);
    for (const [offset, minutes] of [
      ['+3600', 60],
      ['-3600', -60],
      ['+0', 0],
    ] as const) {
      const ttlMs = 1000;
      const kept = await grant(dcs, ttlMs);
      const sentAt = performance.now();
      const leaseId = await grant(dcs, ttlMs);
      const grantedAt = performance.now();
      await apply(dcs, {
        compare: [],
        write: [
          { key: 'leader', value: offset, leaseId },
          { key: 'kept', value: offset, leaseId: kept },
        ],
      });
      await until('the key', () => watched.value('leader') === offset);
      setOffset(offset);
      assert.equal(await aheadMinutes(monitor), minutes, 'the step took place');
      // Late enough for the two ends to lie apart.
      await until('a part of the TTL has passed', () => performance.now() > grantedAt + 200);
      assert.equal((await dcs.renewLease(kept, never)).kind, 'alive');
      assert.equal((await read(dcs)).keys.get('leader')?.value, offset);
      const gone = await until('the key goes', () =>
        watched.seen.find(({ at, snapshot }) => at > grantedAt + 100 && !snapshot.keys.has('leader')),
      );
      assert.ok(gone.at - sentAt >= ttlMs, `gone after ${gone.at - sentAt} ms of ${ttlMs}, clock set ${offset} s`);
      assert.ok(gone.at - grantedAt < ttlMs + 200, `gone only after ${gone.at - grantedAt} ms, clock set ${offset} s`);
      assert.equal(gone.snapshot.keys.get('kept')?.value, offset, 'the renewed one lives longer');
      await until('the other goes too', () => watched.seen.at(-1)?.snapshot.keys.size === 0);
    }
  } finally {
    await dcs.close();
    await monitor.stop();
  }
});
