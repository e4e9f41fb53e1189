/** Data directories that are not what the cluster expects: touched only where nothing can be lost. */
import type { Facts } from '../facts.ts';
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
    name: 'dcs-in-doubt',
    condition: 'The DCS knows less than this member has seen of it',
    does: 'wait',
    when: (f) => f.doubt !== undefined && !isForced(f),
    goal: () => wait,
    because: (f) =>
      `${f.doubt}; nobody takes the key on its word. To go on with it: pgherd failover --candidate ${f.self} --force`,
  },
];

/** An operator names this member, knowing that nothing on record supports it. */
export function isForced(f: Facts): boolean {
  const wish = f.view?.failover?.value;
  return wish?.kind === 'failover' && wish.candidate === f.self && wish.refused === undefined;
}
