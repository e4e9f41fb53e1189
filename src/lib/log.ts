/**
 * The product's log: one line an event, in one of three forms, to stderr.
 *
 * Why not pino: measured with Node 24 on Linux (bundled, JSON, synchronous destination of our own, 20 000 lines), pino 10
 * takes about 3 MB more RSS, 12 ms more to start and 1.6 times as long a line. It would leave all of this file to do:
 * the text form (pino makes JSON only, which would be parsed again), the journald prefix, LSNs, and a destination that
 * cannot stall the agent.
 *
 * Invariant: a line never blocks and never throws. An agent that waits for its log renews no lease, and a terminal
 * halted by ctrl-S, a full pipe or a stopped journald would then cost a primary. Lines that find no room are counted.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { formatLsn, lsn } from '../core/lsn.ts';

/** Least verbose first. */
export type Level = 'error' | 'warn' | 'info' | 'debug';

/** `text` for people (`color`: on a terminal), `json` for collectors, `journal` for journald. */
export type Form = 'text' | 'color' | 'json' | 'journal';

/** bigint: printed as an LSN where the name ends in `lsn`, else as a decimal number. Undefined fields are left out. */
export type Fields = Readonly<Record<string, unknown>>;

/** One line for each call; no call waits for whoever reads the log. */
export interface Log {
  /** `event` is a stable kebab-case name, `text` a sentence for people; what varies goes into `fields`. */
  error(event: string, text: string, fields?: Fields): void;
  warn(event: string, text: string, fields?: Fields): void;
  info(event: string, text: string, fields?: Fields): void;
  debug(event: string, text: string, fields?: Fields): void;
  setLevel(level: Level): void;
}

/** Takes whole lines; false = it had no room for this one. Never blocks, never throws. */
export interface Sink {
  write(line: string): boolean;
}

/** Who speaks, how much, in which form. */
export interface LogOptions {
  readonly member: string;
  readonly level?: Level;
  readonly form?: Form;
  readonly sink?: Sink;
  /** Wall clock, for the text of a line. */
  readonly now?: () => Date;
}

interface Line {
  readonly at: Date;
  readonly level: Level;
  readonly member: string;
  readonly event: string;
  readonly text: string;
  readonly fields: Fields;
}

const severity: Readonly<Record<Level, number>> = { error: 3, warn: 4, info: 6, debug: 7 };
const levelColor: Readonly<Record<Level, number>> = { error: 31, warn: 33, info: 32, debug: 2 };

/** Patroni's names are understood too (`WARNING`, `CRITICAL`); undefined when it is no level. */
export function parseLevel(name: string): Level | undefined {
  const text = name.toLowerCase();
  if (text === 'warning') return 'warn';
  if (text === 'critical' || text === 'fatal') return 'error';
  return text === 'error' || text === 'warn' || text === 'info' || text === 'debug' ? text : undefined;
}

/** The log of one member. By default to stderr, in the form that suits what stderr is. */
export function createLog(options: LogOptions): Log {
  const form = options.form ?? stderrForm();
  const sink = options.sink ?? stderrSink();
  const now = options.now ?? (() => new Date());
  let threshold = severity[options.level ?? 'info'];
  let lost = 0;

  const format = (level: Level, event: string, text: string, fields: Fields): string =>
    `${formatLine(form, { at: now(), level, member: options.member, event, text, fields })}\n`;
  const log = (level: Level, event: string, text: string, fields: Fields = {}): void => {
    if (severity[level] > threshold) return;
    const line = format(level, event, text, fields);
    // With the line, or not at all: alone, the short notice would take the last room from every line after it.
    const notice = lost > 0 ? format('warn', 'log-lines-lost', 'what reads the log did not keep up', { lost }) : '';
    lost = sink.write(notice + line) ? 0 : lost + 1;
  };
  return {
    error: (event, text, fields) => log('error', event, text, fields),
    warn: (event, text, fields) => log('warn', event, text, fields),
    info: (event, text, fields) => log('info', event, text, fields),
    debug: (event, text, fields) => log('debug', event, text, fields),
    setLevel: (level) => {
      threshold = severity[level];
    },
  };
}

/* ---------------------------------------------------------------- forms */

function formatLine(form: Form, line: Line): string {
  if (form === 'json') return jsonLine(line);
  const fields = [`member=${fieldText('member', line.member)}`];
  for (const [name, value] of Object.entries(line.fields)) {
    if (value !== undefined) fields.push(`${name}=${fieldText(name, value)}`);
  }
  const tail = oneLine(`${line.text}  ${fields.join(' ')}`);
  // journald keeps the time and the level itself (sd-daemon(3): `<N>` at the beginning of a line).
  if (form === 'journal') return `<${severity[line.level]}>${line.event}: ${tail}`;
  const level = line.level.toUpperCase().padEnd(5);
  if (form === 'text') return `${localTime(line.at)} ${level} ${line.event}: ${tail}`;
  return `\u001b[2m${localTime(line.at)}\u001b[0m \u001b[${levelColor[line.level]}m${level}\u001b[0m \u001b[1m${line.event}\u001b[0m: ${tail}`;
}

function jsonLine(line: Line): string {
  const { at, level, member, event, text, fields } = line;
  const head = { time: localTime(at).replace(' ', 'T'), level, member, event, text };
  const pairs: string[] = [];
  const add = (name: string, value: unknown): void => {
    if (value !== undefined) pairs.push(`${JSON.stringify(name)}:${jsonText(name, value)}`);
  };
  for (const [name, value] of Object.entries(head)) add(name, value);
  // A field never takes the place of one of the five that every line has.
  for (const [name, value] of Object.entries(fields)) add(name in head ? `${name}_` : name, value);
  return oneLine(`{${pairs.join(',')}}`);
}

function fieldText(name: string, value: unknown): string {
  if (typeof value === 'bigint') return bigintText(name, value);
  const plain = value instanceof Error ? value.message : value;
  if (typeof plain !== 'string') return jsonText(name, plain);
  return plain === '' || /[\s"=]/.test(plain) ? JSON.stringify(plain) : plain;
}

/** JSON text, also of what JSON does not know; of what it cannot say, that it cannot. */
function jsonText(name: string, value: unknown): string {
  try {
    // A bare value is seen under an empty key.
    const text = JSON.stringify(value, (key, item: unknown) => jsonValue(key === '' ? name : key, item));
    return text ?? JSON.stringify(String(value));
  } catch {
    return '"(unprintable)"';
  }
}

function jsonValue(name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return isLsn(name) ? bigintText(name, value) : exactInteger(value);
  return value instanceof Error ? value.message : value;
}

function isLsn(name: string): boolean {
  return /lsn$/i.test(name);
}

function bigintText(name: string, value: bigint): string {
  return isLsn(name) && value >= 0n && value < 1n << 64n ? formatLsn(lsn(value)) : value.toString();
}

/** A bigint as a JSON number of all its digits. */
function exactInteger(value: bigint): unknown {
  return (JSON as JSON & { rawJSON(text: string): unknown }).rawJSON(value.toString());
}

/** Control characters would end the line, or give orders to a terminal. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (character) =>
    character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** `2026-11-20 08:52:02.188+00:00`: the local zone, and its offset. */
function localTime(at: Date): string {
  const offsetMinutes = -at.getTimezoneOffset();
  const shifted = new Date(at.getTime() + offsetMinutes * 60_000).toISOString();
  const distance = Math.abs(offsetMinutes);
  const zone = `${offsetMinutes < 0 ? '-' : '+'}${twoDigits(distance / 60)}:${twoDigits(distance % 60)}`;
  return `${shifted.slice(0, 10)} ${shifted.slice(11, 23)}${zone}`;
}

function twoDigits(value: number): string {
  return String(Math.floor(value)).padStart(2, '0');
}

/** The form for a stderr of which these facts are known. `streamId`: its `device:inode`. */
export function chooseForm(
  env: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
  streamId: string | undefined,
): Form {
  // The variable is inherited by every child: it speaks of this stderr only while device and inode are the same (systemd.exec(5)).
  const journal = env['JOURNAL_STREAM'];
  if (journal !== undefined && journal !== '' && journal === streamId) return 'journal';
  const mayColor = (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  return isTerminal && mayColor ? 'color' : 'text';
}

function stderrForm(): Form {
  return chooseForm(process.env, isatty(2), stderrId());
}

function stderrId(): string | undefined {
  try {
    const stat = fstatSync(2, { bigint: true });
    return `${stat.dev}:${stat.ino}`;
  } catch {
    return undefined;
  }
}

/* ---------------------------------------------------------------- sinks */

/** What may wait for a reader that does not read. */
const maxWaitingBytes = 256 * 1024;
const retryMs = 50;

/** stderr, without blocking, whatever it is. */
export function stderrSink(): Sink {
  try {
    const stat = fstatSync(2);
    if (stat.isFile()) return descriptorSink(2);
    // Opening it anew gives a description of our own, so that O_NONBLOCK does not reach the other processes on it.
    // Node writes to a terminal with blocking calls; a socket cannot be opened anew, but Node does not block on one.
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
    if (!stat.isSocket()) return descriptorSink(openSync('/proc/self/fd/2', flags));
  } catch {
    // No /proc, no right to open it, or no reader left: Node's own stream copes.
  }
  return streamSink(process.stderr);
}

function streamSink(stream: NodeJS.WriteStream): Sink {
  stream.on('error', () => {}); // EPIPE: who reads the log went away; the agent stays.
  return {
    write: (line) => {
      if (!stream.writable || stream.writableLength > maxWaitingBytes) return false;
      stream.write(line);
      return true;
    },
  };
}

/** A descriptor that is a file, or does not block. */
export function descriptorSink(fd: number): Sink {
  let waiting = Buffer.alloc(0);

  const drain = (): void => {
    waiting = putBytes(fd, waiting) ?? Buffer.alloc(0);
    if (waiting.length > 0) setTimeout(drain, retryMs).unref();
  };
  return {
    write: (line) => {
      const bytes = Buffer.from(line);
      if (waiting.length > 0) {
        if (waiting.length + bytes.length > maxWaitingBytes) return false;
        waiting = Buffer.concat([waiting, bytes]);
        return true;
      }
      const rest = putBytes(fd, bytes);
      if (rest === undefined) return false;
      if (rest.length > 0) {
        waiting = rest;
        setTimeout(drain, retryMs).unref();
      }
      return true;
    },
  };
}

/** Writes what fits; returns what did not, undefined when the descriptor refuses (reader gone, disk full). */
function putBytes(fd: number, bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> | undefined {
  let done = 0;
  try {
    while (done < bytes.length) done += writeSync(fd, bytes, done);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) return undefined;
  }
  return bytes.subarray(done);
}
