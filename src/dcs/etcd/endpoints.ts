/** Which member is asked: the one that answered last, then the others. All of them must belong to one etcd cluster. */
import type { Endpoint, EndpointOptions, Request } from './endpoint.ts';
import { createMembers, type Members, type SeedOptions } from './members.ts';
import { type Asked, runRound } from './round.ts';

/** Which etcd, and how its members are reached. */
export interface EndpointsOptions extends EndpointOptions {
  readonly seeds: SeedOptions;
  /** Learn the members' addresses from the members. Not where these are behind a proxy. */
  readonly discover: boolean;
}

/** How far a request may be repeated; see `round.ts`. */
export interface AskOptions<Value> {
  readonly isRepeatable: boolean;
  readonly isFinal?: (value: Value) => boolean;
  /** Who is asked first. */
  readonly first?: Endpoint;
  /** Default: the common one. */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
}

/** The members of one etcd cluster. */
export interface Endpoints {
  /** Where they are, for people. */
  readonly description: string;
  ask<Value>(request: Request<Value>, options: AskOptions<Value>): Promise<Asked<Value>>;
  /** Who answered last, or who is to be asked first; undefined while no address is known. */
  current(): Promise<Endpoint | undefined>;
  /** This one is of no use: the next one is asked first. */
  pass(endpoint: Endpoint): void;
  /** Why this member must not be asked. */
  unfit(endpoint: Endpoint): string | undefined;
  close(): void;
}

/** Nothing is connected before it is needed. */
export function createEndpoints(options: EndpointsOptions): Endpoints {
  const state: State = {
    options,
    members: createMembers(options.seeds, options),
    current: undefined,
    clusterId: undefined,
    learnAgainAtMs: 0,
    isClosed: false,
  };
  return {
    description: describe(options.seeds),
    ask: (request, ask) => askMembers(state, request, ask),
    async current() {
      await state.members.resolve();
      return inOrder(state, undefined)[0];
    },
    pass: (endpoint) => pass(state, endpoint),
    unfit: (endpoint) => unfit(state, endpoint),
    close() {
      state.isClosed = true;
      state.members.close();
    },
  };
}

interface State {
  readonly options: EndpointsOptions;
  readonly members: Members;
  current: Endpoint | undefined;
  /** Of the cluster that the members belong to. */
  clusterId: bigint | undefined;
  learnAgainAtMs: number;
  isClosed: boolean;
}

function describe({ urls, srv }: SeedOptions): string {
  return `etcd ${[...urls, ...(srv === undefined ? [] : [`of ${srv.domain}`])].join(', ')}`;
}

async function askMembers<Value>(
  state: State,
  request: Request<Value>,
  { isRepeatable, isFinal = () => true, first, timeoutMs = state.options.timeoutMs, signal }: AskOptions<Value>,
): Promise<Asked<Value>> {
  const unresolved = await state.members.resolve();
  const endpoints = state.isClosed ? [] : inOrder(state, first);
  const asked = await runRound({
    request,
    endpoints,
    isRepeatable,
    isFinal,
    unfit: (endpoint) => unfit(state, endpoint),
    onSilence: (endpoint) => endpoint.doubt(),
    timeoutMs,
    signal,
  });
  if (asked.kind === 'answered') {
    state.current = asked.endpoint;
    learn(state);
    return asked;
  }
  if (asked.kind === 'no-such-lease') return asked;
  reconsider(state);
  const why = endpoints.length > 0 ? asked.error : state.isClosed ? 'closed' : (unresolved ?? asked.error);
  return { ...asked, error: `etcd ${why}` };
}

/** `first`, or who answered last; then the others in their order, each member once. */
function inOrder({ members, current }: State, first: Endpoint | undefined): readonly Endpoint[] {
  const { endpoints } = members;
  const begin = [first, current].find((endpoint) => endpoint !== undefined && endpoints.includes(endpoint));
  const at = begin === undefined ? 0 : endpoints.indexOf(begin);
  const turned = [...endpoints.slice(at), ...endpoints.slice(0, at)];
  const known = new Set<bigint>();
  return turned.filter(({ identity }) => {
    if (identity === undefined) return true;
    const isNew = !known.has(identity.memberId);
    known.add(identity.memberId);
    return isNew;
  });
}

function pass(state: State, endpoint: Endpoint): void {
  const [first, second] = inOrder(state, undefined);
  if (first === endpoint && second !== undefined) state.current = second;
}

/* ---------------------------------------------------------------- one cluster */

function unfit(state: State, { identity }: Endpoint): string | undefined {
  if (identity === undefined) return 'the connection was lost';
  state.clusterId ??= identity.clusterId;
  if (identity.clusterId === state.clusterId) return undefined;
  const [its, ours] = [identity.clusterId, state.clusterId].map((id) => id.toString(16));
  return `it is a member of another etcd cluster (${its}) than the others (${ours})`;
}

/**
 * Nobody answered. Where more than half of the configured addresses now lead to another cluster, and none to the one that was
 * there, etcd was replaced: it is gone on with, and whoever reads learns of another store.
 */
function reconsider(state: State): void {
  const { seeds, endpoints } = state.members;
  if (endpoints.some(({ identity }) => identity?.clusterId === state.clusterId)) return;
  const ids = seeds.flatMap(({ identity }) => (identity === undefined ? [] : [identity.clusterId]));
  const replacement = ids.find((id) => ids.filter((other) => other === id).length > seeds.length / 2);
  if (replacement !== undefined) state.clusterId = replacement;
}

/* ---------------------------------------------------------------- who is there */

const learnEveryMs = 60_000;
const learnAfterFailureMs = 2000;

/** Members come and go: now and then one of them is asked who they are. Whatever comes of it, there are addresses. */
function learn(state: State): void {
  const now = performance.now();
  if (!state.options.discover || state.isClosed || now < state.learnAgainAtMs) return;
  state.learnAgainAtMs = now + learnEveryMs;
  const signal = AbortSignal.timeout(state.options.timeoutMs);
  const list: Request<readonly string[]> = async ({ cluster }, options) => {
    const { members } = await cluster.memberList({}, options);
    return members.flatMap(({ clientUrls }) => clientUrls);
  };
  void askMembers(state, list, { isRepeatable: true, signal }).then((asked) => {
    if (asked.kind !== 'answered') state.learnAgainAtMs = performance.now() + learnAfterFailureMs;
    else if (!state.isClosed) state.members.learn(asked.value.filter(isUsable));
  });
}

function isUsable(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return /^https?:$/.test(protocol) && hostname !== '0.0.0.0' && hostname !== '[::]';
}
