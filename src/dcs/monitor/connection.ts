/** One connection to the monitor: a socket that we own, one query at a time, and an end that is told at once. */
import { Socket } from 'node:net';
import { Client, type QueryResult } from 'pg';
import { type Cause, causeOf, connectError } from './address.ts';

/** Columns by name. */
export type Row = Readonly<Record<string, unknown>>;

/** What became of one query; of its rows only the first counts. */
export type Reply =
  | { readonly kind: 'row'; readonly row: Row | undefined }
  /** The server says that it did nothing. */
  | { readonly kind: 'nothing-done'; readonly cause: Cause }
  /** Sent, and no answer that settles it. */
  | { readonly kind: 'lost'; readonly cause: Cause };

/** A prepared statement and its values. */
export interface Query {
  /** Of the prepared statement: the server parses it once in a connection. */
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** One connection to the monitor. */
export interface Connection {
  /** Call it only when the last query has ended. */
  query(query: Query): Promise<Reply>;
  /** Ends it at once; a query in flight ends as lost. */
  destroy(error: string): void;
  /** Says goodbye to the server, then ends it. */
  close(): void;
}

/** Who is told what comes without being asked for. */
export interface ConnectionListener {
  onNotification(channel: string, payload: string): void;
  /** Once, however it ends. */
  onEnd(error: string): void;
}

/** A connection, or why there is none, for people. */
export type ConnectOutcome =
  | { readonly ok: true; readonly connection: Connection }
  | { readonly ok: false; readonly error: string };

/** Connects within `timeoutMs`. `error` names the URI without its password. */
export async function openConnection(
  uri: string,
  timeoutMs: number,
  listener: ConnectionListener,
): Promise<ConnectOutcome> {
  const socket = new Socket();
  let client: Client;
  try {
    client = new Client({ connectionString: uri, application_name: 'pgherd', stream: () => socket });
  } catch (error) {
    return { ok: false, error: connectError(uri, causeOf(error)) };
  }
  let endedBy: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  // Also keeps errors of a connection that is being given up from ending the process.
  client.on('error', (error) => {
    endedBy ??= error.message;
  });
  const deadline = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), timeoutMs);
  });
  const connected = client.connect().then(
    () => 'connected' as const,
    (error: unknown) => ({ error }),
  );
  const outcome = await Promise.race([connected, deadline]);
  clearTimeout(timer);
  if (outcome !== 'connected') {
    socket.destroy();
    const cause =
      outcome === 'late' ? { message: `no answer within ${timeoutMs} ms`, code: '' } : notConnected(outcome.error);
    return { ok: false, error: connectError(uri, cause) };
  }
  // A peer that is gone without a word is noticed even when nothing is asked of it.
  socket.setKeepAlive(true, 5000);
  client.on('notification', ({ channel, payload }) => listener.onNotification(channel, payload ?? ''));
  client.once('end', () => listener.onEnd(endedBy ?? 'the monitor closed the connection'));
  return {
    ok: true,
    connection: {
      query: ({ name, text, values }) =>
        client
          .query<Row>({ name, text, values: [...values] })
          .then(answered, (error: unknown) => failed(error, endedBy)),
      destroy(error) {
        endedBy ??= error;
        socket.destroy();
      },
      close() {
        endedBy ??= 'closed';
        // The goodbye is a courtesy to the server's log: nobody waits for it.
        client.end().catch(() => {});
        socket.unref();
      },
    },
  };
}

/** What closes a connection at once is hardly a monitor; the driver only says that it was closed. */
function notConnected(error: unknown): Cause {
  const cause = causeOf(error);
  if (cause.message !== 'Connection terminated unexpectedly') return cause;
  return { message: 'it closed the connection without a word: is this the address of a monitor?', code: '' };
}

function answered(result: QueryResult<Row>): Reply {
  return { kind: 'row', row: result.rows[0] };
}

/**
 * SQLSTATE classes of errors after which PostgreSQL has rolled back for certain: data, cardinality, privilege, syntax,
 * serialization and deadlock, resources, limits, object state, cancelled, raised by our functions. Others (connection,
 * shutdown, system, internal) may have come after the commit.
 */
const rolledBack = /^(?:21|22|23|25|28|3D|3F|42|53|54|55|P0)...$|^40001$|^40P01$|^57014$/;

function failed(error: unknown, endedBy: string | undefined): Reply {
  const cause = causeOf(error);
  if (rolledBack.test(cause.code)) return { kind: 'nothing-done', cause };
  return { kind: 'lost', cause: endedBy === undefined ? cause : { message: endedBy, code: '' } };
}
