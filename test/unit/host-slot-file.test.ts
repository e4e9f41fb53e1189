/** The file of two slots: whatever a crash leaves of it, it gives the text before or the text after, and never none. */
import assert from 'node:assert/strict';
import {
  linkSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, mock, test } from 'node:test';
import {
  array,
  asyncProperty,
  boolean,
  assert as check,
  constantFrom,
  nat,
  property,
  string,
  uint8Array,
} from 'fast-check';
import type { Durable } from '../../src/core/model.ts';
import { durableFile } from '../../src/host/durable-file.ts';
import { decodeSlots, encodeSlot, slotFile } from '../../src/host/slot-file.ts';

const folder = mkdtempSync('/tmp/pgherd-test-');
after(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;
const fresh = (): string => join(folder, `state-${++made}`);

const slotBytes = 4096;
const slot = (text: string, sequence: number): Buffer => encodeSlot(text, sequence, slotBytes) ?? assert.fail();
const textOf = (bytes: Buffer): string => {
  const found = decodeSlots(bytes);
  return found.kind === 'text' ? found.text : assert.fail(found.kind);
};

/** The file in which `next` was half written over the older of two slots; `landed`: the ranges that came to the disk. */
function torn(
  next: Buffer,
  newer: Buffer,
  older: Buffer,
  into: 0 | 1,
  landed: readonly (readonly [from: number, to: number])[],
): Buffer {
  const hit = Buffer.from(older);
  for (const [from, to] of landed) next.copy(hit, from, from, to);
  return Buffer.concat(into === 0 ? [hit, newer] : [newer, hit]);
}

const texts = array(string({ unit: 'binary', maxLength: 300 }), { minLength: 3, maxLength: 3 });

test('a write that a crash cut off at any byte leaves the text before, or the one after', () => {
  for (const [oldest, old, next] of [
    ['a'.repeat(900), 'b'.repeat(1000), 'c'.repeat(700)],
    ['', 'b', 'ccc'],
    ['{"term":3}\n', '{"term":4}\n', '{"term":5}\n'],
  ] as const) {
    for (const into of [0, 1] as const) {
      let seen = old;
      for (let cut = 0; cut <= slotBytes; cut += 1) {
        const text = textOf(torn(slot(next, 9), slot(old, 8), slot(oldest, 7), into, [[0, cut]]));
        // From some byte on it is the new one, and stays so.
        assert.ok(text === seen || (text === next && seen === old), `${text} at ${cut}`);
        seen = text;
      }
      assert.equal(seen, next);
    }
  }
});

test('sectors that came to the disk in any order leave the text before, or the one after', () => {
  check(
    property(
      texts,
      constantFrom(0, 1),
      array(boolean(), { minLength: 8, maxLength: 8 }),
      ([a, b, c], into, sectors) => {
        const [oldest, old, next] = [a ?? '', b ?? '', c ?? ''];
        const landed = sectors.flatMap((there, at) => (there ? [[at * 512, at * 512 + 512] as const] : []));
        const bytes = torn(slot(next, 9), slot(old, 8), slot(oldest, 7), into, landed);
        assert.ok([old, next].includes(textOf(bytes)));
      },
    ),
    { numRuns: 2000 },
  );
});

test('whatever is written over one slot, the other is found; over both, it is said that none is whole', () => {
  check(
    property(
      texts,
      constantFrom(0, 1),
      uint8Array({ minLength: 1, maxLength: 600 }),
      nat(slotBytes - 600),
      (t, into, junk, at) => {
        const [oldest = '', old = ''] = t;
        const hit = Buffer.from(slot(oldest, 7));
        hit.set(junk, at);
        const pair = [slot(old, 8), hit];
        assert.equal(textOf(Buffer.concat(into === 0 ? pair.toReversed() : pair)), old);
        const both = Buffer.concat([hit, hit]);
        both.fill(0, 0, 30);
        both.fill(0, slotBytes, slotBytes + 30);
        assert.equal(decodeSlots(both).kind, 'damaged');
      },
    ),
    { numRuns: 500 },
  );
});

test('texts of any size and kind come back, the newest one, in this process and the next', async () => {
  await check(
    asyncProperty(
      array(string({ unit: 'binary', maxLength: 200 }), { minLength: 1, maxLength: 6 }),
      constantFrom(1, 40),
      async (some, times) => {
        const path = fresh();
        const file = slotFile(path);
        for (const text of some) {
          await file.write(text.repeat(times));
          for (const one of [file, slotFile(path)]) {
            const found = await one.read();
            assert.ok(found.kind === 'text' && found.text === text.repeat(times));
          }
        }
      },
    ),
    { numRuns: 30 },
  );
});

test('a save is written in place, to the older slot; an equal text is not written again', async () => {
  const path = fresh();
  const file = slotFile(path);
  await file.write('one');
  const { ino, size } = statSync(path);
  assert.equal(size, 2 * slotBytes);
  await file.write('two');
  const before = readFileSync(path);
  await file.write('two');
  assert.deepEqual(readFileSync(path), before);
  await slotFile(path).write('three');
  const now = readFileSync(path);
  assert.equal(statSync(path).ino, ino);
  assert.deepEqual(now.subarray(slotBytes), before.subarray(slotBytes), 'the slot of "two"');
  assert.notDeepEqual(now.subarray(0, slotBytes), before.subarray(0, slotBytes));
});

test('a text that no slot can take goes to a larger file', async () => {
  const path = fresh();
  const file = slotFile(path);
  await file.write('small');
  const { ino } = statSync(path);
  const long = 'é'.repeat(5000);
  await file.write(long);
  assert.equal(statSync(path).size, 2 * 16_384);
  assert.notEqual(statSync(path).ino, ino);
  await file.write('small again');
  assert.equal(statSync(path).size, 2 * 16_384);
  assert.equal(textOf(readFileSync(path)), 'small again');
});

/** Of the calls of this method from now on, of whatever open file, these fail; the first one is 0. */
async function failing(method: 'datasync' | 'sync' | 'write', calls: readonly number[]): Promise<() => void> {
  const handle = await open(folder);
  const prototype: FileHandle = Object.getPrototypeOf(handle);
  await handle.close();
  const mocked = mock.method(prototype, method);
  for (const call of calls) {
    mocked.mock.mockImplementationOnce(() => Promise.reject(new Error('the disk is ill')), call);
  }
  return () => mocked.mock.restore();
}

test('after an error the same slot is written again: the other one has the only text that is surely on disk', async () => {
  for (const method of ['datasync', 'write'] as const) {
    const path = fresh();
    const file = slotFile(path);
    for (const text of ['one', 'two', 'three']) await file.write(text);
    const second = readFileSync(path).subarray(0, slotBytes);
    const restore = await failing(method, [0, 1]);
    await assert.rejects(file.write('four'), /the disk is ill/);
    await assert.rejects(file.write('five'), /the disk is ill/);
    restore();
    assert.match(second.toString(), /\nthree +\n$/);
    assert.deepEqual(readFileSync(path).subarray(0, slotBytes), second, 'the slot of "three"');
    // Also the text that is on disk already: what came of the others nobody knows.
    await file.write('three');
    assert.equal(textOf(readFileSync(path)), 'three');
  }
});

test('a file that is new and not sure to stay is made anew, not written in place', async () => {
  for (const text of ['one', 'two']) {
    const path = fresh();
    const file = slotFile(path);
    await file.write('one');
    // A file in the way of a write in place: it is replaced. The new one is synced; its directory is not.
    linkSync(path, fresh());
    const restore = await failing('sync', [1]);
    await assert.rejects(file.write('two'), /the disk is ill/);
    restore();
    const { ino } = statSync(path);
    await file.write(text);
    assert.notEqual(statSync(path).ino, ino);
    assert.equal(textOf(readFileSync(path)), text);
  }
});

test('what is loaded is on disk from then on, its name too', async () => {
  const path = fresh();
  await slotFile(path).write('one');
  for (const method of ['datasync', 'sync'] as const) {
    const restore = await failing(method, [0]);
    await assert.rejects(slotFile(path).settle(), /the disk is ill/);
    restore();
  }
  const before = readFileSync(path);
  await slotFile(path).settle();
  assert.deepEqual(readFileSync(path), before);
});

test('no link is followed, and no file of two names is written in place', async () => {
  const path = fresh();
  const victim = fresh();
  writeFileSync(victim, 'untouched');
  symlinkSync(victim, path);
  await assert.rejects(slotFile(path).read(), /ELOOP/);
  await assert.rejects(slotFile(path).write('one'), /ELOOP/);
  assert.ok(lstatSync(path).isSymbolicLink());
  assert.equal(readFileSync(victim, 'utf8'), 'untouched');

  const other = fresh();
  const file = slotFile(other);
  await file.write('one');
  const kept = fresh();
  linkSync(other, kept);
  const before = readFileSync(kept);
  await file.write('two');
  assert.deepEqual(readFileSync(kept), before);
  assert.equal(textOf(readFileSync(other)), 'two');
});

test('a file that is away is made again', async () => {
  const path = fresh();
  const file = slotFile(path);
  await file.write('one');
  rmSync(path);
  await file.write('one');
  assert.equal(textOf(readFileSync(path)), 'one');
});

const bare: Durable = {
  member: 'pg-1',
  maxTerm: 3,
  maxRuleNumber: 4,
  checkpointDue: false,
  disarmed: false,
  rewinding: false,
  founding: false,
};
const plain = `${JSON.stringify({ format: 1, ...bare }, undefined, 2)}\n`;

test('a state without slots is taken over, wherever the taking over ended', async () => {
  const directory = fresh();
  const path = join(directory, 'state.json');
  await durableFile(directory).save(bare);
  const slotted = readFileSync(path);
  const stages: readonly (readonly [what: string, make: () => void])[] = [
    ['before', () => undefined],
    ['half of the new file is there', () => writeFileSync(`${path}.new`, slotted.subarray(0, 5000))],
    ['all of it', () => writeFileSync(`${path}.new`, slotted)],
    ['renamed', () => renameSync(`${path}.new`, path)],
  ];
  for (const [what, make] of stages) {
    if (what !== 'renamed') writeFileSync(path, plain);
    else writeFileSync(`${path}.new`, slotted);
    make();
    assert.deepEqual(await durableFile(directory).load(), { ok: true, durable: bare }, what);
    assert.equal(statSync(path).size, 2 * slotBytes, what);
    const next = { ...bare, maxTerm: 4 };
    const store = durableFile(directory);
    await store.load();
    assert.deepEqual(await store.save(next), { ok: true });
    assert.deepEqual(await durableFile(directory).load(), { ok: true, durable: next });
  }
});

test('people can read it: two JSON texts, each with a line before it', async () => {
  const directory = fresh();
  const store = durableFile(directory);
  await store.save(bare);
  await store.save({ ...bare, maxTerm: 4 });
  const text = readFileSync(join(directory, 'state.json'), 'utf8');
  assert.match(text, /^\{"sequence":1,[^\n]*\}\n\{\n {2}"format": 1,\n[^]*"maxTerm": 3[^]*\n\}\n +\n\{"sequence":2,/);
});

test('a state of which no slot is whole is an error that names it and is left as it is', async () => {
  const directory = fresh();
  const path = join(directory, 'state.json');
  const store = durableFile(directory);
  await store.save(bare);
  const bytes = readFileSync(path);
  bytes[200] = 0;
  writeFileSync(path, bytes);
  const loaded = await durableFile(directory).load();
  assert.ok(!loaded.ok);
  assert.match(loaded.error, /state\.json is damaged: copy 1 differs from its checksum, copy 2 is empty; restore/);
  assert.deepEqual(readFileSync(path), bytes);
});
