/**
 * The transitions of the failover protocol, each as the one transaction that makes it, under the protocol's names.
 * Every write of `rule` or `leader` compares what it was decided on; nothing is ever written unconditionally.
 */
import {
  asRead,
  type Compare,
  type HistoryRow,
  memberKey,
  revokeKey,
  type Transaction,
  type Write,
} from './effects.ts';
import type {
  ClusterView,
  Durable,
  FailoverRequest,
  Ground,
  Handover,
  MemberRecord,
  Position,
  Revocation,
  Rule,
  Settings,
  StatusRecord,
  TermEntry,
} from './model.ts';
import { coverOf } from './quorum.ts';
import type { DecisionEvent } from './signs.ts';
import type { SyncSet } from './sync-standbys.ts';

/** Who founds a cluster, and with what. */
export interface Founder {
  readonly member: string;
  readonly leaseId: string;
  readonly settings: Settings;
  /** What it has seen of an earlier DCS: the new records begin above it. */
  readonly maxTerm: number;
  readonly maxRuleNumber: number;
}

/** 0: a cluster from nothing (`systemId` ''), or from a data directory that is there already. */
export function found(view: ClusterView, founder: Founder, systemId: string): Transaction {
  const { member: self, leaseId, settings } = founder;
  const rule: Rule = {
    term: Math.max(view.rule?.value.term ?? 0, founder.maxTerm) + 1,
    leader: self,
    nonce: leaseId,
    // That commits wait is never said by a word in a record, only by tightening. That nobody but me may take over is.
    mode: settings.synchronousMode === 'off' ? 'async' : 'sync',
    syncStandbys: [],
    syncCount: 0,
    number: Math.max(view.rule?.value.number ?? 0, founder.maxRuleNumber) + 1,
    disarmed: false,
    failsafe: [self],
    released: false,
    storeId: view.storeId,
  };
  const write: Write[] = [
    { key: 'initialize', value: systemId },
    { key: 'rule', value: rule },
    { key: 'leader', value: self, leaseId },
  ];
  if (view.config === undefined) write.push({ key: 'config', value: settings });
  if (view.failover !== undefined) write.push({ key: 'failover', value: undefined });
  return {
    name: 'found',
    compare: [asRead(view, 'initialize'), asRead(view, 'rule'), asRead(view, 'leader'), asRead(view, 'config')],
    write,
  };
}

/** 0, second half: the data directory exists, this is its identifier. Only now may a client be let in. */
export function publishSystemId(view: ClusterView, systemId: string): Transaction {
  return {
    name: 'found (system identifier)',
    compare: [asRead(view, 'initialize'), asRead(view, 'rule'), asRead(view, 'leader')],
    write: [{ key: 'initialize', value: systemId }],
  };
}

/** Who takes, and the greatest numbers that it has seen or heard of. */
export type Seen = Pick<Durable, 'member' | 'maxTerm' | 'maxRuleNumber'>;

/** Above everything that the taker has seen, also of a DCS that knew more than this one. */
export function nextTerm(rule: Rule, seen: Seen): number {
  return Math.max(rule.term, seen.maxTerm) + 1;
}

/** How the key is taken: on which lease and ground, and how far the taker's WAL goes (a replica's: what it will go on from). */
export interface Taker {
  readonly leaseId: string;
  readonly ground: Ground;
  readonly base: Position | undefined;
  /** The record may be older than PostgreSQL's setting: nobody else may take over on the strength of it. */
  readonly degraded: boolean;
}

/**
 * 2 and 3: take the key, absent or held. The lease is this attempt's own, so that giving up is revoking it. (S, k) and
 * mode stay. On the ground of revocations each one that was counted must still be as it was seen.
 */
export function take(view: ClusterView, rule: Rule, seen: Seen, taker: Taker): Transaction {
  const self = seen.member;
  const { leaseId, ground, base, degraded } = taker;
  const { handover: _void, base: _former, ...rest } = rule;
  const term = nextTerm(rule, seen);
  const next: Rule = {
    ...rest,
    term,
    leader: self,
    nonce: `${leaseId}/${term}`,
    number: Math.max(rule.number, seen.maxRuleNumber) + 1,
    disarmed: false,
    failsafe: rule.failsafe.includes(self) ? rule.failsafe : [...rule.failsafe, self].toSorted(),
    released: false,
    ...(degraded ? { mode: 'sync', syncStandbys: [], syncCount: 0 } : {}),
    ...(base === undefined ? {} : { base }),
    storeId: view.storeId,
  };
  const write: Write[] = [
    { key: 'rule', value: next },
    { key: 'leader', value: self, leaseId },
  ];
  if (view.failover !== undefined && ground !== 'retake') write.push({ key: 'failover', value: undefined });
  return {
    name: `take (${ground})`,
    compare: [
      asRead(view, 'rule'),
      asRead(view, 'leader'),
      asRead(view, 'config'),
      ...(ground === 'revoked' ? countedRevocations(view) : []),
    ],
    write,
  };
}

function countedRevocations(view: ClusterView): readonly Compare[] {
  return coverOf(view).counted.map(({ member, modRevision }) => ({ key: revokeKey(member), modRevision }));
}

/** 8: give the key back. No process of the instance is left. With `handover` after a clean shutdown. */
export function release(view: ClusterView, rule: Rule, handover: Handover | undefined): Transaction {
  const { handover: _old, ...rest } = rule;
  // No process is left that a guard could have to end.
  const next: Rule = {
    ...rest,
    number: rule.number + 1,
    disarmed: false,
    released: true,
    ...(handover === undefined ? {} : { handover }),
  };
  const write: Write[] = [
    { key: 'leader', value: undefined },
    { key: 'rule', value: next },
  ];
  if (view.failover !== undefined) write.push({ key: 'failover', value: undefined });
  return {
    name: handover ? 'release (handover)' : 'release',
    compare: [asRead(view, 'rule'), asRead(view, 'leader')],
    write,
  };
}

/** 9 and its way back: the guard is off while `disarmed`; only an answered change counts. */
export function setDisarmed(view: ClusterView, rule: Rule, disarmed: boolean): Transaction {
  return changeRule(view, { ...rule, disarmed }, disarmed ? 'disarm' : 're-arm');
}

/** The list of members that the holder knows; who is not in it does not stand in asynchronous mode. */
export function setFailsafe(view: ClusterView, rule: Rule, failsafe: readonly string[]): Transaction {
  return changeRule(view, { ...rule, failsafe }, 'know members');
}

/** 6 and 7: another (S, k). What the order of it and of PostgreSQL's setting is, is decided by the rules. */
export function setSync(view: ClusterView, rule: Rule, to: SyncSet, name: 'loosen' | 'tighten'): Transaction {
  const { mode, syncStandbys, syncCount } = to;
  return changeRule(view, { ...rule, mode, syncStandbys, syncCount }, name);
}

/** Overwrites whatever of mine may still be under way to the rule; once it is answered, nothing older can land. */
export function settleRule(view: ClusterView, rule: Rule): Transaction {
  return changeRule(view, rule, 'settle the rule');
}

function changeRule(view: ClusterView, rule: Rule, name: string): Transaction {
  return {
    name,
    compare: [asRead(view, 'rule'), asRead(view, 'leader')],
    write: [{ key: 'rule', value: { ...rule, number: rule.number + 1 } }],
  };
}

/** The new term's row in `terms`, and Patroni's `history` derived from it. */
export function recordTerm(view: ClusterView, entries: readonly TermEntry[]): Transaction {
  const terms = [...(view.terms?.value ?? []), ...entries];
  return {
    name: 'record term',
    compare: [asRead(view, 'rule'), asRead(view, 'leader'), asRead(view, 'terms')],
    write: [
      { key: 'terms', value: terms },
      { key: 'history', value: historyOf(terms) },
    ],
  };
}

/** A row for each timeline that ended. */
export function historyOf(terms: readonly TermEntry[]): readonly HistoryRow[] {
  const rows: HistoryRow[] = [];
  terms.forEach((entry, index) => {
    const before = terms[index - 1];
    if (before === undefined || before.timeline === entry.timeline) return;
    rows.push({
      timeline: before.timeline,
      lsn: entry.switchLsn,
      reason: entry.reason,
      at: entry.at,
      leader: entry.member,
    });
  });
  return rows;
}

/**
 * 4: revoke, with my position; in asynchronous mode it only makes the position known. The key is overwritten, never
 * deleted.
 */
export function announcePosition(view: ClusterView, rule: Rule, self: string, revocation: Revocation): Transaction {
  const modRevision = view.revocations.get(self)?.modRevision ?? 0;
  return {
    name: rule.mode === 'sync' ? 'revoke' : 'announce position',
    compare: [asRead(view, 'rule'), { key: revokeKey(self), modRevision }],
    write: [{ key: 'revoke', member: self, value: revocation }],
  };
}

/** 5: take my revocation back. Written in any case, so that a revocation which is still under way finds another revision. */
export function takeBack(view: ClusterView, self: string, position: Position): Transaction {
  const before = view.revocations.get(self);
  const value: Revocation = { ...position, term: 'free', sequence: (before?.value.sequence ?? 0) + 1 };
  return {
    name: 'take back',
    compare: [asRead(view, 'rule'), { key: revokeKey(self), modRevision: before?.modRevision ?? 0 }],
    write: [{ key: 'revoke', member: self, value }],
  };
}

/** A wish of an operator, its refusal, or its end. */
export function setFailover(view: ClusterView, request: FailoverRequest | undefined): Transaction {
  return {
    name: request?.refused === undefined ? 'ask for a failover' : 'refuse a failover',
    compare: [asRead(view, 'failover')],
    write: [{ key: 'failover', value: request }],
  };
}

/**
 * What a member tells about itself. It owns the key, so nothing is compared but the lease it hangs on.
 * `status` is the holder's: a late one of a former holder must not land.
 */
export function publish(
  view: ClusterView,
  self: string,
  record: MemberRecord,
  leaseId: string,
  status: StatusRecord | undefined,
  decisions: readonly DecisionEvent[] | undefined,
): Transaction {
  const write: Write[] = [{ key: 'member', member: self, value: record, leaseId }];
  if (decisions !== undefined) write.push({ key: 'events', member: self, value: decisions });
  if (status !== undefined) write.push({ key: 'status', value: status });
  return { name: `publish ${memberKey(self)}`, compare: status === undefined ? [] : [asRead(view, 'leader')], write };
}
