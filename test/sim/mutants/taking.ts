/** Bugs in the taking of the leader key: what it compares, and who may do it. */
import type { Mutant } from './mutant.ts';
import {
  laggard,
  lateTakers,
  leftBehind,
  olderPrimary,
  onlyStandby,
  onlyTheLaggard,
  pausedMeanwhile,
  shortSleep,
  unseenMember,
} from './scenes.ts';

const transactions = 'src/core/transactions.ts';
const vacancy = 'src/core/rules/vacancy.ts';

export const takingMutants: readonly Mutant[] = [
  {
    name: 'one-revocation-too-few',
    what: 'One revocation less than |S| - k + 1 counts as a cover: one sync standby that still streams can acknowledge for the old primary.',
    edits: [
      {
        file: 'src/core/quorum.ts',
        find: 'rule.syncStandbys.length - rule.syncCount + 1',
        replace: 'Math.max(1, rule.syncStandbys.length - rule.syncCount)',
      },
    ],
    harm: 'safety',
    arena: laggard({ kind: 'agent-freeze', member: '@replica', atMs: [650, 780], forMs: [2000, 4000] }),
  },
  {
    name: 'take-without-the-rule',
    what: 'The taking does not compare the rule: it counts on an (S, k) that has changed meanwhile, or takes in a term that is over.',
    edits: [
      {
        file: transactions,
        find: "      asRead(view, 'rule'),\n      asRead(view, 'leader'),\n      asRead(view, 'config'),\n",
        replace: "      asRead(view, 'leader'),\n      asRead(view, 'config'),\n",
      },
    ],
    harm: 'safety',
    arena: onlyStandby,
  },
  {
    name: 'take-unconditionally',
    what: 'The taking compares neither the rule nor the leader key: the last of several candidates has the key, and each of them promotes.',
    edits: [
      {
        file: transactions,
        find: "      asRead(view, 'rule'),\n      asRead(view, 'leader'),\n      asRead(view, 'config'),\n",
        replace: "      asRead(view, 'config'),\n",
      },
    ],
    harm: 'safety',
    arena: lateTakers,
    fromSeed: 101,
  },
  {
    name: 'take-without-the-leader-key',
    what: 'The taking does not compare the leader key.',
    edits: [
      {
        file: transactions,
        find: "      asRead(view, 'rule'),\n      asRead(view, 'leader'),\n      asRead(view, 'config'),\n",
        replace: "      asRead(view, 'rule'),\n      asRead(view, 'config'),\n",
      },
    ],
    harm: 'safety',
    redundant:
      'every transaction of ours that writes the leader key writes the rule too, which is compared; it is kept for keys that others write (members of Patroni in a mixed cluster)',
    arena: lateTakers,
  },
  {
    name: 'take-without-the-counted-revocations',
    what: 'The taking does not compare the revocations that it counted: one of them was taken back, its member streams again and acknowledges for the old primary.',
    edits: [{ file: transactions, find: "...(ground === 'revoked' ? countedRevocations(view) : []),", replace: '' }],
    harm: 'safety',
    arena: shortSleep,
    fromSeed: 36,
  },
  {
    name: 'not-the-most-advanced-takes',
    what: 'Any member of the cover may take the key, not only the one with the most WAL: what only the other had is lost.',
    edits: [
      {
        file: 'src/core/cover-election.ts',
        find: 'cover.counted.filter((one) => comparePositions(one, mine) <= 0).length',
        replace: 'cover.counted.length',
      },
    ],
    harm: 'safety',
    arena: laggard({
      kind: 'agent-freeze',
      member: '@actor',
      after: 'revoke',
      delayMs: 4,
      atMs: [500, 550],
      forMs: [2500, 3500],
    }),
  },
  {
    name: 'winner-leaves-s-at-once',
    what: 'The taking itself removes the winner from S: before anybody has streamed from it, the rest of S can elect one of them without its commits.',
    edits: [
      {
        file: transactions,
        find: 'failsafe: rule.failsafe.includes(self) ?',
        replace:
          'syncStandbys: rule.syncStandbys.length > 1 ? rule.syncStandbys.filter((one) => one !== self) : rule.syncStandbys,\n    syncCount: Math.min(rule.syncCount, Math.max(1, rule.syncStandbys.filter((one) => one !== self).length)),\n    failsafe: rule.failsafe.includes(self) ?',
      },
    ],
    harm: 'safety',
    arena: laggard({
      kind: 'host-off',
      member: '@actor',
      after: 'take',
      delayMs: 30,
      atMs: [500, 550],
      forMs: [5000, 7000],
    }),
  },
  {
    name: 'degraded-is-asynchronous',
    what: 'A synchronous cluster with k = 0 elects as an asynchronous one does: what the former holder acknowledged alone is lost.',
    edits: [
      {
        file: vacancy,
        find: "f.rule?.mode === 'async' && mayStand(f) !== undefined",
        replace: "(f.rule?.mode === 'async' || f.rule?.syncCount === 0) && mayStand(f) !== undefined",
      },
      {
        file: vacancy,
        find: "f.rule?.mode === 'async' && !isAnnounced(f)",
        replace: "(f.rule?.mode === 'async' || f.rule?.syncCount === 0) && !isAnnounced(f)",
      },
      {
        file: vacancy,
        find: "f.rule?.mode === 'async' && isMyTurn(f)",
        replace: "(f.rule?.mode === 'async' || f.rule?.syncCount === 0) && isMyTurn(f)",
      },
    ],
    harm: 'safety',
    arena: {
      settings: { synchronousMode: 'quorum', synchronousModeStrict: false },
      faults: ['host-off', 'cut-all', 'cut-postgres'],
    },
    fromSeed: 5,
  },
  {
    name: 'handover-without-the-shutdown-record',
    what: 'A handover is taken by whoever is on its timeline, without having replayed the shutdown record.',
    edits: [{ file: vacancy, find: ' && f.running.replayedLsn > handover.lsn', replace: '' }],
    harm: 'safety',
    arena: leftBehind('postgres-stop'),
    fromSeed: 2,
  },
  {
    name: 'handover-after-a-crash',
    what: 'Every release counts as a handover, also after a crash: its position is an old checkpoint, and a replica that lacks commits takes it.',
    edits: [
      { file: 'src/core/act.ts', find: 'release(view, rule, goal.clean ?', replace: 'release(view, rule, goal.kind ?' },
    ],
    harm: 'safety',
    arena: leftBehind('postgres-crash'),
    fromSeed: 2,
  },
  {
    name: 'retake-with-other-data',
    what: 'The former holder takes the key again, and serves, although its data is not what it was: the directory was replaced.',
    edits: [
      {
        file: 'src/core/rules/other-data.ts',
        find: 'return f.state.durable.floor !== undefined;',
        replace: 'return f.now < 0;',
      },
      {
        file: vacancy,
        find: 'durable.dirMark !== directory.mark ||\n    durable.rewinding ||\n    durable.floor !== undefined\n',
        replace: 'false\n',
      },
    ],
    harm: 'safety',
    arena: olderPrimary,
  },
  {
    name: 'stranger-stands',
    what: 'A member that the holder did not know stands in asynchronous mode: it gave no promise when the holder asked those it knew.',
    edits: [
      {
        file: vacancy,
        find: 'if (!(f.rule?.failsafe.includes(f.self) ?? false)) return',
        replace: 'if (f.self === "") return',
      },
      {
        file: 'src/core/election.ts',
        find: '!isEligible(record) || !rule.failsafe.includes(member)) continue;\n    const',
        replace: '!isEligible(record)) continue;\n    const',
      },
    ],
    harm: 'safety',
    arena: unseenMember,
  },
  {
    name: 'lag-is-ignored',
    what: 'A replica takes a free key however far it is behind.',
    edits: [
      {
        file: 'src/core/election.ts',
        find: 'if (lag <= settings.maximumLagOnFailoverBytes) return undefined;',
        replace: 'if (lag >= 0n) return undefined;',
      },
    ],
    harm: 'safety',
    arena: {
      settings: { synchronousMode: 'off', maximumLagOnFailoverBytes: 0n },
      members: 3,
      faults: ['host-off', 'cut-postgres', 'slow-disk'],
    },
    fromSeed: 18,
  },
  {
    name: 'take-without-the-configuration',
    what: 'The taking does not compare the configuration: the key is taken automatically in a cluster that was paused meanwhile.',
    edits: [{ file: transactions, find: "      asRead(view, 'config'),\n", replace: '' }],
    harm: 'safety',
    arena: pausedMeanwhile,
  },
  {
    name: 'failover-without-a-word-on-loss',
    what: "An operator's failover takes the key in synchronous mode without having been allowed to lose commits.",
    edits: [
      {
        file: vacancy,
        find: "(f.rule?.mode === 'async' || f.view.failover.value.allowDataLoss === true) &&",
        replace: '',
      },
    ],
    harm: 'safety',
    arena: onlyTheLaggard,
  },
];
