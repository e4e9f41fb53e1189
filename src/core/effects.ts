/**
 * Everything that a member may ask of the world: the output of `step`.
 * Effects of one step are carried out in their order, and a `persist` is complete before the next one begins.
 * What comes of an effect returns as an event; that it never returns is an ordinary case.
 */
import type { Lsn } from './lsn.ts';
import type {
  ClusterView,
  Durable,
  Endpoint,
  FailoverRequest,
  Instant,
  MemberRecord,
  Revocation,
  Rule,
  Settings,
  StatusRecord,
  TermEntry,
} from './model.ts';

/** One thing asked of the world. */
export type Effect =
  | { readonly kind: 'transact'; readonly id: number; readonly transaction: Transaction }
  /** Look at the instance now, instead of at the next regular moment. */
  | { readonly kind: 'inspect' }
  /** Read all keys anew, from a quorum. */
  | { readonly kind: 'read' }
  | { readonly kind: 'grant-lease'; readonly purpose: LeasePurpose; readonly ttlMs: number }
  | { readonly kind: 'renew-lease'; readonly purpose: LeasePurpose; readonly leaseId: string }
  | { readonly kind: 'revoke-lease'; readonly leaseId: string }
  | { readonly kind: 'persist'; readonly durable: Durable }
  /** Begin a job on the instance. There is one at a time; a job that runs is cancelled by beginning a stop. */
  | { readonly kind: 'job'; readonly id: number; readonly job: Job }
  /** The guard stops the instance at `until`, whatever the agent does; undefined disarms it. */
  | { readonly kind: 'guard'; readonly until: Instant | undefined }
  | { readonly kind: 'change-slots'; readonly create: readonly SlotWish[]; readonly drop: readonly string[] }
  | { readonly kind: 'answer'; readonly requestId: string; readonly answer: Answer };

/** A member has two leases: the leader key's, and that of its own record. */
export type LeasePurpose = 'leader' | 'member';

/** A physical replication slot to be created. */
export interface SlotWish {
  readonly name: string;
  /** Keep WAL from now on; without it the slot keeps nothing until it is used. */
  readonly reserve: boolean;
}

/** To an operator. `status` is the HTTP status that the REST API gives it. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One job at a time is done on the instance. */
export type Job =
  /** Create a data directory. It is not started. */
  | { readonly kind: 'initdb' }
  /** Move a data directory that never served a client aside, to `<data_dir>.failed`. */
  | { readonly kind: 'set-aside' }
  /** Write the configuration, then start the postmaster. Ends when the postmaster lives, not when it takes connections. */
  | {
      readonly kind: 'start';
      readonly as: 'primary' | 'replica';
      readonly upstream: Endpoint | undefined;
      readonly settings: Settings;
    }
  /** Ends when no process of the instance is left. */
  | { readonly kind: 'stop'; readonly mode: 'fast' | 'immediate' }
  /** Ends when the instance is writable. */
  | { readonly kind: 'promote' }
  /** Write the configuration, and reload it. */
  | { readonly kind: 'configure'; readonly upstream: Endpoint | undefined; readonly settings: Settings }
  /** Create the roles that replication and rewind need, after initdb. */
  | { readonly kind: 'provision' }
  | { readonly kind: 'checkpoint' }
  | { readonly kind: 'rewind'; readonly source: Endpoint }
  /** Copy the source beside the data directory, then put the copy in its place. */
  | { readonly kind: 'clone'; readonly source: Endpoint };

/* ---------------------------------------------------------------- transactions */

/** Compares and writes; applied as a whole, or refused. */
export interface Transaction {
  /** What it does in the protocol's words, for logs: `take (async)`, `release`, ... */
  readonly name: string;
  readonly compare: readonly Compare[];
  readonly write: readonly Write[];
}

/** `modRevision` 0: the key is absent. */
export interface Compare {
  readonly key: string;
  readonly modRevision: number;
}

/** A key's new value; undefined deletes it. */
export type Write =
  | { readonly key: 'initialize'; readonly value: string }
  | { readonly key: 'config'; readonly value: Settings }
  | { readonly key: 'rule'; readonly value: Rule }
  | { readonly key: 'leader'; readonly value: string; readonly leaseId: string }
  | { readonly key: 'leader'; readonly value: undefined }
  | { readonly key: 'terms'; readonly value: readonly TermEntry[] }
  | { readonly key: 'history'; readonly value: readonly HistoryRow[] }
  | { readonly key: 'status'; readonly value: StatusRecord }
  | { readonly key: 'failover'; readonly value: FailoverRequest | undefined }
  | { readonly key: 'member'; readonly member: string; readonly value: MemberRecord; readonly leaseId: string }
  | { readonly key: 'revoke'; readonly member: string; readonly value: Revocation };

/** Patroni's `history`: timeline `timeline` ended at `lsn`, `leader` made the next one. */
export interface HistoryRow {
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly reason: string;
  readonly at: string;
  readonly leader: string;
}

/** The name of the key that a write goes to, under the cluster's prefix. */
export function keyOf(write: Write): string {
  if (write.key === 'member') return memberKey(write.member);
  if (write.key === 'revoke') return revokeKey(write.member);
  return write.key;
}

/** The key of a member's record. */
export function memberKey(member: string): string {
  return `members/${member}`;
}

/** The key of a member's position. */
export function revokeKey(member: string): string {
  return `revoke/${member}`;
}

/** A compare that the key is as it was read in `view`. */
export function asRead(
  view: ClusterView,
  key: 'initialize' | 'config' | 'rule' | 'leader' | 'terms' | 'failover',
): Compare {
  return { key, modRevision: view[key]?.modRevision ?? 0 };
}
