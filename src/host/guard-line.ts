/**
 * What agent and guard say to each other: lines of words on a socket, so that the guard needs no parser that could fail.
 * Instants are of the boot-time clock, in ms; `-` is none.
 *
 *     guard → agent, first        pgherd-guard <version> <pid> <until>
 *     agent → guard               arm <until> <ttlMs>
 *     guard → agent, after arm    armed <until>
 *     agent → guard               end             another guard stands in its place
 */
import type { Instant } from '../core/model.ts';

/** Of the lines and of what the guard does: an agent replaces a guard of another version. */
export const guardVersion = '1';

/** What an agent says. */
export type AgentWord =
  | { readonly kind: 'arm'; readonly until: Instant | undefined; readonly ttlMs: number }
  | { readonly kind: 'end' };

/** What a guard says. */
export type GuardWord =
  | { readonly kind: 'hello'; readonly version: string; readonly pid: number; readonly until: Instant | undefined }
  | { readonly kind: 'armed'; readonly until: Instant | undefined };

/** One line, with its end. */
export function agentLine(word: AgentWord): string {
  return word.kind === 'end' ? 'end\n' : `arm ${instantText(word.until)} ${word.ttlMs}\n`;
}

/** One line, with its end. */
export function guardLine(word: GuardWord): string {
  const until = instantText(word.until);
  return word.kind === 'armed' ? `armed ${until}\n` : `pgherd-guard ${word.version} ${word.pid} ${until}\n`;
}

/** Undefined: not a line of ours. */
export function readAgentLine(line: string): AgentWord | undefined {
  const [verb, until, ttlMs] = line.split(' ');
  if (verb === 'end') return { kind: 'end' };
  const instant = instantOf(until);
  if (verb !== 'arm' || instant === 'none' || !(Number(ttlMs) > 0)) return undefined;
  return { kind: 'arm', until: instant, ttlMs: Number(ttlMs) };
}

/** Undefined: not a line of ours. */
export function readGuardLine(line: string): GuardWord | undefined {
  const [verb, first, second, third] = line.split(' ');
  if (verb === 'armed') {
    const until = instantOf(first);
    return until === 'none' ? undefined : { kind: 'armed', until };
  }
  const until = instantOf(third);
  const pid = Number(second);
  if (verb !== 'pgherd-guard' || first === undefined || until === 'none' || !Number.isInteger(pid)) return undefined;
  return { kind: 'hello', version: first, pid, until };
}

/** Takes pieces of a stream and gives its whole lines, without their ends. */
export function lineReader(onLine: (line: string) => void): (piece: string) => void {
  let rest = '';
  return (piece) => {
    const lines = `${rest}${piece}`.split('\n');
    // Nobody who speaks this language says more than a few words in a line.
    rest = (lines.pop() ?? '').slice(0, 200);
    for (const line of lines) onLine(line);
  };
}

function instantText(instant: Instant | undefined): string {
  return instant === undefined ? '-' : String(instant);
}

function instantOf(text: string | undefined): Instant | undefined | 'none' {
  if (text === '-') return undefined;
  const value = Number(text);
  return text === undefined || text === '' || !Number.isFinite(value) ? 'none' : value;
}
