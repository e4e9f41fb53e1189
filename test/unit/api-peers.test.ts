import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { connectPeers } from '../../src/api/peers.ts';
import { startApi } from '../../src/api/server.ts';
import type { Answer } from '../../src/core/effects.ts';
import type { Heartbeat } from '../../src/core/signs.ts';
import { createLog } from '../../src/lib/log.ts';
import type { Agent } from '../../src/ports/agent.ts';
import type { FailsafeQuestion, Peer, Peers } from '../../src/ports/peers.ts';
import * as reports from './api-reports.ts';

const mine: Heartbeat = { from: 'pg-1', term: 4, storeId: 'store', heardAgoMs: { 'pg-0': 12.4, 'pg-2': 900 } };

interface Member {
  readonly peer: Peer;
  readonly heard: Heartbeat[];
  readonly asked: FailsafeQuestion[];
  answer: (question: FailsafeQuestion, signal: AbortSignal) => Promise<Answer>;
}

/** The REST API of the member pg-0 of the cluster `batman`. */
async function startMember(t: TestContext): Promise<Member> {
  const heard: Heartbeat[] = [];
  const asked: FailsafeQuestion[] = [];
  const agent: Agent = {
    scope: reports.scope,
    name: 'pg-0',
    report: () => reports.primary,
    dcsLastSeenEpochS: () => 0,
    lastStepAt: () => 0,
    now: () => 0,
    operate: () => Promise.reject(new Error('nobody operates')),
    hear(heartbeat) {
      heard.push(heartbeat);
      return { from: 'pg-0', term: 5, storeId: 'store', heardAgoMs: { 'pg-1': 0 } };
    },
    askFailsafe(question, signal) {
      asked.push(question);
      return member.answer(question, signal);
    },
  };
  const log = createLog({ member: 'pg-0', sink: { write: () => true } });
  const api = await startApi({ host: '127.0.0.1', port: 0, agent, log });
  assert.ok(api.ok);
  t.after(() => api.close());
  const member: Member = {
    peer: { member: 'pg-0', apiUrl: `http://127.0.0.1:${api.port}/patroni` },
    heard,
    asked,
    answer: async () => ({ status: 200, text: 'Accepted' }),
  };
  return member;
}

function connect(t: TestContext, scope = reports.scope): Peers {
  const peers = connectPeers(scope);
  t.after(() => peers.close());
  return peers;
}

/** A port on which the test answers by itself; sockets that it is given stay open until the end. */
async function startPort(t: TestContext, onSocket: (socket: Socket) => void): Promise<{ server: Server; peer: Peer }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address);
  return { server, peer: { member: 'pg-0', apiUrl: `http://127.0.0.1:${address.port}/patroni` } };
}

test('a heartbeat is heard, and answered by one', async (t) => {
  const { peer, heard } = await startMember(t);
  const answer = await connect(t).heartbeat(peer, mine, 2000);
  assert.deepEqual(heard, [{ from: 'pg-1', term: 4, storeId: 'store', heardAgoMs: { 'pg-0': 12, 'pg-2': 900 } }]);
  assert.deepEqual(answer, { from: 'pg-0', term: 5, storeId: 'store', heardAgoMs: { 'pg-1': 0 } });
});

test('many heartbeats go over one connection', async (t) => {
  const { peer, heard } = await startMember(t);
  let connections = 0;
  // A wire in between that counts.
  const upstream = Number(new URL(peer.apiUrl).port);
  const { connect: dial } = await import('node:net');
  const wire = await startPort(t, (socket) => {
    connections++;
    const far = dial(upstream, '127.0.0.1');
    far.on('error', () => {});
    socket.pipe(far).pipe(socket);
    socket.on('close', () => far.destroy());
  });
  const peers = connect(t);
  for (let i = 0; i < 20; i++) assert.ok(await peers.heartbeat({ ...peer, apiUrl: wire.peer.apiUrl }, mine, 2000));
  assert.deepEqual([heard.length, connections], [20, 1]);
});

test('a peer that swallows everything: no answer, at its deadline; the next beat makes a new connection', async (t) => {
  const sockets: Socket[] = [];
  const { peer } = await startPort(t, (socket) => void sockets.push(socket));
  const peers = connect(t);
  const began = performance.now();
  const first = peers.heartbeat(peer, mine, 150);
  assert.equal(await peers.heartbeat(peer, mine, 150), undefined, 'one is under way');
  assert.ok(performance.now() - began < 100, 'the second one did not wait');
  assert.equal(await first, undefined);
  assert.ok(performance.now() - began >= 149);
  assert.equal(await peers.heartbeat(peer, mine, 150), undefined);
  assert.equal(sockets.length, 2);
});

test('a peer that is gone, and one that is no member: no answer', async (t) => {
  const { server, peer } = await startPort(t, (socket) => void socket.resume().end('SSH-2.0-x\r\n'));
  const peers = connect(t);
  assert.equal(await peers.heartbeat(peer, mine, 2000), undefined);
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await peers.heartbeat(peer, mine, 2000), undefined);
  assert.equal(await peers.heartbeat({ member: 'x', apiUrl: 'nonsense' }, mine, 2000), undefined);
});

test('who answers in the name of another member is not heard', async (t) => {
  const { peer } = await startMember(t);
  assert.equal(await connect(t).heartbeat({ ...peer, member: 'pg-7' }, mine, 2000), undefined);
});

test('another cluster, or a member of the same name, is not heard', async (t) => {
  const { peer, heard, asked } = await startMember(t);
  const stranger = connect(t, 'robin');
  assert.equal(await stranger.heartbeat(peer, mine, 2000), undefined);
  assert.equal(await connect(t).heartbeat(peer, { ...mine, from: 'pg-0' }, 2000), undefined);
  const answer = await stranger.askFailsafe(peer, { from: 'pg-1', term: 4, number: 9, ttlMs: 10_000 }, 2000);
  assert.deepEqual(answer, {
    accepted: false,
    because: 'this is a member of the cluster batman, not of robin',
  });
  assert.deepEqual([heard, asked], [[], []]);
});

test('a failsafe question: yes, no, and no answer', async (t) => {
  const member = await startMember(t);
  const peers = connect(t);
  const question = { from: 'pg-1', term: 4, number: 9, ttlMs: 10_000 };
  assert.deepEqual(await peers.askFailsafe(member.peer, question, 2000), { accepted: true, because: 'Accepted' });
  member.answer = async () => ({ status: 409, text: 'term 5 is newer' });
  assert.deepEqual(await peers.askFailsafe(member.peer, question, 2000), {
    accepted: false,
    because: 'term 5 is newer',
  });
  assert.deepEqual(member.asked, [question, question]);
  member.answer = (_question, signal) =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve({ status: 503, text: '' })));
  const late = await peers.askFailsafe(member.peer, question, 100);
  assert.equal(late.accepted, false);
  assert.match(late.because, /^http:.*: no answer within 100 ms$/);
});

async function post(apiUrl: string, path: string, body: string): Promise<readonly [number, string]> {
  const response = await fetch(new URL(path, apiUrl), { method: 'POST', body });
  return [response.status, await response.text()];
}

test('what is no message of a member is refused', async (t) => {
  const { peer, heard, asked } = await startMember(t);
  const heartbeat = { scope: 'batman', from: 'x', term: 1, store: 's', heard_ago_ms: {} };
  assert.equal((await post(peer.apiUrl, '/heartbeat', JSON.stringify(heartbeat)))[0], 200);
  for (const wrong of [
    '',
    '{',
    '[]',
    JSON.stringify({ ...heartbeat, scope: 1 }),
    JSON.stringify({ ...heartbeat, term: -1 }),
    JSON.stringify({ ...heartbeat, heard_ago_ms: [] }),
    JSON.stringify({ ...heartbeat, heard_ago_ms: { y: 'z' } }),
    JSON.stringify({ ...heartbeat, heard_ago_ms: { y: -1 } }),
  ]) {
    assert.deepEqual(await post(peer.apiUrl, '/heartbeat', wrong), [400, 'Bad Request: not a heartbeat'], wrong);
  }
  assert.equal((await post(peer.apiUrl, '/heartbeat', 'x'.repeat(20_000)))[0], 413);
  // As Patroni asks it.
  const patroni = JSON.stringify({ name: 'x', conn_url: 'c', api_url: 'a' });
  assert.equal((await post(peer.apiUrl, '/failsafe', patroni))[0], 400);
  assert.deepEqual([heard.length, asked.length], [1, 0]);
});
