/** Bugs in what members promise each other while the DCS is away. */
import type { Mutant } from './mutant.ts';
import { frozenQuestion } from './scenes.ts';

const failsafe = 'src/core/failsafe.ts';
const peers = 'src/core/observe-peers.ts';

const dcsAway = {
  settings: { synchronousMode: 'off', failsafeMode: true },
  faults: ['cut-dcs', 'cut-dcs', 'cut-dcs', 'dcs-outage'],
} as const;

export const promiseMutants: readonly Mutant[] = [
  {
    name: 'accepted-without-a-promise',
    what: 'A member accepts that the holder goes on without the DCS, and takes the key all the same when it expires.',
    edits: [
      {
        file: peers,
        find: 'return { ...answered, durable: { ...answered.durable, promise } };',
        replace: 'return promise.until < 0 ? { ...answered, durable: { ...answered.durable, promise } } : answered;',
      },
    ],
    harm: 'safety',
    arena: dcsAway,
    fromSeed: 5,
  },
  {
    name: 'promise-forgotten',
    what: 'A promise is forgotten when the agent is restarted.',
    edits: [
      {
        file: 'src/core/observe.ts',
        find: 'durable: kept === undefined ? durable : { ...durable, promise: kept },',
        replace: 'durable: { ...durable, promise: kept === undefined ? kept : undefined },',
      },
    ],
    harm: 'safety',
    arena: { ...dcsAway, members: 3, faults: ['cut-dcs', 'cut-dcs', 'agent-kill', 'agent-kill', 'host-off'] },
    fromSeed: 53,
  },
  {
    name: 'accepted-though-revoked',
    what: 'A member that has revoked promises the old holder that it may go on.',
    edits: [
      {
        file: failsafe,
        find: 'if (durable.revokedTerm !== undefined && durable.revokedTerm >= term)',
        replace: 'if (durable.revokedTerm !== undefined && durable.revokedTerm < 0)',
      },
    ],
    harm: 'safety',
    redundant:
      'in synchronous mode a commit is guarded by its quorum, which a member that has revoked is cut from, whatever it promises; in asynchronous mode nobody revokes',
    arena: {
      settings: { synchronousMode: 'quorum', failsafeMode: true },
      members: 3,
      faults: ['cut-dcs', 'cut-all', 'cut-agents'],
    },
  },
  {
    name: 'accepted-with-a-taking-under-way',
    what: 'A member promises to wait while its own taking of the key was not answered: the taking lands afterwards.',
    edits: [
      {
        file: failsafe,
        find: 'if (state.ruleTransaction !== undefined || f.now < state.takeUnsettledUntil)',
        replace: 'if (f.now < 0)',
      },
    ],
    harm: 'safety',
    arena: { ...dcsAway, faults: ['cut-dcs', 'cut-dcs', 'dcs-land-late', 'dcs-land-late', 'dcs-lose-replies'] },
    redundant:
      'a taking is sent for a key that is free, and the holder who asks has stopped before its key could expire; one that has taken it anew has changed the rule, which the late taking compares',
  },
  {
    name: 'promise-counted-from-the-answer',
    what: 'The holder counts a promise from its answer instead of its question: it ends at the member before.',
    edits: [
      {
        file: 'src/sim/peers.ts',
        find: "{ kind: 'failsafe-answered', member: name, term, sentAt,",
        replace: "{ kind: 'failsafe-answered', member: name, term, sentAt: localNow(world, member),",
      },
    ],
    harm: 'safety',
    arena: frozenQuestion,
    fromSeed: 4,
  },
  {
    name: 'one-promise-is-enough',
    what: 'In asynchronous mode one promise is enough instead of those of all who could stand.',
    edits: [
      {
        file: failsafe,
        find: 'isQuorumMode(rule) ? rule.syncCount : asked.length;',
        replace: 'isQuorumMode(rule) ? rule.syncCount : Math.min(1, asked.length);',
      },
    ],
    harm: 'safety',
    arena: { ...dcsAway, members: 3, faults: ['cut-dcs', 'cut-dcs', 'cut-agents', 'cut-agents'] },
  },
  {
    name: 'a-promise-too-few-of-s',
    what: 'In synchronous mode a promise less than k is enough.',
    edits: [
      {
        file: failsafe,
        find: 'isQuorumMode(rule) ? rule.syncCount : asked.length;',
        replace: 'isQuorumMode(rule) ? Math.max(1, rule.syncCount - 1) : asked.length;',
      },
    ],
    harm: 'safety',
    redundant:
      'the quorum guards the commits in synchronous mode, not the promises: with too few of them the holder goes on, and a cover of revocations may depose it; it is kept so that what the holder believes is true',
    arena: {
      settings: { synchronousMode: 'quorum', synchronousNodeCount: 2, failsafeMode: true },
      members: 4,
      faults: ['cut-dcs', 'cut-dcs', 'cut-agents'],
    },
  },
];
