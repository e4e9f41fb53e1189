/**
 * The REST API's server: HTTP/1.1 with keep-alive, bounds on everything a client can make it hold or wait for,
 * and the route table on top. One answer is given whatever the method: HEAD and OPTIONS are GET without the body.
 */
import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { Log } from '../lib/log.ts';
import type { Agent } from '../ports/agent.ts';
import { answerPeer } from './peer-server.ts';
import type { JsonObject } from './requests.ts';
import { getHealth, type Reply, type Route, routes, text } from './routes.ts';

/** Where to listen, and for whom. */
export interface ApiOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly agent: Agent;
  readonly log: Log;
  readonly limits?: Partial<Limits>;
}

interface Limits {
  /** For the request line and the headers to arrive. */
  readonly headersMs: number;
  /** For the whole request to arrive. */
  readonly requestMs: number;
  readonly keepAliveMs: number;
  /** For answers under way, when the server closes. */
  readonly closeMs: number;
  readonly connections: number;
}

/** A load balancer asks once a second or two; keep-alive outlives its pauses. */
const defaultLimits: Limits = {
  headersMs: 5000,
  requestMs: 10_000,
  keepAliveMs: 30_000,
  closeMs: 1000,
  connections: 512,
};

const maxBodyBytes = 64 * 1024;
const maxHeaderBytes = 16 * 1024;

/** It listens on `port`, or says why it cannot. */
export type StartedApi =
  | { readonly ok: true; readonly port: number; readonly close: () => Promise<void> }
  | { readonly ok: false; readonly error: string };

/** Listens. What stands in the way (port in use, no such address) is a value. */
export async function startApi(options: ApiOptions): Promise<StartedApi> {
  const limits = { ...defaultLimits, ...options.limits };
  const closing = new AbortController();
  const app = createApp(options.agent, options.log, closing.signal);
  // Hono's own Request and Response in place of Node's: measured after 20 000 checks, 9 MB less RSS and 20 % less time.
  const answer = getRequestListener(app.fetch, { overrideGlobalObjects: true, hostname: 'member' });
  const server = createServer(
    {
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      // Both are only looked at this often; Node's own default is 30 s.
      connectionsCheckingInterval: Math.min(1000, limits.headersMs),
      keepAliveTimeout: limits.keepAliveMs,
      maxHeaderSize: maxHeaderBytes,
      // Load balancers leave it out (HAProxy's `option httpchk` does), and nothing here depends on it.
      requireHostHeader: false,
    },
    (incoming, outgoing) => {
      if (!answerPeer(options.agent, incoming, outgoing, closing.signal)) void answer(incoming, outgoing);
    },
  );
  server.maxConnections = limits.connections;
  const error = await listen(server, options.host, options.port);
  if (error !== undefined) return { ok: false, error };
  server.on('error', (failure) => options.log.error('api-failed', 'the REST API has a problem', { error: failure }));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return { ok: true, port, close: () => close(server, closing, limits.closeMs) };
}

function listen(server: Server, host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException): void => resolve(listenError(error, host, port));
    server.once('error', failed);
    server.listen({ host, port }, () => {
      server.off('error', failed);
      resolve(undefined);
    });
  });
}

const listenProblems: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use by another process: stop it (ss -ltnp shows it), or choose another port',
  EADDRNOTAVAIL: 'this host has no such address: use one that it has, or 0.0.0.0',
  EACCES: 'not permitted: ports below 1024 need root',
  ENOTFOUND: 'the host name cannot be resolved: use an address',
};

function listenError(error: NodeJS.ErrnoException, host: string, port: number): string {
  const reason = listenProblems[error.code ?? ''] ?? error.message;
  return `the REST API cannot listen on ${host}:${port} (restapi.listen): ${reason}`;
}

/** Takes nothing new, ends the waits of operators, gives answers under way a moment. */
function close(server: Server, closing: AbortController, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    closing.abort();
  });
}

/* ---------------------------------------------------------------- from HTTP to routes and back */

/** HEAD is Hono's: a GET whose body it drops. */
const readingMethods = ['GET', 'OPTIONS'];

function methodsOf(route: Route): string[] {
  return route.method === 'GET' ? readingMethods : [route.method];
}

type Handler = (context: Context) => Promise<Response>;

function createApp(agent: Agent, log: Log, closing: AbortSignal): Hono {
  // Load balancers are sometimes told `/primary/`.
  const app = new Hono({ strict: false });
  for (const route of routes) app.on(methodsOf(route), route.path, serve(agent, log, closing, route));
  app.on(readingMethods, '*', (context) => respond(getHealth(agent, parsePath(context)), context));
  app.all('*', (context) => respond(text(501, `Unsupported method ('${context.req.method}')`), context));
  app.onError((error, context) => {
    log.error('api-request-failed', 'a request ended with a fault of the agent', { error, stack: error.stack });
    return respond(text(500, 'the agent could not answer: its log tells why'), context);
  });
  return app;
}

function serve(agent: Agent, log: Log, closing: AbortSignal, route: Route): Handler {
  return async (context) => {
    const { path, query } = parsePath(context);
    if (route.method === 'GET') {
      return respond(await route.handle(agent, { path, query, body: {}, signal: closing }), context);
    }
    const body = route.body ? await readBody(context, route.body) : { ok: true as const, body: {} };
    const signal = AbortSignal.any([closing, context.req.raw.signal]);
    const reply = body.ok ? await route.handle(agent, { path, query, body: body.body, signal }) : body.reply;
    log.info('operator-request', `${route.method} ${path}`, { status: reply.status, answer: reply.body });
    return respond(reply, context);
  };
}

function parsePath(context: Context): { path: string; query: URLSearchParams } {
  const url = new URL(context.req.url);
  const path = url.pathname.length > 1 ? url.pathname.replace(/\/$/, '') : url.pathname;
  return { path, query: url.searchParams };
}

function respond(reply: Reply, context: Context): Response {
  const headers: Record<string, string> = {};
  // Not text/html as at Patroni: texts repeat what a request said, and a browser must not take that for a page.
  if (reply.type === 'text') headers['content-type'] = 'text/plain; charset=utf-8';
  if (reply.type === 'json') headers['content-type'] = 'application/json';
  // What is left of a body that was too long would be taken for the next request.
  if (reply.status === 413 || reply.status === 411) headers['connection'] = 'close';
  const isBare = reply.type === 'empty' || context.req.method === 'OPTIONS';
  // Else it would be sent in chunks, of which a client of HTTP/1.0 knows nothing.
  if (isBare) headers['content-length'] = '0';
  return new Response(isBare ? null : reply.body, { status: reply.status, headers });
}

type ReadBody = { readonly ok: true; readonly body: JsonObject } | { readonly ok: false; readonly reply: Reply };

/** Patroni's rules: a Content-Length where there must be a body, a JSON object, not empty where it is mandatory. */
async function readBody(context: Context, need: 'mandatory' | 'optional'): Promise<ReadBody> {
  const declared = context.req.header('content-length');
  if (declared === undefined) {
    // Node does not read a body without a length, unless it comes in chunks.
    const isChunked = context.req.header('transfer-encoding') !== undefined;
    if (need === 'optional' && !isChunked) return { ok: true, body: {} };
    return refuse(411, 'Length Required: a JSON object, and its Content-Length');
  }
  if (Number(declared) > maxBodyBytes) return refuse(413, `Content Too Large: at most ${maxBodyBytes} bytes`);
  if (Number(declared) === 0 && need === 'optional') return { ok: true, body: {} };
  const body = parseObject(await context.req.text());
  if (body === undefined) return refuse(400, 'Bad Request: the body must be a JSON object');
  if (need === 'mandatory' && Object.keys(body).length === 0)
    return refuse(400, 'Bad Request: the JSON object is empty');
  return { ok: true, body };
}

function refuse(status: number, reason: string): ReadBody {
  return { ok: false, reply: text(status, reason) };
}

function parseObject(source: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(source);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
