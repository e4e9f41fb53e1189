/** The answers of `pgherd.read` and `pgherd.read_events`. */
import * as z from 'zod';
import type { Snapshot, StoredKey } from '../../ports/dcs.ts';

const readSchema = z.object({
  storeId: z.string(),
  revision: z.int().nonnegative(),
  endsInMs: z.number().nullable(),
  keys: z
    .array(z.tuple([z.string(), z.string(), z.int().positive(), z.int().positive(), z.string().nullable()]))
    .nullable(),
});

/** The keys, and when to look again. */
export interface Read {
  readonly snapshot: Snapshot;
  /** Until the next lease may end; Infinity when there is none. */
  readonly endsInMs: number;
}

/** `known` is the snapshot whose revision was named in the question. Undefined: not an answer of ours. */
export function decodeRead(answer: unknown, known: Snapshot | undefined): Read | undefined {
  if (typeof answer !== 'string') return undefined;
  const found = readSchema.safeParse(parse(answer));
  if (!found.success) return undefined;
  const { storeId, revision, keys } = found.data;
  const endsInMs = found.data.endsInMs ?? Number.POSITIVE_INFINITY;
  if (keys === null) {
    const same = known !== undefined && known.revision === revision && known.storeId === storeId;
    return same ? { snapshot: known, endsInMs } : undefined;
  }
  const map = new Map<string, StoredKey>();
  for (const [name, value, createRevision, modRevision, leaseId] of keys) {
    map.set(name, { value, createRevision, modRevision, ...(leaseId === null ? {} : { leaseId }) });
  }
  return { snapshot: { storeId, revision, keys: map }, endsInMs };
}

const eventsSchema = z.record(z.string(), z.string());

/** Undefined: not an answer of ours. */
export function decodeEvents(answer: unknown): ReadonlyMap<string, string> | undefined {
  const found = eventsSchema.safeParse(answer);
  return found.success ? new Map(Object.entries(found.data)) : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
