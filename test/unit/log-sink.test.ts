/** The log of a real process, with a stderr that is full, gone, or as it should be. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';

const logPath = new URL('../../src/lib/log.ts', import.meta.url).href;

/** Writes 2000 lines of 1 kB, then says how long it took, and stays until its stdin ends. */
const program = `
  const { createLog } = await import(${JSON.stringify(logPath)});
  const log = createLog({ member: 'pg1' });
  const before = process.hrtime.bigint();
  for (let number = 0; number < 2000; number += 1) log.info('filled', 'x'.repeat(1000), { number });
  console.log(Math.round(Number(process.hrtime.bigint() - before) / 1e6));
  process.stdin.resume().on('end', () => { log.info('ended', 'the last line'); process.exit(7); });
`;

interface Child {
  readonly process: ChildProcess;
  /** Milliseconds that the lines took. */
  readonly wrote: Promise<number>;
  readonly exited: Promise<number | null>;
}

function run(t: TestContext, stderr: 'pipe' | number, env: Record<string, string> = {}): Child {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', stderr],
    env: { ...process.env, ...env },
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const wrote = new Promise<number>((resolve, reject) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())));
    void exited.then((code) => reject(new Error(`it ended with ${code}`)));
  });
  return { process: child, wrote, exited };
}

/** A named pipe: unlike the socket that Node makes for 'pipe', it is what a shell gives. */
async function namedPipe(t: TestContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'pgherd-test-log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'pipe');
  const made = spawn('sh', ['-c', 'mkfifo "$1"', 'sh', path]);
  assert.equal(await new Promise((resolve) => made.once('exit', resolve)), 0);
  return path;
}

const options = { timeout: 20_000 };

test('a pipe that nobody reads does not stop the process', options, async (t) => {
  const path = await namedPipe(t);
  const end = openSync(path, 'r+');
  t.after(() => closeSync(end));
  const child = run(t, end);
  assert.ok((await child.wrote) < 5000);
  // What it holds are whole lines from the first on.
  const bytes = Buffer.alloc(4096);
  const text = bytes.subarray(0, readSync(end, bytes)).toString();
  assert.match(text, /filled: x{1000}  member=pg1 number=0\n.*filled: x{1000}  member=pg1 number=1\n/);
  child.process.stdin?.end();
  assert.equal(await child.exited, 7);
});

test('a socket that nobody reads does not stop the process', options, async (t) => {
  const child = run(t, 'pipe');
  child.process.stderr?.pause();
  assert.ok((await child.wrote) < 5000);
  child.process.stdin?.end();
  assert.equal(await child.exited, 7);
});

test('a reader that goes away does not end the process', options, async (t) => {
  const path = await namedPipe(t);
  const reader = openSync(path, 'r+');
  const writer = openSync(path, 'w');
  const child = run(t, writer);
  closeSync(writer);
  await child.wrote;
  closeSync(reader);
  child.process.stdin?.end();
  assert.equal(await child.exited, 7);
  const socket = run(t, 'pipe');
  socket.process.stderr?.destroy();
  await socket.wrote;
  socket.process.stdin?.end();
  assert.equal(await socket.exited, 7);
});

test('a reader that is slow gets all that was kept, and is told what was not', options, async (t) => {
  const path = await namedPipe(t);
  const end = openSync(path, 'r+');
  t.after(() => closeSync(end));
  const child = run(t, end);
  await child.wrote;
  const bytes = Buffer.alloc(1 << 20);
  let text = '';
  // Other ends of a pipe may have made it non-blocking for all: nothing to read is then no end.
  const read = async (): Promise<void> => {
    try {
      text += bytes.subarray(0, readSync(end, bytes)).toString();
    } catch (error) {
      assert.match(String(error), /EAGAIN/);
      await setTimeout(5);
    }
  };
  // It refills what is read from what it kept, until that is used up.
  const kept = (): number => (text.match(/number=\d+\n/g) ?? []).length;
  while (kept() < 250) await read();
  child.process.stdin?.end();
  assert.equal(await child.exited, 7);
  while (!text.includes('the last line')) await read();
  const numbers = [...text.matchAll(/ number=(\d+)\n/g)].map(([, number]) => Number(number));
  assert.ok(numbers.length >= 250 && numbers.length < 2000, `${numbers.length} lines`);
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].sort((one, other) => one - other),
    'each once, in order',
  );
  const lost = [...text.matchAll(/log-lines-lost: .* lost=(\d+)\n/g)].map(([, count]) => Number(count));
  assert.equal(numbers.length + lost.reduce((sum, count) => sum + count, 0), 2000);
});

test('a full disk loses lines, not the process', options, async (t) => {
  const full = openSync('/dev/full', 'w');
  t.after(() => closeSync(full));
  const child = run(t, full);
  await child.wrote;
  child.process.stdin?.end();
  assert.equal(await child.exited, 7);
});

test('a file gets every line; without a terminal or journald it is plain text', options, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pgherd-test-log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = openSync(join(folder, 'log'), 'a');
  const child = run(t, file, { JOURNAL_STREAM: '1:1' });
  closeSync(file);
  child.process.stdin?.end();
  assert.equal(await child.exited, 7);
  const lines = readFileSync(join(folder, 'log'), 'utf8').trimEnd().split('\n');
  assert.equal(lines.length, 2001);
  assert.match(
    lines.at(-1) ?? '',
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d INFO  ended: the last line  member=pg1$/,
  );
});
