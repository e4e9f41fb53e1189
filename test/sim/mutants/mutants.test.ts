/**
 * A simulator that finds nothing proves nothing: every deliberate bug is found by its invariants within some seeds, on
 * which the program as it is comes out clean. Run by `npm run test:mutants`: too long for every change.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { mutants } from './all.ts';
import type { Hunt } from './hunt.ts';
import { type Mutant, patched } from './mutant.ts';

const program = fileURLToPath(new URL('./hunt.ts', import.meta.url));
const root = new URL('../../../', import.meta.url);
const atATime = 2;
/** Those that should not be found are not looked for as long. */
const redundantSeeds = 8;
const limitMs = 300_000;

async function hunt({ name, redundant }: Mutant): Promise<Hunt> {
  const words = ['--disable-warning=ExperimentalWarning', program, name];
  if (redundant !== undefined) words.push('1', String(redundantSeeds));
  const { stdout } = await promisify(execFile)(process.execPath, words, { timeout: limitMs });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by hunt.ts
  return JSON.parse(stdout) as Hunt;
}

test('mutants have names of their own', () => {
  assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length);
});

test('every change fits the source', () => {
  const errors = mutants.flatMap(({ name, edits }) =>
    edits.flatMap((edit) => {
      const result = patched(readFileSync(new URL(edit.file, root), 'utf8'), edit);
      return 'error' in result ? [`${name}: ${result.error}`] : [];
    }),
  );
  assert.deepEqual(errors, []);
});

describe('mutants', { concurrency: atATime }, () => {
  for (const mutant of mutants) {
    test(mutant.name, async (context) => {
      const { caught, seeds, seconds, error, unclean } = await hunt(mutant);
      assert.equal(error, undefined);
      assert.deepEqual(unclean, [], 'the program as it is has violations too');
      if (mutant.redundant !== undefined) {
        assert.equal(
          caught,
          undefined,
          `it is not redundant: ${caught?.violation} (seed ${caught?.seed}): ${caught?.text}`,
        );
        return;
      }
      assert.ok(caught, `not found in ${seeds} seeds (${seconds} s): ${mutant.what}`);
      context.diagnostic(`${mutant.name}: ${caught.violation} at seed ${caught.seed}, ${seeds} seeds, ${seconds} s`);
    });
  }
});
