/** How long a peer has been silent, whatever wall clocks say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silenceMeter } from '../../src/postgres/silence.ts';

function meter() {
  let now = 1_000_000;
  const ages = silenceMeter({ now: () => now, wall: () => '' });
  return (afterMs: number, at: string, agoMs: number): number | undefined => {
    now += afterMs;
    return ages([{ key: 7, at, agoMs }]).get(7);
  };
}

test('what was before the first look does not count; from then on silence grows by our clock', () => {
  const look = meter();
  assert.equal(look(0, 'a', 60_000), 0);
  assert.equal(look(1000, 'a', 61_000), 1000);
  assert.equal(look(1500, 'a', 3_661_000), 2500, 'a clock that was set forward');
  assert.equal(look(500, 'a', -10_000), 3000, 'and back');
});

test('a new word came between two looks, whatever the clock of the other host says', () => {
  const look = meter();
  look(0, 'a', 0);
  assert.equal(look(1000, 'b', 300), 300);
  assert.equal(look(1000, 'c', 90_000), 1000, 'not before the last look');
  assert.equal(look(1000, 'd', -90_000), 0, 'nor after this one');
  assert.equal(look(200, 'd', -90_000), 200);
});

test('a peer that is new, or there again, has no past', () => {
  let now = 0;
  const ages = silenceMeter({ now: () => now, wall: () => '' });
  ages([{ key: 1, at: 'a', agoMs: 0 }]);
  now = 500;
  assert.deepEqual([...ages([{ key: 2, at: 'a', agoMs: 100 }])], [[2, 100]]);
  now = 600;
  assert.deepEqual([...ages([{ key: 1, at: 'a', agoMs: 40 }])], [[1, 40]]);
});
