/**
 * Looks at the instance again and again, and tells what changed: at once when the inspection session ends or a
 * child exits, often while it starts, else once a second. Looks are shared: at most one runs at a time.
 */
import type { PostgresStatus } from '../core/model.ts';
import type { PostgresListener } from '../ports/postgres.ts';
import type { Setup } from './options.ts';

export interface Watch {
  /** A look that began after the call, or was under way with nothing done to the instance since it began. */
  inspect(): Promise<PostgresStatus>;
  /** Something was done to the instance: a look that is under way may have missed it. */
  outdated(): void;
  /** Look now rather than at the next turn. */
  wake(): void;
  begin(listener: PostgresListener): void;
  close(): Promise<void>;
}

const startingFirstMs = 20;
const startingLastMs = 200;

export function watchInstance(setup: Setup, look: () => Promise<PostgresStatus>): Watch {
  let underWay: Promise<PostgresStatus> | undefined;
  /** Raised by everything that makes a look outdated. */
  let epoch = 0;
  let underWayEpoch = -1;
  let listener: PostgresListener | undefined;
  let told = '';
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let startingMs = startingFirstMs;

  const inspect = async (): Promise<PostgresStatus> => {
    if (underWay) {
      if (underWayEpoch === epoch) return underWay;
      await underWay;
      return inspect();
    }
    underWayEpoch = epoch;
    const started = look();
    underWay = started;
    const status = await started.finally(() => {
      underWay = undefined;
    });
    tell(status);
    return status;
  };

  const tell = (status: PostgresStatus): void => {
    const text = JSON.stringify(status, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
    if (text === told || closed) return;
    told = text;
    listener?.onStatus(status);
  };

  const turn = async (): Promise<void> => {
    const status = await inspect();
    if (closed || !listener) return;
    let pauseMs = setup.timings.watchMs;
    if (status.instance.kind === 'starting') {
      pauseMs = startingMs;
      startingMs = Math.min(startingMs * 1.25, startingLastMs);
    } else {
      startingMs = startingFirstMs;
    }
    schedule(pauseMs);
  };

  const schedule = (pauseMs: number): void => {
    clearTimeout(timer);
    if (closed || !listener) return;
    timer = setTimeout(() => {
      turn().catch((error: unknown) => {
        setup.log.warn('inspection-failed', `the inspection failed: ${String(error)}`);
        schedule(setup.timings.watchMs);
      });
    }, pauseMs);
  };

  const outdated = (): void => {
    epoch += 1;
  };
  const wake = (): void => {
    outdated();
    startingMs = startingFirstMs;
    schedule(0);
  };

  return {
    inspect,
    outdated,
    wake,
    begin: (newListener) => {
      listener = newListener;
      told = '';
      schedule(0);
    },
    close: async () => {
      closed = true;
      clearTimeout(timer);
      if (underWay) await underWay.catch(() => undefined);
    },
  };
}
