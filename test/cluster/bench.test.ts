/** The bench measures: pgherd alone, one switchover, from the command line to the page. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { readRecords } from '../../bench/records.ts';

const program = resolve(import.meta.dirname, '../../bench/main.ts');
const folder = mkdtempSync(join(tmpdir(), 'pgherd-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function bench(...words: string[]): string {
  const options = [
    '--systems',
    'pgherd-quorum-fast',
    '--faults',
    'switchover',
    '--runs',
    '1',
    '--out',
    folder,
    ...words,
  ];
  return execFileSync(process.execPath, [program, ...options], { encoding: 'utf8', timeout: 150_000 });
}

test('a switchover is measured, recorded and shown, and not run again', () => {
  assert.equal(process.getuid?.(), 0, 'this test makes network namespaces: run it as root');
  const said = bench();
  assert.match(
    said,
    /\[1\/1\] round 1, pgherd-quorum-fast, switchover: gap \d+\.\d\d s, dual 0\.00 s, lost 0, rejoin /,
  );

  const records = readRecords(join(folder, 'runs.jsonl'));
  assert.deepEqual(
    records.map(({ kind }) => kind),
    ['bootstrap', 'fault'],
  );
  const run = records.find((record) => record.kind === 'fault');
  assert.ok(run);
  // Writers acknowledged before and after, on two hosts, and what lies between them is the gap.
  assert.notEqual(run.primaryAfter, run.primaryBefore);
  const before = run.intervals[run.primaryBefore]?.at(-1);
  const after = run.intervals[run.primaryAfter ?? '']?.at(0);
  assert.ok(before && after && run.acknowledged > 100, JSON.stringify(run));
  assert.ok(Math.abs(after.fromMs - before.toMs - run.gapMs) < 2, JSON.stringify(run));
  assert.ok(run.gapMs > 50 && run.gapMs < 10_000, `${run.gapMs}`);

  assert.match(readFileSync(join(folder, 'README.md'), 'utf8'), /^\| \*\*pgherd-quorum-fast\*\* \| \d+\.\d\d \|$/m);
  assert.match(readFileSync(join(folder, 'chart.svg'), 'utf8'), /<circle class="dot own"/);
  assert.match(bench('--plan'), /^0 runs in 0 clusters/m);
});
