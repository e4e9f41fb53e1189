/**
 * The token that lets a host join: the key under which the cluster's credentials are sealed in the DCS, and the DCS's own
 * password where it has one. Text: `KEY` or `KEY.PASSWORD`, each in base64url.
 */
import { randomBytes } from 'node:crypto';

/** What a token says. */
export interface Token {
  /** 256 random bits. */
  readonly key: Buffer;
  /** With which a member logs in to the DCS; undefined: it needs none, or finds its own. */
  readonly password: string | undefined;
}

const keyBytes = 32;

/** A new one. */
export function makeToken(password: string | undefined): Token {
  return { key: randomBytes(keyBytes), password };
}

/** As people copy it. */
export function formatToken({ key, password }: Token): string {
  const text = key.toString('base64url');
  return password === undefined ? text : `${text}.${Buffer.from(password).toString('base64url')}`;
}

/** Reads what `formatToken` wrote; undefined when it is no token, or not all of one. */
export function parseToken(text: string): Token | undefined {
  const match = /^([\w-]{43})(?:\.([\w-]+))?$/.exec(text.trim());
  if (match?.[1] === undefined) return undefined;
  const key = Buffer.from(match[1], 'base64url');
  if (key.length !== keyBytes) return undefined;
  return { key, password: match[2] === undefined ? undefined : Buffer.from(match[2], 'base64url').toString('utf8') };
}
