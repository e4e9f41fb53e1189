/** What a newer pgherd wrote into a record: read as it is, and written back with it. */
import type { Newer } from '../core/model.ts';

/** The fields of `found` that `known` does not name, together; nothing when there are none, or it is no mapping. */
export function newerIn(found: unknown, known: object): { readonly newer?: Newer } {
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return {};
  const unknown = Object.entries(found).filter(([name]) => !Object.hasOwn(known, name));
  return unknown.length === 0 ? {} : { newer: Object.fromEntries(unknown) };
}
