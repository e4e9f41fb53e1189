/** The decision table itself: unique names, total, never at a loss for a reason, and every rule seen at work in a scenario. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assert as check, property } from 'fast-check';
import { decide, rules } from '../../src/core/rules.ts';
import { facts } from './world/arbitrary.ts';

const folder = join(import.meta.dirname, 'testdata');

test('rule names are unique, and every rule says when it holds', () => {
  assert.equal(new Set(rules.map((rule) => rule.name)).size, rules.length);
  for (const rule of rules) assert.match(rule.condition, /^[A-Z].{10,}[^.]$/);
});

test('whatever the facts are, exactly one rule decides, with a goal and a reason', () => {
  check(
    property(facts, (one) => {
      const rule = decide(one);
      assert.ok(rule.goal(one).kind.length > 0);
      assert.ok(rule.because(one).length > 0, `${rule.name} gives no reason`);
    }),
    { numRuns: 20_000 },
  );
});

test('an instance that may write without a living lease is never left alone', () => {
  check(
    property(facts, (one) => {
      const { leaderLease, armedUntil, job } = one.state;
      const leaseIsOver =
        leaderLease === undefined
          ? armedUntil !== undefined && one.now >= armedUntil
          : one.now >= leaderLease.validFrom + leaderLease.ttlMs;
      const stopping = job?.job.kind === 'stop' && job.job.mode === 'immediate';
      if (!one.mayWrite || !leaseIsOver || stopping || one.state.durable.disarmed) return;
      assert.equal(decide(one).goal(one).kind, 'fence');
    }),
    { numRuns: 20_000 },
  );
});

test('every rule fires in a scenario', () => {
  const told = readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n');
  // "busy" holds between all others and is not worth a line of a story.
  const silent = rules
    .filter((rule) => rule.name !== 'busy' && !told.includes(` ${rule.name}: `))
    .map((rule) => rule.name);
  assert.deepEqual(silent, []);
});
