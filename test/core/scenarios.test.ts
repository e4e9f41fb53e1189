/**
 * Data-driven scenarios: test/core/testdata/*.txt hold commands, prose (`#`) and the output of each command.
 * REWRITE=1 writes what comes out instead of comparing: commit it only when you understand every changed line.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { blocksOf } from './world/file.ts';
import { scenario } from './world/script.ts';

const folder = join(import.meta.dirname, 'testdata');

/** The file with every block's output as it comes out now. */
function replay(text: string): string {
  const { run } = scenario();
  return `${blocksOf(text)
    .map(({ input, commands }) => {
      const output = commands
        .map(run)
        .filter((part) => part !== '')
        .join('\n');
      return output === '' ? input.join('\n') : `${input.join('\n')}\n----\n${output}`;
    })
    .join('\n\n')}\n`;
}

for (const file of readdirSync(folder)
  .filter((name) => name.endsWith('.txt'))
  .toSorted()) {
  test(`scenario ${file}`, () => {
    const path = join(folder, file);
    const expected = readFileSync(path, 'utf8');
    const actual = replay(expected);
    if (process.env['REWRITE'] === '1') writeFileSync(path, actual);
    else assert.equal(actual, expected);
    assert.ok(!actual.includes('!!!'), 'an invariant was violated');
  });
}
