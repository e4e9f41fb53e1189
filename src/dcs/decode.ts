/** Reading text of the store against a schema, with errors that tell what was found and what is allowed. */
import * as z from 'zod';
import { type Lsn, lsn, parseLsn } from '../core/lsn.ts';
import { newerIn } from '../lib/newer.ts';
import { excerpt, isMapping, parseJson } from './json.ts';

/** One thing that is wrong with a value. */
export interface Issue {
  /** Where in the value: names and indexes, outermost first. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A value of the right form, or all that is wrong with it. */
export type Decoded<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: string; readonly issues: readonly Issue[] };

/** Text from the store, which others write too: whatever it is, this does not throw. */
export function decodeJson<Value>(text: string, schema: z.ZodType<Value>): Decoded<Value> {
  const parsed = parseJson(text);
  if (!parsed.ok) return { ok: false, error: parsed.error, issues: [{ path: [], message: parsed.error }] };
  return decodeValue(parsed.value, schema);
}

/** The same for a value that is parsed already. */
export function decodeValue<Value>(raw: unknown, schema: z.ZodType<Value>): Decoded<Value> {
  const result = schema.safeParse(raw);
  if (result.success) return { ok: true, value: result.data };
  const issues = result.error.issues.map((issue): Issue => {
    const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
    return { path, message: `found ${excerpt(valueAt(raw, path))}: ${issue.message}` };
  });
  const error = issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message));
  return { ok: false, error: error.join('; '), issues };
}

function valueAt(raw: unknown, path: readonly (string | number)[]): unknown {
  let value = raw;
  for (const part of path) {
    if (!isMapping(value)) return undefined;
    value = value[part];
  }
  return value;
}

const maxLsn = 0xffff_ffff_ffff_ffffn;

const lsnNumberAllowed = 'allowed: an LSN as a whole number of bytes';

/** An LSN as Patroni writes it: a count of bytes. */
export const lsnNumber = z
  .union([z.int(), z.bigint()], { error: lsnNumberAllowed })
  .transform((bytes, context): Lsn => {
    if (bytes >= 0 && bytes <= maxLsn) return lsn(bytes);
    context.issues.push({ code: 'custom', message: lsnNumberAllowed, input: bytes });
    return z.NEVER;
  });

/** An LSN as PostgreSQL and our own records write it: `0/3000088`. */
export const lsnText = z.string({ error: 'allowed: an LSN like 0/3000088' }).transform((text, context): Lsn => {
  const value = parseLsn(text);
  if (value !== undefined) return value;
  context.issues.push({ code: 'custom', message: 'allowed: an LSN like 0/3000088', input: text });
  return z.NEVER;
});

/** A field that may be missing or null, which Patroni takes for the same. */
export function optional<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined);
}

/** An object of this shape; fields that the shape does not name are kept together under `newer`. */
export function keepingNewer<Shape extends z.ZodRawShape>(shape: Shape, allowed: { readonly error: string }) {
  return z.object(shape, allowed).and(z.unknown().transform((found) => newerIn(found, shape)));
}
