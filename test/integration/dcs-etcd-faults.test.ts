/** What happens to members of etcd, and what an agent notices of it: as little as can be. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdOptions } from '../../src/dcs/etcd/dcs.ts';
import type { Dcs, StoreOutcome } from '../../src/ports/dcs.ts';
import { apply, grant, never, put, type Recorder, read, recorder, until } from '../dcs/contract.ts';
import { type EtcdMember, optionsFor, startEtcd, type TestEtcd } from '../dcs/etcd.ts';

const etcd: TestEtcd = await startEtcd();
await etcd.settled();
after(() => etcd.end());

let scopes = 0;

/** Two members of a new cluster: one asks `first` first, and watches it; the other one asks the others. */
async function pair(
  first: EtcdMember,
  run: (dcs: Dcs, other: Dcs, watched: Recorder) => Promise<void>,
  more: Partial<EtcdOptions> = {},
): Promise<void> {
  const scope = `faults${++scopes}`;
  const others = etcd.urls.filter((url) => url !== first.url);
  const dcs = etcd.connect(scope, { seeds: { urls: [first.url, ...others], srv: undefined }, ...more });
  const other = etcd.connect(scope, { seeds: { urls: others, srv: undefined } });
  const watched = recorder();
  dcs.watch(watched);
  try {
    await until('the first snapshot', () => watched.seen[0]);
    await run(dcs, other, watched);
  } finally {
    await Promise.all([dcs.close(), other.close()]);
    await etcd.settled();
  }
}

async function took<Value>(call: () => Promise<Value>): Promise<{ readonly value: Value; readonly ms: number }> {
  const began = performance.now();
  const value = await call();
  return { value, ms: performance.now() - began };
}

/** A compare-and-swap on `key`, from what is there. */
async function raise(dcs: Dcs, from: Dcs = dcs): Promise<StoreOutcome> {
  const outcome = await from.read(never);
  if (outcome.kind === 'failed') return { kind: 'not-sent', error: outcome.error };
  const stored = outcome.snapshot.keys.get('n');
  const compare = [{ key: 'n', modRevision: stored?.modRevision ?? 0 }];
  return await dcs.transact({ compare, write: [{ key: 'n', value: `${Number(stored?.value ?? 0) + 1}` }] }, never);
}

/** Raises a counter, alone, while `harm` happens; then what was applied is there, exactly once. */
async function counts(dcs: Dcs, harm: () => Promise<void>): Promise<void> {
  const outcomes = { applied: 0, unanswered: 0, refused: 0, 'not-sent': 0 };
  const done = new AbortController();
  let after: string | undefined;
  const counting = (async () => {
    while (!done.signal.aborted || outcomes.applied < 20) {
      const { kind } = await raise(dcs);
      // Only what is still on its way can be the reason of a refusal.
      if (kind === 'refused' && after !== 'unanswered') assert.fail(`refused after ${after}`);
      outcomes[kind] += 1;
      after = kind === 'not-sent' ? after : kind;
    }
  })();
  await harm();
  done.abort();
  await counting;
  const value = Number((await read(dcs)).keys.get('n')?.value);
  const { applied, unanswered } = outcomes;
  assert.ok(applied <= value && value <= applied + unanswered, `${value}: ${JSON.stringify(outcomes)}`);
}

/** It was out of order, and nobody who watches noticed: what `other` writes is seen, and nothing was lost. */
async function isWatched(other: Dcs, watched: Recorder, withinMs: number): Promise<void> {
  const key = `seen${++scopes}`;
  await apply(other, put(key, '1'));
  await until('the change is seen', () => watched.value(key), withinMs);
  assert.deepEqual(watched.lost, []);
}

/** `noticeMs` is a second: so long may a silent member be believed; then another one is watched. */
const moveMs = 1000 + 500 + 1000;

describe('one member', () => {
  test('is killed: the next call is answered by another one', async () => {
    const [member] = await etcd.followers();
    assert.ok(member);
    await pair(member, async (dcs, other, watched) => {
      const leaseId = await grant(dcs, 60_000);
      await member.kill();
      const { value, ms } = await took(() => dcs.transact(put('x', '1'), never));
      assert.equal(value.kind, 'applied', JSON.stringify(value));
      assert.ok(ms < 500, `${ms} ms`);
      assert.equal((await dcs.renewLease(leaseId, never)).kind, 'alive');
      await isWatched(other, watched, 1000);
    });
  });

  test('is frozen: reads and renewals go round it, and so does what can be applied once only', async () => {
    const [member] = await etcd.followers();
    assert.ok(member);
    await pair(member, async (dcs, other, watched) => {
      const leaseId = await grant(dcs, 60_000);
      const revision = await apply(dcs, put('rule', '1'));
      member.freeze();
      const compare = [{ key: 'rule', modRevision: revision }];
      const first = await took(() => dcs.transact({ compare, write: [{ key: 'rule', value: '2' }] }, never));
      assert.equal(first.value.kind, 'applied', JSON.stringify(first.value));
      assert.ok(first.ms >= 195 && first.ms < 700, `${first.ms} ms`);
      // The one that answered is asked first now.
      const second = await took(() => dcs.renewLease(leaseId, never));
      assert.equal(second.value.kind, 'alive');
      assert.ok(second.ms < 150, `${second.ms} ms`);
      await isWatched(other, watched, moveMs);
      const applied = (await read(other)).keys.get('rule');
      member.thaw();
      await raise(dcs);
      // The copy that the frozen one may have in its hands comes to nothing.
      assert.deepEqual((await read(dcs)).keys.get('rule'), applied);
    });
  });

  test('is frozen: a write that could be applied twice is sent once, and may land later', async () => {
    const [member] = await etcd.followers();
    assert.ok(member);
    await pair(member, async (dcs, other) => {
      await read(dcs);
      member.freeze();
      const { value, ms } = await took(() => dcs.transact(put('members/a', 'late'), never));
      assert.equal(value.kind, 'unanswered', JSON.stringify(value));
      // The connection is given up when a ping is not answered, or the call at its deadline.
      assert.ok(ms >= 1000 && ms < 2300, `${ms} ms`);
      assert.equal((await read(dcs)).keys.has('members/a'), false, 'a read settles nothing');
      assert.equal((await dcs.transact(put('members/b', '1'), never)).kind, 'applied', 'the next one goes elsewhere');
      member.thaw();
      await raise(other);
    });
  });

  test('is a black hole, before and after it is connected to', async () => {
    const [member] = await etcd.followers();
    assert.ok(member);
    await pair(member, async (dcs, other, watched) => {
      member.blackHole();
      const first = await took(() => raise(dcs));
      assert.equal(first.value.kind, 'applied', JSON.stringify(first.value));
      assert.ok(first.ms < 1000, `${first.ms} ms`);
      await isWatched(other, watched, moveMs);
      const fresh = etcd.connect('fresh', { seeds: { urls: [member.url, ...etcd.urls], srv: undefined } });
      const freshly = recorder();
      fresh.watch(freshly);
      const second = await took(() => fresh.transact(put('x', '1'), never));
      assert.equal(second.value.kind, 'applied', 'it was not sent to the first, so it may go to the second');
      assert.ok(second.ms < 1000, `${second.ms} ms`);
      await until('it is watched', () => freshly.value('x'), 4000);
      await fresh.close();
    });
  });

  test('is cut off from its quorum, and answers all the same: the watch leaves it', async () => {
    const [member] = await etcd.followers();
    assert.ok(member);
    await pair(member, async (_dcs, other, watched) => {
      member.isolate();
      await until('it notices', async () => !(await member.hasLeader()), 20_000);
      await isWatched(other, watched, moveMs);
    });
  });
});

describe('the lead', () => {
  test('goes from member to member: nothing is applied twice or lost', async () => {
    await pair(await etcd.leader(), async (dcs, other, watched) => {
      const leaseId = await grant(dcs, 5000);
      await apply(dcs, put('leader', 'a', leaseId));
      let renewals = 0;
      await counts(dcs, async () => {
        for (let time = 0; time < 4; time += 1) {
          await etcd.moveLeader();
          await until('a renewal', async () => (await dcs.renewLease(leaseId, never)).kind === 'alive');
          renewals += 1;
        }
      });
      assert.equal(renewals, 4);
      assert.equal((await read(other)).keys.get('leader')?.value, 'a');
      await isWatched(other, watched, 1000);
    });
  });

  test('is frozen: another one is elected, and leases live on', async () => {
    const member = await etcd.leader();
    await pair(member, async (dcs, other) => {
      const leaseId = await grant(dcs, 5000);
      await apply(dcs, put('leader', 'a', leaseId));
      await counts(dcs, async () => {
        member.freeze();
        await until('a renewal', async () => (await dcs.renewLease(leaseId, never)).kind === 'alive');
        await until('a write', async () => (await other.transact(put('x', '1'), never)).kind === 'applied');
        member.thaw();
      });
      assert.equal((await read(other)).keys.get('leader')?.value, 'a');
    });
  });
});

test('the quorum is lost, and comes back: it is told within its time, and nothing is missed', async () => {
  const [first, second] = await etcd.followers();
  assert.ok(first && second);
  await pair(first, async (dcs, other, watched) => {
    const leaseId = await grant(dcs, 2000);
    await apply(dcs, put('leader', 'a', leaseId));
    await until('the key', () => watched.value('leader'));
    const began = performance.now();
    await Promise.all([first.kill(), second.kill()]);
    await until('the loss', () => watched.lost[0]);
    const noticed = performance.now() - began;
    assert.ok(noticed < 1000 + 500 + 300, `noticed after ${noticed} ms`);
    for (const dead of [dcs, other]) {
      const outcome = await dead.transact(put('x', '1'), never);
      assert.ok(outcome.kind === 'not-sent' || outcome.kind === 'unanswered', JSON.stringify(outcome));
      assert.equal((await dead.renewLease(leaseId, never)).kind, 'failed');
      assert.equal((await dead.read(never)).kind, 'failed');
    }
    await until('the TTL has passed', () => performance.now() > began + 2500);
    const seen = watched.seen.length;
    const back = performance.now();
    first.start();
    second.start();
    const again = await until('the watch is back', () => watched.seen[seen], 20_000);
    assert.equal(again.snapshot.keys.get('leader')?.value, 'a', 'a full TTL runs again');
    const gone = await until('the key goes', () =>
      watched.seen.find(({ at, snapshot }) => at > back && !snapshot.keys.has('leader')),
    );
    assert.ok(gone.at - back >= 2000);
    assert.equal(watched.lost.length, 1, watched.lost.join('\n'));
  });
});

test('what was compacted while nothing was watched is not missed', async () => {
  const [member] = await etcd.followers();
  assert.ok(member);
  await pair(member, async (dcs, other, watched) => {
    await apply(dcs, put('x', '1'));
    await until('the change', () => watched.value('x') === '1');
    member.freeze();
    let revision = 0;
    for (let i = 2; i < 30; i += 1) revision = await apply(other, put('x', `${i}`));
    await etcd.post('/kv/compaction', { revision, physical: true });
    await until('the last change', () => watched.value('x') === '29');
    member.thaw();
    await isWatched(other, watched, 1000);
  });
});

test('with one member alone to be asked, a call ends at its deadline', async () => {
  const [member] = await etcd.followers();
  assert.ok(member);
  const alone = etcd.connect('alone', { seeds: { urls: [member.url], srv: undefined }, timeoutMs: 600 });
  const revision = await apply(alone, put('rule', '1'));
  member.freeze();
  const compare = [{ key: 'rule', modRevision: revision }];
  const { value, ms } = await took(() => alone.transact({ compare, write: [{ key: 'rule', value: '2' }] }, never));
  assert.equal(value.kind, 'unanswered', JSON.stringify(value));
  assert.ok(ms >= 590 && ms < 900, `${ms} ms`);
  const cancel = new AbortController();
  const pending = alone.transact(put('x', '1'), cancel.signal);
  await sleep(20);
  cancel.abort();
  const began = performance.now();
  assert.notEqual((await pending).kind, 'applied');
  assert.ok(performance.now() - began < 100);
  await etcd.settled();
  await until('it answers again', async () => (await alone.read(never)).kind === 'read', 5000);
  await alone.close();
});

test('one member is enough to find the others', async () => {
  const [member] = await etcd.followers();
  assert.ok(member);
  const dcs = etcd.connect('found', { seeds: { urls: [member.url], srv: undefined }, discover: true });
  // They are asked for in the background, after an answer.
  await until(
    'the others are known',
    async () => {
      await read(dcs);
      await sleep(50);
      await member.kill();
      const found = await dcs.read(never);
      await etcd.settled();
      return found.kind === 'read';
    },
    20_000,
  );
  await dcs.close();
});

async function errorOf(options: EtcdOptions): Promise<string> {
  const { connectEtcd } = await import('../../src/dcs/etcd/dcs.ts');
  const dcs = connectEtcd(options);
  const watched = recorder();
  dcs.watch(watched);
  const outcome = await dcs.transact(put('x', '1'), never);
  assert.ok(outcome.kind === 'not-sent', JSON.stringify(outcome));
  const lost = await until('the watch says it', () => watched.lost[0]);
  assert.equal(lost, outcome.error);
  await dcs.close();
  return outcome.error;
}

describe('an etcd that cannot be used is named, and why', () => {
  test('nobody listens', async () => {
    const error = await errorOf(optionsFor(['http://127.0.0.1:1', 'http://127.0.0.1:2'], 'x'));
    assert.match(error, /^etcd http:\/\/127\.0\.0\.1:1, http:\/\/127\.0\.0\.1:2: connection refused: is etcd running/);
  });

  test('no such host', async () => {
    const error = await errorOf(optionsFor(['http://nowhere.invalid:2379'], 'x'));
    assert.match(error, /^etcd http:\/\/nowhere\.invalid:2379: the host's name is not known/);
  });

  test('a member of another etcd cluster is not asked', async () => {
    const another = await startEtcd({ members: 1 });
    try {
      const dcs = etcd.connect('mixed', { seeds: { urls: [...etcd.urls, ...another.urls], srv: undefined } });
      const { storeId } = await read(dcs);
      for (const member of etcd.members) member.freeze();
      const outcome = await dcs.transact({ ...put('x', '1'), compare: [{ key: 'x', modRevision: 9 }] }, never);
      assert.notEqual(outcome.kind, 'refused', 'the other cluster was asked');
      await etcd.settled();
      await until('it answers again', async () => (await dcs.read(never)).kind === 'read', 10_000);
      assert.equal((await read(dcs)).storeId, storeId);
      const elsewhere = another.connect('mixed');
      assert.equal((await read(elsewhere)).keys.size, 0);
      await Promise.all([dcs.close(), elsewhere.close()]);
    } finally {
      await another.end();
    }
  });
});

test('more operations than etcd takes are not sent, and the reason is told', async () => {
  const dcs = etcd.connect('many');
  const write = Array.from({ length: 129 }, (_, index) => ({ key: `k${index}`, value: '' }));
  const outcome = await dcs.transact({ compare: [], write }, never);
  assert.ok(outcome.kind === 'not-sent', JSON.stringify(outcome));
  assert.match(outcome.error, /too many operations in txn request/);
  const twice = { key: 'x', value: '1' };
  assert.equal((await dcs.transact({ compare: [], write: [twice, twice] }, never)).kind, 'not-sent');
  assert.equal((await dcs.transact({ compare: [], write: write.slice(1) }, never)).kind, 'applied');
  await dcs.close();
});

test('an agent that is idle costs next to nothing', async () => {
  const dcs = etcd.connect('idle');
  const watched = recorder();
  dcs.watch(watched);
  await until('the first snapshot', () => watched.seen[0]);
  const before = process.cpuUsage();
  await sleep(3000);
  const { user, system } = process.cpuUsage(before);
  assert.ok((user + system) / 1000 / 3000 < 0.02, `${(user + system) / 1000} ms of CPU in 3 s`);
  assert.deepEqual(watched.lost, []);
  await dcs.close();
});
