/**
 * A position in PostgreSQL's write-ahead log, in bytes from its beginning.
 * Branded, so that it cannot be mixed up with a length or a counter.
 * Text form: two hexadecimal halves, `0/3000088` (PostgreSQL documentation, "pg_lsn Type").
 */
export type Lsn = bigint & { readonly brand: 'lsn' };

const maxLsn = 0xffff_ffff_ffff_ffffn;
const textForm = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** The position before any WAL. PostgreSQL never writes there, so it also stands for "none". */
export const lsnZero: Lsn = branded(0n);

function branded(value: bigint): Lsn {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one place where the brand is given
  return value as Lsn;
}

/** An LSN from a count of bytes. Throws on a value that no LSN can have: that is a bug of the caller. */
export function lsn(bytes: bigint | number): Lsn {
  const value = BigInt(bytes);
  if (value < 0n || value > maxLsn) throw new RangeError(`not an LSN: ${value}`);
  return branded(value);
}

/** Reads `0/3000088`; undefined when the text is not an LSN. */
export function parseLsn(text: string): Lsn | undefined {
  const match = textForm.exec(text);
  if (!match) return undefined;
  return branded((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`));
}

/** Writes `0/3000088`, as PostgreSQL does: upper case, no leading zeros. */
export function formatLsn(value: Lsn): string {
  const high = (value >> 32n).toString(16).toUpperCase();
  const low = (value & 0xffff_ffffn).toString(16).toUpperCase();
  return `${high}/${low}`;
}

/** How far `behind` is behind `ahead`, in bytes; 0 when it is not behind. */
export function lagBytes(ahead: Lsn, behind: Lsn): bigint {
  return ahead > behind ? ahead - behind : 0n;
}

/** The greatest of the positions that are known; undefined when none is. */
export function maxLsnOf(...positions: readonly (Lsn | undefined)[]): Lsn | undefined {
  let greatest: Lsn | undefined;
  for (const position of positions) {
    if (position !== undefined && (greatest === undefined || position > greatest)) greatest = position;
  }
  return greatest;
}
