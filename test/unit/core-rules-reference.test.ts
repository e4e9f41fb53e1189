/** docs/rules.md, and that the table's words are what its rules do. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Arbitrary, boolean, assert as check, constantFrom, property, record } from 'fast-check';
import { rulesPage } from '../../build/docs.ts';
import type { Job } from '../../src/core/effects.ts';
import { type Facts, factsOf } from '../../src/core/facts.ts';
import { lsn } from '../../src/core/lsn.ts';
import type { ClusterView, Durable, MemberRecord, PostgresStatus, Rule } from '../../src/core/model.ts';
import type { Goal } from '../../src/core/rules/rule.ts';
import { rules } from '../../src/core/rules.ts';
import { emptyDurable } from '../../src/core/state.ts';
import { facts } from '../core/world/arbitrary.ts';

const path = new URL('../../docs/rules.md', import.meta.url);

test('docs/rules.md is what the table says (REWRITE=1 writes it)', () => {
  const text = rulesPage();
  if (process.env['REWRITE'] === '1') writeFileSync(path, text);
  assert.ok(readFileSync(path, 'utf8') === text, 'the page is out of date; REWRITE=1 npm test writes it');
});

/** A goal in the words of the log and of the protocol. */
function words(goal: Goal): string {
  switch (goal.kind) {
    case 'job':
      return jobWords(goal.job);
    case 'stop-now':
      return 'fast stop';
    case 'transact':
      return goal.transaction.name;
    case 'take':
      return `take (${goal.ground})`;
    case 'release':
      return goal.clean ? 'release (handover)' : 'release';
    case 'announce':
      return 'announce position';
    case 'record-term':
      return 'record term';
    default:
      return goal.kind;
  }
}

function jobWords(job: Job): string {
  if (job.kind === 'start') return `start as ${job.as}`;
  return job.kind === 'stop' ? `${job.mode} stop` : job.kind;
}

/** Facts as they come, and facts of a situation that chance alone seldom makes: a holder with a replica that could serve. */
const likelyFacts: Arbitrary<Facts> = record({
  one: facts,
  situation: constantFrom('any', 'holding', 'vacant', 'following'),
  phase: constantFrom(undefined, 'checkpoint' as const, 'stop' as const, 'release' as const, 'failed' as const),
  promotionsFailed: constantFrom(0, 2),
  checkpointDue: boolean(),
  intact: boolean(),
}).map(({ one, situation, phase, promotionsFailed, checkpointDue, intact }) => {
  if (situation === 'any' || one.view === undefined) return one;
  const leaderLease = {
    purpose: 'leader',
    leaseId: 'lease-1',
    ttlMs: 10_000,
    askedTtlMs: 10_000,
    validFrom: one.now,
  } as const;
  const failure = { count: promotionsFailed, retryAt: 0, error: 'it hangs' };
  const remembered: Durable = { ...emptyDurable('a'), dirMark: 'mark-1', originTerm: 1 };
  const state = {
    ...one.state,
    durable: { ...(intact ? remembered : one.state.durable), checkpointDue },
    view: viewIn(situation, one.view),
    postgres: one.postgres === undefined ? undefined : followed(one.postgres),
    // A key on a lease of an earlier life, now and then.
    leaderLease: intact && promotionsFailed > 0 ? { ...leaderLease, leaseId: 'lease-9' } : leaderLease,
    abandonedLeases: intact && promotionsFailed > 0 && checkpointDue ? ['lease-1'] : [],
    seenAt: one.now,
    // Longer than any primary_start_timeout.
    downSince: one.state.downSince && Number.NEGATIVE_INFINITY,
    failures: new Map(promotionsFailed === 0 ? [] : [['promote', failure] as const]),
    switchover: phase === undefined ? undefined : { revision: 1, candidate: 'b', phase },
  };
  return factsOf(state, one.now);
});

function inSituation(situation: string, rule: Rule, handover: NonNullable<Rule['handover']>): Rule {
  if (situation === 'vacant') return { ...rule, handover };
  return situation === 'following' ? { ...rule, term: 2 } : rule;
}

function viewIn(situation: 'holding' | 'vacant' | 'following', view: ClusterView): ClusterView {
  const { leader: _any, ...rest } = view;
  const stamp = { createRevision: 1, modRevision: 1 };
  const leader = { ...stamp, value: situation === 'holding' ? 'a' : 'b', leaseId: 'lease-1' };
  const rule: Rule | undefined = view.rule && { ...view.rule.value, failsafe: ['a', 'b'] };
  const handover = { timeline: 1, lsn: lsn(10) };
  const begun = { timeline: 1, switchLsn: lsn(0), member: 'a', reason: '', at: '' };
  const terms = [
    { ...begun, term: 1 },
    { ...begun, term: 2, timeline: 2, switchLsn: lsn(1000), member: 'b' },
  ];
  const role = situation === 'following' ? 'primary' : 'replica';
  const other: Partial<MemberRecord> = {
    role,
    state: 'running',
    lsn: lsn(3000),
    connUrl: 'postgres://b:5432/postgres',
  };
  const tags = { noFailover: false, failoverPriority: 1, all: {} };
  const members = [...view.members].map(([name, known]) => {
    return [name, { ...known, value: { ...known.value, ...(name === 'b' ? { ...other, tags } : {}) } }] as const;
  });
  return {
    ...rest,
    members: new Map(members),
    ...(rule && { rule: { ...stamp, value: inSituation(situation, rule, handover) } }),
    ...(situation === 'following' && { terms: { ...stamp, value: terms } }),
    ...(situation === 'vacant' ? {} : { leader }),
  };
}

/** A running instance with a replica that streams from it. */
function followed(status: PostgresStatus): PostgresStatus {
  if (status.instance.kind !== 'running') return status;
  const sender = {
    applicationName: 'b',
    userName: 'replicator',
    clientAddress: null,
    state: 'streaming',
    syncState: 'async',
    syncPriority: 0,
    flushLsn: lsn(3000),
    replayLsn: lsn(3000),
  };
  return { ...status, instance: { ...status.instance, walSenders: [sender] } };
}

test('every rule does what it says', () => {
  const seen = new Map<string, Set<string>>(rules.map(({ name }) => [name, new Set()]));
  check(
    property(likelyFacts, (one) => {
      // Also of rules that an earlier one would keep from being asked.
      for (const rule of rules) if (rule.when(one)) seen.get(rule.name)?.add(words(rule.goal(one)));
    }),
    { numRuns: 40_000 },
  );
  for (const { name, does } of rules) {
    // One rule hands over where it can, and else only lets go.
    const allowed = does === 'release' ? ['release', 'release (handover)'] : [does, 'wait'];
    for (const one of seen.get(name) ?? []) assert.ok(allowed.includes(one), `${name} says ${does}, and does ${one}`);
  }
  const unseen = rules.filter(({ name, does }) => !seen.get(name)?.has(does)).map(({ name }) => name);
  assert.deepEqual(unseen, []);
});
