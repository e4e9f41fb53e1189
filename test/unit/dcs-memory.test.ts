import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { createMemoryDcs, type MemoryDcs, type MemoryPeer } from '../../src/dcs/memory/dcs.ts';
import {
  createModel,
  expire,
  grantLease,
  type Model,
  nextEnd,
  renewLease,
  restart,
  revokeLease,
  transact,
} from '../../src/dcs/memory/model.ts';
import { apply, contract, grant, never, put, read, recorder, until } from '../dcs/contract.ts';

contract('memory', async () => {
  const clusters = new Map<string, { readonly model: Model<string>; readonly peers: Set<MemoryPeer> }>();
  return {
    connect(scope) {
      const found = clusters.get(scope) ?? { model: createModel<string>('store'), peers: new Set() };
      clusters.set(scope, found);
      return createMemoryDcs(found.model, () => performance.now(), found.peers);
    },
  };
});

function make(): { dcs: MemoryDcs; other: MemoryDcs; clock: { now: number } } {
  const clock = { now: 0 };
  const model = createModel<string>('store');
  const peers = new Set<MemoryPeer>();
  const access = (): MemoryDcs => createMemoryDcs(model, () => clock.now, peers);
  return { dcs: access(), other: access(), clock };
}

describe('faults of the store in memory', () => {
  test('an outage: nothing is sent, the watch is lost and comes back', async () => {
    const { dcs, other } = make();
    const watched = recorder();
    dcs.watch(watched);
    await until('the first snapshot', () => watched.seen[0]);
    dcs.setFault('outage');
    assert.equal((await dcs.transact(put('x', '1'), never)).kind, 'not-sent');
    assert.equal((await dcs.read(never)).kind, 'failed');
    assert.equal((await dcs.grantLease(1000, never)).kind, 'failed');
    await apply(other, put('y', '1'));
    assert.deepEqual([watched.lost.length, watched.value('y')], [1, undefined]);
    dcs.setFault('none');
    await until('the change', () => watched.value('y'));
    assert.equal((await read(dcs)).keys.has('x'), false);
    await Promise.all([dcs.close(), other.close()]);
  });

  test('a reply lost was applied, a request lost was not, a late one is applied later', async () => {
    const { dcs, other } = make();
    dcs.setFault('lose-reply');
    assert.equal((await dcs.transact(put('a', '1'), never)).kind, 'unanswered');
    dcs.setFault('lose-request');
    assert.equal((await dcs.transact(put('b', '1'), never)).kind, 'unanswered');
    dcs.setFault('late');
    assert.equal((await dcs.transact(put('c', '1'), never)).kind, 'unanswered');
    assert.equal((await dcs.renewLease('1', never)).kind, 'failed');
    assert.deepEqual([...(await read(other)).keys.keys()], ['a']);
    dcs.applyLate();
    assert.deepEqual([...(await read(other)).keys.keys()], ['a', 'c']);
    await Promise.all([dcs.close(), other.close()]);
  });

  test('a restart gives every lease a full TTL; another store is told', async () => {
    const { dcs, other, clock } = make();
    const watched = recorder();
    dcs.watch(watched);
    const leaseId = await grant(dcs, 1000);
    await apply(dcs, put('leader', 'a', leaseId));
    clock.now = 999;
    dcs.restart();
    clock.now = 1998;
    assert.equal((await read(other)).keys.has('leader'), true);
    clock.now = 1999;
    assert.equal((await read(other)).keys.has('leader'), false);
    other.setStoreId('another');
    await until('the other identity', () => watched.seen.at(-1)?.snapshot.storeId === 'another');
    await Promise.all([dcs.close(), other.close()]);
  });
});

describe('the model', () => {
  test('whatever is done: revisions grow, a key on a lease lives as long as it', () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const lease = fc.option(fc.constantFrom('1', '2', '3'), { nil: undefined });
    const action = fc.oneof(
      fc.record({ kind: fc.constant('put' as const), key, lease }),
      fc.record({ kind: fc.constant('delete' as const), key }),
      fc.record({ kind: fc.constant('grant' as const), ttlMs: fc.integer({ min: 1, max: 50 }) }),
      fc.record({ kind: fc.constant('renew' as const), lease: fc.constantFrom('1', '2', '3') }),
      fc.record({ kind: fc.constant('revoke' as const), lease: fc.constantFrom('1', '2', '3') }),
      fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ kind: fc.constant('restart' as const) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const model = createModel<string>('s');
        let now = 0;
        for (const one of actions) {
          const before = model.revision;
          if (one.kind === 'wait') now += one.ms;
          else if (one.kind === 'grant') grantLease(model, one.ttlMs, now);
          else if (one.kind === 'renew') renewLease(model, one.lease, now);
          else if (one.kind === 'revoke') revokeLease(model, one.lease, now);
          else if (one.kind === 'restart') restart(model, now);
          else {
            const value = one.kind === 'put' ? 'v' : undefined;
            const leaseId = one.kind === 'put' ? one.lease : undefined;
            const write = [leaseId === undefined ? { key: one.key, value } : { key: one.key, value, leaseId }];
            const outcome = transact(model, { compare: [], write }, now);
            const lives = leaseId === undefined || model.leases.has(leaseId);
            assert.equal(outcome.kind, lives ? 'applied' : 'refused');
            if (outcome.kind === 'applied') assert.ok(outcome.revision > before);
          }
          expire(model, now);
          assert.ok(model.revision >= before);
          assert.ok((nextEnd(model) ?? Number.POSITIVE_INFINITY) > now);
          for (const stored of model.keys.values()) {
            assert.ok(stored.createRevision <= stored.modRevision && stored.modRevision <= model.revision);
            assert.ok(stored.leaseId === undefined || model.leases.has(stored.leaseId));
          }
        }
      }),
    );
  });

  test('writing a key twice in a transaction is a bug', () => {
    const model = createModel<string>('s');
    const write = [
      { key: 'a', value: '1' },
      { key: 'a', value: '2' },
    ];
    assert.throws(() => transact(model, { compare: [], write }, 0), /each key once/);
  });
});
