import assert from 'node:assert/strict';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { clusterBody, memberBody, toJson } from '../../src/api/bodies.ts';
import { askMember, command } from '../../src/api/client.ts';
import * as reports from './api-reports.ts';

async function listening(t: TestContext, server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return `http://127.0.0.1:${address.port}`;
}

const serving = (t: TestContext, listener: RequestListener) => listening(t, createHttpServer(listener));
const options = { timeoutMs: 5000 };

/** Runs a call that must end by its deadline of 100 ms, and not long after it. */
async function timed<Result>(call: (timeoutMs: number) => Promise<Result>): Promise<Result> {
  const before = process.hrtime.bigint();
  const result = await call(100);
  const tookMs = Number(process.hrtime.bigint() - before) / 1e6;
  assert.ok(tookMs >= 90 && tookMs < 2000, `${tookMs} ms`);
  return result;
}

test('a member’s and the cluster’s answers, typed', async (t) => {
  const url = await serving(t, (request, response) => {
    const body =
      request.url === '/cluster'
        ? clusterBody(reports.primary, reports.scope)
        : memberBody(reports.primary, { scope: reports.scope, dcsLastSeenEpochS: 1 });
    response.end(toJson(body));
  });
  // As members publish it.
  const member = await askMember(`${url}/patroni`, '/patroni', options);
  assert.ok(member.ok);
  assert.equal(member.answer.patroni.name, 'pg-0');
  assert.equal(member.answer.role, 'primary');
  const cluster = await askMember(`${url}/patroni`, '/cluster', options);
  assert.ok(cluster.ok);
  assert.deepEqual(
    cluster.answer.members.map(({ name, lag }) => [name, lag]),
    [
      ['pg-0', undefined],
      ['pg-1', 0],
    ],
  );
});

test('a server that accepts and never answers costs the deadline, no more', async (t) => {
  const url = await listening(
    t,
    createServer(() => {}),
  );
  const result = await timed((timeoutMs) => askMember(url, '/patroni', { timeoutMs }));
  assert.deepEqual(result, { ok: false, error: `${url}: no answer within 100 ms` });
});

test('so does one that begins an answer, or drips it byte by byte', async (t) => {
  const halted = await serving(t, (_request, response) => response.writeHead(200, { 'content-length': 9 }).write('{'));
  const drips = new Set<NodeJS.Timeout>();
  t.after(() => drips.forEach(clearInterval));
  const dripping = await serving(t, (_request, response) => drips.add(setInterval(() => response.write(' '), 10)));
  for (const url of [halted, dripping]) {
    const result = await timed((timeoutMs) => command(url, '/restart', {}, { timeoutMs }));
    assert.deepEqual(result, { ok: false, error: `${url}: no answer within 100 ms` });
  }
});

test('cancelling ends a call at once', async (t) => {
  const reached = Promise.withResolvers<void>();
  const url = await listening(
    t,
    createServer(() => reached.resolve()),
  );
  const cancel = new AbortController();
  const call = askMember(url, '/patroni', { timeoutMs: 60_000, signal: cancel.signal });
  await reached.promise;
  cancel.abort();
  assert.deepEqual(await call, { ok: false, error: `${url}: cancelled` });
  const late = await command(url, '/reload', undefined, { timeoutMs: 60_000, signal: cancel.signal });
  assert.deepEqual(late, { ok: false, error: `${url}: cancelled` });
});

test('a refused connection, a cut one, a URL that is none: errors as values', async (t) => {
  const gone = createHttpServer();
  const url = await listening(t, gone);
  await new Promise((resolve) => gone.close(resolve));
  const refused = await askMember(url, '/patroni', options);
  assert.ok(!refused.ok && /ECONNREFUSED/.test(refused.error), JSON.stringify(refused));
  const cutting = await serving(t, (request) => request.socket.destroy());
  assert.ok(!(await askMember(cutting, '/patroni', options)).ok);
  const inTheMiddle = await serving(t, (request, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('{', () => request.socket.destroy());
  });
  assert.ok(!(await askMember(inTheMiddle, '/patroni', options)).ok);
  for (const bad of ['nonsense', 'https://127.0.0.1:1', 'ftp://a', '', 'http://']) {
    assert.ok(!(await askMember(bad, '/patroni', options)).ok, bad);
  }
});

test('what is not an agent is told from one', async (t) => {
  const answers = ['<html>', '{"state":"running"}', '[]', '{"members":[{"name":1}],"scope":"s"}'];
  for (const body of answers) {
    const url = await serving(t, (_request, response) => response.end(body));
    const member = await askMember(url, '/patroni', options);
    assert.ok(!member.ok && /not answered by an agent/.test(member.error), body);
    assert.ok(!(await askMember(url, '/cluster', options)).ok, body);
  }
  const failing = await serving(t, (_request, response) => response.writeHead(502).end());
  assert.deepEqual(await askMember(failing, '/cluster', options), {
    ok: false,
    error: `${failing}/cluster answered 502`,
  });
});

test('an endless answer is not read to its end', async (t) => {
  const url = await serving(t, (_request, response) => {
    const chunk = 'x'.repeat(65_536);
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', more);
    more();
  });
  const result = await askMember(url, '/cluster', options);
  assert.ok(!result.ok && /longer than/.test(result.error), JSON.stringify(result));
});

test('a command: its body, its status and its text', async (t) => {
  const seen: string[] = [];
  const url = await serving(t, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      seen.push(`${request.method} ${request.url} ${request.headers['content-length']} ${body}`);
      response.writeHead(412).end('leader name does not match');
    });
  });
  const result = await command(`${url}/patroni`, '/switchover', { leader: 'ä' }, options);
  assert.deepEqual(result, { ok: true, status: 412, text: 'leader name does not match' });
  await command(url, '/reload', undefined, options);
  assert.deepEqual(seen, ['POST /switchover 15 {"leader":"ä"}', 'POST /reload 0 ']);
});
