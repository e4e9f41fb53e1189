/**
 * A client that writes: one row after the other, each number once, to whichever member takes it.
 * It records every commit that was acknowledged, and when: that is what may not be lost.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type DemoCluster, type DemoMember, memberConnection } from './cluster.ts';

/** A commit that PostgreSQL said was done. */
export interface Acknowledgement {
  readonly number: number;
  readonly member: string;
  /** Monotonic, in milliseconds. */
  readonly at: number;
}

/** A client that writes and keeps count. */
export interface Writer {
  readonly acknowledged: readonly Acknowledgement[];
  /** Who takes the writes now; undefined while nobody does. */
  target(): string | undefined;
  stop(): Promise<void>;
}

const connectMs = 500;
const statementMs = 1000;
const pauseMs = 10;
export const table = 'pgherd_demo';

interface Session {
  readonly member: DemoMember;
  readonly client: Client;
}

/** Writes one row after the other to whoever is primary, until it is stopped. */
export function startWriter(cluster: DemoCluster): Writer {
  const acknowledged: Acknowledgement[] = [];
  const stopping = new AbortController();
  let session: Session | undefined;
  let next = 1;

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      session ??= await findPrimary(cluster);
      if (session === undefined) {
        await sleep(20);
        continue;
      }
      const number = next;
      next += 1;
      if (await write(session, number)) {
        acknowledged.push({ number, member: session.member.name, at: performance.now() });
        await sleep(pauseMs);
      } else {
        destroy(session.client);
        session = undefined;
      }
    }
    if (session !== undefined) destroy(session.client);
  }

  const done = run();
  return {
    acknowledged,
    target: () => session?.member.name,
    stop: async () => {
      stopping.abort();
      await done;
    },
  };
}

/** The member that takes writes, with the table made. All are asked at once; the first that can is taken. */
async function findPrimary(cluster: DemoCluster): Promise<Session | undefined> {
  const attempts = await Promise.all(cluster.members.map((member) => connect(member)));
  const [chosen, ...others] = attempts.filter((one) => one !== undefined);
  for (const other of others) destroy(other.client);
  return chosen;
}

async function connect(member: DemoMember): Promise<Session | undefined> {
  const client = new Client({
    ...memberConnection(member),
    application_name: 'pgherd demo',
    connectionTimeoutMillis: connectMs,
    query_timeout: statementMs,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
    if (rows[0]?.standby === false) {
      await client.query(
        `create table if not exists ${table} (number bigint primary key, at timestamptz default clock_timestamp())`,
      );
      return { member, client };
    }
  } catch {
    // Not there, not ready, or not the primary any more.
  }
  destroy(client);
  return undefined;
}

/** A commit that came back with a warning was not waited for: it is no acknowledgement. */
async function write({ client }: Session, number: number): Promise<boolean> {
  let warned = false;
  const onNotice = (): void => {
    warned = true;
  };
  client.on('notice', onNotice);
  try {
    await client.query(`insert into ${table} (number) values ($1)`, [number]);
    return !warned;
  } catch {
    return false;
  } finally {
    client.off('notice', onNotice);
  }
}

function destroy(client: Client): void {
  client.end().catch(() => {});
}

/** Every number that the member has. */
export async function readBack(member: DemoMember): Promise<ReadonlySet<number>> {
  const client = new Client({ ...memberConnection(member), connectionTimeoutMillis: 5000, query_timeout: 60_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ number: string }>(`select number from ${table}`);
    return new Set(rows.map((row) => Number(row.number)));
  } finally {
    destroy(client);
  }
}

/** The longest pause between two acknowledgements that ends after `since`, in milliseconds. */
export function longestGapMs(acknowledged: readonly Acknowledgement[], since: number): number {
  let longest = 0;
  for (const [index, { at }] of acknowledged.entries()) {
    const before = acknowledged[index - 1];
    if (before !== undefined && at > since) longest = Math.max(longest, at - before.at);
  }
  return longest;
}
