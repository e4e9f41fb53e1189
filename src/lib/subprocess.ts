/** One external program, run to its end: bounded in time, cancellable, its whole process group ended with it. */
import { type ChildProcess, spawn } from 'node:child_process';

/** A program to be run to its end. */
export interface ProgramRequest {
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly workingDirectory: string;
  /** Undefined = as long as it takes; for copies of unknown size, which `signal` ends. */
  readonly deadlineMs: number | undefined;
  readonly signal?: AbortSignal;
  /** Called with each piece of standard error that a carriage return or a line feed ends. */
  readonly onErrorLine?: (line: string) => void;
}

/** How it ended, and what it said. */
export interface ProgramOutcome {
  /** `cancelled`: by the signal; `late`: by the deadline; `not-run`: it could not be started. */
  readonly kind: 'exited' | 'killed' | 'cancelled' | 'late' | 'not-run';
  /** 0 only with `exited`. */
  readonly exitCode: number;
  readonly stdout: string;
  /** The last 200 lines of standard error, without those that only report progress. */
  readonly errorLines: readonly string[];
}

const keptErrorLines = 200;
const keptOutputBytes = 1 << 20;

/**
 * Runs a program and resolves when it has ended and closed its output. Never rejects.
 * The program leads a process group of its own: cancelling it ends its children too.
 */
export function runProgram(request: ProgramRequest): Promise<ProgramOutcome> {
  return new Promise((resolve) => {
    if (request.signal?.aborted) {
      resolve({ kind: 'cancelled', exitCode: -1, stdout: '', errorLines: [] });
      return;
    }
    const child = spawn(request.command, request.arguments, {
      cwd: request.workingDirectory,
      env: request.environment,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = collectOutput(child, request.onErrorLine);
    let cause: 'cancelled' | 'late' | undefined;
    const end = (why: 'cancelled' | 'late'): void => {
      cause ??= why;
      killGroup(child);
    };
    const cancel = (): void => end('cancelled');
    const timer = request.deadlineMs === undefined ? undefined : setTimeout(() => end('late'), request.deadlineMs);
    request.signal?.addEventListener('abort', cancel, { once: true });
    const finish = (kind: ProgramOutcome['kind'], exitCode: number, extra: readonly string[]): void => {
      clearTimeout(timer);
      request.signal?.removeEventListener('abort', cancel);
      resolve({ kind, exitCode, stdout: output.stdout(), errorLines: [...output.errorLines(), ...extra] });
    };
    child.once('error', (error) => {
      if (child.pid === undefined) finish('not-run', -1, [`${request.command} cannot be run: ${error.message}`]);
    });
    child.once('close', (code, signal) => {
      if (child.pid === undefined) return;
      if (cause) finish(cause, code ?? -1, []);
      else if (code === null) finish('killed', -1, [`ended by ${signal ?? 'a signal'}`]);
      else finish('exited', code, []);
    });
  });
}

/** SIGKILL to the process group: what it started must not outlive it. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone already.
  }
}

function collectOutput(
  child: ChildProcess,
  onErrorLine: ((line: string) => void) | undefined,
): { stdout: () => string; errorLines: () => readonly string[] } {
  let stdout = '';
  let partial = '';
  const lines: string[] = [];
  const take = (line: string): void => {
    if (line.trim() === '') return;
    onErrorLine?.(line);
    lines.push(line);
    if (lines.length > keptErrorLines) lines.shift();
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    if (stdout.length < keptOutputBytes) stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const pieces = (partial + text).split(/[\r\n]/);
    partial = pieces.pop() ?? '';
    pieces.forEach(take);
  });
  return {
    stdout: () => stdout,
    errorLines: () => {
      take(partial);
      partial = '';
      return lines;
    },
  };
}
