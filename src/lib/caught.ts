/** What a `catch` caught, which may be anything. */

/** Its text, for people. */
export function messageOf(caught: unknown): string {
  return caught instanceof Error ? caught.message : String(caught);
}

/** The system's name of it (ENOENT, EACCES, ...), or the SQLSTATE; undefined when it has none. */
export function codeOf(caught: unknown): string | undefined {
  if (!(caught instanceof Error) || !('code' in caught)) return undefined;
  return typeof caught.code === 'string' ? caught.code : undefined;
}
