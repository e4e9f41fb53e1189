/** Bugs in changing (S, k): the order of PostgreSQL and the DCS, and the proofs in between. */
import type { Mutant } from './mutant.ts';
import { backFromNone, lateRecord, lingeringSender, successorAway } from './scenes.ts';

const syncStandbys = 'src/core/sync-standbys.ts';
const synchronous = 'src/core/rules/synchronous.ts';

const changing = {
  settings: { synchronousMode: 'quorum' },
  members: 3,
  faults: ['cut-postgres', 'slow-disk', 'cut-agents', 'settings', 'agent-kill'],
} as const;

const lateReloads = { ...changing, faults: ['reloads-late', 'reloads-late', 'cut-agents', 'slow-disk'] } as const;

export const syncSetMutants: readonly Mutant[] = [
  {
    name: 'tighten-not-in-force',
    what: 'The record follows a tightening as soon as a new session sees it: a WAL sender that has not reloaded still counts a removed standby.',
    edits: [
      {
        file: 'src/core/observe-postgres.ts',
        find: 'inForce: isSet && sendersBehind(running, tightening).length === 0',
        replace: 'inForce: isSet || sendersBehind(running, tightening).length === 0',
      },
    ],
    harm: 'safety',
    arena: lateReloads,
    fromSeed: 9,
  },
  {
    name: 'tighten-without-flushes',
    what: 'The record follows a tightening before k of the new S have flushed what the old setting let through.',
    edits: [
      { file: syncStandbys, find: 'return flushed.length >= to.syncCount;', replace: 'return flushed.length >= 0;' },
    ],
    harm: 'safety',
    arena: successorAway,
    fromSeed: 2,
  },
  {
    name: 'tighten-dcs-first',
    what: 'A tightening goes to the DCS first: until PostgreSQL follows, a standby that is none any more acknowledges.',
    edits: [
      {
        file: syncStandbys,
        find: "isSame(rule, loose) ? { kind: 'tighten', to: wanted, because }",
        replace: "isSame(rule, loose) ? { kind: 'loosen', to: wanted, because }",
      },
    ],
    harm: 'safety',
    arena: changing,
  },
  {
    name: 'from-none-dcs-first',
    what: 'Commits are to wait again after a degraded time, and the DCS says so before they do.',
    edits: [
      {
        file: syncStandbys,
        find: "rule.syncCount === 0) return { kind: 'tighten', to: wanted, because };",
        replace: "rule.syncCount === 0) return { kind: 'loosen', to: wanted, because };",
      },
    ],
    harm: 'safety',
    arena: changing,
  },
  {
    name: 'from-none-not-proven',
    what: "From none to some sync standbys nobody waits for PostgreSQL's checkpointer, which decides whether commits wait at all.",
    edits: [
      {
        file: 'src/core/act-synchronous.ts',
        find: "? 'from-none' : 'in-force'",
        replace: "? 'in-force' : 'in-force'",
      },
    ],
    harm: 'safety',
    arena: backFromNone,
  },
  {
    name: 'loosen-postgres-first',
    what: 'A loosening goes to PostgreSQL first: until the DCS follows, a standby acknowledges that no election counts.',
    edits: [
      {
        file: syncStandbys,
        find: ": { kind: 'loosen', to: loose, because }",
        replace: ": { kind: 'tighten', to: loose, because }",
      },
    ],
    harm: 'safety',
    arena: changing,
  },
  {
    name: 'rule-not-settled',
    what: 'A change of the rule that was not answered is not overwritten: it lands after PostgreSQL was loosened again.',
    edits: [{ file: synchronous, find: 'matters(f) && f.state.ruleUnsettled,', replace: 'matters(f) && f.now < 0,' }],
    harm: 'safety',
    arena: lateRecord,
  },
  {
    name: 'rule-under-way-not-waited-for',
    what: 'PostgreSQL is changed while a change of the rule is under way.',
    edits: [
      {
        file: synchronous,
        find: 'f.state.ruleTransaction?.transaction.write.some(isRule) === true,',
        replace: 'f.state.ruleTransaction?.transaction.write.some(isRule) === undefined && f.now < 0,',
      },
    ],
    harm: 'safety',
    arena: lateRecord,
  },
  {
    name: 'proof-kept-over-another-setting',
    what: 'What was proven of a tighter setting is kept when another one is put in its place.',
    edits: [
      {
        file: 'src/core/act.ts',
        find: 'tightening: isLooseSetting(job) ? undefined : state.tightening,',
        replace: 'tightening: isLooseSetting(job) && now < 0 ? undefined : state.tightening,',
      },
    ],
    harm: 'safety',
    arena: { ...changing, faults: ['slow-disk', 'slow-disk', 'slow-disk', 'cut-postgres'] },
    fromSeed: 16,
  },
  {
    name: 'names-empty-at-promotion',
    what: 'A replica runs without sync standbys until it is promoted: the checkpointer notices late that commits are to wait.',
    edits: [
      {
        file: 'src/core/quorum.ts',
        find: "if (rule.mode === 'async') return '';",
        replace: "if (rule.mode === 'async' || !isPrimary) return '';",
      },
    ],
    harm: 'safety',
    arena: { settings: { synchronousMode: 'quorum' } },
  },
  {
    name: 'names-emptied-by-a-restarted-agent',
    what: 'An agent that begins over a running primary configures it without sync standbys first.',
    edits: [
      {
        file: syncStandbys,
        find: "if (rule === undefined) return '';",
        replace: "if (rule === undefined || (f.iHold && f.state.configuredFor === undefined)) return '';",
      },
    ],
    harm: 'safety',
    arena: { settings: { synchronousMode: 'quorum' }, faults: ['agent-kill'] },
  },
  {
    name: 'slot-shared',
    what: "A member's slot does not keep a second WAL sender of it out: a sender that lingers is counted as another sync standby.",
    edits: [
      {
        file: 'src/sim/streaming.ts',
        find: 'if (!from.slots.has(slot) || isUsed) return false;',
        replace: 'if (!from.slots.has(slot) && !isUsed) return false;',
      },
    ],
    harm: 'safety',
    arena: lingeringSender,
    fromSeed: 4,
  },
];
