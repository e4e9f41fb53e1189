/** A short run of real faults from one seed. `npm run chaos` makes longer ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawPlan } from './plan.ts';
import { distribution, summary } from './report.ts';
import { runChaos } from './run.ts';

test('eight faults of one seed: one primary at a time, nothing lost, everybody back', async () => {
  assert.equal(process.getuid?.(), 0, 'it makes network namespaces: run it as root');
  const steps = drawPlan({ seed: 8, faults: 8, longestMs: 2500 });
  let logs = '';
  const verdict = await runChaos({
    steps,
    say: (line) => console.log(`# ${line}`),
    keep(lab, { outcomes, violations }) {
      if (violations.length === 0 && outcomes.every((one) => one.violations.length === 0)) return;
      logs = lab.hosts.map((host) => `--- ${host.name}\n${lab.log(host)}`).join('\n');
    },
  });
  for (const line of distribution(verdict).split('\n')) console.log(`# ${line}`);
  console.log(`# ${summary(verdict)}`);
  const found = [...verdict.violations, ...verdict.outcomes.flatMap(({ violations }) => violations)];
  assert.deepEqual(found, [], logs);
  assert.deepEqual(verdict.endedByThemselves, [], 'no agent ends by itself');
});
