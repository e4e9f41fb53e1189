/** One member of etcd as it is reached at one address: a connection when one is needed, who we are there, and who it is. */
import { type Client, createClient } from '@connectrpc/connect';
import { connectHint, type Failure, failureOf } from './failure.ts';
import { encode } from './keys.ts';
import { Auth, Cluster, KV, Lease, Watch } from './messages.ts';
import { openSession, type Session, type TlsFiles } from './session.ts';

/** The services, over one connection. */
export interface Clients {
  readonly kv: Client<typeof KV>;
  readonly watch: Client<typeof Watch>;
  readonly lease: Client<typeof Lease>;
  readonly cluster: Client<typeof Cluster>;
}

/** Goes with every call. */
export interface CallOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** A request: what to do on a connection. It may throw what a client throws. */
export type Request<Value> = (clients: Clients, options: CallOptions) => Promise<Value>;

/** What became of one attempt. */
export type Attempt<Value> =
  | { readonly kind: 'answered'; readonly value: Value }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** How members are reached. */
export interface EndpointOptions {
  readonly tls: TlsFiles;
  readonly user: { readonly name: string; readonly password: string } | undefined;
  /** The keys that we may read: to ask whose member it is. */
  readonly prefix: string;
  /** Of what has to be done before the first request. */
  readonly timeoutMs: number;
}

/** Asked about right before a request leaves. */
export interface Gate {
  /** Undefined: it may be sent now. */
  readonly mayNotSend: (endpoint: Endpoint) => string | undefined;
}

/** One address. */
export interface Endpoint {
  readonly url: string;
  /** Whose member it is and which, as it said when the connection was made; undefined while there is none. */
  readonly identity: Identity | undefined;
  attempt<Value>(request: Request<Value>, gate: Gate, signal: AbortSignal): Promise<Attempt<Value>>;
  /** It answers late: is the connection alive? */
  doubt(): void;
  /** Ends the connection, also one that is being made. No attempt is of use any more. */
  close(error: string): void;
}

/** etcd's numbers for a cluster and a member of it. */
export interface Identity {
  readonly clusterId: bigint;
  readonly memberId: bigint;
}

/** Not connected before it is needed. */
export function createEndpoint(url: string, options: EndpointOptions): Endpoint {
  const endpoint: EndpointState = {
    url,
    options,
    ready: undefined,
    preparing: undefined,
    token: undefined,
    closing: new AbortController(),
    closed: undefined,
  };
  const self: Endpoint = {
    url,
    get identity() {
      return isAlive(endpoint.ready) ? endpoint.ready.identity : undefined;
    },
    attempt: (request, gate, signal) => attempt(endpoint, self, request, gate, signal),
    doubt: () => endpoint.ready?.session.doubt(),
    close(error) {
      endpoint.closed ??= error;
      endpoint.closing.abort();
      endpoint.ready?.session.end(error);
    },
  };
  return self;
}

interface EndpointState {
  readonly url: string;
  readonly options: EndpointOptions;
  ready: Ready | undefined;
  /** Shared by all that wait for it. */
  preparing: Promise<Prepared> | undefined;
  /**
   * Outlives the connection, not the member: a simple token is known to the member that gave it, as long as it runs.
   * '' where etcd asks for none.
   */
  token: string | undefined;
  readonly closing: AbortController;
  /** Why. */
  closed: string | undefined;
}

interface Ready {
  readonly session: Session;
  readonly clients: Clients;
  readonly identity: Identity;
}

type Prepared = { readonly ok: true; readonly ready: Ready } | { readonly ok: false; readonly error: string };

async function attempt<Value>(
  endpoint: EndpointState,
  self: Endpoint,
  request: Request<Value>,
  gate: Gate,
  signal: AbortSignal,
): Promise<Attempt<Value>> {
  for (let isRepeated = false; ; isRepeated = true) {
    const prepared = await untilAborted(prepare(endpoint), signal);
    if (!prepared.ok) return notDone(prepared.error);
    const refused = signal.aborted ? cancelled : gate.mayNotSend(self);
    if (refused !== undefined) return notDone(refused);
    try {
      const value = await request(prepared.ready.clients, { headers: headersOf(endpoint), signal });
      return { kind: 'answered', value };
    } catch (caught) {
      const failure = failureOf(caught);
      const isExpired = failure.reason === 'token' && endpoint.options.user !== undefined;
      if (isExpired) endpoint.token = undefined;
      if (isExpired && failure.isCertain && !isRepeated) continue;
      return { kind: 'failed', failure };
    }
  }
}

const cancelled = 'the call was cancelled';

function notDone(error: string): Attempt<never> {
  return { kind: 'failed', failure: { error, isCertain: true, reason: 'other' } };
}

/** `hasleader`: a member without a leader says so at once, and ends watches, instead of waiting for one. */
function headersOf({ token }: EndpointState): Readonly<Record<string, string>> {
  return token ? { hasleader: 'true', token } : { hasleader: 'true' };
}

/** Whatever is awaited goes on; only this caller does not wait for it any more. */
async function untilAborted(prepared: Promise<Prepared>, signal: AbortSignal): Promise<Prepared> {
  return await new Promise((resolve) => {
    const aborted = (): void => resolve({ ok: false, error: cancelled });
    if (signal.aborted) return aborted();
    signal.addEventListener('abort', aborted, { once: true });
    void prepared.then((outcome) => {
      signal.removeEventListener('abort', aborted);
      resolve(outcome);
    });
  });
}

/* ---------------------------------------------------------------- before the first request */

function prepare(endpoint: EndpointState): Promise<Prepared> {
  const { ready, closed } = endpoint;
  if (closed !== undefined) return Promise.resolve({ ok: false, error: closed });
  if (isAlive(ready) && endpoint.token !== undefined) return Promise.resolve({ ok: true, ready });
  endpoint.preparing ??= makeReady(endpoint).finally(() => {
    endpoint.preparing = undefined;
  });
  return endpoint.preparing;
}

function isAlive(ready: Ready | undefined): ready is Ready {
  return ready !== undefined && ready.session.ended === undefined;
}

async function makeReady(endpoint: EndpointState): Promise<Prepared> {
  const { url, options } = endpoint;
  const signal = AbortSignal.any([endpoint.closing.signal, AbortSignal.timeout(options.timeoutMs)]);
  if (isAlive(endpoint.ready)) return await introduce(endpoint, endpoint.ready.session, signal);
  const opened = await openSession(url, options.tls, signal);
  if (!opened.ok) return { ok: false, error: connectHint(opened.error) };
  const introduced = await introduce(endpoint, opened.session, signal);
  if (!introduced.ok || endpoint.closed !== undefined) {
    opened.session.end(introduced.ok ? 'closed' : introduced.error);
    return introduced.ok ? { ok: false, error: 'closed' } : introduced;
  }
  endpoint.ready = introduced.ready;
  return introduced;
}

/** Who we are, and whose member it is. A token of earlier may be one that it does not know any more. */
async function introduce(endpoint: EndpointState, session: Session, signal: AbortSignal): Promise<Prepared> {
  const { options } = endpoint;
  for (let isRepeated = false; ; isRepeated = true) {
    try {
      endpoint.token ??= await authenticate(session, options, signal);
      const clients = clientsOn(session);
      const identity = await identify(clients, options.prefix, { headers: headersOf(endpoint), signal });
      return { ok: true, ready: { session, clients, identity } };
    } catch (caught) {
      const failure = failureOf(caught);
      if (failure.reason === 'token') endpoint.token = undefined;
      if (failure.reason === 'token' && options.user !== undefined && !isRepeated) continue;
      const late = signal.aborted ? `no answer within ${options.timeoutMs} ms` : undefined;
      // Of TLS 1.3 the other side's verdict on our certificate comes when the connection seems to be there.
      return { ok: false, error: late ?? connectHint(session.ended ?? failure.error) };
    }
  }
}

function clientsOn({ transport }: Session): Clients {
  return {
    kv: createClient(KV, transport),
    watch: createClient(Watch, transport),
    lease: createClient(Lease, transport),
    cluster: createClient(Cluster, transport),
  };
}

/** A token, or '' where there is no user, or where etcd asks for none. */
async function authenticate({ transport }: Session, { user }: EndpointOptions, signal: AbortSignal): Promise<string> {
  if (user === undefined) return '';
  try {
    const { token } = await createClient(Auth, transport).authenticate(user, { signal });
    return token;
  } catch (caught) {
    if (failureOf(caught).reason === 'auth-off') return '';
    throw caught;
  }
}

/** Answered by the member alone, with or without a quorum. */
async function identify({ kv }: Clients, prefix: string, options: CallOptions): Promise<Identity> {
  const { header } = await kv.range({ key: encode(prefix), countOnly: true, serializable: true }, options);
  return { clusterId: header?.clusterId ?? 0n, memberId: header?.memberId ?? 0n };
}
