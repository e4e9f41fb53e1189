/** Both guards of a member: a timer within the agent, and the process that outlives it. They have the same deadline. */
import { readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { GuardAct } from '../core/events.ts';
import { inProcessGuard } from '../host/guard.ts';
import { guardActsOf } from '../host/guard-acts.ts';
import { standGuard } from '../host/guard-process.ts';
import type { Log } from '../lib/log.ts';
import type { Clock, Guard } from '../ports/host.ts';

/** What the guard is told, and by whom. */
export interface GuardingOptions {
  readonly stateDirectory: string;
  readonly dataDir: string;
  /** Undefined: no device stands behind the guard. */
  readonly watchdog: Config['watchdog'] | undefined;
  readonly ttlMs: () => number;
  readonly clock: Clock;
  readonly fence: () => Promise<void>;
  readonly log: Log;
}

/** The guard of this member. */
export interface Guarding extends Guard {
  /** Tells what the guard did, also what it did while no agent was there. */
  watch(onActs: (acts: readonly GuardAct[]) => void): void;
  /** Lets go of it: with a deadline it stays. */
  close(): void;
}

/** Of a member without PostgreSQL. */
export const nothingToGuard: Guarding = {
  armedUntil: async () => undefined,
  arm: () => {},
  watch: () => {},
  close: () => {},
};

/** How often a look is taken at what the guard has written. */
const lookEveryMs = 2000;

/** Resolves when the guard stands; the deadline of the agent before is its, or where it died too, the one in the file. */
export async function beginGuarding(
  options: GuardingOptions,
): Promise<{ readonly ok: true; readonly guarding: Guarding } | { readonly ok: false; readonly error: string }> {
  const { stateDirectory, dataDir, watchdog, ttlMs, clock, fence, log } = options;
  const warn = (text: string): void => log.warn('guard', text);
  const device =
    watchdog === undefined ? [] : ['--watchdog', watchdog.device, '--safety-margin', String(watchdog.safetyMarginMs)];
  const command = [...guardProgram(), '--directory', stateDirectory, '--data-dir', dataDir, ...device];
  const standing = await standGuard({ stateDirectory, command, ttlMs, now: () => clock.now(), warn });
  if (!standing.ok) return standing;
  const outside = standing.guard;
  const within = inProcessGuard({ clock, stateDirectory, fence, log: warn });
  let looking: NodeJS.Timeout | undefined;
  const guarding: Guarding = {
    armedUntil: async () => (outside.wasThere ? outside.armedUntil : within.armedUntil()),
    arm(until) {
      outside.arm(until);
      within.arm(until);
    },
    watch(onActs) {
      let isLooking = false;
      const look = async (): Promise<void> => {
        // A disk that hangs holds one thread of ours, not another one every two seconds.
        if (isLooking) return;
        isLooking = true;
        const acts = await takeActs(join(stateDirectory, 'guard.events'));
        for (const { at, text } of acts) log.warn('guard', text, { at });
        if (acts.length > 0) onActs(acts);
        isLooking = false;
      };
      looking = setInterval(() => void look(), lookEveryMs);
      void look();
    },
    close() {
      clearInterval(looking);
      within.close();
      outside.close();
    },
  };
  return { ok: true, guarding };
}

/** The guard's entry, beside our own: in the bundle, or among the sources. */
function guardProgram(): readonly string[] {
  const main = process.argv[1] ?? '';
  const path = main.endsWith('.ts') ? join(dirname(main), '../guard/main.ts') : join(dirname(main), 'guard.js');
  return [process.execPath, ...process.execArgv, path];
}

/** Takes the file away first, so that nothing is told twice and nothing that comes meanwhile is lost. */
async function takeActs(path: string): Promise<readonly GuardAct[]> {
  const taken = `${path}.told`;
  try {
    await rename(path, taken);
    const text = await readFile(taken, 'utf8');
    await rm(taken, { force: true });
    return guardActsOf(text);
  } catch {
    return [];
  }
}
