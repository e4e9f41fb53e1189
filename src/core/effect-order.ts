/** Which effect goes out next while what a member must remember is on its way to a disk that may hang. */
import type { Effect, Transaction, Write } from './effects.ts';

/**
 * Takes the next effect out of the queue. While a `persist` is under way that is one that relies on nothing that is
 * remembered. A stop among those makes the jobs void that were asked for before it: it would have ended them.
 */
export function takeNext(queue: Effect[], isSaving: boolean): Effect | undefined {
  if (!isSaving) return queue.shift();
  const at = queue.findIndex(isFree);
  const [effect] = at < 0 ? [] : queue.splice(at, 1);
  if (effect?.kind === 'job') {
    const kept = queue.filter((other, index) => index >= at || other.kind !== 'job');
    queue.splice(0, queue.length, ...kept);
  }
  return effect;
}

/**
 * It ends something, tells something, or asks. A lease is renewed only when all is saved: who cannot remember may not go on
 * for long.
 */
function isFree(effect: Effect): boolean {
  switch (effect.kind) {
    case 'guard':
    case 'inspect':
    case 'read':
    case 'heartbeat':
    case 'probe':
    case 'probe-storage':
    case 'revoke-lease':
      return true;
    case 'job':
      return effect.job.kind === 'stop';
    case 'transact':
      return isFarewell(effect.transaction) || effect.transaction.write.every(isForPeople);
    default:
      return false;
  }
}

/** The key is given back. */
function isFarewell({ write }: Transaction): boolean {
  return write.some((one) => one.key === 'leader' && one.value === undefined);
}

function isForPeople({ key }: Write): boolean {
  return key === 'member' || key === 'status' || key === 'events';
}
