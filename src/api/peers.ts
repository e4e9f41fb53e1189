/**
 * The way to the other members: one kept connection to each, since a beat must cost next to nothing. What is not answered
 * in time ends its connection: it may lead nowhere, and the next beat makes a new one.
 */
import { type ClientRequest, Agent as Connections, request as httpRequest, type IncomingMessage } from 'node:http';
import type { FailsafeAnswer, Peer, Peers } from '../ports/peers.ts';
import {
  decodeHeartbeat,
  encodeHeartbeat,
  encodeQuestion,
  failsafePath,
  heartbeatPath,
  maxMessageBytes,
} from './peer-messages.ts';

/** `scope`: of this cluster; who answers for another one is not heard. */
export function connectPeers(scope: string): Peers {
  const links = new Map<string, Link>();
  const linkTo = ({ member, apiUrl }: Peer): Link | undefined => {
    const found = links.get(member);
    if (found?.apiUrl === apiUrl) return found;
    found?.connections.destroy();
    links.delete(member);
    const link = openLink(apiUrl);
    if (link !== undefined) links.set(member, link);
    return link;
  };
  return {
    async heartbeat(peer, heartbeat, timeoutMs) {
      const link = linkTo(peer);
      if (link === undefined || link.beating) return undefined;
      link.beating = true;
      const result = await post(link, heartbeatPath, encodeHeartbeat(scope, heartbeat), timeoutMs);
      link.beating = false;
      if (!result.ok || result.status !== 200) return undefined;
      const answer = decodeHeartbeat(result.text);
      // Another member may have come to live at that address.
      return answer?.scope === scope && answer.content.from === peer.member ? answer.content : undefined;
    },
    async askFailsafe(peer, question, timeoutMs): Promise<FailsafeAnswer> {
      const link = linkTo(peer);
      if (link === undefined) return { accepted: false, because: `${peer.apiUrl}: not an address of a REST API` };
      const result = await post(link, failsafePath, encodeQuestion(scope, question), timeoutMs);
      if (!result.ok) return { accepted: false, because: `${peer.apiUrl}: ${result.error}` };
      return { accepted: result.status === 200, because: result.text };
    },
    close() {
      for (const link of links.values()) link.connections.destroy();
      links.clear();
    },
  };
}

interface Link {
  readonly apiUrl: string;
  readonly host: string;
  readonly port: number;
  readonly connections: Connections;
  beating: boolean;
}

function openLink(apiUrl: string): Link | undefined {
  if (!URL.canParse(apiUrl)) return undefined;
  const { protocol, hostname, port } = new URL(apiUrl);
  if (protocol !== 'http:' || hostname === '') return undefined;
  return {
    apiUrl,
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? 80 : Number(port),
    connections: new Connections({ keepAlive: true, maxFreeSockets: 1 }),
    beating: false,
  };
}

type Result =
  | { readonly ok: true; readonly status: number; readonly text: string }
  | { readonly ok: false; readonly error: string };

function post(link: Link, path: string, body: string, timeoutMs: number): Promise<Result> {
  const { host, port, connections: agent } = link;
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const request = httpRequest({ host, port, path, method: 'POST', agent, headers });
  return new Promise((resolve) => {
    const settle = (result: Result): void => {
      clearTimeout(timer);
      // After a whole answer the connection is kept; after anything else it goes.
      if (!result.ok) request.destroy();
      resolve(result);
    };
    const fail = (error: string): void => settle({ ok: false, error });
    const timer = setTimeout(() => fail(`no answer within ${Math.round(timeoutMs)} ms`), timeoutMs);
    listen(request, settle, fail);
    request.end(body);
  });
}

function listen(request: ClientRequest, settle: (result: Result) => void, fail: (error: string) => void): void {
  // Stays for good: destroying a request may still raise an error, when nobody waits any more.
  request.on('error', (error) => fail(error.message));
  request.on('response', (response: IncomingMessage) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (part: string) => {
      text += part;
      if (text.length > maxMessageBytes) fail(`the answer is longer than ${maxMessageBytes} bytes`);
    });
    response.on('error', (error) => fail(error.message));
    response.on('end', () => settle({ ok: true, status: response.statusCode ?? 0, text }));
  });
}
