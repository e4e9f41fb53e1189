/** Who takes over when a cover of revocations is complete: the most advanced, among equals by priority, then by name. */
import { storageTrouble } from './ability.ts';
import { isEligible } from './election.ts';
import { endpointOf, type Facts } from './facts.ts';
import type { Endpoint, Position } from './model.ts';
import { comparePositions } from './position.ts';
import { coverOf, mostAdvanced, type Revoked, revokedMembers } from './quorum.ts';

/** How long the next one in rank waits for the one before it, beyond a failure timeout. */
const rankWaitMs = 500;

/**
 * I have revoked, and those that have no more than I are a cover by themselves: then I have every acknowledged commit,
 * whatever the others have beyond that.
 */
export function mayTakeByCover(f: Facts): boolean {
  const mine = myRevocation(f);
  if (mine === undefined || f.view === undefined || !isElectable(f, f.self)) return false;
  if (storageTrouble(f) !== undefined) return false;
  if (f.state.abstainTerm === f.rule?.term && f.keyAbsentMs < 2 * f.settings.failureTimeoutMs) return false;
  const cover = coverOf(f.view);
  return cover.counted.filter((one) => comparePositions(one, mine) <= 0).length >= cover.needed;
}

/** Each one in rank waits for those before it. */
export function isMyTurnToTake(f: Facts): boolean {
  const since = f.state.coveredSince;
  const mine = myRevocation(f);
  if (since === undefined || mine === undefined || f.view === undefined) return false;
  const waitedMs = f.now - since;
  const preferred = electable(f).some((one) => isPreferredTo(f, one.member) && comparePositions(one, mine) < 0);
  if (preferred && waitedMs < f.settings.catchupTimeoutMs) return false;
  const before = electable(f).filter((one) => (comparePositions(mine, one) || rankOf(f, one, mine)) < 0);
  const rank = before.length;
  return waitedMs >= rank * (f.settings.failureTimeoutMs + rankWaitMs);
}

/** Where the missing WAL is, and up to where it is wanted. */
export interface CatchUp {
  readonly source: Endpoint;
  readonly target: Position;
}

/**
 * Whom to fetch missing WAL from, before taking over: the most advanced that has revoked, when nobody who is as far may
 * or does take over, or when I am preferred and there is time for it.
 */
export function catchUpSource(f: Facts): CatchUp | undefined {
  const since = f.state.coveredSince;
  const mine = myRevocation(f);
  if (since === undefined || mine === undefined || f.view === undefined || !isElectable(f, f.self)) return undefined;
  const best = mostAdvanced(revokedMembers(f.view).filter(({ member }) => isHere(f, member)));
  if (best === undefined || comparePositions(mine, best) >= 0) return undefined;
  const waitedMs = f.now - since;
  const takers = electable(f).filter((one) => comparePositions(one, best) === 0);
  const isLate = takers.length === 0 || waitedMs >= 2 * (f.settings.failureTimeoutMs + rankWaitMs);
  const isPreferred =
    waitedMs < f.settings.catchupTimeoutMs && takers.every((one) => !isPreferredTo(f, one.member, true));
  if (!(isLate && isBestOfTheRest(f, mine)) && !isPreferred) return undefined;
  const source = endpointOf(f.view, best.member);
  return source && { source, target: { originTerm: best.originTerm, lsn: best.lsn } };
}

/** It can be fetched from. */
function isHere(f: Facts, member: string): boolean {
  return f.view?.members.get(member)?.value.state === 'running';
}

/** My own word in this term. */
export function myRevocation(f: Facts): Revoked | undefined {
  if (f.view === undefined) return undefined;
  return revokedMembers(f.view).find((one) => one.member === f.self);
}

function electable(f: Facts): readonly Revoked[] {
  return f.view === undefined ? [] : revokedMembers(f.view).filter((one) => isElectable(f, one.member));
}

function isElectable(f: Facts, member: string): boolean {
  const record = f.view?.members.get(member)?.value;
  return isEligible(record) && (member === f.self || !record.unfit);
}

function priorityOf(f: Facts, member: string): number {
  return f.view?.members.get(member)?.value.tags.failoverPriority ?? 0;
}

/** Whether `member` goes before me by priority alone; with `orEqual` also when it is as high. */
function isPreferredTo(f: Facts, member: string, orEqual = false): boolean {
  const difference = priorityOf(f, member) - priorityOf(f, f.self);
  return difference > 0 || (orEqual && difference === 0);
}

function rankOf(f: Facts, a: Revoked, b: Revoked): number {
  return priorityOf(f, b.member) - priorityOf(f, a.member) || (a.member < b.member ? -1 : 1);
}

/** One member at a time catches up: of those that may take over and have not all, the best. */
function isBestOfTheRest(f: Facts, mine: Revoked): boolean {
  const best = electable(f).toSorted((a, b) => comparePositions(b, a) || rankOf(f, a, b));
  const here = f.view === undefined ? [] : revokedMembers(f.view).filter(({ member }) => isHere(f, member));
  const top = mostAdvanced(here);
  return best.find((one) => top !== undefined && comparePositions(one, top) < 0)?.member === mine.member;
}
