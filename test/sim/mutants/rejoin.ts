/** Bugs in what WAL is compared by, and in the way back to a cluster. */
import type { Mutant } from './mutant.ts';
import { deposed, olderStandby, slowCatchUp, strayTail, twins, twinWithoutDcs, unrecordedTwin } from './scenes.ts';

const rejoin = 'src/core/rejoin.ts';
const copies = 'src/sim/copies.ts';
const failovers = { faults: ['host-off', 'host-off', 'cut-all', 'postgres-crash', 'switchover'] } as const;
const quorum = { settings: { synchronousMode: 'quorum' }, members: 3 } as const;

export const rejoinMutants: readonly Mutant[] = [
  {
    name: 'position-by-lsn-alone',
    what: 'Positions are compared by LSN alone: WAL of a term that is over beats what was acknowledged later.',
    edits: [
      {
        file: 'src/core/position.ts',
        find: 'if (a.originTerm !== b.originTerm) return a.originTerm - b.originTerm;',
        replace: '',
      },
    ],
    harm: 'safety',
    arena: strayTail,
  },
  {
    name: 'position-by-timeline',
    what: 'Positions are compared by timeline number and LSN: two terms can make the same number.',
    edits: [
      {
        file: 'src/core/facts.ts',
        find: 'return originTerm === undefined ? undefined : comparable(terms, { originTerm, lsn });',
        replace: 'return originTerm === undefined ? undefined : { originTerm: running.timeline, lsn };',
      },
    ],
    harm: 'safety',
    arena: strayTail,
  },
  {
    name: 'same-timeline-rewound',
    what: 'Two histories with the same timeline number are left to pg_rewind, which takes them for one.',
    edits: [
      {
        file: rejoin,
        find: 'if (diverged.sameTimelineNumber)',
        replace: 'if (diverged.sameTimelineNumber && input.rewindFailures < 0)',
      },
    ],
    harm: 'safety',
    arena: twins,
  },
  {
    name: 'no-floor',
    what: 'A member that was rewound, cloned or given an older copy counts at once, before it is as far again as it was.',
    edits: [
      {
        file: 'src/core/rules/other-data.ts',
        find: 'return f.state.durable.floor !== undefined;',
        replace: 'return f.now < 0;',
      },
      {
        file: 'src/core/position.ts',
        find: 'if (floor === undefined) return true;',
        replace: 'if (floor === undefined || terms.length >= 0) return true;',
      },
      {
        file: 'src/core/publish.ts',
        find: 'durable.floor !== undefined || durable.rewinding',
        replace: 'durable.rewinding',
      },
    ],
    harm: 'safety',
    arena: olderStandby,
  },
  {
    name: 'floor-falls-among-the-sync-standbys',
    what: 'The floor falls when the member is as far as the primary was by its last word, which is older than what the member may have acknowledged.',
    edits: [{ file: 'src/core/observe-postgres.ts', find: 'if (isCounted(facts)) return durable;', replace: '' }],
    harm: 'safety',
    arena: slowCatchUp,
  },
  {
    name: 'floor-falls-at-once',
    what: 'The floor falls as soon as the member streams, however far it is.',
    edits: [
      { file: 'src/core/observe-postgres.ts', find: 'if (isCounted(facts)) return durable;', replace: '' },
      {
        file: 'src/core/observe-postgres.ts',
        find: 'return caughtUp && primaryLsn !== undefined && position.lsn >= primaryLsn ? rest : durable;',
        replace: 'return caughtUp || primaryLsn === undefined ? rest : durable;',
      },
      {
        file: 'src/core/observe-postgres.ts',
        find: 'return isPastFloor(durable, position, facts.terms) ? rest : durable;',
        replace: 'return rest;',
      },
    ],
    harm: 'safety',
    arena: slowCatchUp,
  },
  {
    name: 'other-data-served',
    what: 'A holder whose data directory was replaced by an older copy starts it in place.',
    edits: [
      {
        file: 'src/core/rules/other-data.ts',
        find: 'return f.state.durable.floor !== undefined;',
        replace: 'return f.now < 0;',
      },
    ],
    harm: 'safety',
    arena: { faults: ['directory-replaced', 'directory-replaced', 'directory-replaced'] },
  },
  {
    name: 'former-primary-started-writable',
    what: 'A member whose cluster has another holder is started as a primary.',
    edits: [
      {
        file: 'src/core/rules/instance.ts',
        find: "startAlone(f, 'replica'), upstream",
        replace: "startAlone(f, 'primary'), upstream",
      },
    ],
    harm: 'safety',
    arena: { settings: { synchronousMode: 'off' }, ...failovers },
  },
  {
    name: 'started-writable-without-the-key',
    what: 'A former holder whose key has expired is started as a primary, to serve as long as nobody else does.',
    edits: [
      {
        file: 'src/core/rules.ts',
        find: "job: mayStream(f) ? startFollowing(f) : startAlone(f, 'replica') }),",
        replace: "job: f.rule?.leader === f.self ? { ...startFollowing(f), as: 'primary' } : startFollowing(f) }),",
      },
    ],
    harm: 'safety',
    arena: { settings: { synchronousMode: 'off' }, faults: ['postgres-crash', 'cut-dcs', 'cut-dcs', 'host-off'] },
    fromSeed: 65,
  },
  {
    name: 'streamed-without-the-dcs-though-diverged',
    what: 'While the DCS is away, a member with WAL beside the history is started with a source, and streams on top of it.',
    edits: [
      {
        file: 'src/core/rules.ts',
        find: "job: mayStream(f) ? startFollowing(f) : startAlone(f, 'replica') }),",
        replace: 'job: startFollowing(f) }),',
      },
    ],
    harm: 'safety',
    arena: twinWithoutDcs,
  },
  {
    name: 'followed-before-the-base-is-compared',
    what: 'A holder whose term is not on record is followed by members that may have WAL which it has not.',
    edits: [
      {
        file: 'src/core/rules/follower.ts',
        find: 'return position.originTerm === base.originTerm && position.lsn <= base.lsn;',
        replace: 'return position.originTerm > 0 && base.originTerm > 0;',
      },
    ],
    harm: 'safety',
    arena: unrecordedTwin,
  },
  {
    name: 'half-rewound-directory-used',
    what: 'That a rewind was begun is not remembered: a directory that is half the one and half the other is started.',
    edits: [
      {
        file: 'src/core/act.ts',
        find: 'return { ...durable, rewinding: true, floor: floorBefore(facts) };',
        replace: 'return { ...durable, rewinding: false, floor: floorBefore(facts) };',
      },
    ],
    harm: 'safety',
    arena: deposed,
  },
  {
    name: 'clone-replaces-too-early',
    what: 'The old data directory is removed before the copy is complete.',
    edits: [
      {
        file: copies,
        find: "if (postgres.process !== 'none') return running.done(failed('a server runs', true));",
        replace:
          "if (postgres.process !== 'none') return running.done(failed('a server runs', true));\n    dropped(world, member, 'removed for a clone');\n    postgres.data = undefined;",
      },
    ],
    harm: 'safety',
    arena: { ...quorum, faults: ['reinit', 'reinit', 'disk-lost', 'host-off', 'cut-all'] },
  },
];
