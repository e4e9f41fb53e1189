/** The schema that the writer writes to: made before, read back and dropped afterwards; nothing else is touched. */
import { type ApplicationName, type ClientTimeouts, findWritable, openClient } from './client.ts';
import type { Target } from './login.ts';

/** Done, or why not. */
export type SchemaOutcome = { readonly ok: true } | { readonly ok: false; readonly error: string };

/** Every number that is there, or why they could not be read. */
export type ReadBackOutcome =
  | { readonly ok: true; readonly member: string; readonly numbers: ReadonlySet<number> }
  | { readonly ok: false; readonly error: string };

/** The table in a schema of ours. */
export function tableIn(schema: string): string {
  return `${schema}.written`;
}

/** For statements that are no part of the measurement. */
const timeouts: ClientTimeouts = { connectMs: 5000, queryMs: 60_000 };
const findMs = 15_000;

/** Makes the schema and its table at the primary. */
export async function createSchema(
  targets: readonly Target[],
  schema: string,
  name: ApplicationName,
  signal: AbortSignal,
): Promise<SchemaOutcome> {
  const table = `${tableIn(schema)} (number bigint primary key, at timestamptz not null default clock_timestamp())`;
  const done = await atPrimary(targets, `create schema ${schema}; create table ${table}`, name, signal);
  return done.ok ? { ok: true } : done;
}

/** Drops the schema with what is in it. */
export async function dropSchema(
  targets: readonly Target[],
  schema: string,
  name: ApplicationName,
  signal: AbortSignal,
): Promise<SchemaOutcome> {
  const done = await atPrimary(targets, `drop schema if exists ${schema} cascade`, name, signal);
  return done.ok ? { ok: true } : done;
}

/** What the present primary has. */
export async function readBack(
  targets: readonly Target[],
  schema: string,
  name: ApplicationName,
  signal: AbortSignal,
): Promise<ReadBackOutcome> {
  const read = await atPrimary(targets, `select number from ${tableIn(schema)}`, name, signal);
  if (!read.ok) return read;
  return { ok: true, member: read.member, numbers: new Set(read.rows.map((row) => Number(row['number']))) };
}

type Done =
  | { readonly ok: true; readonly member: string; readonly rows: readonly Readonly<Record<string, unknown>>[] }
  | { readonly ok: false; readonly error: string };

/** The primary is found as the writer finds it; the statement gets a session of its own, with more time. */
async function atPrimary(
  targets: readonly Target[],
  statement: string,
  applicationName: ApplicationName,
  signal: AbortSignal,
): Promise<Done> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(findMs)]);
  const found = await findWritable(targets, { applicationName, signal: deadline });
  if (found === undefined) return { ok: false, error: `no member took writes within ${findMs / 1000} s` };
  found.session.close();
  const { target } = found;
  const opened = await openClient(target, applicationName, timeouts);
  if (!opened.ok) return { ok: false, error: `${target.name}: ${opened.error}` };
  const answer = await opened.session.query(statement);
  opened.session.close();
  return answer.ok
    ? { ok: true, member: target.name, rows: answer.rows }
    : { ok: false, error: `${target.name}: ${answer.error}` };
}
