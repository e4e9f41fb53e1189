/**
 * The kinds of values that a configuration file holds: what each accepts, and how that is said.
 * A kind reads what YAML gave; what it does not accept becomes an issue with the words for "allowed".
 */
import * as z from 'zod';

/** A map as YAML gives it. */
export type Data = { readonly [key: string]: unknown };

/** Is it a map of keys? */
export function isData(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What was found, for a message: a scalar itself (shortened), of the rest only its kind. */
export function describeFound(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'a list' : 'a map of keys';
}

/** A kind of value: its schema, and the words for what it accepts (used in messages and in the reference). */
export interface Kind<Value> {
  readonly schema: z.ZodType<Value>;
  readonly allowed: string;
  readonly secret: boolean;
}

/** A kind whose values are read by `read`; undefined = not accepted. */
export function kind<Value>(
  allowed: string,
  read: (value: unknown) => Value | undefined,
  options: { readonly secret?: boolean } = {},
): Kind<Value> {
  const secret = options.secret ?? false;
  const schema = z.unknown().transform((value, context): Value => {
    const result = read(value);
    if (result !== undefined) return result;
    context.addIssue({ code: 'custom', message: allowed, params: { secret } });
    return z.NEVER;
  });
  return { schema, allowed, secret };
}

/** `no` and `on` are booleans in YAML, so that text which reads like this must be in quotes. */
function readText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : undefined;
}

const textAllowed = 'text (in quotes, where YAML takes it for something else)';
export const text = kind(textAllowed, readText);
export const secretText = kind(textAllowed, readText, { secret: true });
const filledText = (value: unknown): string | undefined => readText(value)?.trim() || undefined;
export const path = kind('a path', filledText);
export const command = kind('a command line', filledText);

/** Patroni's booleans: YAML's true/false and on/off/yes/no, as text or number too. */
export function readBoolean(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  const word = readText(value)?.toLowerCase() ?? '';
  if (['true', 'on', 'yes', '1'].includes(word)) return true;
  if (['false', 'off', 'no', '0'].includes(word)) return false;
  return undefined;
}

export const boolean = kind('true or false', readBoolean);

/** A number, also in quotes; undefined for anything else. */
function readNumber(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

/** A whole number within these bounds. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Kind<number> {
  const range = max === Number.MAX_SAFE_INTEGER ? `of ${min} or more` : `from ${min} to ${max}`;
  return kind(`a whole number ${range}`, (value) => {
    const number = readNumber(value);
    return number !== undefined && Number.isSafeInteger(number) && number >= min && number <= max ? number : undefined;
  });
}

/** A number that is not below `min`. */
export function number(min: number): Kind<number> {
  return kind(`a number of ${min} or more`, (value) => {
    const found = readNumber(value);
    return found !== undefined && found >= min ? found : undefined;
  });
}

const unitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `10`, `0.5` (seconds), `30min`, `500ms`: milliseconds; undefined when it is no duration. */
function readDurationMs(value: unknown): number | undefined {
  const seconds = readNumber(value);
  if (seconds !== undefined) return seconds * 1000;
  const match = /^\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|min|h|d)\s*$/.exec(readText(value) ?? '');
  const unit = unitsMs[match?.[2] ?? ''];
  return match && unit !== undefined ? Number(match[1]) * unit : undefined;
}

/** A duration, in milliseconds once read. */
export function duration(minS: number, maxS: number = 31_536_000): Kind<number> {
  const allowed = `seconds (fractions too, or with a unit: 500ms, 10s, 30min), ${minS} to ${maxS}`;
  return kind(allowed, (value) => {
    const ms = readDurationMs(value);
    return ms !== undefined && ms >= minS * 1000 && ms <= maxS * 1000 ? ms : undefined;
  });
}

/** One of these words, in any case. */
export function oneOf<const Words extends readonly string[]>(words: Words): Kind<Words[number]> {
  return kind(`one of ${words.join(', ')}`, (value) => {
    const word = readText(value)?.toLowerCase();
    return words.find((candidate) => candidate.toLowerCase() === word);
  });
}

/** A number of bytes, or `16MB`; PostgreSQL's units. */
export const bytes = kind('a whole number of bytes (or with a unit: 16MB)', (value): string | undefined =>
  /^\s*\d+\s*(B|kB|MB|GB|TB)?\s*$/.test(readText(value) ?? '') ? readText(value) : undefined,
);

/** Strings, given as a list or separated by commas. */
export const textList = kind('a list of texts', (value): readonly string[] | undefined => {
  if (typeof value === 'string') return value.split(',').map((part) => part.trim());
  if (!Array.isArray(value)) return undefined;
  const texts = value.map(readText);
  return texts.every((part) => part !== undefined) ? texts : undefined;
});

/** Lines of a file (pg_hba.conf, pg_ident.conf): commas belong to them. */
export const lines = kind('a list of lines', (value): readonly string[] | undefined => {
  if (typeof value === 'string') return value.split('\n').filter((line) => line.trim() !== '');
  if (!Array.isArray(value)) return undefined;
  return value.every((line) => typeof line === 'string') ? value : undefined;
});

/** Options of a program: `- data-checksums`, `- encoding: UTF8`, or a map; once read, `--encoding=UTF8`. */
export const programOptions = kind(
  'a list of options (`- data-checksums`, `- encoding: UTF8`) or a map of them',
  (value): readonly string[] | undefined => {
    const entries = Array.isArray(value) ? value : isData(value) ? [value] : undefined;
    if (!entries) return undefined;
    const options: string[] = [];
    for (const entry of entries) {
      if (typeof entry === 'string') options.push(entry.startsWith('--') ? entry : `--${entry}`);
      else if (isData(entry)) {
        for (const [name, given] of Object.entries(entry)) {
          const argument = typeof given === 'boolean' ? String(given) : readText(given);
          if (argument === undefined) return undefined;
          if (argument !== 'false') options.push(argument === 'true' ? `--${name}` : `--${name}=${argument}`);
        }
      } else return undefined;
    }
    return options;
  },
);

/** Anything: of keys that are known and not looked into yet. */
export const anything = kind('any value', (value) => value ?? undefined);
export const anyMap = kind('a map of keys', (value) => (isData(value) ? value : undefined));
export const anyList = kind('a list', (value) => (Array.isArray(value) ? (value as readonly unknown[]) : undefined));

const wordAllowed = 'up to 63 printable ASCII characters without spaces, slashes, quotes, commas or backslashes';

/** Part of a key and of a path. PostgreSQL cuts application_name and cluster_name off after 63 bytes, and replaces what is not ASCII. */
function readWord(value: unknown): string | undefined {
  const word = readText(value);
  if (word === undefined || word.length > 63 || !/^[!-~]+$/.test(word) || /[/"'`\\,]/.test(word)) return undefined;
  return word === '.' || word === '..' ? undefined : word;
}

/** The name of a cluster. */
export const scope = kind(`${wordAllowed}, not . or ..`, readWord);

/**
 * What PostgreSQL's own programs call themselves towards a primary: one of them could acknowledge a commit in the place
 * of a member of that name. `*` means every standby in synchronous_standby_names, also in quotes. Compared without case.
 */
const namesOfOthers: ReadonlySet<string> = new Set([
  '*',
  'walreceiver',
  'pg_basebackup',
  'pg_receivewal',
  'pg_recvlogical',
  'pg_rewind',
  '__patroni_strict_sync_replica_placeholder__',
]);

/** A member's name: the application_name of its stream, by which PostgreSQL knows a sync standby. */
export const memberName = kind(
  `${wordAllowed}, not . or .. or * or the name of a program of PostgreSQL (walreceiver, pg_receivewal, ...)`,
  (value) => {
    const word = readWord(value);
    return word === undefined || namesOfOthers.has(word.toLowerCase()) ? undefined : word;
  },
);

export const namespace = kind('a path such as /service', (value) => {
  const parts = (readText(value) ?? ' ').split('/').filter((part) => part !== '');
  return parts.length > 0 && parts.every((part) => /^[\w.:@-]+$/.test(part)) ? `/${parts.join('/')}` : undefined;
});
