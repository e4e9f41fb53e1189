/** A seed's plan, bent so that a bug of a certain kind has more chances. */
import { drawPlan } from '../../../src/sim/plan.ts';
import { between, type Random, randomStream } from '../../../src/sim/random.ts';
import { drawFaults, type Fault, type FaultKind } from '../../../src/sim/script.ts';
import { drawUpgrade, upgraded } from '../../../src/sim/upgrade.ts';
import type { MemberPlan, Plan } from '../../../src/sim/world.ts';
import type { Arena, SceneStep } from './mutant.ts';

const faultsFromMs = 8000;
const extraFaults = 8;
const triesMax = 200;
const scenesForMs = 50_000;
/** In a scene the last commit before it matters. */
const busyClients = { sessions: 3, everyMs: 30 };

/** The seed's plan in this arena; as it was drawn where there is none. */
export function planIn(seed: number, arena: Arena | undefined): Plan {
  const drawn = drawPlan(seed);
  if (arena === undefined) return drawn;
  const mayRestore = arena.faults?.some(isRestore) === true;
  const faults = drawn.faults.filter((fault) => mayRestore || !isRestore(fault.kind));
  const settings = { ...drawn.settings, ...arena.settings };
  if (arena.scene !== undefined) return inScenes({ ...drawn, settings }, arena);
  const drawnIn = { ...drawn, settings, faults, members: enough(drawn.members, arena.members ?? 0) };
  const plan = arena.mixed === true ? withUpgrades(drawnIn) : drawnIn;
  const extra = moreFaults(plan, arena);
  return { ...plan, faults: [...plan.faults, ...extra].toSorted((a, b) => a.atMs - b.atMs) };
}

function withUpgrades(plan: Plan): Plan {
  const random = randomStream(plan.seed, 'arena upgrade');
  return upgraded(plan, drawUpgrade(random, plan.members, faultsFromMs, plan.healAtMs - 2000));
}

/** What a DCS that goes back in time does to a cluster is an operator's matter. */
function isRestore(kind: FaultKind): boolean {
  return kind === 'dcs-restore' || kind === 'dcs-replace';
}

/** Those that were drawn, and as many plain ones beside them as are missing. */
function enough(members: readonly MemberPlan[], count: number): readonly MemberPlan[] {
  const [first] = members;
  if (first === undefined) return members;
  const missing = count - members.filter((member) => !member.tags.witness).length;
  const more = Array.from({ length: Math.max(0, missing) }, (_, index) => ({
    ...first,
    name: `more${index + 1}`,
    clockOffsetMs: first.clockOffsetMs + 1000 * (index + 1),
  }));
  return [...members, ...more];
}

/** As the simulator draws them: what is not of a wanted kind is drawn again. */
function moreFaults(plan: Plan, { faults: kinds = [] }: Arena): readonly Fault[] {
  const found: Fault[] = [];
  for (let round = 0; round < triesMax && found.length < extraFaults && kinds.length > 0; round += 1) {
    const random = randomStream(plan.seed, `arena ${round}`);
    const drawn = drawFaults(random, plan.settings, faultsFromMs, plan.healAtMs - 2000);
    found.push(...drawn.filter((fault) => kinds.includes(fault.kind)));
  }
  return found.slice(0, extraFaults);
}

/** The scene again and again, each time with other moments, and time to recover in between; nothing else strikes. */
function inScenes(plan: Plan, { scene, members: count = 3, lastStartsAtMs }: Arena): Plan {
  const random = randomStream(plan.seed, 'scenes');
  const faults: Fault[] = [];
  const healAtMs = faultsFromMs + scenesForMs;
  if (scene === undefined) return plan;
  for (let fromMs = faultsFromMs; fromMs + scene.everyMs <= healAtMs; fromMs += scene.everyMs) {
    for (const step of scene.steps) faults.push(drawStep(random, step, fromMs));
  }
  const plain = plan.members.filter(({ tags }) => !tags.witness && !tags.noFailover && !tags.noSync);
  const members = enough(plain.slice(0, count), count).map((member, index) => ({
    ...member,
    name: `pg${index + 1}`,
    ...(lastStartsAtMs !== undefined && index === count - 1 ? { startAtMs: lastStartsAtMs } : {}),
  }));
  faults.sort((a, b) => a.atMs - b.atMs);
  return { ...plan, members, faults, healAtMs, guard: 'separate', clients: busyClients };
}

function drawStep(random: Random, step: SceneStep, fromMs: number): Fault {
  const { atMs, forMs, value, ...rest } = step;
  return {
    ...rest,
    atMs: Math.round(fromMs + between(random, ...atMs)),
    ...(forMs === undefined ? {} : { forMs: Math.round(between(random, ...forMs)) }),
    ...(value === undefined ? {} : { value: between(random, ...value) }),
  };
}
