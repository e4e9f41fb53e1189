/** Bugs in revoking: the cut, the position, the record of it, and taking it back. */
import type { Mutant } from './mutant.ts';
import { deafThenHung, halfDeaf, laggard } from './scenes.ts';

const transactions = 'src/core/transactions.ts';
const actSynchronous = 'src/core/act-synchronous.ts';
const revocation = 'src/core/rules/revocation.ts';
const observe = 'src/core/observe.ts';

/** Members that suspect each other for a moment, and a DCS whose answers come late or not at all. */
const doubtful = {
  settings: { synchronousMode: 'quorum', synchronousNodeCount: 1, failureTimeoutMs: 500, heartbeatIntervalMs: 150 },
  members: 3,
  faults: ['cut-all', 'host-freeze', 'agent-freeze', 'cut-postgres', 'dcs-land-late', 'dcs-lose-replies'],
} as const;

const cutAgain = {
  ...doubtful,
  faults: ['cut-all', 'cut-all', 'host-freeze', 'receiver-stuck', 'reloads-late', 'agent-kill-soon'],
} as const;

const streamsAgain = 'return send(facts, takeBack(view, self, { originTerm: at.originTerm, lsn: at.lsn }));';

export const revokingMutants: readonly Mutant[] = [
  {
    name: 'position-from-before-the-cut',
    what: 'The position that is made known was read before the stream was cut: what was flushed and acknowledged since is not counted.',
    edits: [
      {
        file: 'src/core/act.ts',
        find: '{ ...position, term: rule.term, sequence }',
        replace:
          '{ ...position, lsn: view.members.get(facts.self)?.value.lsn ?? position.lsn, term: rule.term, sequence }',
      },
      {
        file: revocation,
        find: 'f.position !== undefined && comparePositions(told, f.position) >= 0;',
        replace: 'told.originTerm === f.position?.originTerm;',
      },
    ],
    harm: 'safety',
    arena: laggard(),
    fromSeed: 2,
  },
  {
    name: 'sever-not-proven',
    what: 'A sever that failed is as good as one that succeeded: a WAL receiver that is left goes on and acknowledges for the old primary.',
    edits: [
      {
        file: revocation,
        find: 'return f.running !== undefined && f.state.severed === f.running.startTime;',
        replace: 'return f.running !== undefined;',
      },
    ],
    harm: 'safety',
    arena: cutAgain,
    fromSeed: 51,
  },
  {
    name: 'receiver-not-looked-for',
    what: 'The cut is taken for proven when the startup process has read the empty setting, whether or not a WAL receiver is left.',
    edits: [
      {
        file: 'src/sim/jobs.ts',
        find: 'if (applied === conf && receiver === undefined) return running.done(ok);',
        replace: 'if (applied === conf) return running.done(ok);',
      },
    ],
    harm: 'safety',
    arena: cutAgain,
    fromSeed: 9,
  },
  {
    name: 'revocation-forgotten',
    what: 'What was revoked is neither remembered over a restart of the agent nor seen from the record: it streams again while its revocation stands.',
    edits: [
      {
        file: observe,
        find: 'durable: kept === undefined ? durable : { ...durable, promise: kept },',
        replace: 'durable: { ...durable, ...(kept === undefined ? {} : { promise: kept }), revokedTerm: undefined },',
      },
      {
        file: 'src/core/facts.ts',
        find: "return rule?.mode === 'sync' && view?.revocations.get(self.name)?.value.term === rule.term;",
        replace: "return self.name === '' && rule?.mode === 'sync';",
      },
    ],
    harm: 'safety',
    arena: halfDeaf([650, 850], {
      kind: 'agent-kill',
      member: '@actor',
      after: 'revoke',
      delayMs: 20,
      atMs: [300, 400],
      forMs: [50, 200],
    }),
  },
  {
    name: 'take-back-without-the-rule',
    what: 'Taking a revocation back does not compare the rule: it crosses with a taking that counted it, and streams from the old primary.',
    edits: [
      {
        file: transactions,
        find: "compare: [asRead(view, 'rule'), { key: revokeKey(self), modRevision: before?.modRevision ?? 0 }],",
        replace: 'compare: [{ key: revokeKey(self), modRevision: before?.modRevision ?? 0 }],',
      },
    ],
    harm: 'safety',
    arena: halfDeaf(
      [1700, 2000],
      { kind: 'dcs-land-late', atMs: [1850, 1950], forMs: [450, 500], value: [0.8, 1] },
      { kind: 'watch-late', member: '@replica', atMs: [1800, 1900], forMs: [2000, 3000] },
    ),
    fromSeed: 116,
  },
  {
    name: 'take-back-writes-nothing-when-absent',
    what: 'A revocation that is not there is not taken back by a write: one that is still under way lands later, unseen by its member, and is counted.',
    edits: [
      {
        file: transactions,
        find: "write: [{ key: 'revoke', member: self, value }],",
        replace: "write: before === undefined ? [] : [{ key: 'revoke', member: self, value }],",
      },
      { file: observe, find: "if (revoked?.value.term === 'free')", replace: "if (transaction.name === 'take back')" },
      {
        file: 'src/core/facts.ts',
        find: "return rule?.mode === 'sync' && view?.revocations.get(self.name)?.value.term === rule.term;",
        replace: "return self.name === '' && rule?.mode === 'sync';",
      },
    ],
    harm: 'safety',
    arena: halfDeaf([900, 1300], { kind: 'dcs-land-late', atMs: [600, 700], forMs: [400, 600], value: [0.8, 1] }),
  },
  {
    name: 'streams-before-the-take-back-is-answered',
    what: 'WAL is streamed again as soon as the taking back was sent: it may never arrive, or be refused.',
    edits: [
      {
        file: actSynchronous,
        find: streamsAgain,
        replace: `const acted = send(facts, takeBack(view, self, { originTerm: at.originTerm, lsn: at.lsn }));
  if (acted.effects.length === 0) return acted;
  const { revokedTerm: _gone, ...durable } = acted.state.durable;
  return { ...acted, state: { ...acted.state, durable } };`,
      },
      {
        file: 'src/core/facts.ts',
        find: "return rule?.mode === 'sync' && view?.revocations.get(self.name)?.value.term === rule.term;",
        replace: "return self.name === '' && rule?.mode === 'sync';",
      },
    ],
    harm: 'safety',
    arena: halfDeaf([900, 1300], {
      kind: 'dcs-lose-requests',
      atMs: [1050, 1150],
      forMs: [700, 1000],
      value: [0.6, 0.9],
    }),
    fromSeed: 2,
  },
  {
    name: 'streams-with-its-revocation-standing',
    what: 'A member that hears the holder again streams without having taken its revocation back.',
    edits: [
      {
        file: actSynchronous,
        find: streamsAgain,
        replace: `const { revokedTerm: _gone, ...durable } = state.durable;
  if (at.lsn < 0n) return send(facts, takeBack(view, self, at));
  return { state: { ...state, durable }, effects: [] };`,
      },
      {
        file: 'src/core/facts.ts',
        find: "return rule?.mode === 'sync' && view?.revocations.get(self.name)?.value.term === rule.term;",
        replace: "return self.name === '' && rule?.mode === 'sync';",
      },
    ],
    harm: 'safety',
    arena: halfDeaf([900, 1300]),
    fromSeed: 2,
  },
  {
    name: 'late-revocation-survives',
    what: 'A revocation does not compare its own key: one that was given up, and taken back, lands later, unseen by its member, and is counted.',
    edits: [
      {
        file: transactions,
        find: "compare: [asRead(view, 'rule'), { key: revokeKey(self), modRevision }],",
        replace: "compare: [asRead(view, 'rule')],",
      },
      {
        file: 'src/core/facts.ts',
        find: "return rule?.mode === 'sync' && view?.revocations.get(self.name)?.value.term === rule.term;",
        replace: "return self.name === '' && rule?.mode === 'sync';",
      },
    ],
    harm: 'safety',
    arena: halfDeaf([900, 1300], { kind: 'dcs-land-late', atMs: [600, 700], forMs: [400, 600], value: [0.8, 1] }),
  },
  {
    name: 'revocation-without-the-rule',
    what: 'A revocation does not compare the rule.',
    edits: [
      {
        file: transactions,
        find: "compare: [asRead(view, 'rule'), { key: revokeKey(self), modRevision }],",
        replace: 'compare: [{ key: revokeKey(self), modRevision }],',
      },
    ],
    harm: 'safety',
    redundant:
      'a revocation names its term, and only those of the current term are counted; while the term stands its member is cut, whatever number the rule has',
    arena: halfDeaf([900, 1300], { kind: 'dcs-land-late', atMs: [600, 700], forMs: [400, 600], value: [0.8, 1] }),
  },
  {
    name: 'old-revocations-count',
    what: 'Revocations of an earlier term are counted: their members follow the present holder, and acknowledge for it.',
    edits: [{ file: 'src/core/quorum.ts', find: 'value.term === term)', replace: "value.term !== 'free')" }],
    harm: 'safety',
    arena: deafThenHung,
    fromSeed: 2,
  },
  {
    name: 'unread-wal-not-waited-for',
    what: 'After a restart the position counts before the local WAL is used up: it is lower than what was acknowledged.',
    edits: [
      {
        file: revocation,
        find: 'if (!running.localWalUsedUp && running.receivedLsn === undefined) return false;',
        replace: '',
      },
      {
        file: revocation,
        find: 'return comparePositions(comparable(f.terms, { originTerm, lsn: lastLsn }), position) <= 0;',
        replace: 'return true;',
      },
    ],
    harm: 'safety',
    arena: laggard(
      { kind: 'slow-recovery', member: 'pg1', atMs: [0, 10], forMs: [8000, 9000] },
      { kind: 'slow-recovery', member: 'pg2', atMs: [0, 10], forMs: [8000, 9000] },
      { kind: 'slow-recovery', member: 'pg3', atMs: [0, 10], forMs: [8000, 9000] },
      { kind: 'postgres-crash', member: '@replica', atMs: [850, 1100] },
    ),
  },
];
