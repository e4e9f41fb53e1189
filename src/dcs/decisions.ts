/** `events/<member>`: the newest decisions of a member, for people. Nothing is decided on them. */
import * as z from 'zod';
import type { DecisionEvent } from '../core/signs.ts';
import { decodeJson } from './decode.ts';
import { printJson } from './json.ts';

const decisionsSchema = z.array(
  z.object({ at: z.string(), member: z.string(), term: z.int().nonnegative(), rule: z.string(), because: z.string() }),
);

/** The text of the key. */
export function encodeDecisions(decisions: readonly DecisionEvent[]): string {
  return printJson(decisions);
}

/** The decisions of all members by their (wall-clock) time, and whose key could not be read. */
export interface DecodedDecisions {
  readonly decisions: readonly DecisionEvent[];
  readonly unreadable: readonly { readonly key: string; readonly error: string }[];
}

/** `texts`: what the keys under `events/` hold, by their full names (`events/pg1`). */
export function decodeDecisions(texts: ReadonlyMap<string, string>): DecodedDecisions {
  const decisions: DecisionEvent[] = [];
  const unreadable: { key: string; error: string }[] = [];
  for (const [key, text] of texts) {
    const decoded = decodeJson(text, decisionsSchema);
    if (decoded.ok) decisions.push(...decoded.value);
    else unreadable.push({ key, error: `${key}: ${decoded.error}` });
  }
  // Offsets differ between hosts: the texts alone have no order. What is no time goes to the front.
  const when = ({ at }: DecisionEvent): number => Date.parse(at) || 0;
  decisions.sort((a, b) => when(a) - when(b));
  return { decisions, unreadable };
}
