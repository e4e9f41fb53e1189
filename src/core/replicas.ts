/** How a server sees who streams from it: data, as it reports it. */
import type { Lsn } from './lsn.ts';

/** One row of pg_stat_replication. */
export interface WalSender {
  readonly applicationName: string;
  readonly userName: string;
  readonly clientAddress: string | null;
  readonly state: string;
  readonly syncState: string;
  readonly syncPriority: number;
  readonly flushLsn: Lsn | undefined;
  readonly replayLsn: Lsn | undefined;
  /** Since its last word. */
  readonly replyAgeMs: number | undefined;
}

/** One row of pg_replication_slots. */
export interface Slot {
  readonly name: string;
  readonly physical: boolean;
  readonly active: boolean;
  readonly restartLsn: Lsn | undefined;
}
