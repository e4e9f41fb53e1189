/**
 * Taking over in synchronous mode: revoke, then promote. Whoever wants to take over, or helps another to, cuts its own
 * WAL stream, proves it, and makes its position known; a cover of revocations shows that nothing more can be
 * acknowledged and who has all that was.
 */
import { catchUpSource, isMyTurnToTake, mayTakeByCover, myRevocation } from '../cover-election.ts';
import { isEligible } from '../election.ts';
import type { Facts } from '../facts.ts';
import { isPromised } from '../failsafe.ts';
import { formatLsn, lsnZero } from '../lsn.ts';
import { comparable, comparePositions, isPastFloor } from '../position.ts';
import { coverOf } from '../quorum.ts';
import { silentMs, suspects } from '../suspicion.ts';
import { isForced } from './directory.ts';
import { startAlone } from './instance.ts';
import { attemptText, mayTry, type Rule, wait } from './rule.ts';

/** A revocation that brought no new primary about is taken back after so many failure timeouts. */
const patienceTimeouts = 3;

export const revocationRules: readonly Rule[] = [
  {
    name: 'take-revoked',
    condition:
      'Those that have revoked and have no more than I are a cover: nothing more can be acknowledged, and I have all that was',
    does: 'take (revoked)',
    when: (f) => isRevoked(f) && wants(f) && isUsable(f) && mayTakeByCover(f) && isMyTurnToTake(f),
    goal: () => ({ kind: 'take', ground: 'revoked' }),
    because: (f) => `${cause(f)}; revoked: ${coverText(f)}`,
  },
  {
    name: 'take-forced-held',
    condition: 'The holder is silent, my stream is cut, and an operator names me, whatever is lost',
    does: 'take (forced)',
    when: (f) => isRevoked(f) && isForcedWithLoss(f) && f.holder !== undefined && suspects(f) && isUsable(f),
    goal: () => ({ kind: 'take', ground: 'forced' }),
    because: (f) => `an operator asked for it; this member is at ${formatLsn(f.position?.lsn ?? lsnZero)}`,
  },
  {
    name: 'take-back',
    condition: 'I have revoked, and the holder is heard again (or nobody took over for long)',
    does: 'take back',
    when: (f) => isRevoked(f) && f.holder !== undefined && f.holder !== f.self && (!wants(f) || isTired(f)),
    goal: () => ({ kind: 'take-back' }),
    because: (f) =>
      suspects(f)
        ? `no cover came about for ${patienceTimeouts} failure timeouts, and ${f.holder} still has its key`
        : `${f.holder} leads in term ${f.rule?.term ?? '?'} after all`,
  },
  {
    name: 'start-revoked',
    condition: 'I have revoked, and the instance is down',
    does: 'start as replica',
    when: (f) => isRevoked(f) && f.instance === 'stopped' && mayTry(f, 'start') && !f.state.durable.rewinding,
    goal: (f) => ({ kind: 'job', job: startAlone(f, 'replica') }),
    because: (f) =>
      `it has revoked term ${f.rule?.term ?? '?'}: it is started without a source${attemptText(f, 'start')}`,
  },
  {
    name: 'revoke-cut',
    condition: 'The holder failed (or the key is free), and my stream is not proven to be cut in this term',
    does: 'sever',
    when: (f) =>
      wants(f) && f.instance === 'replica' && !(isCut(f) && isRevoked(f)) && mayTry(f, 'sever') && !isCatchingUp(f),
    goal: () => ({ kind: 'job', job: { kind: 'sever' } }),
    because: (f) => `${cause(f)}: the WAL stream is cut first${attemptText(f, 'sever')}`,
  },
  {
    name: 'revoke',
    condition: 'My stream is cut, and the others do not know how far I am',
    does: 'revoke',
    when: (f) => isRevoked(f) && wants(f) && isUsable(f) && !isTold(f),
    goal: () => ({ kind: 'revoke' }),
    because: (f) => `${cause(f)}; this member is at ${formatLsn(f.position?.lsn ?? lsnZero)}`,
  },
  {
    name: 'catch-up',
    condition: 'I am to take over, and another that has revoked has more WAL',
    does: 'catch-up',
    when: (f) =>
      isRevoked(f) &&
      isTold(f) &&
      f.instance === 'replica' &&
      isCut(f) &&
      catchUpSource(f) !== undefined &&
      mayTry(f, 'configure'),
    goal: (f) => {
      const source = catchUpSource(f);
      return source === undefined ? wait : { kind: 'catch-up', ...source };
    },
    because: (f) => `${catchUpSource(f)?.source.member ?? '?'} has more WAL, and is cut from the old primary too`,
  },
  {
    name: 'failover-refused',
    condition: 'An operator names me without allowing for lost commits, and nothing shows that none would be lost',
    does: 'refuse-request',
    when: (f) =>
      f.holder === undefined &&
      isSync(f) &&
      isForced(f) &&
      f.view?.failover?.value.allowDataLoss !== true &&
      f.keyAbsentMs >= 2 * f.settings.failureTimeoutMs,
    goal: (f) => ({
      kind: 'refuse-request',
      reason: `failover is not possible without the risk of losing commits: ${noCoverText(f)}; ${wayOut(f)}`,
    }),
    because: (f) => noCoverText(f),
  },
  {
    name: 'awaiting-cover',
    condition: 'I have revoked, or the key is free in synchronous mode, and others are waited for',
    does: 'wait',
    when: (f) => isRevoked(f) || (f.holder === undefined && isSync(f)),
    goal: () => wait,
    because: (f) => `${cause(f)}; ${noCoverText(f)}${isForLong(f) ? `; ${wayOut(f)}` : ''}`,
  },
];

function wayOut(f: Facts): string {
  return `an operator can decide to do without them: pgherd failover --candidate ${mostHere(f)} --allow-data-loss`;
}

/** Who would lose least, of those that are there. */
function mostHere(f: Facts): string {
  const here = [...(f.view?.members ?? [])].flatMap(([member, { value }]) =>
    isEligible(value) && value.lsn !== undefined && value.originTerm !== undefined
      ? [{ member, ...comparable(f.terms, { originTerm: value.originTerm, lsn: value.lsn }) }]
      : [],
  );
  return here.toSorted((a, b) => comparePositions(b, a))[0]?.member ?? f.self;
}

/** Nobody stays stuck without a word of what could be done. */
function isForLong(f: Facts): boolean {
  return f.holder === undefined && f.keyAbsentMs >= patienceTimeouts * f.settings.failureTimeoutMs;
}

/** My stream is cut, or is to be: nothing is streamed from the holder of this term. */
function isRevoked(f: Facts): boolean {
  return f.isRevoked;
}

function isSync(f: Facts): boolean {
  return f.rule?.mode === 'sync';
}

function isForcedWithLoss(f: Facts): boolean {
  return isForced(f) && f.view?.failover?.value.allowDataLoss === true;
}

/** There is a reason to revoke, and nothing that forbids it. */
function wants(f: Facts): boolean {
  return isSync(f) && hasReason(f) && whyNot(f) === undefined;
}

function hasReason(f: Facts): boolean {
  if (f.holder === f.self) return false;
  return f.holder === undefined || suspects(f);
}

/** What keeps me from revoking; undefined when nothing does. */
function whyNot(f: Facts): string | undefined {
  const { rule, state, now } = f;
  if (rule === undefined) return 'there is no rule';
  if (f.paused && !isForcedWithLoss(f)) return 'the cluster is paused';
  if (isPromised(f)) return `it promised ${rule.leader} to wait while the DCS was away`;
  if (f.holder !== undefined && now < state.revokeAgainAt) return 'its last revocation brought nothing about';
  if (isForcedWithLoss(f)) return undefined;
  const doubt = f.doubt ?? f.hearsay;
  if (doubt !== undefined) return doubt;
  if (rule.syncCount < 1) return `the cluster is degraded: only ${rule.leader} is sure to have every commit`;
  if (!rule.syncStandbys.includes(f.self) && !isNeeded(f)) return 'it is no sync standby';
  return undefined;
}

/** No sync standby may be primary: somebody else has to fetch their WAL and take over. */
function isNeeded(f: Facts): boolean {
  return (f.rule?.syncStandbys ?? []).every((member) => {
    const record = f.view?.members.get(member)?.value;
    return !isEligible(record);
  });
}

/** By the agent's own proof, on this life of the instance. */
function isCut(f: Facts): boolean {
  return f.running !== undefined && f.state.severed === f.running.startTime;
}

/** The position counts: cut, all WAL that is here was read, and not less than was made known before. */
function isUsable(f: Facts): boolean {
  const { running, position, state } = f;
  if (running === undefined || f.instance !== 'replica' || !isCut(f) || position === undefined) return false;
  if (!running.localWalUsedUp && running.receivedLsn === undefined) return false;
  if (!isPastFloor(state.durable, position, f.terms) || state.durable.rewinding) return false;
  const told = myRevocation(f);
  if (told !== undefined && comparePositions(told, position) > 0) return false;
  const { originTerm, lastLsn } = state.durable;
  if (lastLsn === undefined || originTerm === undefined) return true;
  return comparePositions(comparable(f.terms, { originTerm, lsn: lastLsn }), position) <= 0;
}

function isTold(f: Facts): boolean {
  const told = myRevocation(f);
  return told !== undefined && f.position !== undefined && comparePositions(told, f.position) >= 0;
}

function isCatchingUp(f: Facts): boolean {
  const { catchingUp } = f.state;
  if (catchingUp === undefined || f.now >= catchingUp.until) return false;
  return f.position === undefined || comparePositions(f.position, catchingUp.target) < 0;
}

function isTired(f: Facts): boolean {
  const { revokedAt } = f.state;
  return revokedAt !== undefined && f.now - revokedAt >= patienceTimeouts * f.settings.failureTimeoutMs;
}

function cause(f: Facts): string {
  if (f.holder === undefined)
    return `nobody holds the key since ${f.rule?.leader ?? '?'} in term ${f.rule?.term ?? '?'}`;
  return `nothing was heard of ${f.holder} for ${(silentMs(f) / 1000).toFixed(1)} s, by any way`;
}

function coverText(f: Facts): string {
  if (f.view === undefined) return 'none';
  const { counted } = coverOf(f.view);
  return counted.length === 0 ? 'none' : counted.map(({ member, lsn }) => `${member} (${formatLsn(lsn)})`).join(', ');
}

function noCoverText(f: Facts): string {
  const why = whyNot(f);
  if (why !== undefined) return `this member does not revoke: ${why}`;
  const { needed } = f.view === undefined ? { needed: 0 } : coverOf(f.view);
  const missing = (f.rule?.syncStandbys ?? []).filter(
    (member) => member !== f.self && f.view?.revocations.get(member)?.value.term !== f.rule?.term,
  );
  const own = isRevoked(f) && !isUsable(f) ? '; how far this member is cannot be told (yet)' : '';
  const rest = `${own}${missing.length === 0 ? '' : `; not heard from: ${missing.join(', ')}`}`;
  return `${needed} of ${f.rule?.syncStandbys.join(', ') ?? ''} must revoke; revoked: ${coverText(f)}${rest}`;
}
