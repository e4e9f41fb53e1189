/** Keys as etcd takes them. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Text as bytes. */
export function encode(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Bytes as text. */
export function decode(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** The first key after all that begin with `prefix`, which ends in an ASCII character. */
export function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
