/**
 * The agent's end of the guard: finds the one that stands there, starts one where none does, tells it every deadline, and
 * puts another in its place when it dies, freezes, or is of another version.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Instant } from '../core/model.ts';
import { messageOf } from '../lib/caught.ts';
import { agentLine, type GuardWord, guardVersion, lineReader, readGuardLine } from './guard-line.ts';
import { startTicksOf } from './process-identity.ts';

/** Where the guard is, and how to start one. */
export interface GuardProcessOptions {
  readonly stateDirectory: string;
  /** The program with its arguments. */
  readonly command: readonly string[];
  /** As it is now in the cluster; for the device behind the guard. */
  readonly ttlMs: () => number;
  readonly now: () => Instant;
  readonly warn: (text: string) => void;
}

/** A guard that lives longer than the agent. */
export interface GuardProcess {
  /** What the guard that stood there before this agent was told; undefined: there was no guard, or it was off. */
  readonly armedUntil: Instant | undefined;
  readonly wasThere: boolean;
  arm(until: Instant | undefined): void;
  /** Lets go; a guard with a deadline stays. */
  close(): void;
}

/** How often the guard is asked for a sign of life, and how long it may take. */
const askEveryMs = 1000;
const answerMs = 3000;
const startMs = 3000;

/** Resolves when a guard stands there and has answered. */
export async function standGuard(
  options: GuardProcessOptions,
): Promise<{ readonly ok: true; readonly guard: GuardProcess } | { readonly ok: false; readonly error: string }> {
  const found = await connectTo(options.stateDirectory, answerMs);
  const there = found?.hello;
  const current = there?.version === guardVersion ? found : await replaced(options, found, there?.until);
  if (current === undefined) return { ok: false, error: `the guard of ${options.stateDirectory} did not start` };
  return {
    ok: true,
    guard: { armedUntil: there?.until, wasThere: there !== undefined, ...keepStanding(options, current) },
  };
}

interface Link {
  readonly socket: Socket;
  readonly hello: Extract<GuardWord, { kind: 'hello' }>;
  /** Called with every word after the first. */
  onWord: (word: GuardWord) => void;
}

/**
 * The new one knows the deadline before the old one is told to end. One that does not answer is killed first: going on
 * later, it would enforce a deadline of the past.
 */
async function replaced(
  options: GuardProcessOptions,
  old: Link | undefined,
  until: Instant | undefined,
): Promise<Link | undefined> {
  if (old === undefined) killWhoDoesNotAnswer(options.stateDirectory);
  const child = startGuard(options);
  const endAt = options.now() + startMs;
  while (options.now() < endAt) {
    const link = await connectTo(options.stateDirectory, 500);
    if (link !== undefined && link.hello.pid !== old?.hello.pid) {
      if (until !== undefined) link.socket.write(agentLine({ kind: 'arm', until, ttlMs: options.ttlMs() }));
      old?.socket.end(agentLine({ kind: 'end' }));
      return link;
    }
    link?.socket.destroy();
    await sleep(20);
  }
  // It may have been stopped before it wrote down who it is.
  child.kill('SIGKILL');
  old?.socket.destroy();
  return undefined;
}

/** In a session of its own, silent, and the last that the kernel would kill. */
function startGuard({ command, stateDirectory, warn }: GuardProcessOptions): ChildProcess {
  const [program = '', ...words] = command;
  const errors = openSync(join(stateDirectory, 'guard.err'), 'w', 0o600);
  const child = spawn(program, words, { cwd: '/', detached: true, stdio: ['ignore', 'ignore', errors] });
  closeSync(errors);
  child.unref();
  child.once('error', (error) => warn(`the guard cannot be started: ${error.message}`));
  preferred(child);
  return child;
}

/** Root may; without the right to it the guard runs as any other process does. */
function preferred({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  for (const prefer of [
    () => writeFileSync(`/proc/${pid}/oom_score_adj`, '-1000'),
    () => setPriority(pid, constants.priority.PRIORITY_HIGHEST),
  ]) {
    try {
      prefer();
    } catch {
      // Not ours to give.
    }
  }
}

function connectTo(stateDirectory: string, timeoutMs: number): Promise<Link | undefined> {
  return new Promise((resolve) => {
    // A path to a socket has 107 bytes at most: by way of an open directory it is always short.
    const directory = openSync(stateDirectory, 'r');
    const socket = connect(`/proc/self/fd/${directory}/guard.sock`);
    let link: Link | undefined;
    const fail = (): void => {
      socket.destroy();
      resolve(undefined);
    };
    const timer = setTimeout(fail, timeoutMs);
    const hear = lineReader((line) => {
      const word = readGuardLine(line);
      if (link && word) link.onWord(word);
      else if (word?.kind === 'hello') {
        clearTimeout(timer);
        link = { socket, hello: word, onWord: () => undefined };
        resolve(link);
      } else fail();
    });
    socket.setEncoding('utf8').on('data', hear);
    socket
      .on('error', () => undefined)
      .once('close', () => {
        clearTimeout(timer);
        closeSync(directory);
        resolve(undefined);
      });
  });
}

/** Asks again and again; another guard takes the place of one that is gone or says nothing. */
function keepStanding(options: GuardProcessOptions, first: Link): Pick<GuardProcess, 'arm' | 'close'> {
  let link: Link | undefined = first;
  let until = first.hello.until;
  let silentSince: Instant | undefined;
  let replacing = false;
  let closed = false;

  const tell = (): void => {
    silentSince ??= options.now();
    link?.socket.write(agentLine({ kind: 'arm', until, ttlMs: options.ttlMs() }));
  };
  const use = (next: Link): void => {
    link = next;
    silentSince = undefined;
    next.onWord = () => (silentSince = undefined);
    next.socket.once('close', () => {
      if (link === next) link = undefined;
      if (!closed) void replace('it is gone');
    });
  };
  async function replace(why: string): Promise<void> {
    if (replacing || closed) return;
    replacing = true;
    options.warn(`${why}: another guard is started; meanwhile this agent alone keeps the deadline`);
    link?.socket.destroy();
    link = undefined;
    const next = await replaced(options, undefined, until).catch((error: unknown) => {
      options.warn(`the guard cannot be started: ${messageOf(error)}`);
      return undefined;
    });
    replacing = false;
    if (closed) next?.socket.destroy();
    else if (next) {
      use(next);
      tell();
    }
  }
  use(first);
  const timer = setInterval(() => {
    if (link === undefined) void replace('no guard stands there');
    else if (silentSince !== undefined && options.now() - silentSince > answerMs) void replace('it does not answer');
    else tell();
  }, askEveryMs);
  return {
    arm(next) {
      until = next;
      tell();
    },
    close() {
      closed = true;
      clearInterval(timer);
      // What was said is still delivered.
      link?.socket.end();
    },
  };
}

/** `guard.pid`: as the guard wrote it when it began, its pid and when that began. */
function killWhoDoesNotAnswer(stateDirectory: string): void {
  try {
    const [pid, startTicks] = readFileSync(join(stateDirectory, 'guard.pid'), 'latin1').trim().split(' ');
    if (startTicks !== undefined && startTicksOf(Number(pid)) === startTicks) process.kill(Number(pid), 'SIGKILL');
  } catch {
    // There was none, or it has ended.
  }
}
