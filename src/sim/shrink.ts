/** A failing script made small: faults are left out as long as the same thing still goes wrong. */
import { runPlan } from './run.ts';
import type { Plan } from './world.ts';

/** The least plan that was found, and how many runs it took. Without a violation the plan is returned as it is. */
export function shrink(plan: Plan): { readonly plan: Plan; readonly runs: number } {
  const wanted = runPlan(plan).violations[0]?.name;
  let runs = 1;
  if (wanted === undefined) return { plan, runs };
  const stillFails = (candidate: Plan): boolean => {
    runs += 1;
    return runPlan(candidate).violations[0]?.name === wanted;
  };
  let best = plan;
  for (let size = Math.ceil(plan.faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < best.faults.length; ) {
      const candidate = { ...best, faults: best.faults.toSpliced(from, size) };
      if (stillFails(candidate)) best = candidate;
      else from += size;
    }
  }
  const members = best.members.length > 2 ? withoutMembers(best, stillFails) : best;
  return { plan: members, runs };
}

function withoutMembers(plan: Plan, stillFails: (candidate: Plan) => boolean): Plan {
  let best = plan;
  for (const { name } of plan.members) {
    if (best.members.length <= 2) break;
    const candidate = { ...best, members: best.members.filter((member) => member.name !== name) };
    if (stillFails(candidate)) best = candidate;
  }
  return best;
}
