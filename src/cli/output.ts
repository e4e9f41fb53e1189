/** Where a command prints and what it asks, so that tests need no terminal; and how it fails. */

/** The terminal, or what stands for it. */
export interface Output {
  /** One or more lines on standard output; a line break is added. */
  print(text: string): void;
  /** The same on standard error: what is not the answer. */
  note(text: string): void;
  /** undefined: there is nobody to ask. */
  ask(question: string): Promise<string | undefined>;
  /** Clears the screen, where there is one. */
  clear(): void;
  readonly now: () => Date;
}

/** 0 done · 1 failed or refused · 2 wrong usage. */
export type ExitCode = 0 | 1 | 2;

/** What a command was told to stop by: the texts that follow `Error: `. */
export interface Refusal {
  readonly ok: false;
  readonly error: string;
}

/** Nothing was done, because of `error`. */
export function refuse(error: string): Refusal {
  return { ok: false, error };
}

/** Prints the reason; the exit code of a command that did nothing. */
export function failed(output: Output, refusal: Refusal): ExitCode {
  output.note(`Error: ${refusal.error}`);
  return 1;
}

/** One check before something is done. */
export interface Check {
  /** A sentence that should hold, with what was found. */
  readonly what: string;
  readonly holds: boolean;
}

/** A line for each. */
export function checkLines(checks: readonly Check[]): string {
  return checks.map(({ what, holds }) => `${holds ? ' ok    ' : ' FAILS '} ${what}`).join('\n');
}

/** Asks; without `force` and without somebody to answer, nothing is done. */
export async function confirm(
  output: Output,
  force: boolean,
  question: string,
): Promise<Refusal | { readonly ok: true }> {
  if (force) return { ok: true };
  const answer = await output.ask(`${question} [y/N]: `);
  if (answer === undefined) return refuse('nobody is there to confirm it; add --force, or run it on a terminal');
  return /^(y|yes)$/i.test(answer.trim()) ? { ok: true } : refuse('Aborted');
}

function pad(value: number, width: number = 2): string {
  return String(Math.trunc(Math.abs(value))).padStart(width, '0');
}

/** `2026-11-20 08:52:02`, local zone; `digits` of the second's fraction behind it. */
export function localTime(at: Date, digits: number = 0): string {
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const fraction = digits === 0 ? '' : `.${pad(at.getMilliseconds(), 3).padEnd(digits, '0').slice(0, digits)}`;
  return `${day} ${time}${fraction}`;
}

/** `2026-11-20T08:52:01.639+01:00`: an instant in the local zone with its offset; other text stays as it is. */
export function localInstant(text: string): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  const minutes = -at.getTimezoneOffset();
  const fraction = /\.\d+/.exec(text)?.[0] ?? '';
  return `${localTime(at).replace(' ', 'T')}${fraction}${minutes < 0 ? '-' : '+'}${pad(minutes / 60)}:${pad(minutes % 60)}`;
}
