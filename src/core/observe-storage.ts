/** What shows whether the instance can serve, folded into the state: write probes, WAL that is not flushed, a frozen postmaster. */
import { blockBytes } from './ability.ts';
import type { Event, StorageOutcome } from './events.ts';
import type { Instant, PostgresStatus } from './model.ts';
import type { State } from './state.ts';

/** Storage answered, or did not when something was to be saved. */
export function observeStorage(
  state: State,
  event: Extract<Event, { kind: 'storage-probed' | 'save-overdue' | 'saved' }>,
  now: Instant,
): State {
  if (event.kind === 'storage-probed') return observeProbe(state, event.outcome, now);
  const unsaved = event.kind === 'saved' ? undefined : { since: event.since, error: event.error };
  return { ...state, unsaved };
}

function observeProbe(state: State, outcome: StorageOutcome, now: Instant): State {
  const { storage } = state;
  if (storage === undefined) return state;
  const error = errorOf(outcome);
  const since = storage.failing?.since ?? storage.askedAt;
  return {
    ...state,
    storage: {
      ...storage,
      answered: true,
      // The pause until the next one counts from here: one that took long is not followed by another at once.
      askedAt: now,
      failing: error === undefined ? undefined : { since, error },
      freeBytes: outcome.ok ? outcome.freeBytes : undefined,
    },
  };
}

function errorOf(outcome: StorageOutcome): string | undefined {
  if (!outcome.ok) return outcome.error;
  return outcome.freeBytes < blockBytes ? 'no space is left' : undefined;
}

type Ability = Pick<State, 'frozenSince' | 'walStuck' | 'crowdedAt' | 'unable'>;

/** What a look at the instance shows of it. */
export function abilityOf(state: State, { instance }: PostgresStatus, now: Instant): Ability {
  const isFrozen = instance.kind === 'silent' && instance.why === 'frozen';
  const isCrowded =
    instance.kind === 'running' ? instance.isCrowded : instance.kind === 'silent' && instance.why === 'crowded';
  const serves = instance.kind === 'running' && state.job === undefined;
  return {
    frozenSince: isFrozen ? (state.frozenSince ?? now) : undefined,
    walStuck: walStuck(state, instance, now),
    crowdedAt: isCrowded ? now : state.crowdedAt,
    unable: serves ? undefined : state.unable,
  };
}

/** An instance that does not answer may be one that hangs on the same storage: what was known of it stands. */
function walStuck(state: State, instance: PostgresStatus['instance'], now: Instant): State['walStuck'] {
  if (instance.kind === 'silent') return state.walStuck;
  if (instance.kind !== 'running' || !instance.awaitsWal || instance.flushedLsn === undefined) return undefined;
  const before = state.walStuck;
  return before?.flushedLsn === instance.flushedLsn ? before : { since: now, flushedLsn: instance.flushedLsn };
}
