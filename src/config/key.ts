/** How the schema is written down: a key is a kind of value with its help; a section is a map of keys, and strict. */
import * as z from 'zod';
import { isData, type Kind } from './values.ts';

interface KeyDoc {
  /** One line. */
  readonly help: string;
  /** As a person would write it. */
  readonly default?: string;
  /** Does this version do something with it? */
  readonly effective: boolean;
  /** Of a key without effect: values that change nothing, because they ask for what is done anyway. */
  readonly harmless?: (value: unknown) => boolean;
}

/** A key of the configuration file: how it is checked, and its line in the reference. */
export interface Key<Value> {
  readonly schema: z.ZodType<Value>;
  readonly doc: KeyDoc;
  /** What a value may be, in words. */
  readonly allowed: string;
  readonly secret: boolean;
  /** Of a section. */
  readonly fields?: Fields;
}

/** The keys of a section, by their names in the file. */
export type Fields = Readonly<Record<string, Key<unknown>>>;

/** The data of a section with these keys; all of them may be absent. */
export type Section<Of extends Fields> = {
  readonly [Name in keyof Of]?: (Of[Name] extends Key<infer Value> ? Value : never) | undefined;
};

type DocOptions = Omit<KeyDoc, 'help' | 'effective'>;

/** A key that this version acts on. */
export function key<Value>(kind: Kind<Value>, help: string, options: DocOptions = {}): Key<Value> {
  return { ...kind, doc: { help, effective: true, ...options } };
}

/** A key of Patroni's that this version knows and does nothing with. */
export function later<Value>(kind: Kind<Value>, help: string, options: DocOptions = {}): Key<Value> {
  return { ...kind, doc: { help, effective: false, ...options } };
}

/** A map with these keys and no others; each may be missing. */
export function strict<const Of extends Fields>(fields: Of): z.ZodType<Section<Of>>;
export function strict(fields: Fields): z.ZodType {
  const shape: Record<string, z.ZodType> = {};
  for (const [name, field] of Object.entries(fields)) shape[name] = field.schema.optional();
  // `tags:` with nothing behind it is YAML's null, and means the same as not saying it.
  const withoutNulls = (value: unknown): unknown =>
    isData(value)
      ? Object.fromEntries(
          Object.entries(value).filter(([name, given]) => given !== null || !Object.hasOwn(fields, name)),
        )
      : value;
  return z.preprocess(withoutNulls, z.strictObject(shape));
}

/** A section of keys. Whether it has effect is said by its keys. */
export function section<const Of extends Fields>(help: string, fields: Of): Key<Section<Of>> & { readonly fields: Of } {
  return { schema: strict(fields), doc: { help, effective: true }, allowed: 'a map of keys', secret: false, fields };
}

/** A section of Patroni's of which this version acts on nothing. */
export function laterSection<const Of extends Fields>(
  help: string,
  fields: Of,
  options: DocOptions = {},
): Key<Section<Of>> & { readonly fields: Of } {
  return { ...section(help, fields), doc: { help, effective: false, ...options } };
}

/** Every key below `fields` with its dotted path, parents first. */
export function* keysOf(fields: Fields, prefix: string = ''): Generator<readonly [path: string, key: Key<unknown>]> {
  for (const [name, field] of Object.entries(fields)) {
    yield [`${prefix}${name}`, field];
    if (field.fields) yield* keysOf(field.fields, `${prefix}${name}.`);
  }
}

/** The key at `path`; undefined when there is none, or when it is inside a value that the schema does not look into. */
export function keyAt(fields: Fields, path: readonly PropertyKey[]): Key<unknown> | undefined {
  let here: Fields | undefined = fields;
  let found: Key<unknown> | undefined;
  for (const step of path) {
    found = here && Object.hasOwn(here, String(step)) ? here[String(step)] : undefined;
    if (!found) return undefined;
    here = found.fields;
  }
  return found;
}

/** The value at `path` in the data. */
export function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let here = data;
  for (const step of path) {
    if (Array.isArray(here)) here = here[Number(step)];
    else here = isData(here) ? here[String(step)] : undefined;
  }
  return here;
}
