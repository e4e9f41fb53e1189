/**
 * Asking other agents. Every call ends by its deadline, whatever the other side does, and none throws.
 * On node:http, which the server has loaded anyway: `fetch` is a second HTTP implementation (1.4 MB, a pool of connections).
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { type ClusterAnswer, clusterAnswer, type MemberAnswer, memberAnswer } from './answers.ts';

/** How long a call may take, and what cancels it. */
export interface CallOptions {
  /** For all of it: name resolution, connection, request, the last byte of the answer. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** No usable answer; `error` says of whom and why. */
export interface CallFailure {
  readonly ok: false;
  readonly error: string;
}

/** What can be asked of a member, and what it answers. */
export interface MemberAnswers {
  readonly '/patroni': MemberAnswer;
  readonly '/cluster': ClusterAnswer;
}

/** An operator's command was answered; whether it was done tell `status` (HTTP) and `text`. */
export type CommandResult = { readonly ok: true; readonly status: number; readonly text: string } | CallFailure;

const schemas: { readonly [Path in keyof MemberAnswers]: z.ZodType<MemberAnswers[Path]> } = {
  '/patroni': memberAnswer,
  '/cluster': clusterAnswer,
};

/** More than the largest cluster says; a foreign server is not read to its end. */
const maxAnswerBytes = 1024 * 1024;

/** `url`: where the member's API is; only its origin counts (members publish `http://host:8008/patroni`). */
export async function askMember<Path extends keyof MemberAnswers>(
  url: string,
  path: Path,
  options: CallOptions,
): Promise<{ readonly ok: true; readonly answer: MemberAnswers[Path] } | CallFailure> {
  const result = await call('GET', url, path, undefined, options);
  if (!result.ok) return result;
  const where = `${originOf(url)}${path}`;
  if (result.status !== 200) return { ok: false, error: `${where} answered ${result.status}` };
  const checked = schemas[path].safeParse(parseJson(result.text));
  if (checked.success) return { ok: true, answer: checked.data };
  const issue = checked.error.issues[0];
  const at = issue?.path.join('.') || 'the answer';
  return { ok: false, error: `${where} is not answered by an agent: ${at}: ${issue?.message}` };
}

/** POST of a JSON object, or of nothing; the answer's text is for people. */
export function command(
  url: string,
  path: string,
  body: Readonly<Record<string, unknown>> | undefined,
  options: CallOptions,
): Promise<CommandResult> {
  return call('POST', url, path, body && JSON.stringify(body), options);
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function call(
  method: 'GET' | 'POST',
  url: string,
  path: string,
  body: string | undefined,
  { timeoutMs, signal }: CallOptions,
): Promise<CommandResult> {
  const origin = originOf(url);
  if (origin === undefined) return failed(`not a URL: ${url}`);
  if (!origin.startsWith('http://')) return failed(`${origin}: only http:// is available in this version`);
  if (signal?.aborted) return failed(`${origin}: cancelled`);
  return new Promise((resolve) => {
    const headers = {
      accept: 'application/json, text/plain',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(method === 'POST' && { 'content-length': Buffer.byteLength(body ?? '') }),
    };
    // `agent: false`: a connection of its own. A kept one may be half dead, and calls are rare.
    const request = httpRequest(new URL(path, origin), { method, headers, agent: false });
    const settle = (result: CommandResult): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
      request.destroy();
      resolve(result);
    };
    const fail = (error: string): void => settle({ ok: false, error: `${origin}: ${error}` });
    const cancel = (): void => fail('cancelled');
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs);
    signal?.addEventListener('abort', cancel, { once: true });
    // Stays for good: destroying a request may still raise an error, when nobody waits any more.
    request.on('error', (error) => fail(error.message));
    request.on('response', (response) => readAnswer(response, settle, fail));
    request.end(body);
  });
}

function readAnswer(
  response: IncomingMessage,
  settle: (result: CommandResult) => void,
  fail: (error: string) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) fail(`the answer is longer than ${maxAnswerBytes} bytes`);
  });
  response.on('error', (error) => fail(error.message));
  response.on('end', () => {
    settle({ ok: true, status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
  });
}

function failed(error: string): Promise<CallFailure> {
  return Promise.resolve({ ok: false, error });
}
