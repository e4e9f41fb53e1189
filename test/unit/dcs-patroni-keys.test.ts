import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ClusterView, Rule } from '../../src/core/model.ts';
import type { DecisionEvent } from '../../src/core/signs.ts';
import { decodeDecisions } from '../../src/dcs/decisions.ts';
import { decodeView, encodeTransaction } from '../../src/dcs/records.ts';

const rule: Rule = {
  term: 3,
  leader: 'a',
  nonce: 'n',
  mode: 'sync',
  syncStandbys: ['c', 'b'],
  syncCount: 1,
  number: 9,
  disarmed: false,
  failsafe: ['a', 'b', 'c'],
  released: false,
  storeId: 's',
};

function view(keys: Readonly<Record<string, object>>): ClusterView {
  const stored = Object.entries(keys).map(
    ([key, value]) => [key, { value: JSON.stringify(value), createRevision: 1, modRevision: 1 }] as const,
  );
  return decodeView({ storeId: 's', revision: 1, keys: new Map(stored) });
}

/** The keys that are written with `value`. */
function keysBeside(value: Rule, before?: ClusterView): unknown {
  const { write } = encodeTransaction({ name: 't', compare: [], write: [{ key: 'rule', value }] }, before);
  assert.equal(write[0]?.key, 'rule');
  return Object.fromEntries(write.slice(1).map((one) => [one.key, JSON.parse(one.value ?? 'null')]));
}

const member = (apiUrl: string) => ({ conn_url: 'x', api_url: apiUrl, state: 'running', role: 'replica' });

describe("Patroni's keys beside the rule", () => {
  test('sync: its standbys, and how many of them a candidate needs', () => {
    assert.deepEqual(keysBeside(rule), { sync: { leader: 'a', quorum: 1, sync_standby: 'b,c' } });
    const all = { ...rule, syncCount: 2 };
    assert.deepEqual(keysBeside(all), { sync: { leader: 'a', quorum: 0, sync_standby: 'b,c' } });
    const alone = { ...rule, syncStandbys: [], syncCount: 0 };
    assert.deepEqual(keysBeside(alone), { sync: { leader: 'a', quorum: 0, sync_standby: null } });
  });

  test('sync is emptied once when the cluster becomes asynchronous, and not written else', () => {
    const async: Rule = { ...rule, mode: 'async', syncStandbys: [], syncCount: 0 };
    assert.deepEqual(keysBeside(async), {});
    const was = (mode: 'sync' | 'async') =>
      view({ rule: { ...rule, mode, S: [], k: 0, n: 1, syncStandbys: undefined, syncCount: undefined } });
    assert.deepEqual(keysBeside(async, was('async')), {});
    assert.deepEqual(keysBeside(async, was('sync')), { sync: { leader: null, quorum: null, sync_standby: null } });
  });

  test('failsafe: the members whose address is known', () => {
    const async: Rule = { ...rule, mode: 'async', syncStandbys: [], syncCount: 0 };
    const members = { 'members/a': member('http://a:8008/patroni'), 'members/b': member(''), 'members/z': member('z') };
    assert.deepEqual(keysBeside(async, view(members)), { failsafe: { a: 'http://a:8008/patroni' } });
    assert.deepEqual(keysBeside(async, view({ ...members, config: { failsafe_mode: false } })), {});
  });
});

describe('decisions', () => {
  const at = (time: string, name: string): DecisionEvent => ({
    at: time,
    member: name,
    term: 1,
    rule: 'lead',
    because: 'ü "x"',
  });

  test('are read back by time, whatever the offset', () => {
    const first = at('2026-11-20T11:00:00.000+02:00', 'b');
    const second = at('2026-11-20T10:00:00.000+00:00', 'a');
    const third = at('2026-11-20T12:00:00.000+01:00', 'b');
    const texts = new Map<string, string>();
    for (const [name, value] of [
      ['a', [second]],
      ['b', [first, third]],
    ] as const) {
      const { write } = encodeTransaction({ name: 't', compare: [], write: [{ key: 'events', member: name, value }] });
      texts.set(write[0]?.key ?? '', write[0]?.value ?? '');
    }
    assert.deepEqual([...texts.keys()], ['events/a', 'events/b']);
    assert.deepEqual(decodeDecisions(texts), { decisions: [first, second, third], unreadable: [] });
  });

  test('what cannot be read is named; the others are read', () => {
    const found = decodeDecisions(
      new Map([
        ['events/a', '?'],
        ['events/b', JSON.stringify([at('x', 'b')])],
      ]),
    );
    assert.deepEqual(
      found.unreadable.map(({ key }) => key),
      ['events/a'],
    );
    assert.equal(found.decisions.length, 1);
  });
});
