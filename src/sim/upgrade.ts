/** Rolling upgrades, and back: agents are replaced one by one by those of another release. */
import { happens, pick, type Random, spreadOver } from './random.ts';
import { asAllowed, type Release } from './releases.ts';
import type { Fault } from './script.ts';
import type { MemberPlan, Plan } from './world.ts';

/** Which release each agent is of at first, and when it is replaced by the other one. */
export interface Upgrade {
  readonly first: ReadonlyMap<string, Release>;
  readonly faults: readonly Fault[];
}

/** Some rounds through the members, each at another pace, in another order. */
export function drawUpgrade(random: Random, members: readonly MemberPlan[], fromMs: number, toMs: number): Upgrade {
  const isMixedAtFirst = happens(random, 0.5);
  const releaseOf = (): Release => (isMixedAtFirst ? pick(random, ['this', 'next'] as const) : 'this');
  const first = new Map(members.map(({ name }) => [name, releaseOf()]));
  const faults: Fault[] = [];
  const gapMs = spreadOver(random, 100, 8000);
  for (let at = fromMs + spreadOver(random, 100, toMs - fromMs); at < toMs; at += spreadOver(random, 2000, 20_000)) {
    for (const { name } of inAnyOrder(random, members)) {
      at += gapMs * random();
      if (at >= toMs) break;
      const forMs = Math.round(spreadOver(random, 20, 3000));
      faults.push({ kind: 'another-release', atMs: Math.round(at), member: name, forMs });
    }
  }
  return { first, faults };
}

function inAnyOrder(random: Random, members: readonly MemberPlan[]): readonly MemberPlan[] {
  const ranked = members.map((member) => ({ member, rank: random() }));
  return ranked.toSorted((a, b) => a.rank - b.rank).map(({ member }) => member);
}

/** The plan with this in it. */
export function upgraded(plan: Plan, { first, faults }: Upgrade): Plan {
  return {
    ...plan,
    mixed: true,
    settings: asAllowed(plan.settings),
    members: plan.members.map((member) => ({ ...member, release: first.get(member.name) ?? 'this' })),
    faults: [...plan.faults, ...faults].toSorted((a, b) => a.atMs - b.atMs),
  };
}
