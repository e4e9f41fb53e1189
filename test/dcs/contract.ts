/** What every adapter of the DCS port must do. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { Dcs, Snapshot, StoreOutcome, StoreTransaction, WatchListener } from '../../src/ports/dcs.ts';

export interface Store {
  /** One member's access to the keys under `/test/<scope>/`; the contract closes it. */
  connect(scope: string): Dcs;
}

/** Wherein stores may differ. */
export interface Nature {
  /** The shortest TTL that it grants. */
  readonly leastTtlMs: number;
  /** A lease ends so late at most. */
  readonly endsLateMs: number;
  /** Whose changes a revision counts; a beat may be a change of the store. */
  readonly revisionOf: 'cluster' | 'store';
}

const precise: Nature = { leastTtlMs: 200, endsLateMs: 150, revisionOf: 'cluster' };

export const never = new AbortController().signal;

/** Waits until `condition` gives something, and gives it; fails after `withinMs`. */
export async function until<Value>(
  what: string,
  condition: () => Value | undefined | false | Promise<Value | undefined | false>,
  withinMs = 5000,
): Promise<Value> {
  const end = performance.now() + withinMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export async function read(dcs: Dcs): Promise<Snapshot> {
  const outcome = await dcs.read(never);
  assert.ok(outcome.kind === 'read', JSON.stringify(outcome));
  return outcome.snapshot;
}

export async function grant(dcs: Dcs, ttlMs: number): Promise<string> {
  const outcome = await dcs.grantLease(ttlMs, never);
  assert.ok(outcome.kind === 'alive', JSON.stringify(outcome));
  assert.ok(outcome.ttlMs >= ttlMs);
  return outcome.leaseId;
}

export function put(key: string, value: string, leaseId?: string): StoreTransaction {
  return { compare: [], write: [leaseId === undefined ? { key, value } : { key, value, leaseId }] };
}

export async function apply(dcs: Dcs, transaction: StoreTransaction): Promise<number> {
  const outcome = await dcs.transact(transaction, never);
  assert.ok(outcome.kind === 'applied', JSON.stringify(outcome));
  return outcome.revision;
}

export interface Recorder extends WatchListener {
  readonly seen: { readonly snapshot: Snapshot; readonly askedAt: number; readonly at: number }[];
  readonly lost: string[];
  /** `member term` of each beat. */
  readonly beats: string[];
  value(key: string): string | undefined;
}

export function recorder(): Recorder {
  const seen: Recorder['seen'] = [];
  const lost: string[] = [];
  const beats: string[] = [];
  return {
    seen,
    lost,
    beats,
    onAlive: (member, term) => void beats.push(`${member} ${term}`),
    onSnapshot: (snapshot, askedAt) => void seen.push({ snapshot, askedAt, at: performance.now() }),
    onLost: (error) => void lost.push(error),
    value: (key) => seen.at(-1)?.snapshot.keys.get(key)?.value,
  };
}

export function contract(name: string, makeStore: () => Promise<Store>, nature: Nature = precise): void {
  describe(`the DCS contract: ${name}`, () => {
    let store: Promise<Store> | undefined;
    const open: Dcs[] = [];
    let scopes = 0;
    /** Accesses of several members to a cluster that is new. */
    const connect = async (members = 1): Promise<Dcs[]> => {
      store ??= makeStore();
      const made = await store;
      const scope = `contract${++scopes}`;
      const dcss = Array.from({ length: members }, () => made.connect(scope));
      open.push(...dcss);
      return dcss;
    };
    const one = async (): Promise<Dcs> => {
      const [dcs] = await connect();
      assert.ok(dcs);
      return dcs;
    };
    const two = async (): Promise<[Dcs, Dcs]> => {
      const [a, b] = await connect(2);
      assert.ok(a && b);
      return [a, b];
    };
    after(async () => {
      await Promise.all(open.map((dcs) => dcs.close()));
    });

    testTransactions(one, two);
    testLeases(one, two, nature);
    testWatches(one, two);
    testEvents(one, two);
    testBeats(two, connect, nature);

    test('two clusters in one store do not see each other', async () => {
      const [a] = await connect();
      const [b] = await connect();
      assert.ok(a && b);
      const watched = recorder();
      b.watch(watched);
      await until('the first snapshot', () => watched.seen[0]);
      const lease = await grant(a, 60_000);
      await apply(a, put('leader', 'x'));
      const there = await read(b);
      assert.equal(there.keys.size, 0);
      assert.equal(there.storeId, (await read(a)).storeId);
      assert.equal((await b.transact(put('leader', 'y', lease), never)).kind, 'refused', "another cluster's lease");
      await apply(b, put('mine', '1'));
      await until('the own change', () => watched.value('mine'));
      assert.ok(watched.seen.every(({ snapshot }) => !snapshot.keys.has('leader')));
    });
  });
}

function testTransactions(one: () => Promise<Dcs>, two: () => Promise<[Dcs, Dcs]>): void {
  test('a new cluster is empty; what was written is read, by others too', async () => {
    const [a, b] = await two();
    const empty = await read(a);
    assert.equal(empty.keys.size, 0);
    assert.notEqual(empty.storeId, '');
    const first = await apply(a, put('members/pg1', '{"a":"ü\\u0000 \'\\" \\\\ \n"}'));
    assert.ok(first > empty.revision);
    const there = await read(b);
    assert.equal(there.storeId, empty.storeId);
    assert.equal(there.revision, first);
    assert.deepEqual(there.keys.get('members/pg1'), {
      value: '{"a":"ü\\u0000 \'\\" \\\\ \n"}',
      createRevision: first,
      modRevision: first,
    });
    const second = await apply(b, put('members/pg1', ''));
    assert.ok(second > first);
    assert.deepEqual((await read(a)).keys.get('members/pg1'), {
      value: '',
      createRevision: first,
      modRevision: second,
    });
  });

  test('several compares and writes are applied as a whole, or refused as a whole', async () => {
    const dcs = await one();
    const r1 = await apply(dcs, {
      compare: [{ key: 'x', modRevision: 0 }],
      write: [
        { key: 'x', value: '1' },
        { key: 'y', value: '1' },
      ],
    });
    const r2 = await apply(dcs, put('y', '2'));
    const refused = async (transaction: StoreTransaction): Promise<void> => {
      const before = await read(dcs);
      assert.deepEqual(await dcs.transact(transaction, never), { kind: 'refused' });
      assert.deepEqual(await read(dcs), before);
    };
    const write = [
      { key: 'x', value: '3' },
      { key: 'y', value: undefined },
      { key: 'z', value: '3' },
    ];
    await refused({
      compare: [
        { key: 'x', modRevision: r1 },
        { key: 'y', modRevision: r1 },
      ],
      write,
    });
    await refused({ compare: [{ key: 'x', modRevision: 0 }], write });
    await refused({ compare: [{ key: 'z', modRevision: r2 }], write });
    const r3 = await apply(dcs, {
      compare: [
        { key: 'x', modRevision: r1 },
        { key: 'y', modRevision: r2 },
        { key: 'z', modRevision: 0 },
      ],
      write,
    });
    const { keys } = await read(dcs);
    assert.deepEqual(Object.fromEntries(keys), {
      x: { value: '3', createRevision: r1, modRevision: r3 },
      z: { value: '3', createRevision: r3, modRevision: r3 },
    });
    // Created anew after a deletion: another key in all but name.
    const r4 = await apply(dcs, put('y', '4'));
    assert.equal((await read(dcs)).keys.get('y')?.createRevision, r4);
  });

  test('a transaction that only compares answers, and writes nothing', async () => {
    const dcs = await one();
    const revision = await apply(dcs, put('x', '1'));
    const compare = [{ key: 'x', modRevision: revision }];
    assert.deepEqual(await dcs.transact({ compare, write: [] }, never), { kind: 'applied', revision });
    assert.deepEqual(await dcs.transact({ compare: [{ key: 'x', modRevision: 0 }], write: [] }, never), {
      kind: 'refused',
    });
  });

  test('of many that create the same key one wins', async () => {
    const [a, b] = await two();
    const attempts: Promise<StoreOutcome>[] = [];
    for (let i = 0; i < 20; i++) {
      const write = [
        { key: 'leader', value: `${i}` },
        { key: `by/${i}`, value: '' },
      ];
      attempts.push((i % 2 ? a : b).transact({ compare: [{ key: 'leader', modRevision: 0 }], write }, never));
    }
    const winners = (await Promise.all(attempts)).flatMap((outcome, i) => (outcome.kind === 'applied' ? [i] : []));
    assert.equal(winners.length, 1);
    const { keys } = await read(a);
    assert.equal(keys.get('leader')?.value, `${winners[0]}`);
    assert.deepEqual([...keys.keys()].sort(), [`by/${winners[0]}`, 'leader']);
  });

  test('counters raised by compare-and-swap from two sides lose nothing', async () => {
    const [a, b] = await two();
    await apply(a, put('n', '0'));
    const raise = async (dcs: Dcs): Promise<void> => {
      for (let done = 0; done < 15; ) {
        const stored = (await read(dcs)).keys.get('n');
        assert.ok(stored);
        const compare = [{ key: 'n', modRevision: stored.modRevision }];
        const value = `${Number(stored.value) + 1}`;
        if ((await dcs.transact({ compare, write: [{ key: 'n', value }] }, never)).kind === 'applied') done++;
      }
    };
    await Promise.all([raise(a), raise(b)]);
    assert.equal((await read(a)).keys.get('n')?.value, '30');
  });

  test('a call that was cancelled before it began is not sent', async () => {
    const dcs = await one();
    const outcome = await dcs.transact(put('x', '1'), AbortSignal.abort());
    assert.equal(outcome.kind, 'not-sent');
    assert.equal((await read(dcs)).keys.size, 0);
    assert.equal((await dcs.read(AbortSignal.abort())).kind, 'failed');
  });
}

function testLeases(one: () => Promise<Dcs>, two: () => Promise<[Dcs, Dcs]>, { leastTtlMs, endsLateMs }: Nature): void {
  test('keys vanish with their lease, never before its TTL, soon after; the watcher is told', async () => {
    const [a, b] = await two();
    const watched = recorder();
    b.watch(watched);
    await until('the first snapshot', () => watched.seen[0]);
    const ttlMs = Math.max(300, leastTtlMs);
    const sentAt = performance.now();
    const leaseId = await grant(a, ttlMs);
    const grantedAt = performance.now();
    await apply(a, {
      compare: [],
      write: [
        { key: 'leader', value: 'a', leaseId },
        { key: 'members/a', value: '', leaseId },
        { key: 'rule', value: '' },
      ],
    });
    assert.equal((await read(a)).keys.get('leader')?.leaseId, leaseId);
    await until('the key is seen', () => watched.value('leader') === 'a');
    const gone = await until('the key is gone', () => {
      const last = watched.seen.at(-1);
      return last && !last.snapshot.keys.has('leader') && last;
    });
    assert.ok(gone.at - sentAt >= ttlMs, `gone after ${gone.at - sentAt} ms of ${ttlMs}`);
    assert.ok(gone.at - grantedAt < ttlMs + endsLateMs, `gone only after ${gone.at - grantedAt} ms of ${ttlMs}`);
    assert.deepEqual([...gone.snapshot.keys.keys()], ['rule'], 'both went at once');
    assert.ok(gone.snapshot.revision > (watched.seen.at(-2)?.snapshot.revision ?? Number.POSITIVE_INFINITY));
    assert.deepEqual(await a.renewLease(leaseId, never), { kind: 'gone' });
  });

  test('a renewed lease lives on', async () => {
    const dcs = await one();
    const ttlMs = leastTtlMs;
    const leaseId = await grant(dcs, ttlMs);
    await apply(dcs, put('leader', 'a', leaseId));
    const end = performance.now() + ttlMs + endsLateMs + 350;
    while (performance.now() < end) {
      assert.deepEqual(await dcs.renewLease(leaseId, never), { kind: 'alive', leaseId, ttlMs });
      assert.equal((await read(dcs)).keys.get('leader')?.value, 'a');
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    const within = ttlMs + endsLateMs + 50;
    await until('the key is gone', async () => !(await read(dcs)).keys.has('leader'), within);
  });

  test('revoking deletes the keys at once; a dead or unknown lease takes no key', async () => {
    const dcs = await one();
    const leaseId = await grant(dcs, 60_000);
    const other = await grant(dcs, 60_000);
    assert.notEqual(leaseId, other);
    await apply(dcs, {
      compare: [],
      write: [
        { key: 'a', value: '', leaseId },
        { key: 'b', value: '', leaseId: other },
      ],
    });
    assert.deepEqual(await dcs.revokeLease(leaseId, never), { kind: 'gone' });
    const after = await read(dcs);
    assert.deepEqual([...after.keys.keys()], ['b']);
    assert.deepEqual(await dcs.revokeLease(leaseId, never), { kind: 'gone' });
    assert.deepEqual(await dcs.renewLease(leaseId, never), { kind: 'gone' });
    for (const dead of [leaseId, 'no such lease']) {
      const write = [
        { key: 'free', value: '' },
        { key: 'a', value: '', leaseId: dead },
      ];
      assert.deepEqual(await dcs.transact({ compare: [], write }, never), { kind: 'refused' });
    }
    assert.deepEqual(await read(dcs), after);
  });

  test('a key that was put anew without the lease, or on another, does not go with it', async () => {
    const dcs = await one();
    const first = await grant(dcs, 60_000);
    const second = await grant(dcs, 60_000);
    await apply(dcs, {
      compare: [],
      write: [
        { key: 'a', value: '', leaseId: first },
        { key: 'b', value: '', leaseId: first },
      ],
    });
    await apply(dcs, {
      compare: [],
      write: [
        { key: 'a', value: '' },
        { key: 'b', value: '', leaseId: second },
      ],
    });
    await dcs.revokeLease(first, never);
    const { keys } = await read(dcs);
    assert.deepEqual([keys.get('a')?.leaseId, keys.get('b')?.leaseId, keys.size], [undefined, second, 2]);
  });
}

function testWatches(one: () => Promise<Dcs>, two: () => Promise<[Dcs, Dcs]>): void {
  test('a watch begins with what is there, and misses nothing of a burst', async () => {
    const [a, b] = await two();
    await apply(a, put('first', '1'));
    const watched = recorder();
    const stop = b.watch(watched);
    await until('the first snapshot', () => watched.value('first'));
    const writes: Promise<number>[] = [];
    for (let i = 1; i <= 60; i++) writes.push(apply(i % 2 ? a : b, put(`k${i % 7}`, `${i}`)));
    const last = Math.max(...(await Promise.all(writes)));
    await until('the last change', () => watched.seen.at(-1)?.snapshot.revision === last);
    assert.deepEqual(watched.seen.at(-1)?.snapshot, await read(a));
    const revisions = watched.seen.map(({ snapshot }) => snapshot.revision);
    assert.deepEqual(
      revisions,
      [...new Set(revisions)].sort((x, y) => x - y),
      'in order, none twice',
    );
    assert.deepEqual(watched.lost, []);
    stop();
    const count = watched.seen.length;
    const other = recorder();
    b.watch(other);
    await apply(a, put('last', '1'));
    await until('another watch sees it', () => other.value('last'));
    assert.equal(watched.seen.length, count, 'a watch that was ended is silent');
  });

  test('two watches on one access both see everything', async () => {
    const dcs = await one();
    const watches = [recorder(), recorder()];
    for (const watched of watches) dcs.watch(watched);
    await apply(dcs, put('x', '1'));
    for (const watched of watches) await until('the change', () => watched.value('x'));
    const third = recorder();
    dcs.watch(third);
    await until('what is there', () => third.value('x'));
  });
}

function testEvents(one: () => Promise<Dcs>, two: () => Promise<[Dcs, Dcs]>): void {
  test('what is under events/ is in no snapshot, and is read apart', async () => {
    const [a, b] = await two();
    const events = async (): Promise<unknown> => {
      const outcome = await b.readEvents(never);
      assert.ok(outcome.kind === 'read', JSON.stringify(outcome));
      return Object.fromEntries(outcome.events);
    };
    assert.deepEqual(await events(), {});
    const watched = recorder();
    b.watch(watched);
    const before = await apply(a, put('rule', '1'));
    assert.ok((await apply(a, put('events/a', '[1]'))) >= before);
    await apply(a, {
      compare: [],
      write: [
        { key: 'events/b', value: '[2]' },
        { key: 'rule', value: '2' },
      ],
    });
    await apply(b, put('events/a', '[3]'));
    assert.deepEqual(await events(), { 'events/a': '[3]', 'events/b': '[2]' });
    assert.deepEqual([...(await read(a)).keys.keys()], ['rule']);
    await until('the change beside it', () => watched.value('rule') === '2');
    assert.ok(watched.seen.every(({ snapshot }) => [...snapshot.keys.keys()].every((key) => key === 'rule')));
    await apply(b, { compare: [], write: [{ key: 'events/a', value: undefined }] });
    assert.deepEqual(await events(), { 'events/b': '[2]' });
    assert.equal((await b.readEvents(AbortSignal.abort())).kind, 'failed');
  });

  test('a write that only events/ gets is held to its compares', async () => {
    const dcs = await one();
    const compare = [{ key: 'rule', modRevision: 5 }];
    const outcome = await dcs.transact({ compare, write: [{ key: 'events/a', value: '' }] }, never);
    assert.equal(outcome.kind, 'refused');
    assert.deepEqual(await dcs.readEvents(never), { kind: 'read', events: new Map() });
  });
}

function testBeats(two: () => Promise<[Dcs, Dcs]>, connect: () => Promise<Dcs[]>, { revisionOf }: Nature): void {
  test('a beat is told to all who watch the cluster, and to nobody else; no key changes', async () => {
    const [a, b] = await two();
    const [elsewhere] = await connect();
    assert.ok(elsewhere);
    const watches = [recorder(), recorder(), recorder()];
    const [atA, atB, other] = watches;
    assert.ok(atA && atB && other);
    a.watch(atA);
    b.watch(atB);
    elsewhere.watch(other);
    for (const watched of watches) await until('the first snapshot', () => watched.seen[0]);
    const before = await read(a);
    a.beat(7, 'pg-1');
    for (const watched of [atA, atB]) await until('the beat', () => watched.beats[0]);
    b.beat(8, 'pg-2');
    for (const watched of [atA, atB]) await until('the other beat', () => watched.beats[1]);
    assert.deepEqual(atB.beats, ['pg-1 7', 'pg-2 8']);
    const after = await read(a);
    assert.deepEqual(after.keys, before.keys);
    if (revisionOf === 'cluster') assert.equal(after.revision, before.revision);
    assert.ok(
      watches.every(({ seen }) => seen.length === 1),
      'a beat is no change of a key',
    );
    elsewhere.beat(1, 'x');
    await until('its own beat', () => other.beats.length === 1);
    assert.deepEqual([atA.beats.length, other.beats], [2, ['x 1']]);
  });

  test('a watch that was ended hears no beat', async () => {
    const [a, b] = await two();
    const ended = recorder();
    const goesOn = recorder();
    const stop = b.watch(ended);
    b.watch(goesOn);
    await until('the first snapshot', () => goesOn.seen[0]);
    stop();
    a.beat(1, 'a');
    await until('the beat', () => goesOn.beats[0]);
    assert.deepEqual(ended.beats, []);
  });
}
