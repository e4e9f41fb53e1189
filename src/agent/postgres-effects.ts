/** The effects that go to the instance: looks, jobs, slots. What comes of each returns as an event. */
import type { Effect, Job } from '../core/effects.ts';
import type { Dispatch, World } from './world.ts';

/** None of them waits, fails or throws: the outcome is an event. */
export interface PostgresEffects {
  readonly inspect: () => void;
  readonly runJob: (id: number, job: Job) => void;
  readonly changeSlots: (effect: Extract<Effect, { kind: 'change-slots' }>) => void;
  /** Begins to watch the postmaster. */
  readonly watch: () => void;
}

/** Carries the effects out on `world.postgres`. */
export function postgresEffects({ postgres, clock, log }: World, dispatch: Dispatch): PostgresEffects {
  let jobEnding = new AbortController();

  async function runJob(id: number, job: Job): Promise<void> {
    // A stop ends whatever runs; its late outcome carries an old number, which the core knows not to believe.
    if (job.kind === 'stop') jobEnding.abort();
    jobEnding = new AbortController();
    const { signal } = jobEnding;
    const began = clock.now();
    log.info('job-begun', describeJob(job));
    const outcome = await postgres.run(job, (progress) => dispatch({ kind: 'job-progress', id, progress }), signal);
    const tookMs = Math.round(clock.now() - began);
    if (outcome.ok) log.info('job-done', describeJob(job), { tookMs });
    else log.warn('job-failed', `${describeJob(job)}: ${outcome.error}`, { tookMs });
    const status = await postgres.inspect();
    dispatch({ kind: 'job-finished', id, outcome, status, at: clock.wall() });
  }

  async function changeSlots(effect: Extract<Effect, { kind: 'change-slots' }>): Promise<void> {
    const outcome = await postgres.changeSlots(effect.create, effect.drop);
    const fields = { create: effect.create.map((slot) => slot.name).join(','), drop: effect.drop.join(',') };
    if (outcome.ok) log.debug('slots-changed', 'replication slots changed', fields);
    else log.warn('slots-not-changed', outcome.error, fields);
    dispatch({ kind: 'postgres-seen', status: await postgres.inspect() });
  }

  return {
    inspect: () => void postgres.inspect().then((status) => dispatch({ kind: 'postgres-seen', status })),
    runJob: (id, job) => void runJob(id, job),
    changeSlots: (effect) => void changeSlots(effect),
    watch: () => postgres.watch({ onStatus: (status) => dispatch({ kind: 'postgres-seen', status }) }),
  };
}

function describeJob(job: Job): string {
  switch (job.kind) {
    case 'start':
      return `start as ${job.as}${job.upstream === undefined ? '' : ` of ${job.upstream.member}`}`;
    case 'stop':
      return `${job.mode} stop`;
    case 'rewind':
    case 'clone':
      return `${job.kind} from ${job.source.member}`;
    case 'configure':
      return `configure ${job.upstream === undefined ? 'without upstream' : `to follow ${job.upstream.member}`}`;
    default:
      return job.kind;
  }
}
