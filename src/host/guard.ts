/**
 * The guard within the agent's own process: ends the instance when the deadline passes.
 *
 * The deadline is also in a file, so that an agent that takes over knows what the one before it promised.
 * Nothing here waits for a disk: a deadline must be kept while storage hangs.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Instant } from '../core/model.ts';
import { codeOf } from '../lib/caught.ts';
import type { Clock, Guard } from '../ports/host.ts';
import { bootId } from './clock.ts';

/** What the guard stands over, and with which clock. */
export interface GuardOptions {
  readonly clock: Clock;
  readonly stateDirectory: string;
  /** Ends the instance at once. */
  readonly fence: () => Promise<void>;
  readonly log: (text: string) => void;
}

/** Timers stand still while the machine is suspended, so the clock is asked at least this often. */
const lookEveryMs = 200;

const deadlineForm = z.object({ bootId: z.string(), untilMs: z.number().nullable() });

/** The guard inside the agent: it ends with it, but its deadline does not. */
export interface InProcessGuard extends Guard {
  /** Stops the timer, as when the agent ends; the deadline stays in the file. */
  close(): void;
}

/** `arm` decides by the boot-time clock alone; the file is written afterwards, the newest deadline last. */
export function inProcessGuard(options: GuardOptions): InProcessGuard {
  const path = join(options.stateDirectory, 'deadline');
  const write = deadlineWriter(path, options.log);
  let until: Instant | undefined;
  let fired = false;
  let timer: NodeJS.Timeout | undefined;

  const look = (): void => {
    timer = undefined;
    if (until === undefined) return;
    const remainingMs = until - options.clock.now();
    if (remainingMs <= 0) {
      // Again and again until the deadline is moved: somebody may start it once more.
      if (!fired) options.log('the deadline of the leader key passed: PostgreSQL is ended at once');
      fired = true;
      options.fence().catch((error: unknown) => options.log(`ending PostgreSQL failed: ${String(error)}`));
      timer = setTimeout(look, lookEveryMs);
      return;
    }
    timer = setTimeout(look, Math.min(remainingMs, lookEveryMs));
  };

  return {
    armedUntil: () => readDeadline(path, options.log),
    arm: (deadline) => {
      until = deadline;
      fired = false;
      write(deadline);
      clearTimeout(timer);
      look();
    },
    close: () => {
      until = undefined;
      clearTimeout(timer);
    },
  };
}

/** After a reboot no postmaster of before is left, and the instant belongs to another clock: then there is none. */
async function readDeadline(path: string, log: (text: string) => void): Promise<Instant | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') log(`${path} cannot be read: ${String(error)}`);
    return undefined;
  }
  try {
    const found = deadlineForm.parse(JSON.parse(text));
    return found.bootId === bootId() && found.untilMs !== null ? found.untilMs : undefined;
  } catch {
    log(`${path} is not a deadline and is ignored`);
    return undefined;
  }
}

/** One write at a time; of the deadlines that come meanwhile only the last one is written. */
function deadlineWriter(path: string, log: (text: string) => void): (until: Instant | undefined) => void {
  let writing = false;
  let next: { readonly until: Instant | undefined } | undefined;
  const drain = async (): Promise<void> => {
    writing = true;
    while (next) {
      const text = JSON.stringify({ bootId: bootId(), untilMs: next.until ?? null });
      next = undefined;
      try {
        // Renamed so that a reader never sees half; not fsynced, since after a power loss it is worthless.
        await writeFile(`${path}.new`, text, { mode: 0o600 });
        await rename(`${path}.new`, path);
      } catch (error) {
        log(`the guard's deadline cannot be written to ${path}: ${String(error)}`);
      }
    }
    writing = false;
  };
  return (until) => {
    next = { until };
    if (!writing) void drain();
  };
}
