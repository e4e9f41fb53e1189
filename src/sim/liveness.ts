/** What must be again when the faults have ended, how soon, and what is then at rest. */
import { probeEveryMs } from '../core/ability.ts';
import { killAgent, startAgent } from './agent.ts';
import { violated } from './checks.ts';
import { thaw } from './clock.ts';
import { calm } from './fresh.ts';
import { holderIn, ruleIn, settingsIn } from './records.ts';
import { isHarmless } from './script.ts';
import { checkWatches, startStore } from './store.ts';
import { connectSoon, resumeStreams } from './streaming.ts';
import { powerOn, setSettings, wakeUp } from './strike.ts';
import { hasPostgres, isWritable, type Member, type World } from './world.ts';

/** Everything is well again: hosts, links, disks, the DCS; no pause. What the members make of it is their matter. */
export function heal(world: World): void {
  const { network, store } = world;
  world.say?.('***', 'the faults end');
  world.traps.length = 0;
  world.checks.outage = undefined;
  network.cut.clear();
  network.cutUntil = -1;
  network.slowUntil = -1;
  for (const chance of [store.loseReplies, store.loseRequests, store.landLate, store.lateReads]) chance.until = -1;
  if (store.down) startStore(world);
  for (const member of world.members) {
    Object.assign(member.moods, calm());
    member.watch.lateUntil = -1;
    member.watch.cutUntil = -1;
    member.host.frozenUntil = Math.min(member.host.frozenUntil, world.now);
    member.agent.frozenUntil = -1;
    member.agent.doom = undefined;
    powerOn(world, member);
    // An agent that was told to end does so; it is started again as by its service manager.
    if (member.agent.state.shutdown !== undefined) killAgent(world, member, 'it is started anew');
    startAgent(world, member);
    thaw(world, member);
    wakeUp(world, member);
    connectSoon(world, member, 1);
  }
  if (settingsIn(store.model)?.pause === true) setSettings(world, { pause: false });
  resumeStreams(world);
  checkWatches(world);
}

/**
 * How long it may take until there is a primary and everybody follows: leases that run anew, elections, waits after a
 * failed promotion (10 s), jobs that failed so often that the next try is a minute away, and the job itself.
 */
export function recoveryLimitMs(world: World): number {
  const { ttlMs, failureTimeoutMs } = settingsIn(world.store.model) ?? world.plan.settings;
  return 3 * ttlMs + 6 * (failureTimeoutMs + 500) + 10_000 + 2 * 60_000 + 30_000;
}

/** What is not as it should be; undefined when all is well. */
export function unhealthy(world: World): string | undefined {
  const primaries = world.members.filter(isWritable);
  const [primary] = primaries;
  if (primary === undefined) return 'there is no primary';
  if (primaries.length > 1) return `${primaries.map((one) => one.name).join(' and ')} are writable`;
  if (holderIn(world.store.model) !== primary.name) return `${primary.name} serves without the key`;
  const acknowledges = world.checks.lastAckAt >= world.now - 1000;
  if (!acknowledges && !hangsByDesign(world, primary)) return `${primary.name} acknowledges nothing`;
  const stray = world.members.find((one) => one !== primary && hasPostgres(one) && !follows(one, primary));
  if (stray !== undefined)
    return `${stray.name} does not follow ${primary.name}: ${stray.agent.state.lastRule.name}: ${stray.agent.state.lastRule.because}`;
  return undefined;
}

/** Strict, and nobody may be its sync standby. */
function hangsByDesign(world: World, primary: Member): boolean {
  const { synchronousMode, synchronousModeStrict } = settingsIn(world.store.model) ?? world.plan.settings;
  const isFit = (one: Member): boolean => one !== primary && hasPostgres(one) && !one.plan.tags.noSync;
  return synchronousMode !== 'off' && synchronousModeStrict && !world.members.some(isFit);
}

function follows(member: Member, primary: Member): boolean {
  const { receiver, process } = member.postgres;
  return process === 'running' && receiver?.state === 'streaming' && receiver.source === primary;
}

/** By design nobody but an operator can go on: why; undefined when the members should have. */
export function needsOperator(world: World): string | undefined {
  const { store } = world;
  const rule = ruleIn(store.model);
  if (store.wasRestored) return 'the DCS was restored';
  if (rule === undefined) return undefined;
  if (holderIn(store.model) !== undefined) return undefined;
  if (rule.disarmed) return 'the last primary ran without a guard';
  const leader = world.members.find((one) => one.name === rule.leader);
  if (leader !== undefined && !isIntact(leader)) return 'the last primary has lost its data';
  return undefined;
}

function isIntact(member: Member): boolean {
  const { data } = member.postgres;
  const { durable } = member.agent;
  return data !== undefined && !data.torn && durable?.dirMark === data.mark && durable.floor === undefined;
}

/** How many effects a member may ask for in `durationMs` of rest: renewals, positions, signs of life. */
function effectsAtRest(world: World, durationMs: number): number {
  const settings = settingsIn(world.store.model) ?? world.plan.settings;
  const { ttlMs, heartbeatIntervalMs, failureTimeoutMs, storageTimeoutMs } = settings;
  const others = world.members.length - 1;
  const looks = 1 / 2000 + 1 / 1000 + 1 / probeEveryMs(storageTimeoutMs);
  const perMs = 2 / (ttlMs / 5) + looks + others / heartbeatIntervalMs + 3 / failureTimeoutMs;
  // What was under way when the faults ended comes to its end.
  return 50 + 1.5 * durationMs * perMs;
}

/** After a while of rest: nobody was busy, and nobody else leads. */
export function checkRest(world: World, durationMs: number, leader: string | undefined): void {
  const limit = effectsAtRest(world, durationMs);
  for (const { name, agent } of world.members) {
    const count = [...agent.carriedOut.values()].reduce((sum, one) => sum + one, 0);
    if (count <= limit) continue;
    const kinds = [...agent.carriedOut].map(([kind, times]) => `${kind} ${times}`).join(', ');
    violated(
      world,
      'restless',
      `${name} asked for ${count} effects in ${durationMs} ms of rest (limit ${Math.round(limit)}; ${kinds}): ${agent.state.lastRule.name}`,
    );
  }
  const bad = unhealthy(world);
  if (bad !== undefined) violated(world, 'no-rest', bad);
  else if (holderIn(world.store.model) !== leader && world.checks.wishedAt < world.now - durationMs)
    violated(world, 'no-rest', 'the leader changed at rest');
}

/** Nothing in the script was a reason to move the primary. */
export function checkEconomy(world: World, promotionsBefore: number): void {
  if (!isHarmless(world.plan.faults, world.plan.settings)) return;
  if (world.tally.promotions > promotionsBefore)
    violated(
      world,
      'needless-failover',
      `the primary moved, and there were only: ${world.plan.faults.map((fault) => fault.kind).join(', ')}`,
    );
}
