/**
 * The effects in their order. Only `persist` is waited for, so that what must be on disk before the next one is; what relies
 * on nothing that is remembered goes out meanwhile, since the disk may hang.
 */
import { takeNext } from '../core/effect-order.ts';
import type { Effect } from '../core/effects.ts';
import type { Durable } from '../core/model.ts';
import type { Dispatch, World } from './world.ts';

/** Every effect but the one that the queue itself carries out. */
export type PromptEffect = Exclude<Effect, { kind: 'persist' }>;

/** Takes the effects of a step, behind those of earlier ones. */
export type EffectQueue = (effects: readonly Effect[]) => void;

/** A save that takes longer is told of; it goes on. */
const saveMs = 1000;

/** `begin` starts an effect and does not wait for it. After `ending` nothing more is saved or begun. */
export function effectQueue(
  { durable: store, clock, log }: Pick<World, 'durable' | 'clock' | 'log'>,
  begin: (effect: PromptEffect) => void,
  dispatch: Dispatch,
  ending: AbortSignal,
): EffectQueue {
  const queue: Effect[] = [];
  let isSaving = false;

  function carryOut(): void {
    for (let effect = takeNext(queue, isSaving); effect !== undefined; effect = takeNext(queue, isSaving)) {
      if (effect.kind === 'persist') void save(effect.durable);
      else if (!ending.aborted) begin(effect);
    }
  }

  async function save(durable: Durable): Promise<void> {
    isSaving = true;
    await persist(durable);
    isSaving = false;
    carryOut();
  }

  async function persist(durable: Durable): Promise<void> {
    const since = clock.now();
    let isTold = false;
    const tell = (error: string): void => {
      isTold = true;
      log.error('state-not-saved', error);
      dispatch({ kind: 'save-overdue', since, error });
    };
    for (let delayMs = 100; !ending.aborted; delayMs = Math.min(delayMs * 2, 2000)) {
      const late = setTimeout(() => tell('it is not on disk yet'), saveMs);
      const saved = await store.save(durable);
      clearTimeout(late);
      if (saved.ok) {
        if (isTold) dispatch({ kind: 'saved' });
        return;
      }
      // Nothing that relies on it may happen. The lease is not renewed meanwhile, so a primary ends in time.
      tell(saved.error);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }

  return (effects) => {
    queue.push(...effects);
    carryOut();
  };
}
