/** What a seed does to a cluster: every fault with its strength, its moment and its length, drawn before the run. */
import { between, happens, pick, type Random, randomStream, spreadOver } from '../../../src/sim/random.ts';
import { type FaultKind, type FaultName, faultKinds } from '../lab/faults.ts';

/** A fault to come. Who plays which role is known when it strikes. */
export interface PlannedFault {
  readonly name: FaultName;
  readonly on: 'primary' | 'replica' | 'monitor';
  /** Which of two replicas, and which of the two others is the other end. */
  readonly target: 0 | 1;
  readonly other: 0 | 1;
  readonly strength: number;
  /** After the step's first one. */
  readonly delayMs: number;
  readonly forMs: number;
}

/** One fault, or two at once. */
export interface Step {
  readonly pauseMs: number;
  readonly faults: readonly PlannedFault[];
  /** The next step does not wait until everybody is back, only until somebody takes writes. */
  readonly isHurried: boolean;
}

/** What is drawn. */
export interface PlanOptions {
  readonly seed: number;
  readonly faults: number;
  /** The longest fault. */
  readonly longestMs: number;
  /** Most of the time two at once, for the primary, and before everybody is back. */
  readonly isRough?: boolean;
  /** Of these kinds alone; undefined: of all. */
  readonly only?: readonly FaultName[];
}

const shortestMs = 300;
const usual = { twoAtOnce: 0.3, hurried: 0.2, onPrimary: 0.5 };
const rough = { twoAtOnce: 0.9, hurried: 0.5, onPrimary: 0.7 };

/** The same for the same options. Every kind comes once before any comes twice. */
export function drawPlan({ seed, faults, longestMs, isRough, only }: PlanOptions): readonly Step[] {
  const odds = isRough ? rough : usual;
  const random = randomStream(seed, 'chaos');
  const names = Object.keys(faultKinds).filter(isFaultName);
  const deck = deckOf(random, only ?? names);
  const steps: Step[] = [];
  for (let left = faults; left > 0; ) {
    const draw = (delayMs: number): PlannedFault => drawFault(random, deck(), odds.onPrimary, longestMs, delayMs);
    const first = draw(0);
    const isDouble = left > 1 && happens(random, odds.twoAtOnce);
    const second = isDouble ? [draw(happens(random, 0.3) ? 0 : spreadOver(random, 50, 4000))] : [];
    left -= 1 + second.length;
    const isHurried = happens(random, odds.hurried) && left > 0;
    steps.push({ pauseMs: Math.round(between(random, 0, 1500)), faults: [first, ...second], isHurried });
  }
  return steps;
}

/** Whether there is a kind of fault of this name. */
export function isFaultName(name: string): name is FaultName {
  return Object.hasOwn(faultKinds, name);
}

function deckOf(random: Random, names: readonly FaultName[]): () => FaultName {
  let cards: FaultName[] = [];
  return () => {
    if (cards.length === 0) cards = shuffled(random, names);
    return cards.pop() ?? pick(random, names);
  };
}

function shuffled<Item>(random: Random, items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

function drawFault(
  random: Random,
  name: FaultName,
  primaryOdds: number,
  longestMs: number,
  delayMs: number,
): PlannedFault {
  const kind: FaultKind = faultKinds[name];
  const onPrimary = happens(random, primaryOdds);
  return {
    name,
    on: kind.strikes === 'any' ? (onPrimary ? 'primary' : 'replica') : kind.strikes,
    target: happens(random, 0.5) ? 0 : 1,
    other: happens(random, 0.5) ? 0 : 1,
    strength: random(),
    delayMs: Math.round(delayMs),
    forMs: Math.round(spreadOver(random, shortestMs, longestMs)) * (kind.isInstant ? 0 : 1),
  };
}
