/**
 * `join`: what a host that joins needs to know and nobody else may: the cluster's credentials, sealed. It is written once,
 * by `pgherd create`; the agents, and Patroni's readers, pass over it.
 */
import * as z from 'zod';
import { type Decoded, decodeJson } from './decode.ts';
import { printJson } from './json.ts';

const bytes = z.string({ error: 'allowed: base64url' }).regex(/^[\w-]+$/, { error: 'allowed: base64url' });

const recordSchema = z.object(
  {
    version: z.literal(1, { error: 'allowed: 1; a newer pgherd wrote it: use that one here' }),
    /** The member that made the cluster, and when it prepared it. */
    by: z.string(),
    at: z.string(),
    salt: bytes,
    nonce: bytes,
    sealed: bytes,
    tag: bytes,
  },
  { error: 'allowed: a mapping' },
);

/** The record as it is stored. */
export type JoinRecord = z.infer<typeof recordSchema>;

/** What is sealed, and what opens it together with the token; each in base64url. */
export type SealedText = Pick<JoinRecord, 'salt' | 'nonce' | 'sealed' | 'tag'>;

/** The key, relative to the cluster's prefix. */
export const joinKey = 'join';

/** The text of the key. */
export function encodeJoinRecord(record: JoinRecord): string {
  return printJson(record);
}

/** Reads the text of the key. */
export function decodeJoinRecord(text: string): Decoded<JoinRecord> {
  return decodeJson(text, recordSchema);
}
