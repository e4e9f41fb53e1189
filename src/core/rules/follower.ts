/** Another member holds the key: be its replica, by the least costly way. */
import { storageTrouble } from '../ability.ts';
import { configurationOf, configurationText, isConfigured, isConfiguredAlone } from '../configuration.ts';
import type { Facts } from '../facts.ts';
import { keepingLast } from '../memo.ts';
import { comparable } from '../position.ts';
import { type RejoinPath, rejoinPath } from '../rejoin.ts';
import { configureAlone, startFollowing } from './instance.ts';
import { attemptText, mayTry, type Rule, wait } from './rule.ts';

/** A server that has to get WAL before it takes connections cannot be told where from while it waits. */
const notReadyMs = 10_000;

export const followerRules: readonly Rule[] = [
  {
    name: 'term-not-recorded',
    condition: 'Another holds the key, where its term began is not on record yet, and I may have WAL that it has not',
    does: 'wait',
    when: (f) =>
      (f.instance === 'replica' || f.instance === 'stopped') &&
      !f.terms.some((entry) => entry.term === f.rule?.term) &&
      !isPartOfBase(f),
    goal: () => wait,
    because: (f) =>
      `${f.holder} holds the key in term ${f.rule?.term ?? '?'}; nobody follows it before it is known where that term began`,
  },
  {
    name: 'follow',
    condition:
      'Another holds the key, the instance runs as a replica of nothing or of somebody else (or the settings changed)',
    does: 'configure',
    when: (f) =>
      f.instance === 'replica' &&
      f.upstream !== undefined &&
      !isConfigured(f, f.upstream) &&
      path(f)?.kind === 'follow' &&
      mayTry(f, 'configure'),
    goal: (f) => ({ kind: 'job', job: { ...configureAlone(f), upstream: f.upstream } }),
    because: (f) =>
      `${f.holder} holds the key: ${configurationText(configurationOf(f, f.upstream))}${attemptText(f, 'configure')}`,
  },
  {
    name: 'restart-to-follow',
    condition: 'Another holds the key, and the instance was started without its address and does not become ready',
    does: 'immediate stop',
    when: (f) =>
      f.instance === 'starting' &&
      f.upstream !== undefined &&
      isConfiguredAlone(f) &&
      f.state.downSince !== undefined &&
      f.now - f.state.downSince >= notReadyMs,
    goal: () => ({ kind: 'job', job: { kind: 'stop', mode: 'immediate' } }),
    because: (f) => `it may need WAL that only ${f.holder} has; it is started again with its address`,
  },
  {
    name: 'paused-replica',
    condition: 'The cluster is paused, and another holds the key',
    does: 'wait',
    when: (f) => f.paused && f.state.restart === undefined && !f.state.stoppedByUs,
    goal: () => wait,
    because: (f) => `the cluster is paused; the instance is ${f.instance}, and is left alone`,
  },
  {
    name: 'upstream-unknown',
    condition: 'Another holds the key, but has not said where it is',
    does: 'wait',
    when: (f) => f.upstream === undefined,
    goal: () => wait,
    because: (f) => `${f.holder} holds the key and is not registered yet`,
  },
  {
    name: 'primary-not-ready',
    condition: 'A copy of the primary is needed, and the primary is not ready to be copied',
    does: 'wait',
    when: (f) => needsCopy(f) && !primaryIsReady(f),
    goal: () => wait,
    because: (f) =>
      `waiting until ${f.holder} serves as primary${path(f)?.kind === 'rewind' ? ' and has made a checkpoint on its timeline' : ''}`,
  },
  {
    name: 'diverged-stop',
    condition: 'The instance runs with WAL that is not in the history of the cluster',
    does: 'fast stop',
    when: (f) => f.instance === 'replica' && (path(f)?.kind === 'rewind' || path(f)?.kind === 'clone'),
    goal: () => ({ kind: 'job', job: { kind: 'stop', mode: 'fast' } }),
    because: (f) => pathText(f),
  },
  {
    name: 'rewind',
    condition: 'The instance is down and has WAL that is not in the history of the cluster',
    does: 'rewind',
    when: (f) => f.instance === 'stopped' && path(f)?.kind === 'rewind' && mayTry(f, 'rewind'),
    goal: (f) => (f.upstream === undefined ? wait : { kind: 'job', job: { kind: 'rewind', source: f.upstream } }),
    because: (f) => `${pathText(f)}${attemptText(f, 'rewind')}`,
  },
  {
    name: 'clone',
    condition: 'There is no data directory here, or none that can be brought back',
    does: 'clone',
    when: (f) =>
      (f.instance === 'empty' || f.instance === 'stopped') && path(f)?.kind === 'clone' && mayTry(f, 'clone'),
    goal: (f) => (f.upstream === undefined ? wait : { kind: 'job', job: { kind: 'clone', source: f.upstream } }),
    because: (f) => `${pathText(f)}${attemptText(f, 'clone')}`,
  },
  {
    name: 'try-again-later',
    condition: 'Rewinding or cloning failed a moment ago',
    does: 'wait',
    when: (f) => needsCopy(f),
    goal: () => wait,
    because: (f) => `${pathText(f)}${attemptText(f, path(f)?.kind === 'rewind' ? 'rewind' : 'clone')}`,
  },
  {
    name: 'stuck',
    condition: 'The instance has diverged, and the configuration allows no way back',
    does: 'wait',
    when: (f) => path(f)?.kind === 'stuck',
    goal: () => wait,
    because: (f) => pathText(f),
  },
  {
    name: 'start-replica',
    condition: 'Another holds the key, and the instance is down',
    does: 'start as replica',
    when: (f) => f.instance === 'stopped' && mayTry(f, 'start'),
    goal: (f) => ({ kind: 'job', job: startFollowing(f) }),
    because: (f) => `${f.holder} holds the key${attemptText(f, 'start')}`,
  },
  {
    name: 'start-again-later',
    condition: 'Another holds the key, the instance is down, and starting it failed a moment ago',
    does: 'wait',
    when: (f) => f.instance === 'stopped',
    goal: () => wait,
    because: (f) => `the instance does not start${attemptText(f, 'start')}`,
  },
  {
    name: 'replica-unfit',
    condition: 'Another holds the key, and my storage hangs or takes nothing',
    does: 'wait',
    when: (f) => storageTrouble(f) !== undefined,
    goal: () => wait,
    because: (f) => `${storageTrouble(f)?.because ?? ''}; this member is no candidate`,
  },
  {
    name: 'replicate',
    condition: 'Another holds the key, and the instance streams from it',
    does: 'wait',
    when: (f) => f.instance === 'replica' && f.running?.replicationState === 'streaming',
    goal: () => wait,
    because: (f) => `following ${f.holder}, the leader in term ${f.rule?.term ?? '?'}`,
  },
  {
    name: 'replica-starting',
    condition: 'Another holds the key, and the instance is not (yet) streaming',
    does: 'wait',
    when: () => true,
    goal: () => wait,
    because: (f) => {
      const instance = f.postgres?.instance;
      if (instance?.kind === 'starting' || instance?.kind === 'silent' || instance?.kind === 'dying')
        return `the instance is ${instance.kind}: ${instance.because}`;
      return `following ${f.holder}; the instance is ${f.instance} and does not stream yet`;
    },
  },
];

/** All WAL here is of the term that the taker's newest WAL is of, and no further: whatever the holder makes of it goes on from mine. */
function isPartOfBase({ rule, position, instance, terms }: Facts): boolean {
  if (rule?.base === undefined || position === undefined || instance !== 'replica') return false;
  const base = comparable(terms, rule.base);
  return position.originTerm === base.originTerm && position.lsn <= base.lsn;
}

const path = keepingLast((f: Facts): RejoinPath | undefined => {
  if (f.postgres === undefined) return undefined;
  return rejoinPath({
    durable: f.state.durable,
    postgres: f.postgres,
    terms: f.terms,
    settings: f.settings,
    rewindFailures: f.state.failures.get('rewind')?.count ?? 0,
  });
});

/** Nothing here is beside the history that the holder's term is on record in. */
export function mayStream(f: Facts): boolean {
  return f.terms.some((entry) => entry.term === f.rule?.term) && path(f)?.kind === 'follow';
}

function pathText(f: Facts): string {
  const way = path(f);
  return way === undefined || way.kind === 'follow' ? 'nothing is in the way' : way.because;
}

function needsCopy(f: Facts): boolean {
  const kind = path(f)?.kind;
  return (
    (kind === 'clone' || kind === 'rewind') &&
    (f.instance === 'empty' || f.instance === 'stopped' || f.instance === 'replica')
  );
}

/** The holder serves as primary, and its term is in the history. */
export function holderServes(f: Facts): boolean {
  const record = f.holder === undefined ? undefined : f.view?.members.get(f.holder)?.value;
  if (record === undefined || record.role !== 'primary' || record.state !== 'running') return false;
  return f.terms.some((entry) => entry.term === f.rule?.term);
}

/** For a rewind it has also made its first checkpoint. */
function primaryIsReady(f: Facts): boolean {
  const record = f.holder === undefined ? undefined : f.view?.members.get(f.holder)?.value;
  return holderServes(f) && (path(f)?.kind !== 'rewind' || record?.checkpointed === true);
}
