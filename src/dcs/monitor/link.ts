/** A connection that comes back: it connects when it is needed, with a capped back-off, and is set up before use. */
import { connectError } from './address.ts';
import { type Connection, openConnection, type Query, type Reply } from './connection.ts';
import { schemaVersion } from './schema.ts';

/** What to connect to, and who is told of it. */
export interface LinkOptions {
  readonly uri: string;
  readonly timeoutMs: number;
  /** Run on each new connection after the schema was checked, before it is used. */
  readonly setUp?: readonly Query[];
  /** It can be used, or has become idle again. */
  onReady(): void;
  /** An attempt failed, or the connection ended. `connected`: it had been usable. */
  onDown(error: string, connected: boolean): void;
  onNotification?(channel: string, payload: string): void;
}

/** One connection at a time, one query at a time. */
export interface Link {
  /** Connected, set up, and no query under way. */
  readonly ready: boolean;
  /** Ready, or a query is under way. */
  readonly connected: boolean;
  /** Sees to it that a connection is there, or is being made. */
  need(): void;
  /** Only when `ready`. A deadline missed ends the connection: the next query would wait behind this one. */
  query(query: Query, timeoutMs: number): Promise<Reply>;
  /** Ends the connection, if there is one. */
  drop(error: string): void;
  close(): void;
}

const firstBackoffMs = 50;
const maxBackoffMs = 1000;

/** Not connected before it is needed. */
export function createLink(options: LinkOptions): Link {
  const link: LinkState = {
    options,
    state: 'down',
    connection: undefined,
    backoffMs: 0,
    retry: undefined,
    notBefore: 0,
  };
  return {
    get ready() {
      return link.state === 'ready';
    },
    get connected() {
      return isConnected(link);
    },
    need() {
      if (link.state !== 'down') return;
      link.state = 'waiting';
      const waitMs = Math.max(0, link.notBefore - performance.now());
      if (waitMs === 0) void connect(link);
      else link.retry = setTimeout(() => void connect(link), waitMs);
    },
    query: (query, timeoutMs) => ask(link, query, timeoutMs),
    drop(error) {
      link.connection?.destroy(error);
      if (link.connection !== undefined) down(link, error);
    },
    close() {
      link.state = 'closed';
      clearTimeout(link.retry);
      link.connection?.close();
      link.connection = undefined;
    },
  };
}

interface LinkState {
  readonly options: LinkOptions;
  state: 'down' | 'waiting' | 'connecting' | 'ready' | 'busy' | 'closed';
  connection: Connection | undefined;
  backoffMs: number;
  retry: NodeJS.Timeout | undefined;
  /** Until when (of performance.now) no attempt is made. */
  notBefore: number;
}

function isConnected(link: LinkState): boolean {
  return link.state === 'ready' || link.state === 'busy';
}

// A state that changed during an await, which the compiler does not expect.
function isClosed(link: LinkState): boolean {
  return link.state === 'closed';
}

function down(link: LinkState, error: string): void {
  if (isClosed(link)) return;
  const connected = isConnected(link);
  link.state = 'down';
  link.connection = undefined;
  link.backoffMs = Math.min(Math.max(link.backoffMs * 2, firstBackoffMs), maxBackoffMs);
  link.notBefore = performance.now() + link.backoffMs;
  link.options.onDown(error, connected);
}

async function connect(link: LinkState): Promise<void> {
  const { options } = link;
  link.state = 'connecting';
  let mine: Connection | undefined;
  let endedEarly: string | undefined;
  const outcome = await openConnection(options.uri, options.timeoutMs, {
    onNotification: (channel, payload) => options.onNotification?.(channel, payload),
    onEnd: (error) => {
      endedEarly = connectError(options.uri, { message: error, code: '' });
      if (mine !== undefined && mine === link.connection) down(link, endedEarly);
    },
  });
  if (!outcome.ok) return down(link, outcome.error);
  mine = outcome.connection;
  const error = (await setUp(mine, options)) ?? endedEarly;
  if (isClosed(link)) return mine.close();
  if (error !== undefined) {
    mine.destroy(error);
    return down(link, error);
  }
  link.connection = mine;
  link.state = 'ready';
  options.onReady();
}

async function ask(link: LinkState, query: Query, timeoutMs: number): Promise<Reply> {
  const mine = link.connection;
  if (mine === undefined || link.state !== 'ready') throw new Error('a link was used that is not ready');
  link.state = 'busy';
  const reply = await withDeadline(mine, query, timeoutMs);
  if (mine !== link.connection) return reply;
  if (reply.kind === 'lost') {
    mine.destroy(reply.cause.message);
    down(link, connectError(link.options.uri, reply.cause));
  } else {
    link.backoffMs = 0;
    link.state = 'ready';
    link.options.onReady();
  }
  return reply;
}

async function withDeadline(connection: Connection, query: Query, timeoutMs: number): Promise<Reply> {
  const timer = setTimeout(() => connection.destroy(`no answer within ${timeoutMs} ms`), timeoutMs);
  const reply = await connection.query(query);
  clearTimeout(timer);
  return reply;
}

/** What is wrong with a new connection, or undefined. */
async function setUp(connection: Connection, options: LinkOptions): Promise<string | undefined> {
  const version = await withDeadline(connection, versionQuery, options.timeoutMs);
  if (version.kind !== 'row') return connectError(options.uri, version.cause);
  const unusable = checkVersion(version.row?.['version'], version.row?.['compatible_since']);
  if (unusable !== undefined) return connectError(options.uri, { message: unusable, code: '' });
  for (const query of options.setUp ?? []) {
    const reply = await withDeadline(connection, query, options.timeoutMs);
    if (reply.kind !== 'row') return connectError(options.uri, reply.cause);
  }
  return undefined;
}

const versionQuery: Query = {
  name: 'schema_version',
  text: `select (found->>'version')::integer as version, (found->>'compatibleSince')::integer as compatible_since
           from pgherd.schema_version() as found`,
  values: [],
};

function checkVersion(version: unknown, compatibleSince: unknown): string | undefined {
  if (typeof version !== 'number' || typeof compatibleSince !== 'number') {
    return 'the schema of this monitor was never finished: start it with "pgherd monitor"';
  }
  if (version < schemaVersion) {
    return `its schema has version ${version}, this pgherd needs ${schemaVersion}: restart the monitor with this pgherd`;
  }
  if (compatibleSince > schemaVersion) {
    return `its schema has version ${version}, which works with version ${compatibleSince} and later; this pgherd knows ${schemaVersion}: run a newer pgherd here`;
  }
  return undefined;
}
