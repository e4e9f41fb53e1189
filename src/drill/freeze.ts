/**
 * An agent that stands still for a while, and certainly goes on again: when this program says so, when it ends in
 * whatever way (its end of the pipe is closed by the kernel), and after `atMostMs` in any case.
 */
import { spawn } from 'node:child_process';

/** Stopped, or why not. */
export type FreezeOutcome =
  /** `thaw`: SIGCONT; more than once does no harm. */
  { readonly ok: true; readonly thaw: () => void } | { readonly ok: false; readonly error: string };

/** `cat` ends with the pipe, `timeout` ends `cat`; SIGCONT to a process that is not stopped changes nothing. */
const keeper = 'timeout "$1" cat > /dev/null 2>&1; kill -CONT "$2"';
/** It is the last resort: this program's own deadline comes first. */
const keeperGraceS = 2;

/** SIGSTOP, after a process that will send SIGCONT stands ready in a session of its own. */
export async function freeze(pid: number, atMostMs: number): Promise<FreezeOutcome> {
  const seconds = String(Math.ceil(atMostMs / 1000) + keeperGraceS);
  const child = spawn('/bin/sh', ['-c', keeper, 'pgherd-drill-continues', seconds, String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  });
  const failure = await new Promise<string | undefined>((resolve) => {
    child.once('spawn', () => resolve(undefined));
    child.once('error', (error) => resolve(error.message));
  });
  if (failure !== undefined) return { ok: false, error: `/bin/sh cannot be run: ${failure}` };
  // A pipe that breaks is its end, not ours.
  child.stdin.on('error', () => {});
  child.unref();
  const error = signal(pid, 'SIGSTOP');
  const thaw = (): void => {
    signal(pid, 'SIGCONT');
    child.stdin.destroy();
  };
  if (error === undefined) return { ok: true, thaw };
  thaw();
  return { ok: false, error };
}

function signal(pid: number, name: 'SIGSTOP' | 'SIGCONT'): string | undefined {
  try {
    process.kill(pid, name);
    return undefined;
  } catch (error) {
    return `${name} to process ${pid}: ${String(error)}`;
  }
}
