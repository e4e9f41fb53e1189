/** Some seeds of the simulator: nothing happens that must not, and a seed always tells the same story. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSeed } from '../../src/sim/run.ts';

const seeds = 40;

test(`seeds 1 to ${seeds} end well`, () => {
  const violations = Array.from({ length: seeds }, (_, index) => runSeed(index + 1)).flatMap((verdict) =>
    verdict.violations.map(({ name, text }) => `seed ${verdict.seed}: ${name}: ${text}`),
  );
  assert.deepEqual(violations, []);
});

test('a seed run twice takes the same course; another one takes another', () => {
  const hashes = [2, 5, 9].map((seed) => [runSeed(seed).hash, runSeed(seed).hash] as const);
  for (const [first, second] of hashes) assert.equal(first, second);
  assert.equal(new Set(hashes.map(([first]) => first)).size, hashes.length);
});
