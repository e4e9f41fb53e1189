/**
 * PostgreSQL lives and cannot serve. It is ended, and the key is given to somebody who can; where there is nobody, the
 * reason is told and nothing is done. In synchronous mode nothing is lost by it; in asynchronous mode an orderly shutdown
 * sends everything to the replicas, where one is still possible.
 */
import { inabilityOf, segmentBytes } from '../ability.ts';
import { liveCandidates } from '../candidates.ts';
import type { Facts } from '../facts.ts';
import { isUp, stoppedCleanly } from './instance.ts';
import { type Rule, wait } from './rule.ts';

/** What cannot serve gets so long for an orderly shutdown. */
export const unableStopMs = 2000;
/** So often may an instance die of a full disk before somebody else serves: the first time it may have made room by it. */
const crashesForWantOfRoom = 2;
/** Clients come and go: so long is a shortage of connections remembered, so that it is told once. */
export const crowdedMs = 60_000;

export const abilityRules: readonly Rule[] = [
  {
    name: 'storage-hangs',
    condition: 'The key is mine, storage has hung for storage_timeout, and somebody else can serve',
    does: 'fence',
    when: (f) => inabilityOf(f)?.kind === 'hangs' && !isFencing(f) && mayEnd(f),
    goal: (f) => ({ kind: 'fence', unable: inabilityText(f) }),
    because: (f) => moveText(f),
  },
  {
    name: 'unable-fence',
    condition: 'The key is mine, the instance is being stopped since it cannot serve, and that takes too long',
    does: 'fence',
    when: (f) =>
      f.state.unable !== undefined &&
      isStopping(f) &&
      !isFencing(f) &&
      f.now >= stopSince(f) + unableStopMs &&
      mayEnd(f),
    goal: (f) => ({ kind: 'fence', unable: f.state.unable ?? '' }),
    because: (f) => `${f.state.unable ?? ''}; it does not end in order`,
  },
  {
    name: 'storage-refuses',
    condition: 'The key is mine, storage has taken no writes for storage_timeout, and somebody else can serve',
    does: 'fast stop',
    when: (f) => inabilityOf(f)?.kind === 'refuses' && !isStopping(f) && mayEnd(f),
    goal: (f) => ({ kind: 'stop-now', unable: inabilityText(f) }),
    because: (f) => moveText(f),
  },
  {
    name: 'postmaster-frozen',
    condition: 'The key is mine, a signal has stopped the postmaster for failure_timeout, and somebody else can serve',
    does: 'fast stop',
    when: (f) => inabilityOf(f)?.kind === 'frozen' && !isStopping(f) && mayEnd(f),
    goal: (f) => ({ kind: 'stop-now', unable: inabilityText(f) }),
    because: (f) => moveText(f),
  },
  {
    name: 'hand-over-unable',
    condition: 'The key is mine, the instance was ended since it could not serve, and somebody else can',
    does: 'release',
    when: (f) => isEnded(f) && f.state.job === undefined && whyEnded(f) !== undefined && mayMove(f),
    goal: (f) => ({ kind: 'release', candidate: undefined, clean: stoppedCleanly(f), abstain: true }),
    because: (f) => `${whyEnded(f) ?? ''}; ${liveCandidates(f).join(', ')} can serve`,
  },
];

/** Told, and nothing else: where nobody else can serve, or nothing has failed. */
export const impairmentRules: readonly Rule[] = [
  {
    name: 'unable-alone',
    condition: 'The key is mine, the instance is writable and cannot serve, and nobody can take over',
    does: 'wait',
    when: (f) => f.iHold && f.instance === 'primary' && inabilityOf(f) !== undefined,
    goal: () => wait,
    because: (f) => `${inabilityText(f)}; ${whyNotMoved(f)}`,
  },
  {
    name: 'connections-used-up',
    condition: 'The key is mine, the instance is writable, and clients had every connection within the last minute',
    does: 'wait',
    when: (f) =>
      f.iHold && f.instance === 'primary' && f.state.crowdedAt !== undefined && f.now < f.state.crowdedAt + crowdedMs,
    goal: () => wait,
    because: () =>
      'clients have every connection that max_connections leaves them, and more are turned away; that is no failure: raise max_connections, or use a connection pool',
  },
];

/** The key is mine, the DCS is there to give it back to, and somebody would take it. */
function mayMove(f: Facts): boolean {
  return f.iHold && f.state.dcs.kind === 'connected' && !f.paused && liveCandidates(f).length > 0;
}

function mayEnd(f: Facts): boolean {
  return (isUp(f) || f.mayWrite) && mayMove(f);
}

function isStopping(f: Facts): boolean {
  return f.state.job?.job.kind === 'stop';
}

function isFencing(f: Facts): boolean {
  return f.state.job?.job.kind === 'stop' && f.state.job.job.mode === 'immediate';
}

function stopSince(f: Facts): number {
  return f.state.job?.startedAt ?? f.now;
}

/** Whatever its directory shows, or does not. */
function isEnded({ postgres }: Facts): boolean {
  return postgres?.instance.kind === 'stopped' || postgres?.instance.kind === 'dying';
}

/** Why it was ended though it lived, or may not be started again. */
function whyEnded(f: Facts): string | undefined {
  const { unable } = f.state;
  if (unable !== undefined) return unable;
  const instance = f.postgres?.instance;
  if (instance?.kind === 'dying') return instance.because;
  return lacksRoom(f)
    ? `it died again (${f.state.failures.get('start')?.error ?? ''}), and no WAL segment fits on its disk`
    : undefined;
}

function lacksRoom({ state }: Facts): boolean {
  const crashes = state.failures.get('start')?.count ?? 0;
  const freeBytes = state.storage?.freeBytes;
  const isFull = freeBytes === undefined ? state.storage?.failing !== undefined : freeBytes < segmentBytes;
  return crashes >= crashesForWantOfRoom && isFull;
}

function inabilityText(f: Facts): string {
  return inabilityOf(f)?.because ?? '';
}

function whyNotMoved(f: Facts): string {
  if (f.paused) return 'the cluster is paused';
  return f.state.dcs.kind === 'connected' ? 'there is nobody to take over' : 'nobody can take over without the DCS';
}

function moveText(f: Facts): string {
  return `${inabilityText(f)}; ${liveCandidates(f).join(', ')} can serve`;
}
