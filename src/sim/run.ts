/** One seed, from its plan to its verdict. */
import { see, startAgent, tell } from './agent.ts';
import type { Violation } from './checks.ts';
import { violated } from './checks.ts';
import { serveClients } from './clients.ts';
import { after } from './clock.ts';
import { createWorld } from './fresh.ts';
import { checkEconomy, checkRest, heal, needsOperator, recoveryLimitMs, unhealthy } from './liveness.ts';
import { drawPlan } from './plan.ts';
import { nextAt, pop, push } from './queue.ts';
import { holderIn } from './records.ts';
import { backUp, currentView } from './store.ts';
import { ask, strike } from './strike.ts';
import type { Plan, Tally, World } from './world.ts';

/** What is told of a run, beside its verdict. */
export interface RunOptions {
  /** Gets every line of the story, with its virtual time in milliseconds. */
  readonly say?: (atMs: number, who: string, what: string) => void;
}

/** What became of a plan. */
export interface Verdict {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** An operator is needed, by design: why. */
  readonly operator: string | undefined;
  /** Of all that was decided: two runs of one plan agree. */
  readonly hash: number;
  readonly virtualMs: number;
  readonly tally: Tally;
  /** Gaps in the acknowledgements by what had struck before them, in milliseconds. */
  readonly downtimes: readonly { readonly kind: string; readonly ms: number }[];
}

const restMs = 6000;
/** What was under way when the faults ended is over by then: an unanswered request, whatever came for one who was frozen. */
const overMs = 1200;
const lookEveryMs = 250;
/** Patroni's 2 * loop_wait, at least 20 s, until an answer must be there; and until a rewind or a clone is over. */
const switchoverLimitMs = 60_000;
const answerLimitMs = 40_000;
const eventsMax = 3_000_000;

/** Draws the seed's plan and runs it. */
export function runSeed(seed: number, options: RunOptions = {}): Verdict {
  return runPlan(drawPlan(seed), options);
}

/** Runs to the end, or to the first violation. */
export function runPlan(plan: Plan, options: RunOptions = {}): Verdict {
  const world = createWorld(plan, options.say);
  world.hooks = {
    tell: (member, event) => tell(world, member, event),
    see: (member) => see(world, member),
    strike: (fault, actor) => strike(world, fault, actor),
    serve: (member) => serveClients(world, member),
  };
  const end: { isOver: boolean; operator: string | undefined } = { isOver: false, operator: undefined };
  prepare(world);
  let promotionsBefore = 0;
  const firstFault = plan.faults[0]?.atMs ?? plan.healAtMs;
  push(world.queue, Math.max(0, firstFault - 1), () => (promotionsBefore = world.tally.promotions));
  push(world.queue, plan.healAtMs, () => {
    if (firstFault >= 8000) checkEconomy(world, promotionsBefore);
    heal(world);
    const limitAt = world.now + recoveryLimitMs(world);
    const over = (why: string | undefined): void => {
      end.operator = why;
      end.isOver = true;
    };
    after(world, overMs, () => settle(world, limitAt, over));
  });
  while (!end.isOver && world.checks.violations.length === 0) {
    const item = pop(world.queue);
    if (item === undefined) break;
    world.now = item.at;
    world.tally.events += 1;
    item.run();
    if (world.tally.events > eventsMax)
      violated(world, 'unbounded', `more than ${eventsMax} events; next at ${nextAt(world.queue)}`);
  }
  return {
    seed: plan.seed,
    violations: world.checks.violations,
    operator: end.operator,
    hash: world.hash,
    virtualMs: world.now,
    tally: world.tally,
    downtimes: downtimes(world),
  };
}

function prepare(world: World): void {
  for (const member of world.members) push(world.queue, member.plan.startAtMs, () => startAgent(world, member));
  for (const fault of world.plan.faults) {
    push(world.queue, fault.atMs, () => {
      if (fault.after === undefined) strike(world, fault, undefined);
      else world.traps.push({ fault, after: fault.after });
    });
  }
  const mayRestore = world.plan.faults.some((fault) => fault.kind === 'dcs-restore' || fault.kind === 'dcs-replace');
  const keep = (): void => {
    backUp(world);
    after(world, 500, keep);
  };
  if (mayRestore) keep();
}

/** Looks again and again until all is well, then rests; or gives up at the limit. */
function settle(world: World, limitAt: number, over: (operator: string | undefined) => void): void {
  const bad = unhealthy(world) ?? awaited(world);
  if (bad === undefined) {
    for (const { agent } of world.members) agent.carriedOut.clear();
    const leader = holderIn(world.store.model);
    after(world, restMs, () => {
      checkRest(world, restMs, leader);
      // Who hands over where the DCS went back is an operator's matter too.
      if (world.plan.seed % 3 === 0 && !world.store.wasRestored) handOver(world, leader, () => over(undefined));
      else over(undefined);
    });
    return;
  }
  // A restored DCS is an operator's matter: only safety is looked at.
  if (world.now >= limitAt || (world.store.wasRestored && world.now >= world.plan.healAtMs + 20_000)) {
    const operator = needsOperator(world);
    if (operator === undefined)
      violated(
        world,
        'no-recovery',
        `${((world.now - world.plan.healAtMs) / 1000).toFixed(0)} s after the faults ended: ${bad}`,
      );
    return over(operator);
  }
  after(world, lookEveryMs, () => settle(world, limitAt, over));
}

/** What was asked for is still being done: by people (one whose agent has died waits for nothing), and of the DCS. */
function awaited(world: World): string | undefined {
  const waiting = world.members.find(({ agent }) => agent.alive && agent.state.ruleTransaction !== undefined);
  if (waiting !== undefined) return `${waiting.name} waits for an answer of the DCS`;
  const wish = currentView(world).failover?.value;
  if (wish !== undefined && wish.refused === undefined && world.now < world.plan.healAtMs + answerLimitMs)
    return `a wish for a ${wish.kind} stands`;
  for (const [requestId, { at, member, life }] of world.checks.asked) {
    if (member.agent.life === life && world.now - at < answerLimitMs) return `${requestId} is not answered yet`;
  }
  return undefined;
}

/** A switchover in a healthy cluster: it is answered in time, and everybody follows afterwards. */
function handOver(world: World, leader: string | undefined, over: () => void): void {
  const primary = world.members.find((member) => member.name === leader);
  if (primary === undefined) return over();
  const requestId = ask(world, primary, { kind: 'switchover', leader, candidate: undefined });
  const limitAt = world.now + switchoverLimitMs;
  const look = (): void => {
    const isAnswered = !world.checks.asked.has(requestId);
    const bad = isAnswered ? unhealthy(world) : 'the switchover was not answered';
    if (bad === undefined) return over();
    if (world.now >= limitAt) {
      violated(world, 'switchover-unfinished', `${switchoverLimitMs / 1000} s after it was asked for: ${bad}`);
      return over();
    }
    after(world, lookEveryMs, look);
  };
  look();
}

function downtimes(world: World): Verdict['downtimes'] {
  return world.checks.gaps.map(({ from, to }) => {
    const struck = world.struck.findLast((one) => one.at <= from + 50);
    return { kind: struck === undefined ? 'none' : struck.kind, ms: to - from };
  });
}
