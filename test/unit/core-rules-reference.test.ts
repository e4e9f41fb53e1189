/** docs/rules.md, and that the table's words are what its rules do. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { assert as check, property } from 'fast-check';
import { rulesPage } from '../../build/docs.ts';
import type { Job } from '../../src/core/effects.ts';
import { factsOf } from '../../src/core/facts.ts';
import { observe } from '../../src/core/observe.ts';
import { noticeSleep } from '../../src/core/observe-peers.ts';
import { serveRequests } from '../../src/core/requests.ts';
import type { Goal } from '../../src/core/rules/rule.ts';
import { decide, rules } from '../../src/core/rules.ts';
import { facts } from '../core/world/arbitrary.ts';
import { commandsOf } from '../core/world/file.ts';
import { scenario } from '../core/world/script.ts';

const path = new URL('../../docs/rules.md', import.meta.url);

test('docs/rules.md is what the table says (REWRITE=1 writes it)', () => {
  const text = rulesPage();
  if (process.env['REWRITE'] === '1') writeFileSync(path, text);
  assert.ok(readFileSync(path, 'utf8') === text, 'the page is out of date; REWRITE=1 npm test writes it');
});

/** A goal in the words of the log and of the protocol. */
function words(goal: Goal): string {
  switch (goal.kind) {
    case 'job':
      return jobWords(goal.job);
    case 'stop-now':
      return 'fast stop';
    case 'transact':
      return goal.transaction.name;
    case 'take':
      return `take (${goal.ground})`;
    case 'release':
      return goal.clean ? 'release (handover)' : 'release';
    case 'announce':
      return 'announce position';
    case 'record-term':
      return 'record term';
    case 'take-back':
      return 'take back';
    default:
      return goal.kind;
  }
}

function jobWords(job: Job): string {
  if (job.kind === 'start') return `start as ${job.as}`;
  return job.kind === 'stop' ? `${job.mode} stop` : job.kind;
}

test('every rule does what it says', () => {
  const seen = new Map<string, Set<string>>(rules.map(({ name }) => [name, new Set()]));
  // Also of rules that an earlier one would keep from being asked.
  const goalsOf = (one: Parameters<typeof decide>[0]): void => {
    for (const rule of rules) if (rule.when(one)) seen.get(rule.name)?.add(words(rule.goal(one)));
  };
  check(property(facts, goalsOf), { numRuns: 10_000 });
  const folder = new URL('../core/testdata/', import.meta.url);
  for (const file of readdirSync(folder)) {
    const { run, world } = scenario();
    world.onEvent = (state, event, now) => {
      const observed = observe(noticeSleep(state, now), event, now);
      const one = factsOf(serveRequests(factsOf(observed, now)).state, now);
      const rule = decide(one);
      seen.get(rule.name)?.add(words(rule.goal(one)));
    };
    for (const command of commandsOf(readFileSync(new URL(file, folder), 'utf8'))) run(command);
  }
  for (const { name, does } of rules) {
    // One rule hands over where it can, and else only lets go.
    const allowed = does === 'release' ? ['release', 'release (handover)'] : [does, 'wait'];
    for (const one of seen.get(name) ?? []) assert.ok(allowed.includes(one), `${name} says ${does}, and does ${one}`);
  }
  const unseen = rules.filter(({ name, does }) => !seen.get(name)?.has(does)).map(({ name }) => name);
  assert.deepEqual(unseen, []);
});
