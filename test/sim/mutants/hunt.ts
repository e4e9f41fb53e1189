/**
 * Looks for a seed that shows one mutant: NAME [FROM] [SEEDS]; prints what came of it as one line of JSON.
 * A seed counts only where the program as it is comes out clean.
 */
import type { Violation } from '../../../src/sim/checks.ts';
import { runPlan, type Verdict } from '../../../src/sim/run.ts';
import { mutants } from './all.ts';
import { planIn } from './arena.ts';
import { loadMutant } from './load.ts';
import { harmOf, type Mutant } from './mutant.ts';

/** What came of the search. */
export interface Hunt {
  readonly name: string;
  /** The violation, and the seed that showed it; undefined when none did. */
  readonly caught: { readonly seed: number; readonly violation: string; readonly text: string } | undefined;
  readonly seeds: number;
  readonly seconds: number;
  /** The mutant does not run: a change does not fit, or something was thrown. */
  readonly error: string | undefined;
  /** Seeds on which the source as it is has a violation too. */
  readonly unclean: readonly string[];
  /** Violations of another kind than the mutant is about, by name: how many seeds. */
  readonly others: Readonly<Record<string, number>>;
}

const seedsMax = 300;

/** The primary was moved oftener than the program as it is moves it, under the same faults. */
function needless(mutant: Verdict, clean: Verdict): Pick<Violation, 'name' | 'text'> | undefined {
  const [more, fewer] = [mutant.tally.promotions, clean.tally.promotions];
  if (more <= fewer || fewer > 1) return undefined;
  return { name: 'needless-failover', text: `${more} promotions instead of ${fewer}` };
}

async function hunt(mutant: Mutant, from: number, seeds: number): Promise<Hunt> {
  const began = performance.now();
  const unclean: string[] = [];
  const others: Record<string, number> = {};
  const result = (caught: Hunt['caught'], done: number, error?: string): Hunt => {
    const seconds = Number(((performance.now() - began) / 1000).toFixed(1));
    return { name: mutant.name, caught, seeds: done, seconds, error, unclean, others };
  };
  try {
    const runMutant = await loadMutant(mutant.edits);
    for (let seed = from; seed < from + seeds; seed += 1) {
      const plan = planIn(seed, mutant.arena);
      const verdict = runMutant(plan);
      const [first] = verdict.violations;
      if (first !== undefined && harmOf(first.name) !== mutant.harm) others[first.name] = (others[first.name] ?? 0) + 1;
      if (mutant.harm === 'economy' ? verdict.tally.promotions === 0 : first === undefined) continue;
      if (first !== undefined && harmOf(first.name) !== mutant.harm) continue;
      const clean = runPlan(plan);
      for (const { name, text } of clean.violations) unclean.push(`seed ${seed}: ${name}: ${text}`);
      if (clean.violations.length > 0) continue;
      const shown = first ?? needless(verdict, clean);
      if (shown !== undefined) return result({ seed, violation: shown.name, text: shown.text }, seed - from + 1);
    }
    return result(undefined, seeds);
  } catch (error) {
    return result(undefined, 0, error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}

const [, , name = '', from, seeds] = process.argv;
const mutant = mutants.find((one) => one.name === name);
if (mutant === undefined) throw new Error(`no mutant is named "${name}": ${mutants.map((one) => one.name).join(', ')}`);
console.log(JSON.stringify(await hunt(mutant, Number(from ?? mutant.fromSeed ?? 1), Number(seeds ?? seedsMax))));
