/** Plans as text, so that a script that found something is kept, and played again by a test. */
import type { Plan } from './world.ts';

/** JSON, readable; a bigint is its digits and an `n`. */
export function planText(plan: Plan): string {
  const text = JSON.stringify(plan, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value), 2);
  return `${text}\n`;
}

/** What `planText` wrote. The text is our own: nothing is checked. */
export function readPlan(text: string): Plan {
  const value: unknown = JSON.parse(text, (_key, part: unknown) =>
    typeof part === 'string' && /^\d+n$/.test(part) ? BigInt(part.slice(0, -1)) : part,
  );
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by planText
  return value as Plan;
}
