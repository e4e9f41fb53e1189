/** Waiting for a condition, never for a time. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
  /** What is told when it does not come: what was seen last, what the logs say. */
  readonly evidence?: () => string | Promise<string>;
}

/** The first value of `look` that is neither undefined nor false. */
export async function until<Value>(
  what: string,
  look: () => Promise<Value | undefined | false> | Value | undefined | false,
  { timeoutMs = 30_000, everyMs = 40, evidence }: WaitOptions = {},
): Promise<Value> {
  const endAt = performance.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > endAt) break;
    await sleep(everyMs);
  }
  const told = evidence === undefined ? '' : `\n${await evidence()}`;
  throw new Error(`not within ${timeoutMs / 1000} s: ${what}${told}`);
}
