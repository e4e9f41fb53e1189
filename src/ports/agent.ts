/** What the REST API may ask of the member it stands for. */
import type { Answer } from '../core/effects.ts';
import type { OperatorRequest } from '../core/events.ts';
import type { Instant } from '../core/model.ts';
import type { Report } from '../core/report.ts';

/** The member that an API server speaks for. */
export interface Agent {
  readonly scope: string;
  report(): Report;
  /** Wall clock, epoch seconds, of the last successful contact with the DCS; undefined = never. */
  dcsLastSeenEpochS(): number | undefined;
  /** When the core last took a step, on the boot-time clock: for /liveness. */
  lastStepAt(): Instant;
  now(): Instant;
  /** Resolves when the request is done, refused, or `signal` aborts (then with status 503). */
  operate(request: OperatorRequest, signal: AbortSignal): Promise<Answer>;
}
