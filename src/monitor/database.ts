/** The database in the monitor's PostgreSQL: made, upgraded, its role given a password. */
import { Client, escapeLiteral } from 'pg';
import { type RunSql, upgradeSchema } from '../dcs/monitor/upgrade.ts';
import { messageOf } from '../lib/caught.ts';

/** Where this monitor's server is reached by its own program. */
export interface Access {
  readonly socketDirectory: string;
  readonly port: number;
}

const queryTimeoutMs = 60_000;

/** Undefined: it takes connections. */
export async function whyNotReady(access: Access): Promise<string | undefined> {
  const session = await connect(access, 'postgres');
  if (typeof session === 'string') return session;
  await session.end();
  return undefined;
}

/** `password` of the role of the agents; undefined leaves it as it is. */
export async function prepareDatabase(
  access: Access,
  password: string | undefined,
): Promise<
  { readonly ok: true; readonly from: number; readonly to: number } | { readonly ok: false; readonly error: string }
> {
  try {
    const server = await connect(access, 'postgres');
    if (typeof server === 'string') return { ok: false, error: server };
    try {
      const found = await server.query("select from pg_database where datname = 'pgherd'");
      if (found.rowCount === 0) await server.query('create database pgherd');
    } finally {
      await server.end();
    }
    const database = await connect(access, 'pgherd');
    if (typeof database === 'string') return { ok: false, error: database };
    try {
      const run: RunSql = async (sql) => {
        const result = await database.query<Record<string, unknown>>(sql);
        // Several statements in one text give a list of results.
        return Array.isArray(result) ? [] : result.rows;
      };
      const outcome = await upgradeSchema(run, 'pgherd');
      if (outcome.ok && password !== undefined) {
        await database.query(`alter role pgherd password ${escapeLiteral(password)}`);
      }
      return outcome;
    } finally {
      await database.end();
    }
  } catch (error) {
    return { ok: false, error: `the monitor's database could not be prepared: ${messageOf(error)}` };
  }
}

async function connect({ socketDirectory, port }: Access, database: string): Promise<Client | string> {
  const client = new Client({
    host: socketDirectory,
    port,
    user: 'postgres',
    database,
    application_name: 'pgherd monitor',
    connectionTimeoutMillis: 5000,
    query_timeout: queryTimeoutMs,
  });
  // An error of a connection that is about to end must not end the process.
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    return messageOf(error);
  }
}
