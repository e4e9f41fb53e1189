/** SIGTERM and SIGINT: the first asks a program to stop, the second ends it at once. */
import { constants } from 'node:os';

/** Aborts at the first signal. Called once in a process, by the program that stops in an orderly way. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(128 + constants.signals[name]);
      controller.abort(new Error(name));
    });
  }
  return controller.signal;
}
