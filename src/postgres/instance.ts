/** The PostgreSQL port on a real instance: one job at a time, and an eye on the server. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from '../core/effects.ts';
import type { JobOutcome } from '../core/events.ts';
import type { Progress } from '../core/model.ts';
import { messageOf } from '../lib/caught.ts';
import type { Postgres } from '../ports/postgres.ts';
import { cloneInstance } from './clone.ts';
import { configureInstance } from './configure.ts';
import { restoreDirectory, setAside } from './directory-swap.ts';
import { endSenders } from './end-senders.ts';
import { gates } from './gate.ts';
import { initializeDatabase } from './initdb.ts';
import { type Inspector, inspector } from './inspect.ts';
import { runStatements, withSession } from './job-session.ts';
import { type PostgresOptions, type Setup, setupOf } from './options.ts';
import { fenceInstance, killInstance, stopInstance } from './postmaster.ts';
import { probePostmaster } from './probe.ts';
import { promoteInstance } from './promote.ts';
import { provisionRoles } from './provision.ts';
import { forgetKeptFiles, rewindInstance } from './rewind.ts';
import { severInstance, walReceiverRuns } from './sever.ts';
import { changeSlots } from './slots.ts';
import { prepareStateDirectory, startInstance } from './start.ts';
import { storageProbe } from './storage-probe.ts';
import { type Watch, watchInstance } from './watch.ts';

/** The adapter for one data directory. Nothing is touched until it is asked for something. */
export function managePostgres(options: PostgresOptions): Postgres {
  const setup = setupOf(options);
  let watch: Watch | undefined;
  const inspect = inspector(setup, () => watch?.wake());
  const watching = watchInstance(setup, async () => {
    await repairOnce();
    try {
      return await inspect.look();
    } catch (error) {
      // The port does not throw: what nobody foresaw is an instance of which nothing is known.
      const because = `the inspection failed: ${messageOf(error)}`;
      return {
        directory: { kind: 'unusable', error: because },
        instance: { kind: 'silent', why: 'unanswered', because },
      };
    }
  });
  watch = watching;
  const jobs = jobQueue();
  const gate = gates(setup);
  const storage = storageProbe(setup);
  const repairOnce = once(() => repair(setup, inspect));

  return {
    inspect: () => watching.inspect(),
    run: (job, progress, signal) =>
      jobs.run(job, signal, async (jobSignal) => {
        await repairOnce();
        watching.outdated();
        try {
          return await carryOut(setup, inspect, watching, job, progress, jobSignal);
        } catch (error) {
          // The file system's errors end here: a full disk, a right that is missing.
          return { ok: false, error: `${job.kind} failed: ${messageOf(error)}` };
        } finally {
          watching.wake();
        }
      }),
    fence: shared(async () => {
      // A postmaster that a job has just spawned cannot be found yet: the job kills it when it is cancelled.
      const starting = jobs.cancel();
      inspect.stopping('PostgreSQL was ended at once by pgherd');
      await fenceInstance(setup, () => inspect.sight());
      await starting;
      await fenceInstance(setup, () => inspect.sight());
      watching.wake();
    }),
    walReceiverRuns: () => walReceiverRuns(() => inspect.sight()),
    gate: (mark) => gate.pass(mark),
    probe: probePostmaster,
    probeStorage: () => storage.probe(),
    changeSlots: async (create, drop) => {
      const outcome = await changeSlots(setup, create, drop);
      watching.wake();
      return outcome;
    },
    watch: (listener) => watching.begin(listener),
    close: async () => {
      storage.close();
      gate.close();
      await jobs.cancel();
      await watching.close();
      inspect.close();
    },
  };
}

function carryOut(
  setup: Setup,
  inspect: Inspector,
  watch: Watch,
  job: Job,
  progress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<JobOutcome> {
  switch (job.kind) {
    case 'initdb':
      return replacing(setup, inspect, () => initializeDatabase(setup, progress, signal));
    case 'clone':
      return replacing(setup, inspect, () => cloneInstance(setup, job.source, progress, signal));
    case 'set-aside':
      return replacing(setup, inspect, async () => {
        await setAside(setup);
        return { ok: true };
      });
    case 'rewind':
      return rewindInstance(setup, inspect, job.source, progress, signal);
    case 'start':
      return startInstance(setup, inspect, job, signal, () => watch.wake());
    case 'stop':
      inspect.stopping(
        `PostgreSQL was stopped by pgherd (${job.mode}${job.unable === undefined ? '' : `: ${job.unable}`})`,
      );
      return job.mode === 'immediate' && job.unable !== undefined
        ? killInstance(setup, () => inspect.sight(), signal)
        : stopInstance(setup, job.mode, () => inspect.sight(), signal);
    case 'promote':
      return promoteInstance(setup, signal);
    case 'configure':
      return configureInstance(setup, inspect, job, signal);
    case 'sever':
      return severInstance(setup, inspect, signal, () => watch.wake());
    case 'end-senders':
      return endSenders(setup, job.members, signal);
    case 'provision':
      return provisionRoles(setup);
    case 'checkpoint':
      return withSession(
        setup,
        setup.timings.checkpointMs,
        (session) => runStatements(session, [{ named: 'the checkpoint', text: 'CHECKPOINT' }]),
        signal,
      );
    default:
      return job satisfies never;
  }
}

/** Work that gives the data directory another content. No server may run on it. */
async function replacing(setup: Setup, inspect: Inspector, work: () => Promise<JobOutcome>): Promise<JobOutcome> {
  const sighting = inspect.sight();
  if (sighting.kind !== 'none') return { ok: false, error: `a server still runs on ${setup.dataDir}` };
  const outcome = await work();
  if (outcome.ok) {
    inspect.replaced();
    await forgetKeptFiles(setup);
  }
  return outcome;
}

/** What an agent that was killed left unfinished. */
async function repair(setup: Setup, inspect: Inspector): Promise<void> {
  try {
    await prepareStateDirectory(setup);
    if (inspect.sight().kind === 'none') await restoreDirectory(setup);
  } catch (error) {
    setup.log.warn('repair-failed', `the state of ${setup.dataDir} could not be prepared: ${messageOf(error)}`);
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}

/** Resolves when `work` is over, however it ended, or after `ms`. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const late = new AbortController();
  await Promise.race([
    work.catch(() => undefined),
    sleep(ms, undefined, { signal: late.signal }).catch(() => undefined),
  ]);
  late.abort();
}

/** A call while one is under way is that one. */
function shared(work: () => Promise<void>): () => Promise<void> {
  let underWay: Promise<void> | undefined;
  return () => {
    underWay ??= work().finally(() => (underWay = undefined));
    return underWay;
  };
}

interface RunningJob {
  readonly kind: Job['kind'];
  readonly done: Promise<unknown>;
  readonly controller: AbortController;
  /** It may start a server. */
  readonly spawns: boolean;
}

interface JobQueue {
  run(job: Job, signal: AbortSignal, work: (signal: AbortSignal) => Promise<JobOutcome>): Promise<JobOutcome>;
  /** Aborts the job that runs; resolves when it cannot start a server any more. */
  cancel(): Promise<void>;
}

const startsServer: ReadonlySet<Job['kind']> = new Set(['start', 'rewind', 'sever']);

/** One job at a time. A stop cancels the one that runs and waits for its end; any other second job is a bug. */
function givesWay(running: Job['kind'], next: Job['kind']): boolean {
  return running === 'checkpoint' && next !== 'checkpoint';
}

/** A server that a cancelled job has spawned is killed at once; a job that has not ended by then waits for storage, and has none. */
const cancelMs = 2000;

function jobQueue(): JobQueue {
  let current: RunningJob | undefined;
  /** Of all jobs so far: storage that hangs holds some of them long after they were cancelled. */
  let allDone: Promise<unknown> = Promise.resolve();
  return {
    cancel: async () => {
      const former = current;
      former?.controller.abort();
      if (former?.spawns) await within(cancelMs, former.done);
    },
    run: async (job, signal, work) => {
      // A stop ends whatever runs; a checkpoint gives way, since the server goes on with it by itself.
      if (current && job.kind !== 'stop' && !givesWay(current.kind, job.kind))
        throw new Error(`job ${job.kind} was begun while ${current.kind} runs`);
      const former = current;
      const controller = new AbortController();
      const abort = (): void => controller.abort();
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
      const before = allDone;
      const done = (async () => {
        former?.controller.abort();
        // A stop does not wait for what storage holds; whatever writes files waits for everything that does.
        if (job.kind === 'stop') await within(cancelMs, before);
        else await before;
        return work(controller.signal);
      })();
      allDone = Promise.allSettled([before, done]);
      const mine = { kind: job.kind, done, controller, spawns: startsServer.has(job.kind) };
      current = mine;
      try {
        return await done;
      } finally {
        signal.removeEventListener('abort', abort);
        if (current === mine) current = undefined;
      }
    },
  };
}
