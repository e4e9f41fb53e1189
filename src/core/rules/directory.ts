/** Data directories that are not what the cluster expects: touched only where nothing can be lost. */

import type { Facts } from '../facts.ts';
import { writeDeadline } from '../failsafe.ts';
import { isForcedReinit } from './operator.ts';
import { type Rule, wait } from './rule.ts';

export const directoryRules: readonly Rule[] = [
  {
    name: 'unusable-directory',
    condition: 'The data directory holds something that is not a PostgreSQL data directory',
    does: 'wait',
    when: (f) => f.instance === 'unusable',
    goal: () => wait,
    because: (f) =>
      f.postgres?.directory.kind === 'unusable' ? `${f.postgres.directory.error}; it is left alone` : '',
  },
  {
    name: 'unfinished-bootstrap',
    condition: 'The directory was initialised here for a cluster that another member then founded',
    does: 'set-aside',
    when: (f) => f.foreignSystemId !== undefined && f.state.durable.founding && f.instance === 'stopped',
    goal: () => ({ kind: 'job', job: { kind: 'set-aside' } }),
    because: (f) =>
      `system identifier ${f.foreignSystemId} was never published, so no client has written to it; the cluster's is ${f.view?.initialize?.value}`,
  },
  {
    name: 'foreign-directory',
    condition: 'The data directory belongs to another cluster',
    does: 'wait',
    when: (f) => f.foreignSystemId !== undefined && !isForcedReinit(f),
    goal: () => wait,
    because: (f) =>
      `the data directory has system identifier ${f.foreignSystemId}, the cluster has ${f.view?.initialize?.value}; it is left alone: point data_dir elsewhere, or move it away`,
  },
  {
    name: 'dcs-went-back',
    condition:
      'The DCS knows less than this member has seen of it, and this member leads in the newest term that it has seen',
    does: 'take (retake)',
    when: (f) => f.doubt !== undefined && f.rule !== undefined && leadsInNewest(f),
    goal: () => ({ kind: 'take', ground: 'retake' }),
    because: (f) => `${f.doubt}; the running primary writes the record anew, above everything that was seen`,
  },
  {
    name: 'dcs-in-doubt',
    condition: 'The DCS knows less than this member has seen of it',
    does: 'wait',
    when: (f) => f.doubt !== undefined && !isForcedInDoubt(f) && f.state.reinit === undefined,
    goal: () => wait,
    because: (f) =>
      `${f.doubt}; nobody takes the key on its word. To go on with it from here: pgherd failover --candidate ${f.self} ${flagInDoubt(f)}; to copy whoever leads now: pgherd reinit ${f.self}`,
  },
];

/** What the DCS says of the sync standbys is not believed either: only an operator who allows for lost commits goes on. */
function isForcedInDoubt(f: Facts): boolean {
  return isForced(f) && (!isSynchronous(f) || f.view?.failover?.value.allowDataLoss === true);
}

function flagInDoubt(f: Facts): string {
  return isSynchronous(f) ? '--allow-data-loss' : '--force';
}

function isSynchronous(f: Facts): boolean {
  return f.rule?.mode === 'sync' || f.settings.synchronousMode !== 'off';
}

/** Its lease, or what the members promised, runs by its own count, and nobody was seen in a later term. */
function leadsInNewest(f: Facts): boolean {
  const { state, now } = f;
  const { maxTerm, originTerm, disarmed } = state.durable;
  if (f.instance !== 'primary' || f.paused || disarmed || originTerm !== maxTerm || f.foreignSystemId !== undefined)
    return false;
  const isAhead = [...state.heard.values()].some(
    ({ heartbeat }) => heartbeat.storeId === state.durable.storeId && heartbeat.term > maxTerm,
  );
  if (isAhead) return false;
  return now < (writeDeadline(state) ?? state.armedUntil ?? 0);
}

/** An operator names this member, knowing that nothing on record supports it. */
export function isForced(f: Facts): boolean {
  const wish = f.view?.failover?.value;
  return wish?.kind === 'failover' && wish.candidate === f.self && wish.refused === undefined;
}
