/**
 * How soon somebody serves again when the primary's PostgreSQL has died and nothing else strikes: a member that has every
 * commit takes over, or, where none does, it is started in place. Both are promised only from a state that is well otherwise.
 */
import { violated } from './checks.ts';
import { after } from './clock.ts';
import { holderIn, ruleIn, settingsIn } from './records.ts';
import type { FaultKind } from './script.ts';
import { currentView } from './store.ts';
import { isWritable, type Member, type Moods, memberNamed, type World } from './world.ts';

/** For so long everything else has been over. */
const steadyMs = 5000;
/** What neither a running standby nor its promotion turns on. */
const startMoods: ReadonlySet<string> = new Set<keyof Moods>(['recoveryIsSlow', 'startFails']);
/** What a primary that is started in place does not turn on. */
const standbyMoods: ReadonlySet<string> = new Set<keyof Moods>(['receiverStuck', 'replayLags', 'promoteHangs']);
/** What lasts at a PostgreSQL only, and shows in its moods. */
const quietKinds: ReadonlySet<string> = new Set<FaultKind>([
  'slow-recovery',
  'start-fails',
  'receiver-stuck',
  'replay-lags',
  'promote-hangs',
]);

/** The primary's PostgreSQL is about to die. */
export function expectService(world: World, primary: Member): void {
  const limitMs = limitAfterCrash(world, primary);
  if (limitMs === undefined) return;
  const outage = { since: world.now };
  world.checks.outage = outage;
  after(world, limitMs, () => {
    if (world.checks.outage !== outage) return;
    violated(
      world,
      'outage-too-long',
      `nothing was acknowledged for ${Math.round(limitMs)} ms since the PostgreSQL of ${primary.name} died`,
    );
  });
}

/** Undefined: nothing is promised. */
function limitAfterCrash(world: World, primary: Member): number | undefined {
  const { failureTimeoutMs, synchronousModeStrict } = settingsIn(world.store.model) ?? world.plan.settings;
  if (!isSteady(world, primary)) return undefined;
  const others = world.members.filter((one) => one !== primary);
  const areOthersWell = others.every((one) => isCalm(world, one, startMoods));
  if (areOthersWell && mayTakeOver(world, primary)) return 2 * failureTimeoutMs + 2000;
  // It waits for the others first, and then for those of them that it still counts as its sync standbys.
  if (isCalm(world, primary, standbyMoods) && !synchronousModeStrict) return 6 * failureTimeoutMs + 3000;
  return undefined;
}

/** Whoever is left of S has all commits, may be primary, and need not wait for anybody who is gone. */
function mayTakeOver(world: World, primary: Member): boolean {
  const rule = ruleIn(world.store.model);
  const settings = settingsIn(world.store.model);
  if (rule === undefined || rule.mode !== 'sync' || rule.syncCount < 1 || settings === undefined) return false;
  if (settings.synchronousModeStrict && rule.syncStandbys.length <= rule.syncCount) return false;
  return rule.syncStandbys.every((name) => {
    const member = memberNamed(world, name);
    if (member === undefined || member === primary) return false;
    const { noFailover, failoverPriority } = member.plan.tags;
    const { receiver } = member.postgres;
    return !noFailover && failoverPriority > 0 && receiver?.state === 'streaming' && receiver.source === primary;
  });
}

/** The cluster serves, nobody wants anything, and but for PostgreSQLs nothing has been wrong for a while. */
function isSteady(world: World, primary: Member): boolean {
  const { store, network, now, checks, members, struck } = world;
  const { rule, leader, failover, config } = currentView(world);
  if (!isWritable(primary) || holderIn(store.model) !== primary.name || rule?.value.leader !== primary.name)
    return false;
  if (leader === undefined || failover !== undefined || config?.value.pause === true || store.wasRestored) return false;
  if (now - checks.lastAckAt > 500 || store.down) return false;
  const chances = [store.loseRequests, store.loseReplies, store.landLate, store.lateReads];
  if (chances.some((chance) => now < chance.until) || now < network.slowUntil) return false;
  if ([...network.cut.values()].some((until) => now < until)) return false;
  if (struck.some(({ kind, until }) => !quietKinds.has(kind) && until > now - steadyMs)) return false;
  return members.every(({ host, agent, watch }) => {
    const isAwake = host.up && agent.alive && now >= host.frozenUntil && now >= agent.frozenUntil;
    return isAwake && agent.doom === undefined && !watch.lost && now >= watch.lateUntil && now >= watch.cutUntil;
  });
}

function isCalm(world: World, { moods }: Member, but: ReadonlySet<string>): boolean {
  return Object.entries(moods).every(([mood, until]: readonly [string, number]) => but.has(mood) || world.now >= until);
}
