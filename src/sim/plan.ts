/** A seed's cluster and its faults. */
import type { Settings, Tags } from '../core/model.ts';
import { between, happens, pick, type Random, randomStream } from './random.ts';
import { drawFaults } from './script.ts';
import { drawUpgrade, upgraded } from './upgrade.ts';
import { drawJumps, drawOffset } from './wall.ts';
import type { MemberPlan, Plan } from './world.ts';

/** When the cluster should stand: faults come mostly after that. */
const settledMs = 8000;

/** How many of the seeds have agents of another release too. */
const mixedShare = 0.06;

/** All that the seed decides. */
export function drawPlan(seed: number): Plan {
  const random = randomStream(seed, 'plan');
  const settings = drawSettings(random);
  const members = drawMembers(random, settings.synchronousModeStrict);
  const healAtMs = Math.round(settledMs + between(random, 15_000, 60_000));
  const fromMs = happens(random, 0.15) ? 200 : settledMs;
  const toMs = healAtMs - 2000;
  const drawn = drawFaults(randomStream(seed, 'script'), settings, fromMs, toMs);
  const wall = randomStream(seed, 'wall');
  const jumps = drawJumps(wall, members, fromMs, toMs);
  const plan: Plan = {
    seed,
    members: members.map((member) => ({ ...member, wallOffsetMs: drawOffset(wall) })),
    settings,
    store: happens(random, 0.5) ? 'monitor' : 'etcd',
    guard: happens(random, 0.05) ? 'in-agent' : 'separate',
    clients: { sessions: pick(random, [1, 2, 3]), everyMs: Math.round(between(random, 30, 120)) },
    faults: [...drawn, ...jumps].toSorted((a, b) => a.atMs - b.atMs),
    healAtMs,
  };
  const upgrade = randomStream(seed, 'upgrade');
  return happens(upgrade, mixedShare) ? upgraded(plan, drawUpgrade(upgrade, members, fromMs, toMs)) : plan;
}

function drawSettings(random: Random): Settings {
  const failureTimeoutMs = pick(random, [500, 1000, 1000, 2000, 2000]);
  const synchronousMode = pick(random, ['off', 'off', 'on', 'quorum', 'quorum'] as const);
  return {
    ttlMs: pick(random, [3000, 5000, 10_000]),
    loopWaitMs: pick(random, [2000, 10_000]),
    retryTimeoutMs: 10_000,
    failureTimeoutMs,
    heartbeatIntervalMs: failureTimeoutMs / pick(random, [2.5, 3, 4]),
    maximumLagOnFailoverBytes: pick(random, [0n, 10_000n, 1_048_576n, 1_048_576n]),
    primaryStartTimeoutMs: pick(random, [3000, 20_000, 300_000]),
    storageTimeoutMs: pick(random, [2000, 5000]),
    pause: false,
    synchronousMode,
    synchronousModeStrict: happens(random, 0.3),
    synchronousNodeCount: pick(random, [1, 1, 1, 2]),
    maximumLagOnSyncnodeBytes: happens(random, 0.2) ? 100_000n : undefined,
    failsafeMode: happens(random, 0.7),
    catchupTimeoutMs: happens(random, 0.2) ? 1000 : 0,
    usePgRewind: happens(random, 0.9),
    useSlots: happens(random, 0.85),
    cloneWhenRewindFails: true,
    cloneWhenDiverged: true,
    memberSlotsTtlMs: 1_800_000,
    parameters: {},
  };
}

const witnessTags = asConfigured({
  noFailover: true,
  failoverPriority: 0,
  noSync: true,
  syncPriority: 0,
  witness: true,
});

/** With the words of the configuration that say so. */
function asConfigured(tags: Omit<Tags, 'all'>): Tags {
  const { noFailover: nofailover, failoverPriority, noSync: nosync, syncPriority, witness } = tags;
  return {
    ...tags,
    all: { nofailover, failover_priority: failoverPriority, nosync, sync_priority: syncPriority, witness },
  };
}

function drawMembers(random: Random, strict: boolean): readonly MemberPlan[] {
  const count = pick(random, [2, 2, 3, 3, 3, 3, 4, 5]);
  const members: MemberPlan[] = [];
  // Where commits hang without sync standbys, members that may not be one would make everything hang.
  for (let index = 0; index < count; index += 1) members.push(drawMember(random, `pg${index + 1}`, strict));
  if (happens(random, 0.2)) members.push({ ...drawMember(random, 'witness', true), tags: witnessTags });
  return members;
}

function drawMember(random: Random, name: string, plain: boolean): MemberPlan {
  const isFirst = name === 'pg1';
  const tags = asConfigured({
    noFailover: !isFirst && !plain && happens(random, 0.07),
    failoverPriority: pick(random, [1, 1, 1, 2, 5]),
    noSync: !isFirst && !plain && happens(random, 0.07),
    syncPriority: pick(random, [1, 1, 1, 2]),
    witness: false,
  });
  return {
    name,
    tags,
    startAtMs: Math.round(between(random, 0, 600)),
    drift: between(random, -0.0002, 0.0002),
    clockOffsetMs: Math.round(between(random, 0, 1_000_000)),
  };
}
