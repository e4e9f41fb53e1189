/** Bugs in what lets agents of different releases, and hosts of different times, make one cluster. */
import type { Mutant } from './mutant.ts';

const records = 'src/dcs/records.ts';

export const releaseMutants: readonly Mutant[] = [
  {
    name: 'newer-fields-of-the-rule-dropped',
    what: 'An older member that rewrites the rule leaves out what a newer one had written into it.',
    edits: [
      {
        file: records,
        find: 'base: base && { ...base, lsn: formatLsn(base.lsn) },\n    ...newer,',
        replace: 'base: base && { ...base, lsn: formatLsn(base.lsn) },',
      },
    ],
    harm: 'safety',
    arena: { mixed: true },
  },
  {
    name: 'newer-fields-of-the-history-dropped',
    what: 'An older member that adds its term to the history leaves out what a newer one had said of earlier terms.',
    edits: [
      {
        file: records,
        find: 'switchLsn: formatLsn(entry.switchLsn), ...newer }',
        replace: 'switchLsn: formatLsn(entry.switchLsn) }',
      },
    ],
    harm: 'safety',
    arena: { mixed: true },
  },
  {
    name: 'newer-fields-of-the-memory-dropped',
    what: 'An older agent that takes over the memory of a newer one forgets what it does not know.',
    edits: [
      {
        file: 'src/core/observe.ts',
        find: 'const durable = event.durable ?? emptyDurable(state.self.name);',
        replace: 'const { newer: _lost, ...durable } = event.durable ?? emptyDurable(state.self.name);',
      },
    ],
    harm: 'safety',
    arena: { mixed: true },
  },
  {
    name: 'unknown-words-stop-everybody',
    what: 'A member that is said to be in a state which only a newer release knows makes its record unreadable.',
    edits: [
      {
        file: 'src/dcs/member-record.ts',
        find: '.transform((text): Value => (Object.hasOwn(table, text) ? table[text] : undefined) ?? otherwise);',
        replace:
          ".refine((text) => Object.hasOwn(table, text), { error: 'unknown' }).transform((text): Value => table[text] ?? otherwise);",
      },
    ],
    harm: 'liveness',
    arena: { mixed: true },
  },
  {
    name: 'wall-clock-used',
    what: 'The agent counts its leases by the wall clock: set back an hour, it renews none, and the key is lost.',
    edits: [
      {
        file: 'src/sim/clock.ts',
        find: 'return (world.now - host.bootedAt) * (1 + host.drift) + host.offsetMs;',
        replace: 'return (world.now - host.bootedAt) * (1 + host.drift) + host.offsetMs + host.wallMs;',
      },
      {
        file: 'src/sim/clock.ts',
        find: 'return (local - host.offsetMs) / (1 + host.drift) + host.bootedAt;',
        replace: 'return (local - host.wallMs - host.offsetMs) / (1 + host.drift) + host.bootedAt;',
      },
    ],
    harm: 'economy',
    arena: {
      scene: {
        everyMs: 16_000,
        steps: [{ kind: 'wall-jump', member: '@primary', atMs: [500, 9000], value: [-3_600_000, -60_000] }],
      },
    },
  },
];
