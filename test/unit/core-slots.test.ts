/** Names of replication slots, from members' names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, property, string } from 'fast-check';
import { slotNameOf } from '../../src/core/slots.ts';

test('Patroni’s names', () => {
  assert.equal(slotNameOf('pg1'), 'pg1');
  assert.equal(slotNameOf('Node-1.Example.com'), 'node_1_example_com');
  assert.equal(slotNameOf('a b/ö'), 'au0032bu0047u0246');
});

test('whatever a member is called, PostgreSQL takes the name of its slot', () => {
  check(
    property(string({ minLength: 1, unit: 'binary' }), (member) => {
      assert.match(slotNameOf(member), /^[a-z0-9_]{1,63}$/);
      assert.equal(slotNameOf(slotNameOf(member)), slotNameOf(member));
      assert.equal(slotNameOf(member.toLowerCase()), slotNameOf(member));
    }),
    { numRuns: 2000 },
  );
});
