/**
 * One HTTP/2 connection to one member of etcd. It is opened with a deadline and ends for good: nothing connects again behind
 * the back of a caller, who has to know whether a request can have left this host.
 */
import { readFile } from 'node:fs/promises';
import { type ClientHttp2Session, connect, constants, type SecureClientSessionOptions } from 'node:http2';
import type { Transport } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { messageOf } from '../../lib/caught.ts';

/** Paths of PEM files. They are read for each connection, so that new certificates need no restart. */
export interface TlsFiles {
  readonly cacert: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** An open connection. */
export interface Session {
  readonly transport: Transport;
  /** Why, once it has ended. */
  readonly ended: string | undefined;
  /** Is it still there? Asked by a ping, which ends the connection when no answer comes. Not more often than etcd permits. */
  doubt(): void;
  /** Ends it at once, with every request on it. */
  end(error: string): void;
}

/** A connection, or why there is none. */
export type SessionOutcome =
  | { readonly ok: true; readonly session: Session }
  | { readonly ok: false; readonly error: string };

/** etcd closes connections that ping more often than this without its having sent anything (--grpc-keepalive-min-time). */
const pingEveryMs = 6000;
const pingAnswerMs = 1000;

/** Connects to `url` (`https://HOST:PORT`; TLS files count with https alone) until `signal` aborts. */
export async function openSession(url: string, tls: TlsFiles, signal: AbortSignal): Promise<SessionOutcome> {
  const files = url.startsWith('https:') ? await readFiles(tls) : {};
  if ('error' in files) return { ok: false, error: files.error };
  if (signal.aborted) return { ok: false, error: 'the call was cancelled' };
  return await new Promise((resolve) => {
    const connection = connect(url, files);
    const failed = (error: string): void => {
      signal.removeEventListener('abort', late);
      connection.destroy();
      resolve({ ok: false, error });
    };
    const late = (): void => failed('no connection in time');
    const refused = (error: unknown): void => failed(describe(error));
    signal.addEventListener('abort', late, { once: true });
    connection.once('error', refused);
    // Also of a connection that is being given up: nobody else listens any more.
    connection.on('error', () => {});
    connection.once('close', () => failed('it closed the connection at once'));
    connection.once('connect', () => {
      signal.removeEventListener('abort', late);
      connection.off('error', refused);
      resolve({ ok: true, session: sessionOn(url, connection) });
    });
  });
}

function sessionOn(url: string, connection: ClientHttp2Session): Session {
  let ended: string | undefined;
  let heardAtMs = performance.now();
  let pingedAtMs = Number.NEGATIVE_INFINITY;
  let waiting: NodeJS.Timeout | undefined;
  const end = (error: string): void => {
    ended ??= error;
    clearTimeout(waiting);
    if (!connection.destroyed) connection.destroy(undefined, constants.NGHTTP2_CANCEL);
  };
  connection.on('error', (error) => end(describe(error)));
  // What is under way may still be answered; nothing new is sent.
  connection.on('goaway', () => {
    ended ??= 'it is going away';
    connection.close();
  });
  connection.on('close', () => end('it closed the connection'));
  connection.on('stream', (stream) => stream.close());
  const transport = createGrpcTransport({
    baseUrl: url,
    acceptCompression: [],
    sessionManager: {
      authority: new URL(url).origin,
      request: async (method, path, headers, options) => {
        const stream = connection.request({ ...headers, ':method': method, ':path': path }, options);
        stream.once('response', () => {
          heardAtMs = performance.now();
        });
        return stream;
      },
      notifyResponseByteRead() {
        heardAtMs = performance.now();
      },
    },
  });
  return {
    transport,
    get ended() {
      return ended;
    },
    doubt() {
      const now = performance.now();
      const isAllowed = heardAtMs > pingedAtMs || now >= pingedAtMs + pingEveryMs;
      if (ended !== undefined || waiting !== undefined || !isAllowed) return;
      pingedAtMs = now;
      waiting = setTimeout(() => end(`no answer to a ping within ${pingAnswerMs} ms`), pingAnswerMs);
      connection.ping(() => {
        clearTimeout(waiting);
        waiting = undefined;
      });
    },
    end,
  };
}

async function readFiles({ cacert, cert, key }: TlsFiles): Promise<SecureClientSessionOptions | { error: string }> {
  const [caPem, certPem, keyPem] = await Promise.all([cacert, cert, key].map(readPem));
  for (const pem of [caPem, certPem, keyPem]) if (pem !== undefined && 'error' in pem) return pem;
  return { ...given('ca', caPem), ...given('cert', certPem), ...given('key', keyPem) };
}

type Pem = { readonly text: string } | { readonly error: string } | undefined;

async function readPem(path: string | undefined): Promise<Pem> {
  if (path === undefined) return undefined;
  try {
    return { text: await readFile(path, 'utf8') };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

function given(name: 'ca' | 'cert' | 'key', pem: Pem): SecureClientSessionOptions {
  return pem !== undefined && 'text' in pem ? { [name]: pem.text } : {};
}

function describe(caught: unknown): string {
  // One error for each address of the host: they say the same.
  const first: unknown = caught instanceof AggregateError ? caught.errors[0] : caught;
  return messageOf(first) || 'it failed without a reason';
}
