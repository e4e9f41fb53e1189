/**
 * What members say to each other, as JSON. Checked by hand: a heartbeat comes many times a second, and anything may
 * listen on a port, or speak to one.
 */
import type { Heartbeat } from '../core/signs.ts';
import type { FailsafeQuestion } from '../ports/peers.ts';

export const heartbeatPath = '/heartbeat';
export const failsafePath = '/failsafe';

/** More than a heartbeat of the largest cluster; what is longer is not read. */
export const maxMessageBytes = 16 * 1024;

/** `scope`: of the sender's cluster. Silences in whole milliseconds. */
export function encodeHeartbeat(scope: string, { from, term, storeId, heardAgoMs }: Heartbeat): string {
  const rounded = Object.entries(heardAgoMs).map(([member, ms]) => [member, Math.round(ms)] as const);
  return JSON.stringify({ scope, from, term, store: storeId, heard_ago_ms: Object.fromEntries(rounded) });
}

/** `scope`: of the sender's cluster. */
export function encodeQuestion(scope: string, { from, term, number, ttlMs }: FailsafeQuestion): string {
  return JSON.stringify({ scope, from, term, number, ttl_ms: ttlMs });
}

/** A message and the cluster of its sender. */
interface Message<Content> {
  readonly scope: string;
  readonly content: Content;
}

/** Undefined: no heartbeat. */
export function decodeHeartbeat(text: string): Message<Heartbeat> | undefined {
  const found = parseMessage(text);
  const { from, term, store: storeId, heard_ago_ms: heard } = found?.fields ?? {};
  if (typeof storeId !== 'string') return undefined;
  if (found === undefined || typeof from !== 'string' || !isCount(term) || !isObject(heard)) return undefined;
  const heardAgoMs: Record<string, number> = {};
  for (const [member, ms] of Object.entries(heard)) {
    if (typeof ms !== 'number' || !(ms >= 0)) return undefined;
    heardAgoMs[member] = ms;
  }
  return { scope: found.scope, content: { from, term, storeId, heardAgoMs } };
}

/** Undefined: no question of ours (Patroni's has other fields). */
export function decodeQuestion(text: string): Message<FailsafeQuestion> | undefined {
  const found = parseMessage(text);
  const { from, term, number, ttl_ms: ttlMs } = found?.fields ?? {};
  if (found === undefined || typeof from !== 'string' || !isCount(term) || !isCount(number)) return undefined;
  return isCount(ttlMs) ? { scope: found.scope, content: { from, term, number, ttlMs } } : undefined;
}

type Fields = Readonly<Record<string, unknown>>;

function parseMessage(text: string): { readonly scope: string; readonly fields: Fields } | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(fields) || typeof fields['scope'] !== 'string') return undefined;
  return { scope: fields['scope'], fields };
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
