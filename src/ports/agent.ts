/** What the REST API may ask of the member it stands for. */
import type { Answer } from '../core/effects.ts';
import type { OperatorRequest } from '../core/events.ts';
import type { Instant } from '../core/model.ts';
import type { Report } from '../core/report.ts';
import type { Heartbeat } from '../core/signs.ts';
import type { FailsafeQuestion } from './peers.ts';

/** The member that an API server speaks for. */
export interface Agent {
  readonly scope: string;
  readonly name: string;
  report(): Report;
  /** Wall clock, epoch seconds, of the last successful contact with the DCS; undefined = never. */
  dcsLastSeenEpochS(): number | undefined;
  /** When the core last took a step, on the boot-time clock: for /liveness. */
  lastStepAt(): Instant;
  now(): Instant;
  /** Resolves when the request is done, refused, or `signal` aborts (then with status 503). */
  operate(request: OperatorRequest, signal: AbortSignal): Promise<Answer>;
  /** Another member lives; the answer is this member's own heartbeat. */
  hear(heartbeat: Heartbeat): Heartbeat;
  /** 200: the holder may go on without the DCS; else why not. Resolves with 503 when `signal` aborts before. */
  askFailsafe(question: FailsafeQuestion, signal: AbortSignal): Promise<Answer>;
}
