/**
 * Real faults from a seed, for a cluster of three members in quorum mode on hosts of their own, as root:
 *
 *     npm run chaos -- --faults 200 --seed 1 [--longest SECONDS] [--rough] [--only KIND,KIND] [--keep] [--list]
 *
 * Says what it does and what came of it; the exit code is 1 when something happened that must not. Then the faults and all
 * logs are kept in a folder (always, with --keep).
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Lab } from '../lab/cluster.ts';
import { faultKinds } from '../lab/faults.ts';
import { drawPlan, isFaultName } from './plan.ts';
import { distribution, summary } from './report.ts';
import { runChaos, type Verdict } from './run.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    faults: { type: 'string', default: '20' },
    longest: { type: 'string', default: '15' },
    rough: { type: 'boolean', default: false },
    only: { type: 'string' },
    keep: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

function number(name: 'seed' | 'faults' | 'longest', least: number): number {
  const value = Number(values[name]);
  if (!Number.isFinite(value) || value < least) {
    console.error(`--${name} ${values[name]}: a number of at least ${least} is allowed`);
    process.exit(2);
  }
  return value;
}

if (values.list) {
  for (const [name, { strikes }] of Object.entries(faultKinds)) console.log(`${name.padEnd(24)} ${strikes}`);
  process.exit(0);
}
assert.equal(process.getuid?.(), 0, 'it makes network namespaces: run it as root');
const seed = number('seed', 0);
const only = values.only?.split(',');
const unknown = only?.find((name) => !isFaultName(name));
if (unknown !== undefined) {
  console.error(`--only ${unknown}: no such kind of fault; --list names them`);
  process.exit(2);
}
const steps = drawPlan({
  seed,
  faults: number('faults', 1),
  longestMs: number('longest', 0.5) * 1000,
  isRough: values.rough,
  ...(only === undefined ? {} : { only: only.filter(isFaultName) }),
});
const folder = join(tmpdir(), `pgherd-chaos-${seed}-${process.pid}`);
const story: string[] = [];
const say = (line: string): void => {
  story.push(line);
  console.log(line);
};
say(`seed ${seed}, ${steps.length} steps`);
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    say('interrupted: ends after this step');
    interrupted.abort();
  });
}
const verdict = await runChaos({ steps, signal: interrupted.signal, say, keep });
say('');
say(distribution(verdict));
for (const line of verdict.endedByThemselves) say(`ended by itself and started again: ${line}`);
say(summary(verdict));
if (existsSync(folder)) {
  writeFileSync(join(folder, 'story.txt'), `${story.join('\n')}\n`);
  console.log(`the faults and all logs are in ${folder}`);
}
process.exitCode = isClean(verdict) ? 0 : 1;

function isClean({ outcomes, violations }: Verdict): boolean {
  return violations.length === 0 && outcomes.every((outcome) => outcome.violations.length === 0);
}

/** Everything but the data itself. */
function keep(lab: Lab, verdict: Verdict): void {
  if (isClean(verdict) && !values.keep) return;
  for (const host of [...lab.hosts, lab.monitor]) {
    mkdirSync(join(folder, host.name), { recursive: true });
    const logs = ['agent.log', 'monitor.log', 'operator.log', 'pgherd.yml', 'pg/data.pgherd', 'monitor.pgherd'];
    for (const name of logs) {
      const from = join(host.disk, name);
      const to = join(folder, host.name, name.replace('/', '-'));
      if (existsSync(from)) cpSync(from, to, { recursive: true, filter: (path) => !lstatSync(path).isSocket() });
    }
  }
  cpSync(join(lab.network.folder, 'writers'), join(folder, 'writers'), { recursive: true });
  writeFileSync(join(folder, 'plan.json'), JSON.stringify(steps, undefined, 1));
  writeFileSync(join(folder, 'verdict.json'), JSON.stringify(verdict, undefined, 1));
}
