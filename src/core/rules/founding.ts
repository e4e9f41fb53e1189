/** A cluster from nothing, or from a data directory that is there. Exactly one member founds: the first transaction wins. */
import type { Facts } from '../facts.ts';
import { publishSystemId } from '../transactions.ts';
import { isForced } from './directory.ts';
import { attemptText, mayTry, type Rule, wait } from './rule.ts';

export const foundingRules: readonly Rule[] = [
  {
    name: 'publish-system-id',
    condition: 'I found the cluster, and its data directory exists',
    does: 'found (system identifier)',
    when: (f) => founding(f) && f.iHold && f.postgres?.directory.kind === 'present',
    goal: (f) => {
      const { view, postgres } = f;
      if (view === undefined || postgres?.directory.kind !== 'present') return wait;
      return { kind: 'transact', transaction: publishSystemId(view, postgres.directory.control.systemId) };
    },
    because: () => 'the data directory is initialised; clients come after its identifier is known',
  },
  {
    name: 'initdb',
    condition: 'I found the cluster, and there is no data directory yet',
    does: 'initdb',
    when: (f) => founding(f) && f.iHold && f.instance === 'empty' && mayTry(f, 'initdb'),
    goal: () => ({ kind: 'job', job: { kind: 'initdb' } }),
    because: (f) => `this member founds the cluster${attemptText(f, 'initdb')}`,
  },
  {
    name: 'initdb-failed',
    condition: 'I found the cluster, and initdb failed a moment ago',
    does: 'wait',
    when: (f) => founding(f) && f.iHold,
    goal: () => wait,
    because: (f) => `initdb failed: ${f.state.failures.get('initdb')?.error ?? 'unknown'}; it is tried again`,
  },
  {
    name: 'founder-at-work',
    condition: 'Another member is founding the cluster',
    does: 'wait',
    when: (f) => founding(f) && f.holder !== undefined && f.holder !== f.self,
    goal: () => wait,
    because: (f) => `${f.holder} is initialising the cluster`,
  },
  {
    name: 'standby-without-cluster',
    condition: 'There is no cluster yet, and the data directory here is a standby of something',
    does: 'wait',
    when: (f) => nothingYet(f) && isStandby(f) && !isForcedAnew(f),
    goal: () => wait,
    because: () =>
      'the data directory is a standby of something (standby.signal); a cluster is founded on a primary: start the agent of the primary first',
  },
  {
    name: 'not-a-founder',
    condition: 'There is no cluster yet, and this member may never be primary',
    does: 'wait',
    when: (f) => nothingYet(f) && (f.state.self.tags.noFailover || f.state.self.tags.failoverPriority <= 0),
    goal: () => wait,
    because: () => 'this member is tagged nofailover: another one has to found the cluster',
  },
  {
    name: 'found',
    condition: 'There is no cluster yet (or its founder is gone before anything was written)',
    does: 'found',
    when: (f) =>
      nothingYet(f) &&
      f.holder === undefined &&
      (['empty', 'stopped', 'primary'].includes(f.instance) || isForcedAnew(f)),
    goal: (f) => ({
      kind: 'found',
      systemId: f.postgres?.directory.kind === 'present' ? f.postgres.directory.control.systemId : '',
    }),
    because: (f) =>
      f.instance === 'empty'
        ? 'the DCS knows no cluster of this name'
        : 'the DCS knows no cluster of this name; the data directory here is adopted',
  },
  {
    name: 'unmanaged-cluster',
    condition: 'The DCS knows the cluster, but it has no rule record',
    does: 'wait',
    when: (f) => f.rule === undefined,
    goal: () => wait,
    because: (f) =>
      f.view?.initialize === undefined
        ? 'the instance has to be stopped or running as a primary before a cluster can be founded on it'
        : 'the cluster in the DCS was not made by pgherd (it has "initialize" and no "rule")',
  },
];

/** `initialize` is there and empty: the founder is at work, and no client has been let in. */
function founding(f: Facts): boolean {
  return f.rule !== undefined && f.view?.initialize?.value === '';
}

function nothingYet(f: Facts): boolean {
  return (f.rule === undefined && f.view?.initialize === undefined) || (founding(f) && f.holder === undefined);
}

/** A member of a cluster that the DCS has forgotten, and an operator who says that it shall go on from this one. */
function isForcedAnew(f: Facts): boolean {
  return f.state.durable.maxTerm > 0 && f.instance === 'replica' && isForced(f);
}

function isStandby(f: Facts): boolean {
  if (f.running !== undefined) return f.running.inRecovery;
  return f.postgres?.directory.kind === 'present' && f.postgres.directory.standbySignal;
}
