/** Plans that once found something, made small. What they found must not come back. `pgherd sim --plan FILE` tells one. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runPlan } from '../../src/sim/run.ts';
import { planText, readPlan } from '../../src/sim/saved.ts';

const folder = join(import.meta.dirname, 'saved');
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

test('there are saved plans, and each is as the simulator writes it', () => {
  assert.ok(files.length > 0);
  for (const name of files) {
    const text = readFileSync(join(folder, name), 'utf8');
    assert.equal(planText(readPlan(text)), text, name);
  }
});

for (const name of files) {
  test(name.replace('.json', '').replaceAll('-', ' '), () => {
    const verdict = runPlan(readPlan(readFileSync(join(folder, name), 'utf8')));
    assert.deepEqual(
      verdict.violations.map((violation) => `${violation.name}: ${violation.text}`),
      [],
    );
  });
}
