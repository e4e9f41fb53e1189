/** Nobody holds the leader key: who takes it, on what ground, and who waits for whom. */
import { storageTrouble } from '../ability.ts';
import { awaitedMembers, candidatesOf, electionWaitMs, tooFarBehind } from '../election.ts';
import type { Facts } from '../facts.ts';
import { isPromised } from '../failsafe.ts';
import { formatLsn, lsnZero } from '../lsn.ts';
import { comparable, isPastFloor } from '../position.ts';
import { isForced } from './directory.ts';
import { startAlone } from './instance.ts';
import { attemptText, mayTry, type Rule, wait } from './rule.ts';

/** How long a handover binds, in failure timeouts: first its name, then everybody, then the former holder, then the lag limit only. */
const handoverNameTimeouts = 1;
const handoverTimeouts = 2;
const handoverOverTimeouts = 3;
/** After this long without a taker even a member that gave the key up in this term tries again. */
const abstainMs = 10_000;
const announceEveryMs = 500;

export const vacancyRules: readonly Rule[] = [
  {
    name: 'retake',
    condition: 'The key is free, I was its last holder, and my data is intact',
    does: 'take (retake)',
    when: (f) => vacant(f) && (!f.paused || f.instance === 'primary') && mayRetake(f),
    goal: () => ({ kind: 'take', ground: 'retake' }),
    because: (f) => `nobody has held the key since me in term ${f.rule?.term ?? '?'}, so my WAL is complete`,
  },
  {
    name: 'former-primary',
    condition: 'The key is free, and the instance is writable without having been the last holder',
    does: 'fence',
    when: (f) => vacant(f) && !f.paused && f.mayWrite,
    goal: () => ({ kind: 'fence' }),
    because: (f) => `the last holder is ${f.rule?.leader ?? 'not known'}; this instance may not take writes`,
  },
  {
    name: 'take-forced',
    condition: 'The key is free, and an operator names me, whatever is lost',
    does: 'take (forced)',
    when: (f) =>
      vacant(f) &&
      f.view?.failover?.value.candidate === f.self &&
      f.view.failover.value.kind === 'failover' &&
      f.view.failover.value.refused === undefined &&
      (f.rule?.mode === 'async' || f.view.failover.value.allowDataLoss === true) &&
      !isPromised(f) &&
      ready(f),
    goal: () => ({ kind: 'take', ground: 'forced' }),
    because: (f) =>
      `an operator asked for it${f.position === undefined ? '' : `; this member is at ${formatLsn(f.position.lsn)}`}`,
  },
  {
    name: 'take-handover',
    condition: 'The key was handed over after a clean shutdown, and I have replayed all of it',
    does: 'take (handover)',
    when: (f) =>
      vacant(f) &&
      f.instance === 'replica' &&
      f.rule?.leader !== f.self &&
      mayStand(f) === undefined &&
      reachesHandover(f) &&
      handoverIsForMe(f),
    goal: () => ({ kind: 'take', ground: 'handover' }),
    because: (f) => `all WAL up to the shutdown at ${formatLsn(f.rule?.handover?.lsn ?? lsnZero)} is here`,
  },
  {
    name: 'paused-vacant',
    condition: 'The key is free, and the cluster is paused',
    does: 'wait',
    when: (f) => vacant(f) && f.paused,
    goal: () => wait,
    because: () => 'the cluster is paused: no automatic failover',
  },
  {
    name: 'no-data',
    condition: 'The key is free, and there is no data directory here',
    does: 'wait',
    when: (f) => vacant(f) && f.instance === 'empty',
    goal: () => wait,
    because: (f) => `the cluster has no primary to copy from; its last one was ${f.rule?.leader ?? 'not known'}`,
  },
  {
    name: 'start-to-stand',
    condition: 'The key is free, and the instance is down',
    does: 'start as replica',
    when: (f) =>
      vacant(f) &&
      f.instance === 'stopped' &&
      mayTry(f, 'start') &&
      !f.state.durable.rewinding &&
      !hasHandedOver(f) &&
      !(f.rule?.mode === 'sync' && isAbstaining(f)),
    goal: (f) => ({ kind: 'job', job: startAlone(f, 'replica') }),
    because: (f) =>
      `started as a replica: that writes nothing and shows how far the WAL goes${attemptText(f, 'start')}`,
  },
  {
    name: 'awaiting-handover',
    condition: 'The key was handed over to somebody else, or I have not replayed all of it yet',
    does: 'wait',
    when: (f) => vacant(f) && f.rule?.handover !== undefined && absentTimeouts(f) < handoverOverTimeouts,
    goal: () => wait,
    because: (f) =>
      `the key was handed over${f.rule?.handover?.to === undefined ? '' : ` to ${f.rule.handover.to}`} at ${formatLsn(f.rule?.handover?.lsn ?? lsnZero)}`,
  },
  {
    name: 'may-not-stand',
    condition: 'The key is free, and something keeps me from standing',
    does: 'wait',
    when: (f) => vacant(f) && f.rule?.mode === 'async' && mayStand(f) !== undefined,
    goal: () => wait,
    because: (f) => `no primary; this member does not stand: ${mayStand(f) ?? ''}`,
  },
  {
    name: 'announce-position',
    condition: 'The key is free, and my position in this term is not known to the others',
    does: 'announce position',
    when: (f) => vacant(f) && f.rule?.mode === 'async' && !isAnnounced(f),
    goal: () => ({ kind: 'announce' }),
    because: (f) =>
      `no primary in term ${f.rule?.term ?? '?'}; this member is at ${formatLsn(f.position?.lsn ?? lsnZero)}`,
  },
  {
    name: 'take',
    condition: 'The key is free, and I am the best of those heard in time',
    does: 'take (asynchronous)',
    when: (f) => vacant(f) && f.rule?.mode === 'async' && isMyTurn(f),
    goal: () => ({ kind: 'take', ground: 'asynchronous' }),
    because: (f) => `most advanced of ${candidatesText(f)}`,
  },
  {
    name: 'electing',
    condition: 'The key is free, and others are waited for',
    does: 'wait',
    when: (f) => vacant(f) && f.rule?.mode === 'async',
    goal: () => wait,
    because: (f) => electingText(f),
  },
];

function vacant(f: Facts): boolean {
  return f.holder === undefined && f.rule !== undefined;
}

/** What was handed over is left alone until it is clear that nobody takes it. */
function hasHandedOver(f: Facts): boolean {
  return f.rule?.handover !== undefined && f.rule.leader === f.self && absentTimeouts(f) < handoverTimeouts;
}

/** A replica that answers, or a directory that can be started as one. */
function ready(f: Facts): boolean {
  return (f.instance === 'replica' && (f.running?.localWalUsedUp ?? false)) || streams(f);
}

function streams(f: Facts): boolean {
  return f.instance === 'replica' && f.running?.replicationState === 'streaming';
}

function absentTimeouts(f: Facts): number {
  return f.keyAbsentMs / f.settings.failureTimeoutMs;
}

/** Nobody has held the key since this member, and its data is what it was. */
export function mayRetake(f: Facts): boolean {
  const { durable } = f.state;
  if (f.doubt !== undefined && !isForced(f)) return false;
  if (f.rule?.leader !== f.self || f.instance === 'empty' || f.state.shutdown !== undefined) return false;
  const { directory } = f.postgres ?? {};
  if (
    directory?.kind !== 'present' ||
    durable.dirMark !== directory.mark ||
    durable.rewinding ||
    durable.floor !== undefined
  )
    return false;
  if (isAbstaining(f) || (f.hearsay !== undefined && f.instance !== 'primary')) return false;
  if (f.instance === 'dying' || storageTrouble(f) !== undefined) return false;
  return f.rule.handover === undefined || absentTimeouts(f) >= handoverTimeouts || isAlone(f);
}

/** Why this member does not stand; undefined when it may. */
function mayStand(f: Facts): string | undefined {
  const { tags } = f.state.self;
  if (tags.noFailover || tags.failoverPriority <= 0) return 'it is tagged nofailover';
  if (f.doubt !== undefined || f.hearsay !== undefined) return f.doubt ?? f.hearsay;
  if (isPromised(f)) return `it promised ${f.rule?.leader ?? '?'} to wait while the DCS was away`;
  if (!(f.rule?.failsafe.includes(f.self) ?? false)) return 'the last primary did not know it';
  if (f.rule?.disarmed === true)
    return `the guard of ${f.rule.leader} was off when the cluster was paused; resume it, or: pgherd failover --candidate ${f.self} --force`;
  if (f.instance !== 'replica') return `its instance is ${f.instance}`;
  if (f.position === undefined) return 'its position is not known';
  if (!ready(f)) return 'it still reads the WAL that it has';
  if (!isPastFloor(f.state.durable, f.position, f.terms))
    return 'it was rewound or cloned, and is not yet as far again as it was';
  if (isAbstaining(f)) return 'it could not serve in this term';
  const trouble = storageTrouble(f);
  if (trouble !== undefined) return trouble.because;
  return f.view === undefined ? undefined : tooFarBehind(f.view, f.position, f.settings);
}

/** I gave the key up in this term because I could not serve, or somebody could serve sooner: they get time for it. */
function isAbstaining(f: Facts): boolean {
  if (f.rule === undefined || f.state.abstainTerm !== f.rule.term) return false;
  const patienceMs = f.rule.mode === 'sync' ? handoverTimeouts * f.settings.failureTimeoutMs : abstainMs;
  return f.keyAbsentMs < patienceMs;
}

/** No other member is alive who could take what was handed over. */
function isAlone(f: Facts): boolean {
  return [...(f.view?.members.keys() ?? [])].every((member) => member === f.self);
}

function reachesHandover(f: Facts): boolean {
  const handover = f.rule?.handover;
  if (handover === undefined || f.running?.replayedLsn === undefined) return false;
  // A number is not enough: another term may have made a timeline of the same one, and gone further.
  const isOfTerm = f.position?.originTerm === comparable(f.terms, handover).originTerm;
  return isOfTerm && f.running.timeline === handover.timeline && f.running.replayedLsn > handover.lsn;
}

function handoverIsForMe(f: Facts): boolean {
  const to = f.rule?.handover?.to;
  return to === undefined || to === f.self || absentTimeouts(f) >= handoverNameTimeouts;
}

/** While WAL still comes in a position is worth a new word now and then; the first one is at once. */
function isAnnounced(f: Facts): boolean {
  const mine = f.view?.revocations.get(f.self)?.value;
  if (mine === undefined || f.position === undefined || mine.term !== f.rule?.term) return false;
  const isSame = mine.lsn >= f.position.lsn && mine.originTerm === f.position.originTerm;
  return isSame || f.now < f.state.announcedAt + announceEveryMs;
}

/** The best takes the key at once when all are heard; each of the next waits a failure timeout longer. */
function isMyTurn(f: Facts): boolean {
  if (f.view === undefined) return false;
  const rank = candidatesOf(f.view).findIndex((candidate) => candidate.member === f.self);
  if (rank < 0) return f.keyAbsentMs >= electionWaitMs + f.settings.failureTimeoutMs;
  const heardAll = awaitedMembers(f.view, f.self).length === 0;
  return (
    (heardAll || f.keyAbsentMs >= electionWaitMs) &&
    f.keyAbsentMs >= rank * (electionWaitMs + f.settings.failureTimeoutMs)
  );
}

function candidatesText(f: Facts): string {
  if (f.view === undefined) return 'none';
  return candidatesOf(f.view)
    .map((candidate) => `${candidate.member} (${formatLsn(candidate.lsn)})`)
    .join(', ');
}

function electingText(f: Facts): string {
  if (f.view === undefined) return '';
  const awaited = awaitedMembers(f.view, f.self);
  const waiting =
    awaited.length > 0 ? `waiting for the position of ${awaited.join(', ')}` : 'a better candidate goes first';
  return `no primary; ${waiting}; known: ${candidatesText(f)}`;
}
