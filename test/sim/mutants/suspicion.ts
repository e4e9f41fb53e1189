/** Bugs in suspicion: a primary that lives is replaced. */
import type { Mutant } from './mutant.ts';
import { heardByOne, onlyTheDcs, replicasRestart, standbyCutOff, standbySleeps } from './scenes.ts';

const suspicion = 'src/core/suspicion.ts';
export const suspicionMutants: readonly Mutant[] = [
  {
    name: 'held-key-taken-in-asynchronous-mode',
    what: 'A held key is taken on suspicion in asynchronous mode, where nothing proves that the old primary acknowledges no more.',
    edits: [
      {
        file: 'src/core/rules/vacancy.ts',
        find: 'return f.holder === undefined && f.rule !== undefined;',
        replace:
          "return f.rule !== undefined && (f.holder === undefined || (f.holder !== f.self && f.rule.mode === 'async' && f.now - Math.max(f.state.sourceHeardAt ?? 0, f.state.holderSince, f.state.awakeSince) > 2000));",
      },
    ],
    harm: 'safety',
    arena: { settings: { synchronousMode: 'off' }, faults: ['cut-postgres', 'cut-all'] },
  },
  {
    name: 'word-of-the-dcs-ignored',
    what: "The holder's beat in the DCS does not count as a sign of life.",
    edits: [
      {
        file: suspicion,
        find: 'state.alive?.member === holder ? state.alive.at : -Infinity,',
        replace: '-Infinity,',
      },
    ],
    harm: 'economy',
    arena: onlyTheDcs,
  },
  {
    name: 'no-probe',
    what: "The holder's PostgreSQL is not tried before it is suspected.",
    edits: [
      {
        file: suspicion,
        find: 'return probe.failedAskedAt >= silentSince(f);',
        replace: 'return true;',
      },
      {
        file: suspicion,
        find: 'if (probe?.failedAskedAt === undefined || probe.member !== f.holder) return false;',
        replace: 'if (probe?.failedAskedAt === undefined || probe.member !== f.holder) return true;',
      },
      {
        file: suspicion,
        find: 'state.probe?.member === holder && state.probe.answered === true ? state.probe.at : -Infinity,',
        replace: '-Infinity,',
      },
    ],
    harm: 'economy',
    arena: replicasRestart,
    fromSeed: 4,
  },
  {
    name: 'hearsay-ignored',
    what: 'That another member hears the holder holds no revocation back.',
    edits: [
      { file: suspicion, find: 'return probeFailed(f) && !isHeardByAnother(f);', replace: 'return probeFailed(f);' },
    ],
    harm: 'economy',
    arena: heardByOne,
  },
  {
    name: 'own-sleep-counted-as-silence',
    what: 'An agent that was frozen takes what it slept through for silence of the holder.',
    edits: [
      {
        file: 'src/core/observe-peers.ts',
        find: 'return now > state.wakeBy + failureTimeoutMs / 4 ? { ...state, awakeSince: now } : state;',
        replace: 'return now < 0 && failureTimeoutMs > 0 ? { ...state, awakeSince: now } : state;',
      },
    ],
    harm: 'economy',
    arena: standbySleeps,
    fromSeed: 10,
  },
  {
    name: 'silence-without-the-watch-counted',
    what: 'What an agent could not hear since it did not see the DCS counts as silence of the holder.',
    edits: [{ file: suspicion, find: 'state.watchedSince,\n', replace: '' }],
    harm: 'economy',
    arena: standbyCutOff,
  },
];
