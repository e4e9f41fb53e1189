/** The effects in their order. Only `persist` is waited for, so that what must be on disk before the next one is. */
import type { Effect } from '../core/effects.ts';
import type { Durable } from '../core/model.ts';
import type { World } from './world.ts';

/** Every effect but the one that the queue itself carries out. */
export type PromptEffect = Exclude<Effect, { kind: 'persist' }>;

/** Takes the effects of a step, behind those of earlier ones. */
export type EffectQueue = (effects: readonly Effect[]) => void;

/** `begin` starts an effect and does not wait for it. After `ending` nothing more is saved or begun. */
export function effectQueue(
  { durable: store, log }: World,
  begin: (effect: PromptEffect) => void,
  ending: AbortSignal,
): EffectQueue {
  const queue: Effect[] = [];
  let carrying = false;

  async function carryOut(): Promise<void> {
    if (carrying) return;
    carrying = true;
    for (let effect = queue.shift(); effect !== undefined; effect = queue.shift()) {
      if (effect.kind === 'persist') await persist(effect.durable);
      else if (!ending.aborted) begin(effect);
    }
    carrying = false;
  }

  async function persist(durable: Durable): Promise<void> {
    for (let delayMs = 100; !ending.aborted; delayMs = Math.min(delayMs * 2, 2000)) {
      const saved = await store.save(durable);
      if (saved.ok) return;
      // Nothing that relies on it may happen. The lease is not renewed meanwhile, so a primary ends in time.
      log.error('state-not-saved', saved.error);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }

  return (effects) => {
    queue.push(...effects);
    void carryOut();
  };
}
