/** This machine: clock, state that survives, guard, lock. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lsn } from '../../src/core/lsn.ts';
import type { Durable } from '../../src/core/model.ts';
import { bootClock } from '../../src/host/clock.ts';
import { durableFile } from '../../src/host/durable-file.ts';
import { inProcessGuard } from '../../src/host/guard.ts';
import { openStateDirectory } from '../../src/host/state-directory.ts';

const folder = mkdtempSync('/tmp/pgherd-test-');
const clock = bootClock();
after(() => rmSync(folder, { recursive: true, force: true }));

/** Every field: what is not loaded again is forgotten by an agent that restarts. */
const durable: Required<Durable> = {
  member: 'pg-1',
  systemId: '7710173580712720136',
  dirMark: 'a-directory',
  storeId: 'a-store',
  originTerm: 2,
  revokedTerm: 3,
  joining: { term: 3, parent: 2, fromTimeline: 1 },
  promise: { term: 3, bootId: 'a-boot', until: 4711.5, ttlMs: 10_000 },
  maxTerm: 3,
  maxRuleNumber: 4,
  maxNonce: 'lease/4',
  lastLsn: lsn(0xffff_0000_0001n),
  floor: { originTerm: 2, lsn: lsn(77) },
  promoting: { term: 3, fromTimeline: 1 },
  takenOn: { term: 3, ground: 'asynchronous', from: 'pg-2' },
  branch: { term: 3, parent: 2, promoted: true },
  checkpointDue: true,
  disarmed: true,
  rewinding: false,
  founding: true,
  newer: { quarantine: { since: 3 } },
};

test('the clock is the boot time, and never goes back', () => {
  const uptimeMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
  let last = clock.now();
  assert.ok(Math.abs(last - uptimeMs) < 50, `${last} is not ${uptimeMs}`);
  for (let turn = 0; turn < 20_000; turn += 1) {
    const now = clock.now();
    assert.ok(now >= last);
    last = now;
  }
  assert.match(clock.wall(), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$/);
});

test('what was saved is loaded, all of it', async () => {
  const store = durableFile(join(folder, 'durable'));
  assert.deepEqual(await store.load(), { ok: true, durable: undefined });
  assert.deepEqual(await store.save(durable), { ok: true });
  assert.deepEqual(await durableFile(join(folder, 'durable')).load(), { ok: true, durable });
  const bare: Durable = {
    member: 'a',
    maxTerm: 0,
    maxRuleNumber: 0,
    checkpointDue: false,
    disarmed: false,
    rewinding: true,
    founding: false,
    floor: 'infinite',
  };
  await store.save(bare);
  assert.deepEqual(await store.load(), { ok: true, durable: bare });
  assert.deepEqual(readdirSync(join(folder, 'durable')), ['state.json']);
  assert.equal(statSync(join(folder, 'durable', 'state.json')).mode & 0o777, 0o600);
});

test('a field of a newer pgherd is kept, and stands in the file as it did', async () => {
  const store = durableFile(join(folder, 'newer'));
  await store.save({ ...durable, newer: { quarantine: [1], since: 'then' } });
  const path = join(folder, 'newer', 'state.json');
  assert.match(readFileSync(path, 'utf8'), /"since": "then"/);
  const loaded = await store.load();
  assert.ok(loaded.ok);
  assert.deepEqual(loaded.durable?.newer, { quarantine: [1], since: 'then' });
});

test('a state file that cannot be used is an error that names it', async () => {
  const store = durableFile(join(folder, 'durable'));
  const path = join(folder, 'durable', 'state.json');
  for (const [text, pattern] of [
    ['{"format": 1', /state\.json is not JSON/],
    ['{"format": 99, "member": 3}', /state\.json has format 99; .* use a newer pgherd/],
    ['{"format": 1, "member": "a", "maxTerm": -1}', /state\.json cannot be used: maxTerm: /],
    [
      '{"format":1,"member":"a","maxTerm":1,"maxRuleNumber":1,"rewinding":false,"founding":false,"lastLsn":"x"}',
      /lastLsn/,
    ],
  ] as const) {
    writeFileSync(path, text);
    const loaded = await store.load();
    assert.ok(!loaded.ok);
    assert.match(loaded.error, pattern);
  }
});

test('the guard fences at the deadline that was armed last, and not after it was disarmed', async () => {
  const fences: number[] = [];
  const make = () =>
    inProcessGuard({
      clock,
      stateDirectory: folder,
      fence: () => {
        fences.push(clock.now());
        return Promise.resolve();
      },
      log: () => undefined,
    });
  const guard = make();
  assert.equal(await guard.armedUntil(), undefined);
  const until = clock.now() + 300;
  guard.arm(clock.now() + 60);
  guard.arm(until);
  while (fences.length === 0 && clock.now() < until + 2000) await sleep(2);
  assert.ok(fences[0] !== undefined && fences[0] >= until && fences[0] < until + 100, `${fences[0]} for ${until}`);

  const later = clock.now() + 100_000;
  guard.arm(later);
  const read = async (): Promise<number | undefined> => make().armedUntil();
  while ((await read()) !== later) await sleep(2);
  guard.arm(undefined);
  while ((await read()) !== undefined) await sleep(2);
  guard.arm(later);
  while ((await read()) !== later) await sleep(2);
  guard.close();
  assert.equal(await read(), later, 'a successor knows it');
  writeFileSync(join(folder, 'deadline'), JSON.stringify({ bootId: 'another', untilMs: later }));
  assert.equal(await read(), undefined);
  assert.equal(fences.length, 1);
});

test('a second agent is refused, a dead one is not in the way', async () => {
  const path = join(folder, 'state');
  const first = await openStateDirectory(path);
  assert.ok(first.ok);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  const module = join(import.meta.dirname, '../../src/host/state-directory.ts');
  const other = (): string =>
    spawnSync(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { openStateDirectory } from ${JSON.stringify(module)};
        console.log(JSON.stringify(await openStateDirectory(${JSON.stringify(path)})));`,
      ],
      { encoding: 'utf8' },
    ).stdout;
  assert.match(other(), new RegExp(`another agent \\(process ${process.pid}\\) holds .*agent\\.lock`));
  await first.release();
  assert.match(other(), /"ok":true/);
  // That one ended without releasing.
  assert.deepEqual(readdirSync(path), ['agent.lock']);
  const third = await openStateDirectory(path);
  assert.ok(third.ok);
  await third.release();
  assert.deepEqual(readdirSync(path), []);
});

test('a state directory that cannot be made is an error that names it', async () => {
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'a-file'), '');
  const outcome = await openStateDirectory(join(folder, 'a-file', 'state'));
  assert.ok(!outcome.ok && outcome.error.includes(join(folder, 'a-file', 'state')));
});
