/**
 * The route table: method, path, handler. Handlers know the agent and plain data, nothing of the HTTP library.
 * Paths are exact. GET anywhere else is a health check that fails, any other method is not implemented.
 */
import type { OperatorRequest } from '../core/events.ts';
import type { Agent } from '../ports/agent.ts';
import { clusterBody, configBody, failsafeBody, historyBody, memberBody, toJson } from './bodies.ts';
import { memberFacts, settingsOf } from './facts.ts';
import { healthCode, livenessCode, readinessCode } from './health.ts';
import {
  type JsonObject,
  type Parsed,
  parseChange,
  parseReinitialize,
  parseRestart,
  type RequestFacts,
} from './requests.ts';

/** What goes back, before it is HTTP. */
export interface Reply {
  readonly status: number;
  readonly type: 'json' | 'text' | 'empty';
  readonly body: string;
}

/** What came in, after it was HTTP. */
export interface Request {
  readonly path: string;
  readonly query: URLSearchParams;
  /** Of a POST; an empty object when there was none, where there may be none. */
  readonly body: JsonObject;
  /** Aborts when the asker went away, or the server closes. */
  readonly signal: AbortSignal;
}

/** One line of the API. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** A POST's body, a JSON object: must it be there, may it, or is it not looked at? */
  readonly body?: 'mandatory' | 'optional';
  readonly handle: (agent: Agent, request: Request) => Reply | Promise<Reply>;
}

export const routes: readonly Route[] = [
  { method: 'GET', path: '/patroni', handle: (agent) => memberReply(200, agent) },
  { method: 'GET', path: '/cluster', handle: (agent) => json(200, clusterBody(agent.report(), agent.scope)) },
  { method: 'GET', path: '/history', handle: (agent) => json(200, historyBody(agent.report())) },
  { method: 'GET', path: '/config', handle: getConfig },
  { method: 'GET', path: '/failsafe', handle: getFailsafe },
  { method: 'GET', path: '/liveness', handle: getLiveness },
  { method: 'GET', path: '/readiness', handle: getReadiness },
  { method: 'POST', path: '/switchover', body: 'mandatory', handle: postChange('switchover') },
  { method: 'POST', path: '/failover', body: 'mandatory', handle: postChange('failover') },
  { method: 'POST', path: '/restart', body: 'optional', handle: postRestart },
  { method: 'POST', path: '/reinitialize', body: 'optional', handle: postReinitialize },
  { method: 'POST', path: '/reload', handle: (agent, { signal }) => operate(agent, { kind: 'reload' }, signal) },
  // Nothing can be scheduled in this version, so there is never anything to take back.
  { method: 'DELETE', path: '/switchover', handle: () => text(404, 'no switchover is scheduled') },
  { method: 'DELETE', path: '/restart', handle: () => text(404, 'no restarts are scheduled') },
];

/** GET of any path that is not in the table: the health checks, and 503 for what is none. */
export function getHealth(agent: Agent, { path, query }: Pick<Request, 'path' | 'query'>): Reply {
  return memberReply(healthCode(path, query, agent.report()), agent);
}

/** A reply of plain text. */
export function text(status: number, body: string): Reply {
  return { status, type: 'text', body };
}

function json(status: number, body: unknown): Reply {
  return { status, type: 'json', body: toJson(body) };
}

function memberReply(status: number, agent: Agent): Reply {
  const context = { scope: agent.scope, dcsLastSeenEpochS: agent.dcsLastSeenEpochS() };
  return json(status, memberBody(agent.report(), context));
}

function getConfig(agent: Agent): Reply {
  const body = configBody(agent.report().view);
  return body ? json(200, body) : text(502, 'the cluster has no configuration yet, or it was not read yet');
}

function getFailsafe(agent: Agent): Reply {
  const body = failsafeBody(agent.report().view);
  return body ? json(200, body) : text(502, 'failsafe mode is off, or no member is known yet');
}

function getLiveness(agent: Agent): Reply {
  return { status: livenessCode(agent.report(), agent.lastStepAt(), agent.now()), type: 'empty', body: '' };
}

function getReadiness(agent: Agent, { query }: Request): Reply {
  return { status: readinessCode(query, agent.report()), type: 'empty', body: '' };
}

/* ---------------------------------------------------------------- what operators ask for */

function postChange(action: 'switchover' | 'failover'): Route['handle'] {
  return (agent, { body, signal }) => operateParsed(agent, parseChange(action, body, requestFacts(agent)), signal);
}

function postRestart(agent: Agent, { body, signal }: Request): Promise<Reply> {
  return operateParsed(agent, parseRestart(body, requestFacts(agent)), signal);
}

function postReinitialize(agent: Agent, { body, signal }: Request): Promise<Reply> {
  return operateParsed(agent, parseReinitialize(body), signal);
}

function requestFacts(agent: Agent): RequestFacts {
  const report = agent.report();
  const serverVersion = memberFacts(report).running?.serverVersion;
  return { paused: report.paused, nowEpochMs: Date.now(), serverVersion };
}

async function operateParsed(agent: Agent, parsed: Parsed, signal: AbortSignal): Promise<Reply> {
  return parsed.ok ? operate(agent, parsed.request, signal) : text(parsed.status, parsed.text);
}

async function operate(agent: Agent, request: OperatorRequest, signal: AbortSignal): Promise<Reply> {
  const deadline = AbortSignal.timeout(operationTimeoutMs(agent, request));
  const answer = await agent.operate(request, AbortSignal.any([signal, deadline]));
  return text(answer.status, answer.text);
}

/** How long an asker waits at most. What was begun goes on after it; the answer then says that the outcome is not known. */
function operationTimeoutMs(agent: Agent, request: OperatorRequest): number {
  const settings = settingsOf(agent.report());
  if (request.kind === 'switchover' || request.kind === 'failover') return 2 * Math.max(10_000, settings.loopWaitMs);
  if (request.kind === 'restart') return settings.primaryStartTimeoutMs + 60_000;
  // The others are answered when they are begun.
  return settings.loopWaitMs + settings.retryTimeoutMs;
}
