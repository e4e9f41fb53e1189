/** Courses of events in which a missing condition of the protocol shows: what chance alone brings about seldom. */
import type { Settings } from '../../../src/core/model.ts';
import type { Arena, Range, SceneStep } from './mutant.ts';

const quick: Partial<Settings> = {
  synchronousMode: 'quorum',
  synchronousModeStrict: false,
  synchronousNodeCount: 1,
  ttlMs: 5000,
  failureTimeoutMs: 500,
  heartbeatIntervalMs: 150,
  maximumLagOnSyncnodeBytes: undefined,
  catchupTimeoutMs: 0,
  failsafeMode: true,
  usePgRewind: true,
  useSlots: true,
};

const asynchronous: Partial<Settings> = { synchronousMode: 'off', failsafeMode: false, ttlMs: 3000 };

function scene(everyMs: number, steps: readonly SceneStep[], settings: Partial<Settings> = {}, members = 3): Arena {
  return { settings: { ...quick, ...settings }, members, scene: { everyMs, steps } };
}

function times(count: number, step: SceneStep): readonly SceneStep[] {
  return Array.from({ length: count }, () => step);
}

/** At every member by name: what strikes a member at random hits the right one seldom. */
function everywhere(step: Omit<SceneStep, 'member'>, members = 3): readonly SceneStep[] {
  return Array.from({ length: members }, (_, index) => ({ ...step, member: `pg${index + 1}` }));
}

/** From the primary to one of the others, both ways. */
function unlink(kind: 'cut-postgres' | 'cut-agents', atMs: Range, forMs: Range): SceneStep {
  return { kind, member: '@primary', atMs, forMs, value: [0, 0.9] };
}

const lostPrimary: SceneStep = { kind: 'host-off', member: '@primary', atMs: [800, 950], forMs: [5000, 7000] };

/**
 * The holder's agent is frozen. One sync standby does not reach its PostgreSQL for `deafMs`, revokes, and hears it again;
 * then the other one does not reach it, and revokes too. `more` strikes besides.
 */
export function halfDeaf(deafMs: Range, ...more: readonly SceneStep[]): Arena {
  const steps: readonly SceneStep[] = [
    { kind: 'agent-freeze', member: '@primary', atMs: [100, 200], forMs: [3300, 3800] },
    unlink('cut-postgres', [200, 300], deafMs),
    unlink('cut-postgres', [1900, 2200], [1500, 2000]),
    ...more,
  ];
  // Without a slot a WAL sender that nobody told of the end of its stream does not keep the next one out.
  return scene(16_000, steps, { ttlMs: 10_000, useSlots: false });
}

/** The same, but then the holder's PostgreSQL hangs: nobody hears it, and somebody takes over. */
export const deafThenHung: Arena = scene(12_500, [
  { kind: 'agent-freeze', member: '@primary', atMs: [100, 200], forMs: [2200, 2700] },
  unlink('cut-postgres', [200, 300], [900, 1300]),
  { kind: 'postgres-hang', member: '@primary', atMs: [1900, 2100], forMs: [700, 1000] },
]);

/** One replica lags, and before it is taken out of S the primary's host is lost. */
export function laggard(...more: readonly SceneStep[]): Arena {
  return scene(14_000, [unlink('cut-postgres', [500, 700], [3000, 4000]), lostPrimary, ...more]);
}

/** One replica does not stream for a while, and the primary's PostgreSQL ends by `end`. */
export function leftBehind(end: 'postgres-crash' | 'postgres-stop'): Arena {
  return scene(14_000, [
    ...times(2, { kind: 'cut-postgres', member: '@replica', atMs: [0, 100], forMs: [5000, 6000], value: [0, 0.9] }),
    { kind: end, member: '@primary', atMs: [1500, 2500] },
  ]);
}

/** One of two replicas is the sync standby; it revokes, and its taking is late: meanwhile the holder took the other one. */
export const onlyStandby: Arena = scene(
  10_000,
  [
    { kind: 'agent-freeze', member: '@primary', atMs: [0, 20], forMs: [750, 850] },
    unlink('cut-postgres', [0, 50], [2500, 3000]),
    { kind: 'dcs-land-late', after: 'revoke', delayMs: 2, atMs: [0, 10], forMs: [50, 100], value: [0.9, 1] },
  ],
  { synchronousMode: 'on', ttlMs: 10_000 },
);

/** The primary's host is lost; those who could take over see the DCS late, and their requests are late too. */
export const lateTakers: Arena = scene(
  14_000,
  [
    lostPrimary,
    ...times(3, { kind: 'watch-late', member: '@replica', atMs: [500, 900], forMs: [2000, 5000] }),
    { kind: 'dcs-land-late', atMs: [1000, 1500], forMs: [1500, 2500], value: [0.1, 0.4] },
  ],
  { synchronousNodeCount: 2 },
  4,
);

/** The holder's host gets no time for a moment; those who suspected it hear it again before their taking lands. */
export const shortSleep: Arena = scene(8000, [
  { kind: 'host-freeze', member: '@primary', atMs: [100, 200], forMs: [620, 760] },
  { kind: 'dcs-land-late', after: 'revoke', delayMs: 12, atMs: [0, 10], forMs: [60, 200], value: [0.8, 1] },
]);

/** One replica lags and is out of S; the only sync standby is lost with the primary; somebody asks for the one that is left. */
export const onlyTheLaggard: Arena = scene(20_000, [
  unlink('cut-postgres', [0, 50], [5000, 6000]),
  { kind: 'host-off', member: '@replica', atMs: [1500, 1600], forMs: [9000, 10_000] },
  { kind: 'host-off', member: '@primary', atMs: [1700, 1800], forMs: [9000, 10_000] },
  ...everywhere({ kind: 'failover', atMs: [3000, 4000] }),
]);

/** The primary's host is lost; the cluster is paused while the request for its key is still under way. */
export const pausedMeanwhile: Arena = scene(14_000, [
  lostPrimary,
  { kind: 'dcs-land-late', after: 'revoke', delayMs: 0.1, atMs: [0, 10], forMs: [100, 200], value: [0.8, 1] },
  { kind: 'pause', after: 'take', delayMs: 0.1, atMs: [0, 10], forMs: [2500, 3500] },
]);

/* ---------------------------------------------------------------- the sync standbys change */

/** One replica's agent is silent while it acknowledges; the other one, its only successor in S, is not connected. */
export const successorAway: Arena = scene(14_000, [
  ...everywhere({ kind: 'slow-recovery', atMs: [0, 10], forMs: [3000, 3500] }),
  { kind: 'agent-freeze', member: '@replica', atMs: [0, 10], forMs: [2500, 3500] },
  { kind: 'postgres-crash', member: '@replica', atMs: [200, 480] },
  { kind: 'host-off', member: '@primary', atMs: [600, 720], forMs: [5000, 7000] },
]);

/** The only replica is lost for a while; when it comes back the checkpointer is slow to see that commits wait again. */
export const backFromNone: Arena = scene(
  9000,
  [
    ...everywhere({ kind: 'checkpointer-late', atMs: [1600, 1800], forMs: [4000, 5000] }, 2),
    { kind: 'host-off', member: '@replica', atMs: [100, 200], forMs: [1800, 2500] },
  ],
  {},
  2,
);

/** A replica is taken out of S for a moment, and the record of it is late. */
export const lateRecord: Arena = scene(7000, [
  { kind: 'agent-freeze', member: '@replica', atMs: [0, 10], forMs: [650, 1100] },
  { kind: 'dcs-land-late', atMs: [450, 520], forMs: [200, 350], value: [0.8, 1] },
]);

/** A replica's PostgreSQL dies while it is cut off, and is back before its old WAL sender is given up. */
export const lingeringSender: Arena = scene(
  6000,
  [
    ...times(2, { kind: 'slow-disk', member: '@replica', atMs: [0, 50], forMs: [2500, 3500] }),
    unlink('cut-postgres', [100, 150], [150, 250]),
    { kind: 'postgres-crash', member: '@replica', atMs: [150, 250] },
  ],
  { synchronousNodeCount: 2 },
  3,
);

/* ---------------------------------------------------------------- leases */

/** The holder's agent is frozen between a renewal and its answer, and does not reach the DCS afterwards. */
export const frozenRenewal: Arena = scene(
  14_000,
  [
    { kind: 'agent-freeze', member: '@actor', after: 'renew-lease', delayMs: 0.1, atMs: [0, 300], forMs: [1300, 1600] },
    { kind: 'cut-dcs', member: '@primary', atMs: [900, 1000], forMs: [7000, 8000] },
  ],
  asynchronous,
);

/** A promotion hangs; its agent is killed and does not see the DCS when it is back. */
export const hangingPromotion: Arena = scene(
  24_000,
  [
    ...everywhere({ kind: 'promote-hangs', atMs: [0, 10], forMs: [10_000, 11_000] }),
    { kind: 'host-off', member: '@primary', atMs: [100, 300], forMs: [14_000, 15_000] },
    { kind: 'cut-dcs', member: '@actor', after: 'job promote', delayMs: 40, atMs: [0, 10], forMs: [9000, 10_000] },
    { kind: 'agent-kill', member: '@actor', after: 'job promote', delayMs: 50, atMs: [0, 10], forMs: [50, 200] },
  ],
  asynchronous,
);

/** A switchover; whoever gives the key up gets no answer, and does not see the DCS for a while. */
export const unansweredRelease: Arena = scene(
  12_000,
  [
    { kind: 'cut-dcs', member: '@actor', after: 'release', delayMs: 0.05, atMs: [0, 10], forMs: [5000, 6000] },
    { kind: 'switchover', member: '@replica', atMs: [100, 200] },
  ],
  { ...asynchronous, ttlMs: 10_000 },
);

/** The cluster is paused, the holder cannot say so before it is cut off, and the pause is over without it. */
export const unheardPause: Arena = scene(
  16_000,
  [
    { kind: 'dcs-lose-requests', atMs: [0, 10], forMs: [400, 500], value: [1, 1] },
    { kind: 'pause', atMs: [50, 60], forMs: [1500, 2000] },
    { kind: 'cut-dcs', member: '@primary', atMs: [300, 390], forMs: [8000, 9000] },
  ],
  asynchronous,
);

/** A switchover, and the DCS goes back to before it. */
export const forgottenSwitchover: Arena = scene(50_000, [
  { kind: 'switchover', member: '@replica', atMs: [100, 200] },
  unlink('cut-postgres', [1000, 1100], [9000, 10_000]),
  { kind: 'dcs-restore', atMs: [3500, 4500], value: [4600, 5600] },
]);

/* ---------------------------------------------------------------- promises */

/** The holder asks for promises, is frozen before the answers come, and reaches nobody afterwards. */
export const frozenQuestion: Arena = scene(
  18_000,
  [
    { kind: 'cut-dcs', member: '@primary', atMs: [0, 10], forMs: [9000, 10_000] },
    {
      kind: 'agent-freeze',
      member: '@actor',
      after: 'ask-failsafe',
      delayMs: 0.05,
      atMs: [2500, 3100],
      forMs: [1300, 1600],
    },
    ...times(5, unlink('cut-agents', [3450, 3600], [9000, 10_000])),
  ],
  { ...asynchronous, failsafeMode: true },
);

/** The holder is away from the DCS while another member joins, which the holder has never seen. */
export const unseenMember: Arena = {
  ...scene(50_000, [{ kind: 'cut-dcs', member: '@primary', atMs: [100, 200], forMs: [30_000, 35_000] }], {
    ...asynchronous,
    failsafeMode: true,
    ttlMs: 10_000,
    useSlots: false,
  }),
  lastStartsAtMs: 8300,
};

/* ---------------------------------------------------------------- suspicion */

/** The primary reaches nobody but the DCS for a moment. */
export const onlyTheDcs: Arena = scene(
  8000,
  [...times(5, unlink('cut-agents', [0, 50], [900, 1300])), ...times(5, unlink('cut-postgres', [0, 50], [900, 1300]))],
  { ttlMs: 10_000, synchronousModeStrict: true },
);

/** The holder's agent is frozen while its replicas are started again. */
export const replicasRestart: Arena = scene(
  12_000,
  [
    ...everywhere({ kind: 'slow-recovery', atMs: [0, 10], forMs: [1000, 1100] }),
    { kind: 'agent-freeze', member: '@primary', atMs: [0, 50], forMs: [2500, 3000] },
    ...times(3, { kind: 'postgres-crash', member: '@replica', atMs: [100, 150] }),
  ],
  { ttlMs: 10_000 },
);

/** The holder's agent is frozen for longer than a write may take; storage is as well as ever. */
export const asleepBesideItsDisk: Arena = scene(
  9000,
  [{ kind: 'agent-freeze', member: '@primary', atMs: [0, 1000], forMs: [2600, 3500] }],
  { ttlMs: 10_000, storageTimeoutMs: 2000 },
);

/** The primary, away from the DCS, reaches only some of the others. */
export const heardByOne: Arena = scene(
  8000,
  [
    { kind: 'cut-dcs', member: '@primary', atMs: [0, 50], forMs: [1000, 1200] },
    ...times(2, unlink('cut-agents', [0, 50], [1000, 1200])),
    ...times(2, unlink('cut-postgres', [0, 50], [1000, 1200])),
  ],
  { ttlMs: 10_000, synchronousNodeCount: 2 },
  4,
);

/** The only sync standby is cut off from all, and sees the DCS again first. */
export const standbyCutOff: Arena = scene(
  6000,
  [
    { kind: 'cut-all', member: '@replica', atMs: [0, 50], forMs: [900, 2000] },
    { kind: 'cut-agents', member: '@replica', atMs: [0, 50], forMs: [2500, 3500], value: [0, 0.9] },
    { kind: 'cut-postgres', member: '@replica', atMs: [0, 50], forMs: [2500, 3500], value: [0, 0.9] },
  ],
  { ttlMs: 10_000, synchronousModeStrict: true },
  2,
);

/** The only sync standby hears nothing for a moment, tries the primary in vain, and then its host gets no time. */
export const standbySleeps: Arena = scene(
  6000,
  [
    { kind: 'cut-all', member: '@replica', atMs: [0, 50], forMs: [350, 450] },
    { kind: 'host-freeze', member: '@replica', atMs: [380, 470], forMs: [900, 2000], value: [1, 1] },
  ],
  { ttlMs: 10_000, synchronousModeStrict: true },
  2,
);

/* ---------------------------------------------------------------- the way back */

/** A primary is cut off and replaced; when it is back its agent is killed while it rewinds, and the source is lost. */
export const deposed: Arena = scene(16_000, [
  ...times(2, { kind: 'cut-all', member: '@primary', atMs: [0, 20], forMs: [2500, 3500] }),
  { kind: 'agent-kill', member: '@actor', after: 'job rewind', delayMs: 260, atMs: [100, 200], forMs: [50, 300] },
  { kind: 'host-off', member: '@primary', after: 'job rewind', delayMs: 280, atMs: [100, 200], forMs: [8000, 9000] },
]);

const makeTwins: readonly SceneStep[] = [
  { kind: 'host-off', member: '@primary', atMs: [100, 200], forMs: [8000, 9000] },
  { kind: 'cut-all', member: '@actor', after: 'job promote', delayMs: 45, atMs: [0, 10], forMs: [2500, 3500] },
];

/** A new primary is cut off when it has promoted: its successor makes a timeline of the same number. */
export const twins: Arena = scene(16_000, makeTwins, { synchronousNodeCount: 2 }, 4);

/** While one of them is to be copied anew, it loses sight of the DCS for longer than of the others. */
export const twinWithoutDcs: Arena = scene(
  16_000,
  [
    ...makeTwins,
    { kind: 'cut-all', member: '@actor', atMs: [2300, 2400], after: 'job clone', delayMs: 1, forMs: [1800, 2500] },
    { kind: 'cut-dcs', member: '@actor', atMs: [2300, 2400], after: 'job clone', delayMs: 1, forMs: [5000, 7000] },
  ],
  { synchronousNodeCount: 2 },
  4,
);

/**
 * The first successor is cut off when it has promoted, and writes on for nobody; the second one is lost as soon as it has
 * acknowledged something, on a timeline of the same number. Then the first one is needed for a cover.
 */
export const strayTail: Arena = scene(
  25_000,
  [
    { kind: 'host-off', member: '@primary', atMs: [100, 200], forMs: [15_000, 16_000] },
    { kind: 'cut-all', member: '@actor', after: 'job promote', delayMs: 40, atMs: [0, 10], forMs: [7500, 8500] },
    {
      kind: 'host-off',
      member: '@actor',
      after: 'job promote',
      delayMs: 170,
      atMs: [1000, 1100],
      forMs: [14_000, 15_000],
    },
  ],
  { synchronousNodeCount: 2 },
  5,
);

/**
 * Of two replicas one follows the first successor and sleeps, the other one never hears it, and succeeds it on a timeline
 * of the same number. It does not reach the DCS to record that before the first one wakes up.
 */
export const unrecordedTwin: Arena = scene(
  24_000,
  [
    { kind: 'host-off', member: '@primary', atMs: [100, 200], forMs: [15_000, 16_000] },
    {
      kind: 'cut-postgres',
      member: '@actor',
      after: 'take',
      delayMs: 0.1,
      atMs: [0, 10],
      forMs: [9000, 9500],
      value: [0, 0.9],
    },
    {
      kind: 'agent-freeze',
      member: '@replica',
      after: 'job promote',
      delayMs: 500,
      atMs: [0, 10],
      forMs: [2800, 4200],
    },
    { kind: 'host-off', member: '@actor', after: 'job promote', delayMs: 600, atMs: [0, 10], forMs: [12_000, 13_000] },
    { kind: 'cut-dcs', member: '@actor', after: 'job promote', delayMs: 20, atMs: [5000, 5500], forMs: [1500, 2000] },
  ],
  asynchronous,
  4,
);

/* ---------------------------------------------------------------- other data */

/** No agent gets any time until the key has expired; meanwhile somebody puts an older copy in the place of the primary's data. */
export const olderPrimary: Arena = scene(16_000, [
  ...everywhere({ kind: 'agent-freeze', atMs: [0, 10], forMs: [7000, 8500] }),
  { kind: 'directory-replaced', member: '@primary', atMs: [200, 300], value: [200_000, 900_000] },
]);

/** The only sync standby gets an older copy of its data, and its primary is lost. */
export const olderStandby: Arena = scene(
  14_000,
  [
    { kind: 'directory-replaced', member: '@replica', atMs: [500, 600], value: [200_000, 900_000] },
    { kind: 'host-off', member: '@primary', atMs: [610, 700], forMs: [8000, 9000] },
  ],
  {},
  2,
);

/** The same, but it streams again, slowly, and its primary is lost before all has come. */
export const slowCatchUp: Arena = scene(
  14_000,
  [
    { kind: 'slow-network', atMs: [0, 10], forMs: [3000, 3500], value: [100, 150] },
    { kind: 'agent-freeze', member: '@primary', atMs: [0, 10], forMs: [3500, 3800] },
    { kind: 'directory-replaced', member: '@replica', atMs: [100, 200], value: [400_000, 1_000_000] },
    { kind: 'host-off', member: '@primary', atMs: [700, 1500], forMs: [8000, 9000] },
  ],
  {},
  2,
);

/* ---------------------------------------------------------------- outages */

/** The primary's PostgreSQL dies, and would need long to recover. */
export const slowToRecover: Arena = scene(22_000, [
  ...everywhere({ kind: 'slow-recovery', atMs: [0, 10], forMs: [5000, 6000] }),
  { kind: 'postgres-crash', member: '@primary', atMs: [500, 1000] },
]);

/** The primary's PostgreSQL dies, and no sync standby gets rid of its WAL receiver, so that none can take over. */
export const stuckReceivers: Arena = scene(24_000, [
  ...everywhere({ kind: 'receiver-stuck', atMs: [0, 10], forMs: [16_000, 17_000] }),
  { kind: 'postgres-crash', member: '@primary', atMs: [500, 1000] },
]);
