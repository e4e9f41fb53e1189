/** Clients of a cluster on loopback: one for each member inserts numbers as long as that member takes writes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Member, password } from './member.ts';

/** A commit that a client was told of. */
export interface Acknowledged {
  readonly member: string;
  readonly number: number;
  /** Of performance.now. */
  readonly atMs: number;
}

export interface Writers {
  readonly acknowledged: readonly Acknowledged[];
  /** The longest time without an acknowledged write, from `sinceMs` until now. */
  gapMs(sinceMs: number): number;
  /** Acknowledged ones that `member` does not have. */
  missingIn(member: Member): Promise<readonly Acknowledged[]>;
  stop(): Promise<void>;
}

/** The table is there already: `create table written (number int primary key)`. */
export function startWriters(members: readonly Member[]): Writers {
  const acknowledged: Acknowledged[] = [];
  const ending = new AbortController();
  let next = 0;
  const write = async (member: Member): Promise<void> => {
    while (!ending.signal.aborted) {
      const client = await session(member);
      if (client === undefined) {
        await sleep(20);
        continue;
      }
      try {
        while (!ending.signal.aborted && (await isWritable(client))) {
          next += 1;
          const number = next;
          await client.query(`insert into written values (${number})`);
          acknowledged.push({ member: member.name, number, atMs: performance.now() });
          await sleep(5);
        }
      } catch {
        // It is gone, or does not take writes: again.
      }
      client.end().catch(() => {});
      await sleep(20);
    }
  };
  const all = Promise.all(members.map(write));
  return {
    acknowledged,
    gapMs(sinceMs) {
      const times = acknowledged.map(({ atMs }) => atMs).filter((atMs) => atMs >= sinceMs);
      const moments = [sinceMs, ...times.toSorted((a, b) => a - b), performance.now()];
      return Math.max(...moments.map((moment, index) => moment - (moments[index - 1] ?? moment)));
    },
    async missingIn(member) {
      const known = [...acknowledged];
      const there = new Set((await member.sql('select number from written')).map((row) => Number(row['number'])));
      return known.filter(({ number }) => !there.has(number));
    },
    async stop() {
      ending.abort();
      await all;
    },
  };
}

async function session({ port }: Member): Promise<Client | undefined> {
  const client = new Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password,
    database: 'postgres',
    connectionTimeoutMillis: 250,
    query_timeout: 500,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch {
    client.end().catch(() => {});
    return undefined;
  }
}

async function isWritable(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  return rows[0]?.standby === false;
}
