/** The leader key is mine: serve, or give it to somebody who can. */
import { isCrowded } from '../ability.ts';
import { liveCandidates, zeroLossCandidates } from '../candidates.ts';
import { configurationOf, configurationText, isConfigured } from '../configuration.ts';
import type { Facts } from '../facts.ts';
import { likeNamed } from '../names.ts';
import { wantedNames } from '../sync-standbys.ts';
import { setDisarmed, setFailsafe } from '../transactions.ts';
import { impairmentRules } from './ability.ts';
import { configureAlone, mayRelease, startAlone, stoppedCleanly } from './instance.ts';
import { isOtherData, otherDataRules } from './other-data.ts';
import { attemptText, mayTry, type Rule, wait } from './rule.ts';
import { settlingRules, synchronousRules } from './synchronous.ts';
import { mayRetake } from './vacancy.ts';

/** Released at once, the key would go while an init system's restart brings the instance back, writable. */
const restartByHandMs = 1000;

export const holderRules: readonly Rule[] = [
  {
    name: 'reclaim-key',
    condition:
      'The key is mine on a lease of an earlier life of this agent, and the instance is primary, or about to be',
    does: 'reclaim',
    when: (f) => isUnknownLease(f) && (f.instance === 'primary' || isBeingPromoted(f) || (isCrowded(f) && f.mayWrite)),
    goal: (f) => ({ kind: 'reclaim', leaseId: f.keyOnUnknownLease ?? '' }),
    because: () => 'the agent was restarted; PostgreSQL went on, and so does its lease',
  },
  {
    name: 'retake-own-key',
    condition: 'The key is mine on a lease that is not in use, and my data is intact',
    does: 'take (retake)',
    when: (f) => hasStaleKey(f) && !f.paused && mayRetake(f),
    goal: () => ({ kind: 'take', ground: 'retake' }),
    because: () => 'nobody else has held the key since; it is taken anew before somebody could',
  },
  {
    name: 'give-up-stale-key',
    condition: 'The key is mine on a lease that I gave up, or the instance does not run as primary',
    does: 'give-up',
    when: (f) => hasStaleKey(f) && !f.mayWrite,
    goal: (f) => ({ kind: 'give-up', leaseId: f.keyOnUnknownLease ?? '' }),
    because: () => 'the key hangs on a lease that is not in use; it is ended and the key taken in a new term',
  },
  {
    name: 'lease-uncertain',
    condition: 'The DCS says that the key is mine, but its lease has run out by my own count, or is being given up',
    does: 'wait',
    when: (f) => f.holder === f.self && !f.iHold,
    goal: () => wait,
    because: (f) =>
      f.state.ruleTransaction === undefined
        ? 'nothing is written until a renewal of the lease is answered'
        : `waiting for the outcome of: ${f.state.ruleTransaction.transaction.name}`,
  },
  ...otherDataRules,
  {
    name: 'serve-again',
    condition: 'The key is mine, and the instance runs as a replica though it was primary in this very term',
    does: 'take (retake)',
    when: (f) =>
      f.iHold &&
      f.instance === 'replica' &&
      !isOtherData(f) &&
      f.terms.some((entry) => entry.term === f.rule?.term && entry.member === f.self),
    goal: () => ({ kind: 'take', ground: 'retake' }),
    because: (f) =>
      `a timeline needs a term of its own: the key is taken anew before term ${f.rule?.term ?? '?'} is served again`,
  },
  {
    name: 'disarm',
    condition: 'The cluster is paused, and my guard is on',
    does: 'disarm',
    when: (f) => f.iHold && f.paused && !f.state.durable.disarmed && f.instance === 'primary',
    goal: (f) =>
      f.view === undefined || f.rule === undefined
        ? wait
        : { kind: 'transact', transaction: setDisarmed(f.view, f.rule, true) },
    because: () => 'the cluster is paused: the record says so before the guard is switched off',
  },
  {
    name: 're-arm',
    condition: 'The cluster is not paused any more, and the record says that my guard is off',
    does: 're-arm',
    when: (f) => f.iHold && !f.paused && (f.rule?.disarmed === true || f.state.durable.disarmed),
    goal: (f) =>
      f.view === undefined || f.rule === undefined
        ? wait
        : { kind: 'transact', transaction: setDisarmed(f.view, f.rule, false) },
    because: () => 'the cluster was resumed',
  },
  ...settlingRules,
  {
    name: 'configure-to-promote',
    condition: 'The key is mine, the instance is a replica, and it would not wait for the right sync standbys',
    does: 'configure',
    when: (f) =>
      f.iHold &&
      f.instance === 'replica' &&
      f.running?.synchronousStandbyNames !== wantedNames(f) &&
      !promotionIsHopeless(f) &&
      mayTry(f, 'configure'),
    goal: (f) => ({
      kind: 'job',
      // The checkpointer has to know that commits wait before the first one can come.
      job: { ...configureAlone(f), prove: f.running?.synchronousStandbyNames === '' ? 'from-none' : 'nothing' },
    }),
    because: (f) => `no commit may be let in before it waits for its sync standbys${attemptText(f, 'configure')}`,
  },
  {
    name: 'promote',
    condition: 'The key is mine, and the instance runs as a replica',
    does: 'promote',
    when: (f) =>
      f.iHold &&
      f.instance === 'replica' &&
      f.running?.synchronousStandbyNames === wantedNames(f) &&
      mayTry(f, 'promote') &&
      !isOtherData(f) &&
      !promotionIsHopeless(f),
    goal: () => ({ kind: 'job', job: { kind: 'promote' } }),
    because: (f) => `term ${f.rule?.term ?? '?'} is mine${attemptText(f, 'promote')}`,
  },
  {
    name: 'promotion-failed',
    condition: 'The key is mine, promotion failed, and somebody else could serve',
    does: 'immediate stop',
    when: (f) => f.iHold && f.instance === 'replica' && promotionIsHopeless(f),
    goal: () => ({ kind: 'job', job: { kind: 'stop', mode: 'immediate' } }),
    because: (f) =>
      `promotion failed: ${f.state.failures.get('promote')?.error ?? ''}; the key is given to somebody else`,
  },
  {
    name: 'paused',
    condition: 'The cluster is paused, and the instance does not run as primary',
    does: 'wait',
    when: (f) =>
      f.iHold && f.paused && f.instance !== 'primary' && f.state.restart === undefined && !f.state.stoppedByUs,
    goal: () => wait,
    because: (f) => `the cluster is paused; the instance is ${f.instance}, and is left alone`,
  },
  {
    name: 'provision',
    condition: 'The key is mine, the instance is writable, and the cluster is new',
    does: 'provision',
    when: (f) =>
      f.iHold && f.instance === 'primary' && f.terms.length === 0 && !f.state.provisioned && mayTry(f, 'provision'),
    goal: () => ({ kind: 'job', job: { kind: 'provision' } }),
    because: (f) => `the roles for replication and rewind are created${attemptText(f, 'provision')}`,
  },
  {
    name: 'record-term',
    condition: 'The key is mine, the instance is writable, and the term is not in the history yet',
    does: 'record term',
    when: (f) =>
      f.iHold &&
      f.instance === 'primary' &&
      f.running?.writtenLsn !== undefined &&
      (f.state.provisioned || f.terms.length > 0) &&
      !f.terms.some((entry) => entry.term === f.rule?.term),
    goal: () => ({ kind: 'record-term' }),
    because: (f) => `term ${f.rule?.term ?? '?'} begins on timeline ${f.running?.timeline ?? '?'}`,
  },
  {
    name: 'know-members',
    condition: 'The key is mine, and a member came that the rule does not name',
    does: 'know members',
    when: (f) => f.iHold && f.instance === 'primary' && newMembers(f).length > 0,
    goal: (f) => {
      if (f.view === undefined || f.rule === undefined) return wait;
      const failsafe = [...f.rule.failsafe, ...newMembers(f)].toSorted();
      return { kind: 'transact', transaction: setFailsafe(f.view, f.rule, failsafe) };
    },
    because: (f) => `${newMembers(f).join(', ')} joined`,
  },
  {
    name: 'forget-members',
    condition: 'The key is mine, and a member that the rule names has not been registered for member_slots_ttl',
    does: 'know members',
    when: (f) => f.iHold && f.instance === 'primary' && goneMembers(f).length > 0,
    goal: (f) => {
      if (f.view === undefined || f.rule === undefined) return wait;
      const failsafe = f.rule.failsafe.filter((member) => !goneMembers(f).includes(member));
      return { kind: 'transact', transaction: setFailsafe(f.view, f.rule, failsafe) };
    },
    because: (f) => `${goneMembers(f).join(', ')} left; nothing is kept for them any longer`,
  },
  ...synchronousRules,
  {
    name: 'configure-primary',
    condition: 'The key is mine, and the settings changed (or the rule lets more commits through than PostgreSQL does)',
    does: 'configure',
    when: (f) => f.iHold && f.instance === 'primary' && !isConfigured(f, undefined) && mayTry(f, 'configure'),
    goal: (f) => ({ kind: 'job', job: configureAlone(f) }),
    because: (f) => `${configurationText(configurationOf(f, undefined))}${attemptText(f, 'configure')}`,
  },
  {
    name: 'checkpoint-after-promotion',
    condition: 'The key is mine, and no checkpoint followed the promotion yet',
    does: 'checkpoint',
    when: (f) => f.iHold && f.instance === 'primary' && f.state.durable.checkpointDue && mayTry(f, 'checkpoint'),
    goal: () => ({ kind: 'job', job: { kind: 'checkpoint' } }),
    because: () => 'others can rewind only from a checkpoint on the new timeline',
  },
  ...impairmentRules,
  {
    name: 'lead',
    condition: 'The key is mine, and the instance is writable',
    does: 'wait',
    when: (f) => f.iHold && f.instance === 'primary',
    goal: () => wait,
    because: (f) => `I hold the leader key in term ${f.rule?.term ?? '?'}`,
  },
  {
    name: 'data-lost',
    condition: 'The key is mine, and there is no data directory any more',
    does: 'release',
    when: (f) => mayRelease(f) && f.instance === 'empty',
    goal: () => ({ kind: 'release', candidate: undefined, clean: false, abstain: true }),
    because: () => 'the data directory is gone',
  },
  {
    name: 'stopped-a-moment-ago',
    condition: 'The key is mine, and the instance was stopped behind my back a moment ago: it may be a restart',
    does: 'wait',
    when: (f) => wasStoppedByHand(f) && f.now - (f.state.downSince ?? f.now) < restartByHandMs,
    goal: () => wait,
    because: () => 'somebody stopped the instance; if it is a restart, it comes back by itself',
  },
  {
    name: 'stopped-by-hand',
    condition: 'The key is mine, the instance was stopped behind my back, and a replica has all its WAL',
    does: 'release (handover)',
    when: (f) => wasStoppedByHand(f),
    goal: () => ({ kind: 'release', candidate: undefined, clean: true, abstain: false }),
    because: (f) => `somebody stopped the instance; ${liveCandidates(f).join(', ')} can serve`,
  },
  {
    name: 'start-failed',
    condition: 'The key is mine, the instance does not come back within primary_start_timeout, and a replica can serve',
    does: 'release',
    when: (f) => mayRelease(f) && f.instance === 'stopped' && tooLongDown(f) && liveCandidates(f).length > 0,
    goal: () => ({ kind: 'release', candidate: undefined, clean: false, abstain: true }),
    because: (f) =>
      `not up for ${seconds(f.now - (f.state.downSince ?? f.now))} s (primary_start_timeout ${seconds(f.settings.primaryStartTimeoutMs)} s); ${liveCandidates(f).join(', ')} can serve`,
  },
  {
    name: 'promotion-given-up',
    condition: 'The key is mine, the instance was stopped because its promotion failed, and somebody else could serve',
    does: 'release',
    when: (f) => mayRelease(f) && f.instance === 'stopped' && promotionIsHopeless(f),
    goal: () => ({ kind: 'release', candidate: undefined, clean: false, abstain: true }),
    because: (f) =>
      `promotion failed: ${f.state.failures.get('promote')?.error ?? ''}; ${liveCandidates(f).join(', ')} can serve`,
  },
  {
    name: 'hand-over-crashed',
    condition:
      'The key is mine, PostgreSQL died, and enough sync standbys are there that nothing can be lost without it',
    does: 'release',
    when: (f) => mayRelease(f) && f.instance === 'stopped' && hasCrashed(f) && zeroLossCandidates(f).length > 0,
    goal: () => ({ kind: 'release', candidate: undefined, clean: false, abstain: true }),
    because: (f) =>
      `${whyDown(f)}; ${zeroLossCandidates(f).join(', ')} can take over without losing a commit, which is faster than to recover here`,
  },
  {
    name: 'start-before-promotion',
    condition: 'The key is mine, and the instance is down and is a replica',
    does: 'start as replica',
    when: (f) => f.iHold && f.instance === 'stopped' && isReplicaDirectory(f) && mayTry(f, 'start'),
    goal: (f) => ({ kind: 'job', job: startAlone(f, 'replica') }),
    because: (f) =>
      `a replica becomes primary by promotion only, which gives it a timeline of its own${attemptText(f, 'start')}`,
  },
  {
    name: 'start-primary',
    condition: 'The key is mine, and the instance is down',
    does: 'start as primary',
    when: (f) => f.iHold && f.instance === 'stopped' && !isReplicaDirectory(f) && mayTry(f, 'start'),
    goal: (f) => ({ kind: 'job', job: startAlone(f, 'primary') }),
    because: (f) => `${whyDown(f)}; starting it in place loses nothing${attemptText(f, 'start')}`,
  },
  {
    name: 'start-overdue',
    condition:
      'The key is mine, the instance is up but not ready within primary_start_timeout, and a replica can serve',
    does: 'immediate stop',
    when: (f) =>
      mayRelease(f) &&
      (f.instance === 'starting' || f.instance === 'silent') &&
      !isCrowded(f) &&
      tooLongDown(f) &&
      liveCandidates(f).length > 0,
    goal: () => ({ kind: 'job', job: { kind: 'stop', mode: 'immediate' } }),
    because: (f) => `${instanceWords(f)}; primary_start_timeout is over and ${liveCandidates(f).join(', ')} can serve`,
  },
  {
    name: 'primary-starting',
    condition: 'The key is mine, and the instance is not ready yet',
    does: 'wait',
    when: (f) => f.iHold,
    goal: () => wait,
    because: (f) =>
      f.instance === 'stopped'
        ? `${whyDown(f)}; the next start is due soon${attemptText(f, 'start')}`
        : instanceWords(f),
  },
];

/** A key of mine that hangs on no lease that I keep. */
function hasStaleKey(f: Facts): boolean {
  return f.keyOnUnknownLease !== undefined && !f.iHold && f.state.ruleTransaction === undefined;
}

function isBeingPromoted(f: Facts): boolean {
  return f.instance === 'replica' && f.state.durable.promoting?.term === f.rule?.term;
}

/** In order, so that a replica has all of it; and not offered yet. */
function wasStoppedByHand(f: Facts): boolean {
  const { stoppedByUs, wentDownInPause } = f.state;
  if (!mayRelease(f) || !stoppedCleanly(f) || stoppedByUs || wentDownInPause) return false;
  return sawExit(f) && !isOffered(f) && liveCandidates(f).length > 0;
}

function isUnknownLease(f: Facts): boolean {
  return (
    f.keyOnUnknownLease !== undefined &&
    !f.iHold &&
    !f.state.abandonedLeases.includes(f.keyOnUnknownLease) &&
    f.rule?.leader === f.self
  );
}

/** A promotion is tried twice; then somebody else gets the key, if there is somebody. */
function promotionIsHopeless(f: Facts): boolean {
  return (f.state.failures.get('promote')?.count ?? 0) >= 2 && liveCandidates(f).length > 0;
}

/** It ended by itself: not by a stop of ours, nor by a shutdown of somebody's. Each crash is offered to the others once. */
function hasCrashed(f: Facts): boolean {
  const instance = f.postgres?.instance;
  if (f.paused || f.state.stoppedByUs || f.state.restart !== undefined) return false;
  if (f.state.downSince === f.state.offeredDownSince) return false;
  return instance?.kind === 'stopped' && instance.exit?.kind === 'crashed';
}

function isReplicaDirectory(f: Facts): boolean {
  return f.postgres?.directory.kind === 'present' && f.postgres.directory.standbySignal;
}

function newMembers(f: Facts): readonly string[] {
  return [...(f.view?.members.keys() ?? [])].filter(
    (member) => !(f.rule?.failsafe.includes(member) ?? true) && likeNamed(f, member) === undefined,
  );
}

/** Who is asked when the DCS is away, and for whom WAL is kept, must be there to answer, and to take it. */
function goneMembers(f: Facts): readonly string[] {
  const { failsafe = [], syncStandbys = [] } = f.rule ?? {};
  return failsafe.filter((member) => {
    const since = f.state.absentSince.get(member);
    if (member === f.self || since === undefined || syncStandbys.includes(member)) return false;
    return f.now - since >= f.settings.memberSlotsTtlMs;
  });
}

function tooLongDown(f: Facts): boolean {
  const { downSince, holderSince } = f.state;
  // Who has just taken the key again tries to start before giving it up again.
  return downSince !== undefined && f.now - Math.max(downSince, holderSince) >= f.settings.primaryStartTimeoutMs;
}

/** This very stop was offered before, and nobody could take it. */
function isOffered(f: Facts): boolean {
  return f.postgres?.directory.kind === 'present' && f.postgres.directory.control.checkpointLsn === f.state.offeredLsn;
}

function sawExit(f: Facts): boolean {
  return f.postgres?.instance.kind === 'stopped' && f.postgres.instance.exit?.kind === 'stopped';
}

function whyDown(f: Facts): string {
  const instance = f.postgres?.instance;
  return instance?.kind === 'stopped' && instance.exit !== undefined ? instance.exit.because : 'the instance is down';
}

function instanceWords(f: Facts): string {
  const instance = f.postgres?.instance;
  return instance?.kind === 'starting' || instance?.kind === 'silent' || instance?.kind === 'dying'
    ? `the instance is ${instance.kind}: ${instance.because}`
    : `the instance is ${f.instance}`;
}

function seconds(durationMs: number): string {
  return (durationMs / 1000).toFixed(1);
}
