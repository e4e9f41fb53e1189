/** Which durations of the cluster go together: for the configuration file, and for what is read from the DCS. */

/** Where nothing is said. */
export const defaultTtlMs = 10_000;
/** A beat takes a round trip, and a machine under load may stop for a tenth of a second. */
export const failureTimeoutMinS = 0.3;
export const heartbeatIntervalMinS = 0.05;
/** Where nothing is said: a disk that is merely busy has answered by then. */
export const defaultStorageTimeoutMs = 5000;
/** A slow disk is no broken one. */
export const storageTimeoutMinS = 1;

/** Where nothing is said: a live migration stuns a host for a second. */
export function defaultFailureTimeoutMs(ttlMs: number): number {
  return Math.min(2000, Math.floor(ttlMs / 2));
}

/** Where nothing is said: five beats may be lost. */
export function defaultHeartbeatIntervalMs(failureTimeoutMs: number): number {
  return Math.max(heartbeatIntervalMinS * 1000, Math.round(failureTimeoutMs / 6));
}

/** The durations that depend on each other, in milliseconds. */
export interface Timing {
  readonly ttlMs: number;
  readonly failureTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
}

/** A key that does not go with another one. */
export interface TimingProblem {
  readonly key: 'ttl' | 'heartbeat_interval';
  readonly foundMs: number;
  /** What is allowed, and what to do. */
  readonly text: string;
}

/**
 * - A lease must outlive a failure that is noticed: else the key is lost before members can agree who was lost.
 * - Silence must be more than two lost beats: else one late packet is a failure.
 */
export function timingProblems({ ttlMs, failureTimeoutMs, heartbeatIntervalMs }: Timing): readonly TimingProblem[] {
  const problems: TimingProblem[] = [];
  if (ttlMs < 2 * failureTimeoutMs) {
    const text = `at least twice failure_timeout, ${(2 * failureTimeoutMs) / 1000} s; raise ttl, or lower failure_timeout`;
    problems.push({ key: 'ttl', foundMs: ttlMs, text });
  }
  // Both are rounded to whole milliseconds.
  if (heartbeatIntervalMs > Math.ceil(failureTimeoutMs / 3)) {
    const mostS = Math.floor(failureTimeoutMs / 3) / 1000;
    const text = `at most a third of failure_timeout, ${mostS} s; lower heartbeat_interval, or raise failure_timeout`;
    problems.push({ key: 'heartbeat_interval', foundMs: heartbeatIntervalMs, text });
  }
  return problems;
}
