/** Command lines that people copy. */

/** One word as a shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A whole command line. */
export function commandLine(...words: readonly string[]): string {
  return words.map(shellWord).join(' ');
}
