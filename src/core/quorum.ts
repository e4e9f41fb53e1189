/**
 * The arithmetic of synchronous replication. A commit is acknowledged when k of the standbys in S have flushed it, so
 * any |S| - k + 1 members of S have it among them: so many revocations are a cover, and the most advanced of them has
 * every acknowledged commit.
 */
import type { ClusterView, Position, Rule, Settings } from './model.ts';
import { comparable, comparePositions } from './position.ts';

/** A name that no member has: commits that wait for it wait until the setting changes. */
export const nobody = 'pgherd: nobody';

/** How many revocations by members of S leave the old primary without k helpers. */
export function revocationsNeeded(rule: Rule): number {
  return rule.syncStandbys.length - rule.syncCount + 1;
}

/** A member whose stream is cut, with the position that it made known. */
export interface Revoked extends Position {
  readonly member: string;
  readonly modRevision: number;
}

/** The members that have revoked the current term. */
export function revokedMembers(view: ClusterView): readonly Revoked[] {
  const term = view.rule?.value.term;
  const revoked: Revoked[] = [];
  for (const [member, { value, modRevision }] of view.revocations) {
    if (term !== undefined && value.term === term)
      revoked.push({ member, ...comparable(view.terms?.value ?? [], value), modRevision });
  }
  return revoked;
}

/** Revocations of the current term by members of S. */
export interface Cover {
  readonly counted: readonly Revoked[];
  readonly needed: number;
  /** No commit can be acknowledged by the holder any more, and the most advanced of `counted` has all that were. */
  readonly isComplete: boolean;
}

/** Where k is 0 no cover is complete: only the former holder has all commits. */
export function coverOf(view: ClusterView): Cover {
  const rule = view.rule?.value;
  if (rule === undefined || rule.mode !== 'sync' || rule.syncCount < 1)
    return { counted: [], needed: Infinity, isComplete: false };
  const counted = revokedMembers(view).filter(({ member }) => rule.syncStandbys.includes(member));
  const needed = revocationsNeeded(rule);
  return { counted, needed, isComplete: counted.length >= needed };
}

/** The greatest position among those that revoked; undefined when nobody did. */
export function mostAdvanced(revoked: readonly Revoked[]): Revoked | undefined {
  return revoked.toSorted((a, b) => comparePositions(b, a) || (a.member < b.member ? -1 : 1))[0];
}

/** PostgreSQL's method of counting, by synchronous_mode: `on` waits for the first of a list, `quorum` for any. */
export type SyncMethod = 'ANY' | 'FIRST';

/** The method that `synchronous_mode` stands for. */
export function syncMethod(settings: Settings): SyncMethod {
  return settings.synchronousMode === 'on' ? 'FIRST' : 'ANY';
}

/** The value of synchronous_standby_names, quoted as PostgreSQL's syncrep_scanner.l reads it. */
export function namesText(method: SyncMethod, count: number, standbys: readonly string[]): string {
  return `${method} ${count} (${standbys.map(quoted).join(', ')})`;
}

function quoted(name: string): string {
  return name.includes('"') ? `"${name.replaceAll('"', '""')}"` : `"${name}"`;
}

/** Commits wait until the setting changes. */
export const nobodyText = namesText('ANY', 1, [nobody]);

/**
 * What synchronous_standby_names is to be at `self` under (S, k): never less than the record demands. A replica of a
 * synchronous cluster always has some, so that no promotion goes from "empty" to "set", which PostgreSQL's checkpointer
 * would notice late; empty is only a primary that was degraded to k = 0.
 */
export function namesUnder(
  rule: Pick<Rule, 'mode' | 'syncStandbys' | 'syncCount'>,
  self: string,
  isPrimary: boolean,
  settings: Settings,
): string {
  if (rule.mode === 'async') return '';
  if (rule.syncCount === 0) return isPrimary && !settings.synchronousModeStrict ? '' : nobodyText;
  const others = rule.syncStandbys.filter((member) => member !== self);
  return others.length === 0 ? nobodyText : namesText(syncMethod(settings), rule.syncCount, others);
}
