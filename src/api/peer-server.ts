/**
 * What other members say to this one. Answered apart from the routes, before the HTTP library sees it: it comes many times
 * a second, and must be cheap.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Agent } from '../ports/agent.ts';
import {
  decodeHeartbeat,
  decodeQuestion,
  encodeHeartbeat,
  failsafePath,
  heartbeatPath,
  maxMessageBytes,
} from './peer-messages.ts';

/** No member waits longer for an answer; the core gives it in the step that takes the question. */
const failsafeAnswerMs = 10_000;

/** Answers a member's message; false: it is none, and somebody else has to answer. */
export function answerPeer(
  agent: Agent,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  closing: AbortSignal,
): boolean {
  if (incoming.method !== 'POST') return false;
  if (incoming.url === heartbeatPath) readAll(incoming, outgoing, (text) => answerHeartbeat(agent, text, outgoing));
  else if (incoming.url === failsafePath) {
    readAll(incoming, outgoing, (text) => void answerQuestion(agent, text, outgoing, closing));
  } else return false;
  return true;
}

function readAll(incoming: IncomingMessage, outgoing: ServerResponse, done: (text: string) => void): void {
  let text = '';
  incoming.setEncoding('utf8');
  incoming.on('data', (part: string) => {
    if (text.length <= maxMessageBytes) text += part;
  });
  // The connection broke: there is nobody to answer.
  incoming.on('error', () => {});
  incoming.on('end', () => {
    if (text.length > maxMessageBytes) send(outgoing, 413, `Content Too Large: at most ${maxMessageBytes} bytes`);
    else done(text);
  });
}

function send(outgoing: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  outgoing.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  outgoing.end(body);
}

function answerHeartbeat(agent: Agent, text: string, outgoing: ServerResponse): void {
  const found = decodeHeartbeat(text);
  if (found === undefined) return send(outgoing, 400, 'Bad Request: not a heartbeat');
  const { scope, content } = found;
  const refused = strangerText(agent, scope, content.from);
  if (refused !== undefined) return send(outgoing, 409, refused);
  send(outgoing, 200, encodeHeartbeat(agent.scope, agent.hear(content)), 'application/json');
}

async function answerQuestion(
  agent: Agent,
  text: string,
  outgoing: ServerResponse,
  closing: AbortSignal,
): Promise<void> {
  const found = decodeQuestion(text);
  if (found === undefined) return send(outgoing, 400, 'Bad Request: scope, from, term and number are needed');
  const { scope, content } = found;
  const refused = strangerText(agent, scope, content.from);
  if (refused !== undefined) return send(outgoing, 409, refused);
  const signal = AbortSignal.any([closing, AbortSignal.timeout(failsafeAnswerMs)]);
  const answer = await agent.askFailsafe(content, signal);
  send(outgoing, answer.status, answer.text);
}

/** Two clusters, or two members of one name, that were given the same address. */
function strangerText(agent: Agent, scope: string, from: string): string | undefined {
  if (scope !== agent.scope) return `this is a member of the cluster ${agent.scope}, not of ${scope}`;
  return from === agent.name ? `this member is called ${from} itself` : undefined;
}
