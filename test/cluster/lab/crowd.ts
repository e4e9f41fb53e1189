/**
 * Clients that take every connection and keep them: those of an ordinary user first, then those that are left to
 * superusers. Says `full` when nobody gets in any more.
 *
 *   node crowd.ts HOST PORT
 */
import { Client } from 'pg';

const [host = '', port = ''] = process.argv.slice(2);

async function takeAll(user: string): Promise<void> {
  for (;;) {
    const client = new Client({ host, port: Number(port), user, password: 'x', database: 'postgres' });
    client.on('error', () => {});
    try {
      await client.connect();
    } catch {
      return;
    }
  }
}

await takeAll('guest');
await takeAll('postgres');
process.stdout.write('full\n');
