/**
 * Looks at the instance again and again, and tells what changed: at once when the inspection session ends or a
 * child exits, often while it starts, else once a second. Looks are shared: at most one runs at a time.
 */
import type { PostgresStatus } from '../core/model.ts';
import type { PostgresListener } from '../ports/postgres.ts';
import type { Setup } from './options.ts';

/** The looks at one instance. */
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

/** `look` looks at the instance once. Nothing is looked at before `begin` or `inspect`. */
export function watchInstance(setup: Setup, look: () => Promise<PostgresStatus>): Watch {
  const watch: WatchState = {
    setup,
    look,
    underWay: undefined,
    epoch: 0,
    underWayEpoch: -1,
    listener: undefined,
    told: '',
    closed: false,
    timer: undefined,
    startingMs: startingFirstMs,
  };
  return {
    inspect: () => inspect(watch),
    outdated: () => outdated(watch),
    wake: () => {
      outdated(watch);
      watch.startingMs = startingFirstMs;
      schedule(watch, 0);
    },
    begin: (listener) => {
      watch.listener = listener;
      watch.told = '';
      schedule(watch, 0);
    },
    close: async () => {
      watch.closed = true;
      clearTimeout(watch.timer);
      if (watch.underWay) await watch.underWay.catch(() => undefined);
    },
  };
}

interface WatchState {
  readonly setup: Setup;
  readonly look: () => Promise<PostgresStatus>;
  underWay: Promise<PostgresStatus> | undefined;
  /** Raised by everything that makes a look outdated. */
  epoch: number;
  underWayEpoch: number;
  listener: PostgresListener | undefined;
  told: string;
  closed: boolean;
  timer: NodeJS.Timeout | undefined;
  startingMs: number;
}

function outdated(watch: WatchState): void {
  watch.epoch += 1;
}

async function inspect(watch: WatchState): Promise<PostgresStatus> {
  if (watch.underWay) {
    if (watch.underWayEpoch === watch.epoch) return watch.underWay;
    await watch.underWay;
    return inspect(watch);
  }
  watch.underWayEpoch = watch.epoch;
  const started = watch.look();
  watch.underWay = started;
  const status = await started.finally(() => {
    watch.underWay = undefined;
  });
  tell(watch, status);
  return status;
}

function tell(watch: WatchState, status: PostgresStatus): void {
  const text = JSON.stringify(status, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  if (text === watch.told || watch.closed) return;
  watch.told = text;
  watch.listener?.onStatus(status);
}

async function turn(watch: WatchState): Promise<void> {
  const status = await inspect(watch);
  if (watch.closed || !watch.listener) return;
  let pauseMs = watch.setup.timings.watchMs;
  if (status.instance.kind === 'starting') {
    pauseMs = watch.startingMs;
    watch.startingMs = Math.min(watch.startingMs * 1.25, startingLastMs);
  } else {
    watch.startingMs = startingFirstMs;
  }
  schedule(watch, pauseMs);
}

function schedule(watch: WatchState, pauseMs: number): void {
  clearTimeout(watch.timer);
  if (watch.closed || !watch.listener) return;
  watch.timer = setTimeout(() => {
    turn(watch).catch((error: unknown) => {
      watch.setup.log.warn('inspection-failed', `the inspection failed: ${String(error)}`);
      schedule(watch, watch.setup.timings.watchMs);
    });
  }, pauseMs);
}
