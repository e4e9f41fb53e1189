/** What is to happen, in the order of time; at the same moment in the order in which it was asked for. */
export class Timers {
  readonly #timers: { readonly at: number; readonly run: () => void }[] = [];

  add(at: number, run: () => void): void {
    const index = this.#timers.findIndex((other) => other.at > at);
    if (index < 0) this.#timers.push({ at, run });
    else this.#timers.splice(index, 0, { at, run });
  }

  nextAt(): number {
    return this.#timers[0]?.at ?? Infinity;
  }

  runUntil(now: number): void {
    while (this.nextAt() <= now) this.#timers.shift()?.run();
  }
}
