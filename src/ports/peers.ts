/**
 * The other members, reached directly: signs of life, and the questions of a holder that has lost the DCS.
 * No call throws for what the world does; each has a deadline.
 */
import type { Heartbeat } from '../core/signs.ts';

/** A member, and where its REST API is. */
export interface Peer {
  readonly member: string;
  /** As it published it; only the origin counts. */
  readonly apiUrl: string;
}

/** What the holder asks when the DCS is away: may it go on in `term`, under the rule of that `number`? */
export interface FailsafeQuestion {
  readonly from: string;
  readonly term: number;
  readonly number: number;
  /** For how long a promise is to bind. */
  readonly ttlMs: number;
}

/** Yes, or why not; no answer is no, and `because` tells what happened. */
export interface FailsafeAnswer {
  readonly accepted: boolean;
  readonly because: string;
}

/** The way to the other members. */
export interface Peers {
  /**
   * Tells `peer` that I live; resolves with its own heartbeat, or with undefined when there was no answer in `timeoutMs`.
   * One is under way to each peer at a time: another one meanwhile is not sent (undefined at once).
   */
  heartbeat(peer: Peer, heartbeat: Heartbeat, timeoutMs: number): Promise<Heartbeat | undefined>;
  askFailsafe(peer: Peer, question: FailsafeQuestion, timeoutMs: number): Promise<FailsafeAnswer>;
  close(): void;
}
