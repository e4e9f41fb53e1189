/**
 * A writer process: one for each database host, run in a namespace from which it reaches that host. It inserts
 * numbers of its own as long as the host takes writes, and notes every acknowledged one with the time, on the clock
 * that all processes of the machine share. A commit with a warning is not acknowledged: its wait was broken off.
 *
 *   node writer.ts HOST PORT FIRST OUTPUT
 */
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

const [host = '', port = '', first = '', output = ''] = process.argv.slice(2);
let next = Number(first);
let warned = false;

async function session(): Promise<Client | undefined> {
  const client = new Client({
    host,
    port: Number(port),
    user: 'postgres',
    password: 'x',
    database: 'postgres',
    connectionTimeoutMillis: 250,
    query_timeout: 500,
  });
  client.on('error', () => {});
  client.on('notice', ({ severity }) => {
    warned ||= severity === 'WARNING';
  });
  try {
    await client.connect();
    return client;
  } catch {
    void client.end().catch(() => {});
    return undefined;
  }
}

async function writeOn(client: Client): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
    if (rows[0]?.standby !== false) {
      await sleep(20);
      continue;
    }
    const number = next;
    next += 1;
    warned = false;
    await client.query(`insert into lab (number) values (${number})`);
    if (!warned) appendFileSync(output, `${number} ${Number(process.hrtime.bigint()) / 1e6}\n`);
    await sleep(4);
  }
}

while (true) {
  const client = await session();
  if (client === undefined) {
    await sleep(20);
    continue;
  }
  try {
    await writeOn(client);
  } catch {
    // The host is gone, or does not take writes: again.
  }
  // With a query unanswered this destroys the socket.
  client.end().catch(() => {});
  await sleep(10);
}
