/** The programs that the command line starts, each loaded only when it is asked for. */
import { stopSignal } from './signals.ts';

/** Runs a member until it is told to stop; the exit code. */
export async function startAgent(configPath: string | undefined, signal: AbortSignal = stopSignal()): Promise<number> {
  const { runAgent } = await import('../agent/main.ts');
  return runAgent(configPath, signal);
}

/** `monitor`, as given on the command line. */
export interface MonitorCommand {
  readonly pgdata: string;
  readonly listen: string;
  readonly auth: 'trust' | 'scram-sha-256';
}

/** Runs a monitor until it is told to stop; the exit code. */
export async function startMonitor(options: MonitorCommand, log: (line: string) => void): Promise<number> {
  const { runMonitor } = await import('../monitor/main.ts');
  return runMonitor({ ...options, log, signal: stopSignal() });
}

/** `demo`, as given on the command line. */
export interface DemoCommand {
  readonly once: boolean;
  readonly format: 'text' | 'json';
  readonly directory: string | undefined;
}

/** Runs the demo; the exit code. */
export async function startDemo(options: DemoCommand): Promise<number> {
  const { runDemo } = await import('../demo/main.ts');
  return runDemo(options, stopSignal());
}
