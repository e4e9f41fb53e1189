/** The effects that go to an instance, mostly our own: looks, jobs, slots, gates, probes. What comes of each returns as an event. */
import type { Effect, Job } from '../core/effects.ts';
import type { JobOutcome } from '../core/events.ts';
import type { Postgres } from '../ports/postgres.ts';
import type { Dispatch, World } from './world.ts';

/** None of them waits, fails or throws: the outcome is an event. */
export interface PostgresEffects {
  readonly inspect: () => void;
  readonly runJob: (id: number, job: Job) => void;
  readonly changeSlots: (effect: Extract<Effect, { kind: 'change-slots' }>) => void;
  readonly gate: (effect: Extract<Effect, { kind: 'gate' }>) => void;
  readonly probe: (effect: Extract<Effect, { kind: 'probe' }>) => void;
  readonly probeStorage: () => void;
  /** Begins to watch the postmaster. */
  readonly watch: () => void;
}

/** Worth a line in the log. */
const slowProbeMs = 1000;

/** Carries the effects out on `world.postgres`. */
export function postgresEffects({ postgres, clock, log }: World, dispatch: Dispatch): PostgresEffects {
  let jobEnding = new AbortController();

  async function runJob(id: number, job: Job): Promise<void> {
    // The core begins a job over another one to end that: a stop over anything, a new setting over a checkpoint. The late
    // outcome of the old one carries an old number, which the core knows not to believe.
    jobEnding.abort();
    jobEnding = new AbortController();
    const { signal } = jobEnding;
    const began = clock.now();
    log.info('job-begun', describeJob(job));
    const outcome = await postgres.run(job, (progress) => dispatch({ kind: 'job-progress', id, progress }), signal);
    const tookMs = Math.round(clock.now() - began);
    const status = await postgres.inspect();
    const settled = job.kind === 'sever' ? await stillSevered(postgres, outcome) : outcome;
    if (settled.ok) log.info('job-done', describeJob(job), { tookMs });
    else if (signal.aborted) log.info('job-given-up', `${describeJob(job)}: another job began`, { tookMs });
    else log.warn('job-failed', `${describeJob(job)}: ${settled.error}`, { tookMs });
    dispatch({ kind: 'job-finished', id, outcome: settled, status, at: clock.wall() });
  }

  async function gate({ mark }: Extract<Effect, { kind: 'gate' }>): Promise<void> {
    const began = clock.now();
    const outcome = await postgres.gate(mark);
    const tookMs = Math.round(clock.now() - began);
    if (outcome.ok) log.info('gate-passed', 'a commit has reached its sync standbys', { tookMs });
    else log.warn('gate-not-passed', outcome.error, { tookMs });
    dispatch({ kind: 'gate', mark, outcome });
  }

  async function probe({ endpoint, timeoutMs }: Extract<Effect, { kind: 'probe' }>): Promise<void> {
    const askedAt = clock.now();
    const answered = await postgres.probe(endpoint, timeoutMs);
    log.debug('probed', `PostgreSQL of ${endpoint.member} ${answered ? 'answers' : 'does not answer'}`);
    dispatch({ kind: 'probed', member: endpoint.member, askedAt, answered });
  }

  async function probeStorage(): Promise<void> {
    const began = clock.now();
    const outcome = await postgres.probeStorage();
    const tookMs = Math.round(clock.now() - began);
    if (!outcome.ok) log.warn('storage-probe-failed', outcome.error, { tookMs });
    else if (tookMs > slowProbeMs) log.warn('storage-slow', 'a small write took long to be on disk', { tookMs });
    dispatch({ kind: 'storage-probed', outcome });
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
    gate: (effect) => void gate(effect),
    probe: (effect) => void probe(effect),
    probeStorage: () => void probeStorage(),
    watch: () => postgres.watch({ onStatus: (status) => dispatch({ kind: 'postgres-seen', status }) }),
  };
}

/** The position was read in between: a receiver that is there now may have brought WAL before or after. */
async function stillSevered(postgres: Postgres, outcome: JobOutcome): Promise<JobOutcome> {
  if (!outcome.ok || !(await postgres.walReceiverRuns())) return outcome;
  return { ok: false, error: 'a WAL receiver was there again after the position was read' };
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
    case 'configure': {
      const proof = job.prove === 'nothing' ? '' : `, proven (${job.prove})`;
      return `configure ${job.upstream === undefined ? 'without upstream' : `to follow ${job.upstream.member}`}${proof}`;
    }
    case 'end-senders':
      return `end the WAL senders of ${job.members.join(', ')}`;
    default:
      return job.kind;
  }
}
