/**
 * Keeping what was derived of something that never changes: of the same objects the same is derived. So `step` stays a
 * function of its arguments; only what it costs depends on what was asked before.
 */

/** `derive`, which keeps what it gave last, and gives it again for the same inputs: the same objects, or equal numbers. */
export function keepingLast<Inputs extends readonly unknown[], Output>(
  derive: (...inputs: Inputs) => Output,
): (...inputs: Inputs) => Output {
  let last: { readonly inputs: Inputs; readonly output: Output } | undefined;
  return (...inputs) => {
    if (last === undefined || !areSame(last.inputs, inputs)) last = { inputs, output: derive(...inputs) };
    return last.output;
  };
}

function areSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  for (let index = 0; index < some.length; index += 1) if (some[index] !== others[index]) return false;
  return true;
}
