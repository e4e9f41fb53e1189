import assert from 'node:assert/strict';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { connect, createServer } from 'node:net';
import test, { type TestContext } from 'node:test';
import { type ApiOptions, startApi } from '../../src/api/server.ts';
import type { Answer } from '../../src/core/effects.ts';
import type { OperatorRequest } from '../../src/core/events.ts';
import type { Report } from '../../src/core/report.ts';
import type { Heartbeat } from '../../src/core/signs.ts';
import { createLog, type Log } from '../../src/lib/log.ts';
import type { Agent } from '../../src/ports/agent.ts';
import * as reports from './api-reports.ts';

/** An agent that has a report, and answers operators as the test says. */
class FakeAgent implements Agent {
  readonly scope = reports.scope;
  readonly name = 'pg-0';
  readonly asked: OperatorRequest[] = [];
  current: Report;
  stepAt = 0;
  answer: (request: OperatorRequest, signal: AbortSignal) => Promise<Answer> = async () => ({
    status: 200,
    text: 'done',
  });

  constructor(report: Report) {
    this.current = report;
  }

  report(): Report {
    return this.current;
  }
  dcsLastSeenEpochS(): number {
    return 1_795_164_684;
  }
  lastStepAt(): number {
    return this.stepAt;
  }
  now(): number {
    return 1000;
  }
  operate(request: OperatorRequest, signal: AbortSignal): Promise<Answer> {
    this.asked.push(request);
    return this.answer(request, signal);
  }
  hear(heartbeat: Heartbeat): Heartbeat {
    return { ...heartbeat, from: this.name };
  }
  askFailsafe(): Promise<Answer> {
    return Promise.resolve({ status: 200, text: 'Accepted' });
  }
}

/** An operator's wait that only its signal ends. */
function untilAborted(signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve({ status: 503, text: 'not waited for' }), { once: true });
  });
}

interface Running {
  readonly agent: FakeAgent;
  readonly port: number;
  readonly lines: string[];
  readonly close: () => Promise<void>;
}

async function start(t: TestContext, report: Report, limits: ApiOptions['limits'] = {}): Promise<Running> {
  const agent = new FakeAgent(report);
  const lines: string[] = [];
  const api = await startApi({ host: '127.0.0.1', port: 0, agent, log: logTo(lines), limits });
  assert.ok(api.ok);
  t.after(() => api.close());
  return { agent, port: api.port, lines, close: api.close };
}

function logTo(lines: string[]): Log {
  return createLog({ member: 'pg-0', form: 'json', sink: { write: (line) => lines.push(line) > 0 } });
}

interface Response {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

interface Sending {
  readonly body?: string;
  readonly headers?: Record<string, string>;
  readonly agent?: HttpAgent;
}

function send(port: number, method: string, path: string, sending: Sending = {}): Promise<Response> {
  return new Promise((resolve, reject) => {
    const { body, headers, agent = false } = sending;
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const options = { host: '127.0.0.1', port, method, path, agent, headers: { ...length, ...headers } };
    const request = httpRequest(options, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

function post(port: number, path: string, body: unknown): Promise<Response> {
  return send(port, 'POST', path, { body: JSON.stringify(body) });
}

/** Everything that the server says to these bytes until it closes the connection. */
function raw(port: number, bytes: string, chunkMs = 0): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const drip = chunkMs > 0 ? setInterval(() => socket.write('x'), chunkMs) : undefined;
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('error', () => {});
    socket.on('close', () => {
      clearInterval(drip);
      resolve(text);
    });
  });
}

const paths = ['/', '/primary', '/leader', '/replica', '/read-only', '/health', '/async', '/readiness', '/liveness'];

test('codes of the paths, by GET, HEAD and OPTIONS, for every kind of member', async (t) => {
  const { agent, port } = await start(t, reports.primary);
  const expected: readonly (readonly [string, Report, readonly number[]])[] = [
    ['primary', reports.primary, [200, 200, 200, 503, 200, 200, 503, 200, 200]],
    ['replica', reports.replica, [503, 503, 503, 200, 200, 200, 200, 200, 200]],
    ['stopped', reports.stopped, [503, 503, 503, 503, 503, 503, 503, 503, 200]],
    ['unlocked', reports.unlocked, [503, 503, 503, 200, 200, 200, 200, 200, 200]],
    ['DCS never seen', reports.neverSeen, [503, 503, 503, 200, 200, 200, 503, 503, 200]],
    ['lease run out', reports.leaseRunOut, [503, 503, 503, 503, 503, 200, 503, 503, 200]],
  ];
  for (const [name, report, codes] of expected) {
    agent.current = report;
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const found = await Promise.all(paths.map(async (path) => (await send(port, method, path)).status));
      assert.deepEqual(found, codes, `${name}, ${method}`);
    }
  }
});

test('bodies: JSON on GET, nothing on HEAD and OPTIONS, the member’s also when the check fails', async (t) => {
  const { port } = await start(t, reports.replica);
  const failed = await send(port, 'GET', '/primary');
  assert.equal(failed.headers['content-type'], 'application/json');
  assert.equal(JSON.parse(failed.text).patroni.name, 'pg-1');
  const fine = await send(port, 'GET', '/patroni');
  assert.equal(fine.status, 200);
  assert.equal(fine.text, failed.text);
  for (const [method, path] of [
    ['HEAD', '/replica'],
    ['OPTIONS', '/replica'],
    ['HEAD', '/patroni'],
    ['OPTIONS', '/cluster'],
    ['GET', '/readiness'],
    ['GET', '/liveness'],
  ] as const) {
    assert.deepEqual(await statusAndText(send(port, method, path)), [200, ''], `${method} ${path}`);
  }
});

async function statusAndText(response: Promise<Response>): Promise<[number, string]> {
  const { status, text } = await response;
  return [status, text];
}

test('the host that a client thinks it asks does not matter', async (t) => {
  const { port } = await start(t, reports.primary);
  for (const host of ['', 'host: db_1:8008\r\n', 'host: \r\n', 'host: [::1]:8008\r\n']) {
    const answer = await raw(port, `GET /primary HTTP/1.1\r\n${host}connection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1.1 200 OK\r\n/, host);
  }
});

test('load balancers that speak HTTP/1.0 get a status line and an end', async (t) => {
  const { port } = await start(t, reports.primary);
  for (const method of ['OPTIONS', 'HEAD', 'GET']) {
    const answer = await raw(port, `${method} /primary HTTP/1.0\r\n\r\n`);
    assert.match(answer, /^HTTP\/1.1 200 OK\r\n/);
    assert.doesNotMatch(answer, /chunked/i);
    const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
    assert.equal(body.length > 0, method === 'GET', `${method}: ${body}`);
  }
});

test('queries and slashes at the end of a path', async (t) => {
  const { port } = await start(t, reports.replica);
  const code = async (path: string): Promise<number> => (await send(port, 'GET', path)).status;
  assert.equal(await code('/replica?lag=1MB&tag_mytag=val1'), 200);
  assert.equal(await code('/replica?tag_mytag=x'), 503);
  assert.equal(await code('/replica/'), 200);
  assert.equal(await code('/patroni/'), 200);
  assert.equal(await code('/readiness?lag=1&mode=write'), 200);
  assert.equal(await code('/%zz'), 503);
});

test('cluster, history and configuration', async (t) => {
  const { agent, port } = await start(t, reports.replica);
  const cluster = await send(port, 'GET', '/cluster');
  assert.equal(cluster.status, 200);
  assert.deepEqual(
    JSON.parse(cluster.text).members.map((member: { name: string }) => member.name),
    ['pg-0', 'pg-1'],
  );
  assert.deepEqual(await statusAndText(send(port, 'GET', '/history')), [200, '[]']);
  assert.equal(JSON.parse((await send(port, 'GET', '/config')).text).ttl, 20);
  agent.current = reports.neverSeen;
  assert.equal((await send(port, 'GET', '/config')).status, 502);
});

test('unknown paths: 503 with the body on GET, 501 on other methods', async (t) => {
  const { port } = await start(t, reports.primary);
  const nonsense = await send(port, 'GET', '/nonsense');
  assert.equal(nonsense.status, 503);
  assert.equal(JSON.parse(nonsense.text).role, 'primary');
  for (const [method, path] of [
    ['PUT', '/foo'],
    ['DELETE', '/foo'],
    ['POST', '/foo'],
    ['PATCH', '/config'],
    ['POST', '/patroni'],
  ] as const) {
    assert.deepEqual(await statusAndText(send(port, method, path)), [501, `Unsupported method ('${method}')`]);
  }
  assert.deepEqual(await statusAndText(send(port, 'DELETE', '/switchover')), [404, 'no switchover is scheduled']);
  assert.deepEqual(await statusAndText(send(port, 'DELETE', '/restart')), [404, 'no restarts are scheduled']);
});

test('a liveness check fails when the agent takes no steps', async (t) => {
  const { agent, port } = await start(t, reports.primary);
  agent.stepAt = -60_000;
  assert.equal((await send(port, 'GET', '/liveness')).status, 503);
});

test('operator requests reach the agent, and its answer is the response', async (t) => {
  const { agent, port, lines } = await start(t, reports.primary);
  agent.answer = async (request) => ({ status: request.kind === 'reload' ? 202 : 412, text: `asked: ${request.kind}` });
  const sent: [string, unknown, OperatorRequest, number][] = [
    ['/switchover', { leader: 'a', candidate: 'b' }, { kind: 'switchover', leader: 'a', candidate: 'b' }, 412],
    ['/failover', { candidate: 'b' }, { kind: 'failover', candidate: 'b', allowDataLoss: false }, 412],
    ['/restart', { role: 'primary' }, { kind: 'restart', role: 'primary', pendingOnly: false }, 412],
    ['/reinitialize', { force: true }, { kind: 'reinitialize', force: true }, 412],
  ];
  for (const [path, body, request, status] of sent) {
    assert.deepEqual(await statusAndText(post(port, path, body)), [status, `asked: ${request.kind}`]);
    assert.deepEqual(agent.asked.at(-1), request);
  }
  assert.deepEqual(await statusAndText(send(port, 'POST', '/reload')), [202, 'asked: reload']);
  assert.deepEqual(await statusAndText(send(port, 'POST', '/restart')), [412, 'asked: restart']);
  assert.equal(agent.asked.length, 6);
  assert.equal(lines.filter((line) => line.includes('"event":"operator-request"')).length, 6);
});

test('requests that cannot be read never reach the agent', async (t) => {
  const { agent, port } = await start(t, reports.primary);
  const code = async (path: string, sending: Sending): Promise<number> =>
    (await send(port, 'POST', path, sending)).status;
  for (const body of ['', '{', '[]', '5', 'null', '"x"', '{}'])
    assert.equal(await code('/switchover', { body }), 400, body);
  assert.equal(await code('/restart', { body: '{' }), 400);
  assert.equal(await code('/restart', { body: '[]' }), 400);
  assert.match(await raw(port, 'POST /switchover HTTP/1.1\r\nhost: a\r\n\r\n'), /^HTTP\/1.1 411 /);
  const chunked = { headers: { 'transfer-encoding': 'chunked' } };
  assert.equal(await code('/restart', chunked), 411);
  const schedule = await post(port, '/switchover', { leader: 'a', scheduled_at: '2016-01-01T00:00:00Z' });
  assert.deepEqual([schedule.status, schedule.text], [422, 'Cannot schedule switchover in the past']);
  assert.deepEqual(agent.asked, []);
});

test('what a request says never becomes a page of a browser', async (t) => {
  const { port } = await start(t, reports.primary);
  const { headers, text } = await post(port, '/restart', { '<script>': 1 });
  assert.equal(text, 'Unknown filter for the scheduled restart: <script>');
  assert.match(String(headers['content-type']), /^text\/plain/);
});

test('a body that is too long is refused, before it is read', async (t) => {
  const { agent, port } = await start(t, reports.primary);
  const head = 'POST /restart HTTP/1.1\r\nhost: a\r\ncontent-length: 70000\r\n\r\n';
  const answer = await raw(port, `${head}{"role":`);
  assert.match(answer, /^HTTP\/1.1 413 /);
  assert.match(answer, /connection: close/i);
  const fits = JSON.stringify({ leader: 'a', candidate: 'b', pad: 'x'.repeat(60_000) });
  assert.equal((await send(port, 'POST', '/switchover', { body: fits })).status, 200);
  assert.equal(agent.asked.length, 1);
});

test('clients that send too slowly are let go', { timeout: 10_000 }, async (t) => {
  const { agent, port } = await start(t, reports.primary, { headersMs: 200, requestMs: 400 });
  assert.match(await raw(port, 'GET /primary HTTP/1.1\r\nx: ', 50), /^HTTP\/1.1 408 /);
  await raw(port, 'POST /restart HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{', 50);
  assert.equal((await send(port, 'GET', '/primary')).status, 200);
  assert.deepEqual(agent.asked, []);
});

test('headers that are too long are refused', async (t) => {
  const { port } = await start(t, reports.primary);
  assert.match(await raw(port, `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`), /^HTTP\/1.1 431 /);
});

test('one connection serves many checks', async (t) => {
  const { port } = await start(t, reports.primary);
  const agent = new HttpAgent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  let connections = 0;
  for (let check = 0; check < 5; check += 1) {
    await new Promise<void>((resolve, reject) => {
      const request = httpRequest({ port, host: '127.0.0.1', path: '/primary', agent }, (response) => {
        response.resume().on('end', resolve);
      });
      request.on('socket', () => (connections += request.reusedSocket ? 0 : 1));
      request.on('error', reject).end();
    });
  }
  assert.equal(connections, 1);
});

test('an asker that goes away ends its wait', { timeout: 10_000 }, async (t) => {
  const { agent, port } = await start(t, reports.primary);
  const waited = Promise.withResolvers<AbortSignal>();
  const ended = Promise.withResolvers<void>();
  agent.answer = async (_request, signal) => {
    waited.resolve(signal);
    const answer = await untilAborted(signal);
    ended.resolve();
    return answer;
  };
  const socket = connect(port, '127.0.0.1');
  socket.write('POST /reload HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n');
  assert.equal((await waited.promise).aborted, false);
  socket.destroy();
  await ended.promise;
});

test('closing answers who waits, and lets go of connections that are kept', { timeout: 10_000 }, async (t) => {
  const { agent, port, close } = await start(t, reports.primary);
  const waits = Promise.withResolvers<void>();
  agent.answer = (_request, signal) => {
    waits.resolve();
    return untilAborted(signal);
  };
  const kept = new HttpAgent({ keepAlive: true });
  t.after(() => kept.destroy());
  await send(port, 'GET', '/', { agent: kept });
  const waiting = send(port, 'POST', '/reload');
  await waits.promise;
  await close();
  assert.deepEqual(await statusAndText(waiting), [503, 'not waited for']);
  await assert.rejects(send(port, 'GET', '/'), /ECONNREFUSED/);
});

test('closing does not wait for a client that never finishes', { timeout: 10_000 }, async (t) => {
  const { port, close } = await start(t, reports.primary, { closeMs: 50 });
  const silent = raw(port, 'POST /restart HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{');
  // Its request is there once another one on a later connection was answered.
  await send(port, 'GET', '/');
  await close();
  await silent;
});

test('a fault of the agent is a 500 that says where to look, and is logged', async (t) => {
  const { agent, port, lines } = await start(t, reports.primary);
  agent.answer = () => Promise.reject(new Error('a bug'));
  const { status, text } = await send(port, 'POST', '/reload');
  assert.equal(status, 500);
  assert.match(text, /log/);
  assert.ok(lines.some((line) => line.includes('"event":"api-request-failed"') && line.includes('a bug')));
});

function open(host: string, port: number): ReturnType<typeof startApi> {
  return startApi({ host, port, agent: new FakeAgent(reports.primary), log: logTo([]) });
}

test('what stands in the way of listening is a value that says what to do', async (t) => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => blocker.once('listening', resolve));
  t.after(() => blocker.close());
  const address = blocker.address();
  assert.ok(typeof address === 'object' && address !== null);
  const used = await open('127.0.0.1', address.port);
  assert.ok(!used.ok);
  assert.match(used.error, new RegExp(`127.0.0.1:${address.port} \\(restapi.listen\\): the port is in use`));
  const foreign = await open('203.0.113.1', 0);
  assert.ok(!foreign.ok);
  assert.match(foreign.error, /203.0.113.1:0 .*no such address/);
});
