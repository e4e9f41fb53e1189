/** What the runs of real faults (test/cluster/chaos) rest on: their plans, and how they judge what writers were told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitsOf } from '../cluster/chaos/costs.ts';
import { turnsOf } from '../cluster/chaos/ledger.ts';
import { drawPlan, type PlannedFault } from '../cluster/chaos/plan.ts';
import { faultKinds } from '../cluster/lab/faults.ts';

const ofOneSeed = { seed: 7, faults: 200, longestMs: 15_000 };

test('a seed always draws the same plan, another one another', () => {
  assert.deepEqual(drawPlan(ofOneSeed), drawPlan(ofOneSeed));
  assert.notDeepEqual(drawPlan(ofOneSeed), drawPlan({ ...ofOneSeed, seed: 8 }));
});

test('a plan has as many faults as were asked for, and each kind once before any comes twice', () => {
  const faults = drawPlan(ofOneSeed).flatMap((step) => step.faults);
  assert.equal(faults.length, ofOneSeed.faults);
  const kinds = Object.keys(faultKinds).length;
  assert.equal(new Set(faults.slice(0, kinds).map(({ name }) => name)).size, kinds);
});

/** `n1:100 n2:105` as rows of two writers a host. */
function turns(text: string): readonly string[] {
  const rows = text.split(' ').map((word, index) => {
    const [host = '', atMs = ''] = word.split(':');
    return { host, atMs: Number(atMs), number: Number(host.slice(1)) * 10_000_000 + index };
  });
  return turnsOf(rows).map(({ host }) => host);
}

test('who acknowledges after whom: an answer that was under way is no second turn, two that take turns are many', () => {
  assert.deepEqual(turns('n1:1 n1:2 n2:10 n2:11'), ['n1', 'n2']);
  assert.deepEqual(turns('n1:1 n1:2 n2:10 n1:12 n2:14'), ['n1', 'n2'], 'one answer, soon');
  assert.deepEqual(turns('n1:1 n1:2 n2:10 n1:12 n1:13 n2:14 n2:15'), ['n1', 'n2', 'n1', 'n2'], 'a second one');
  assert.deepEqual(turns('n1:1 n1:2 n2:10 n1:600 n2:601 n2:602'), ['n1', 'n2', 'n1', 'n2'], 'one that comes late');
});

test('what may cost no primary: a lost replica, a short stop of an agent; not a lost primary, nor two faults at once', () => {
  const fault = {
    name: 'power-off',
    on: 'replica',
    target: 0,
    other: 0,
    strength: 0,
    delayMs: 0,
    forMs: 9000,
  } as const;
  const gap = (...faults: readonly PlannedFault[]): number | undefined => limitsOf(faults, true, 1).gapMs;
  assert.notEqual(gap(fault), undefined);
  assert.notEqual(gap({ ...fault, name: 'agent-kill', on: 'primary', forMs: 2000 }), undefined);
  assert.equal(gap({ ...fault, name: 'agent-kill', on: 'primary' }), undefined);
  assert.equal(gap({ ...fault, on: 'primary' }), undefined);
  assert.equal(gap(fault, fault), undefined);
  assert.equal(limitsOf([fault], false, 1).gapMs, undefined, 'where not everybody was back');
});
