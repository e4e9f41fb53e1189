/** Bugs in what is made of storage that hangs: a primary is moved without need. */
import type { Mutant } from './mutant.ts';
import { asleepBesideItsDisk } from './scenes.ts';

export const storageMutants: readonly Mutant[] = [
  {
    name: 'sleep-taken-for-storage-that-hangs',
    what: 'A write probe that was not answered while the agent stood still counts as storage that hangs.',
    edits: [
      {
        file: 'src/core/ability.ts',
        find: 'return f.now - Math.max(since, f.state.awakeSince);',
        replace: 'return f.now - since;',
      },
    ],
    harm: 'economy',
    arena: asleepBesideItsDisk,
  },
];
