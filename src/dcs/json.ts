/**
 * JSON as Patroni writes it: compact, and with integers beyond 2^53 (LSNs as byte counts) kept exactly.
 * An integer that a `number` cannot hold is read as a bigint; bigints are written as plain integers.
 */

declare global {
  /** The parts of ECMAScript 2026 that the compiler's library does not name yet; Node has them since 22. */
  interface JSON {
    parse(
      text: string,
      reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
    ): unknown;
    rawJSON(text: string): unknown;
  }
}

/** JSON, with integers as they are written: beyond 2^53 they are bigints. */
export function parseJson(
  text: string,
): { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: string } {
  try {
    return { ok: true, value: JSON.parse(text, exactInteger) };
  } catch {
    return { ok: false, error: `not JSON: ${excerpt(text)}` };
  }
}

/** `undefined` fields are left out. */
export function printJson(value: object): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? JSON.rawJSON(part.toString()) : part,
  );
}

/** A value as it may stand in an error text: short, on one line. */
export function excerpt(value: unknown): string {
  const text = describe(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'object' && value !== null) return printJson(value);
  return JSON.stringify(value) ?? typeof value;
}

/** A JSON object (or list): something with fields. */
export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function exactInteger(_key: string, value: unknown, { source = '' }: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}
