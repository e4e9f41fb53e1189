/** The effects that go to the other members: signs of life and questions. What comes of each returns as an event. */
import type { Effect } from '../core/effects.ts';
import type { Dispatch, World } from './world.ts';

/** None of them waits, fails or throws: the outcome is an event, or for a heartbeat nothing. */
export interface PeerEffects {
  readonly heartbeat: (effect: Extract<Effect, { kind: 'heartbeat' }>) => void;
  readonly askFailsafe: (effect: Extract<Effect, { kind: 'ask-failsafe' }>) => void;
}

/** A beat that takes longer is as good as lost: another one is due. */
const heartbeatMsMax = 1000;

/** Carries the effects out on `world.peers`; questions are asked in the name of `self`. */
export function peerEffects(
  { peers, clock }: World,
  self: string,
  dispatch: Dispatch,
  failureTimeoutMs: () => number,
): PeerEffects {
  async function heartbeat(effect: Extract<Effect, { kind: 'heartbeat' }>): Promise<void> {
    const answer = await peers.heartbeat(effect, effect.heartbeat, Math.min(failureTimeoutMs(), heartbeatMsMax));
    if (answer !== undefined) dispatch({ kind: 'heard', heartbeat: answer });
  }

  async function askFailsafe(effect: Extract<Effect, { kind: 'ask-failsafe' }>): Promise<void> {
    const { member, term, number, ttlMs } = effect;
    // Before the sending: the other member's promise must begin later than what is counted on here.
    const sentAt = clock.now();
    const { accepted, because } = await peers.askFailsafe(
      effect,
      { from: self, term, number, ttlMs },
      effect.timeoutMs,
    );
    dispatch({ kind: 'failsafe-answered', member, term, sentAt, accepted, because });
  }

  return {
    heartbeat: (effect) => void heartbeat(effect),
    askFailsafe: (effect) => void askFailsafe(effect),
  };
}
