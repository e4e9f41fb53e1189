/** The command line: arguments to a command, its outcome to an exit code. */
import { createInterface } from 'node:readline/promises';
import { CommanderError } from 'commander';
import type { Output } from './output.ts';
import { createProgram } from './program.ts';

/** Runs one command; resolves with its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  // Who reads our output may go away (`pgherd list | head -1`): that is the end, and no error.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  }
  let code = 0;
  const program = createProgram({ output: terminal, environment: process.env, finish: (result) => (code = result) });
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2;
  }
  return code;
}

const terminal: Output = {
  print: (text) => void process.stdout.write(`${text}\n`),
  note: (text) => void process.stderr.write(`${text}\n`),
  clear: () => {
    if (process.stdout.isTTY) process.stdout.write('\u001b[H\u001b[2J');
  },
  now: () => new Date(),
  ask: async (question) => {
    if (!process.stdin.isTTY) return undefined;
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    const closed = new AbortController();
    lines.once('close', () => closed.abort());
    try {
      return await lines.question(question, { signal: closed.signal });
    } catch {
      // ^D or ^C instead of an answer.
      return undefined;
    } finally {
      lines.close();
    }
  },
};
