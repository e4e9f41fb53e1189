/** PostgreSQL's own programs, run as the right user, their failures in their own words. */
import { join } from 'node:path';
import { runProgram } from '../lib/subprocess.ts';
import type { Setup } from './options.ts';
import { asOsUser, osUserEnvironment } from './os-user.ts';

/** One of PostgreSQL's programs, to be run to its end. */
export interface ToolRequest {
  readonly program: string;
  readonly arguments: readonly string[];
  readonly deadlineMs: number | undefined;
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  readonly onErrorLine?: (line: string) => void;
}

/** What it printed, or why it failed. */
export type ToolOutcome =
  | { readonly ok: true; readonly stdout: string; readonly errorLines: readonly string[] }
  | { readonly ok: false; readonly error: string };

/** As whom PostgreSQL's programs run, where they are, and where they find passwords. */
export type ToolSetup = Pick<Setup, 'osUser' | 'binDir' | 'pgpass'>;

/** The path of one of PostgreSQL's programs; only its name where no `binDir` is configured. */
export function programPath(setup: ToolSetup, program: string): string {
  return setup.binDir === undefined ? program : join(setup.binDir, program);
}

/** Runs a tool to its end. The error names the program and carries its last words. */
export async function runTool(setup: ToolSetup, request: ToolRequest): Promise<ToolOutcome> {
  const run = asOsUser(setup.osUser, programPath(setup, request.program), true);
  const outcome = await runProgram({
    command: run.command,
    arguments: [...run.arguments, ...request.arguments],
    environment: osUserEnvironment(setup.osUser, { PGPASSFILE: setup.pgpass, ...request.environment }),
    // Not our own: the user may have no right to it.
    workingDirectory: '/',
    deadlineMs: request.deadlineMs,
    ...(request.signal ? { signal: request.signal } : {}),
    ...(request.onErrorLine ? { onErrorLine: request.onErrorLine } : {}),
  });
  if (outcome.kind === 'exited' && outcome.exitCode === 0) {
    return { ok: true, stdout: outcome.stdout, errorLines: outcome.errorLines };
  }
  const words = lastWords(outcome.errorLines);
  const how = {
    exited: `${request.program} failed`,
    killed: `${request.program} was ended from outside`,
    cancelled: `${request.program} was cancelled`,
    late: `${request.program} took longer than ${(request.deadlineMs ?? 0) / 1000} s and was ended`,
    'not-run': `${request.program} could not be started`,
  }[outcome.kind];
  return { ok: false, error: words === '' ? how : `${how}: ${words}` };
}

/** What a tool said in the end, without its progress and its name on every line. */
function lastWords(lines: readonly string[]): string {
  const spoken = lines
    .filter((line) => !/^\s*\d+\/\d+ kB/.test(line) && !/: removing |^waiting for checkpoint/.test(line))
    .map((line) => line.replace(/^[a-z_]+: (error: |fatal: )?/, '').trim());
  return [...new Set(spoken.slice(-4))].join('; ');
}
