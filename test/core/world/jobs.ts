/** What the jobs on an instance come to in the small world, and how long they take. */
import type { Job } from '../../../src/core/effects.ts';
import type { JobOutcome } from '../../../src/core/events.ts';
import { lsn } from '../../../src/core/lsn.ts';
import type { Postgres } from './postgres.ts';

export const jobMs: Readonly<Record<Job['kind'], number>> = {
  initdb: 300,
  'set-aside': 5,
  start: 20,
  stop: 30,
  promote: 70,
  configure: 10,
  provision: 20,
  checkpoint: 20,
  sever: 60,
  'end-senders': 10,
  rewind: 200,
  clone: 500,
};

interface Surroundings {
  readonly systemId: () => string;
  /** The named member's instance, if it can be reached. */
  readonly source: (member: string) => Postgres | undefined;
  readonly stopCleanly: () => void;
  readonly onStarted: () => void;
}

const ok: JobOutcome = { ok: true };

function fail(error: string, untouched = false): JobOutcome {
  return untouched ? { ok: false, error, untouched } : { ok: false, error };
}

export function finishJob(postgres: Postgres, job: Job, around: Surroundings): JobOutcome {
  switch (job.kind) {
    case 'initdb':
      if (postgres.broken) return fail('no space left on device');
      postgres.initdb(around.systemId());
      return ok;
    case 'set-aside':
      postgres.data = undefined;
      return ok;
    case 'start':
      postgres.start(job.as, job.upstream);
      postgres.names = job.synchronousStandbyNames;
      if (postgres.process === 'stopped') return fail('it does not start');
      around.onStarted();
      return ok;
    case 'stop':
      if (job.mode === 'fast') around.stopCleanly();
      else postgres.stop(false);
      return ok;
    case 'rewind':
    case 'clone':
      return copy(postgres, job, around);
    default:
      return onRunning(postgres, job);
  }
}

function onRunning(postgres: Postgres, job: Job): JobOutcome {
  if (postgres.process !== 'running') return fail('it is not running');
  if (job.kind === 'promote') {
    if (postgres.unpromotable) return fail('not promoted within 60 s');
    postgres.promote();
  } else if (job.kind === 'configure') {
    postgres.upstream = job.upstream;
    postgres.names = job.synchronousStandbyNames;
    return job.prove === 'nothing' ? ok : { ok: true, lsn: lsn(postgres.data?.end ?? 0n) };
  } else if (job.kind === 'sever') postgres.sever();
  else if (job.kind === 'end-senders') postgres.staleSender = undefined;
  else if (job.kind === 'checkpoint') postgres.checkpoint();
  return ok;
}

function copy(postgres: Postgres, job: Extract<Job, { kind: 'rewind' | 'clone' }>, around: Surroundings): JobOutcome {
  const source = around.source(job.source.member);
  if (source === undefined) return fail(`${job.source.member} cannot be reached`, true);
  const done = job.kind === 'clone' ? postgres.clone(source) : postgres.rewind(source);
  return done ? ok : fail(`${job.source.member} is no primary`);
}

export function describeJob(job: Job): string {
  switch (job.kind) {
    case 'start':
      return `start as ${job.as}${job.upstream === undefined ? '' : ` of ${job.upstream.member}`}`;
    case 'stop':
      return `stop ${job.mode}`;
    case 'rewind':
    case 'clone':
      return `${job.kind} from ${job.source.member}`;
    default:
      return job.kind;
  }
}
