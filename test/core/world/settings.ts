/** What holds in the small world where a scenario says nothing else: the product's defaults. */
import type { Settings } from '../../../src/core/model.ts';

export const defaultSettings: Settings = {
  ttlMs: 10_000,
  loopWaitMs: 10_000,
  retryTimeoutMs: 10_000,
  failureTimeoutMs: 2000,
  heartbeatIntervalMs: 333,
  maximumLagOnFailoverBytes: 1_048_576n,
  primaryStartTimeoutMs: 300_000,
  storageTimeoutMs: 5000,
  pause: false,
  synchronousMode: 'off',
  synchronousModeStrict: false,
  synchronousNodeCount: 1,
  maximumLagOnSyncnodeBytes: undefined,
  failsafeMode: true,
  catchupTimeoutMs: 0,
  usePgRewind: true,
  useSlots: true,
  cloneWhenRewindFails: true,
  cloneWhenDiverged: true,
  memberSlotsTtlMs: 1_800_000,
  parameters: {},
};
