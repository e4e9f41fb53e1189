/**
 * Everything that a member may ask of the world: the output of `step`.
 * Effects are carried out in their order, and a `persist` is complete before those behind it begin that rely on it
 * (effect-order.ts: a disk that hangs must not keep a member from ending its instance).
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
import type { DecisionEvent, Heartbeat } from './signs.ts';

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
  /** Tell another member that I live; its answer is the event `heard`. No answer is no event. */
  | { readonly kind: 'heartbeat'; readonly member: string; readonly apiUrl: string; readonly heartbeat: Heartbeat }
  /** The holder's sign of life through the DCS, for all who watch it. Nothing comes back. */
  | { readonly kind: 'beat'; readonly term: number }
  /** Does a postmaster answer there? Within `timeoutMs`; the event is `probed`. */
  | { readonly kind: 'probe'; readonly endpoint: Endpoint; readonly timeoutMs: number }
  /**
   * Write something to each file system that the instance writes to, and flush it. The event is `storage-probed`; storage
   * that hangs makes none, and no other probe is begun meanwhile.
   */
  | { readonly kind: 'probe-storage' }
  /** Commit something with synchronous_commit = on, and wait for it; not a job: others go on meanwhile. The event is `gate`. */
  | { readonly kind: 'gate'; readonly mark: string }
  /** May I go on without the DCS? The event is `failsafe-answered`. */
  | {
      readonly kind: 'ask-failsafe';
      readonly member: string;
      readonly apiUrl: string;
      readonly term: number;
      readonly number: number;
      /** For how long the promise is to bind: what the asker counts on. */
      readonly ttlMs: number;
      readonly timeoutMs: number;
    }
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
      /** As it is to stand in PostgreSQL's configuration. */
      readonly synchronousStandbyNames: string;
    }
  /** Ends when no process of the instance is left, or none that will ever execute an instruction (`dying`). */
  | {
      readonly kind: 'stop';
      readonly mode: 'fast' | 'immediate';
      /** It lives and cannot serve: why. Nothing is waited for longer than it must be, and the key is to be given away. */
      readonly unable?: string;
    }
  /** Ends when the instance is writable. */
  | { readonly kind: 'promote' }
  /** Write the configuration, and reload it. */
  | {
      readonly kind: 'configure';
      readonly upstream: Endpoint | undefined;
      readonly settings: Settings;
      readonly synchronousStandbyNames: string;
      /**
       * Ends when the setting of synchronous_standby_names is in force as far as this side can prove it: a new session
       * sees it and WAL was written after that (its position is the outcome's `lsn`); `from-none`: the checkpointer
       * has seen it too (a checkpoint), since it decides whether commits wait at all.
       */
      readonly prove: 'nothing' | 'in-force' | 'from-none';
    }
  /**
   * Cut the WAL stream, and prove it: primary_conninfo and restore_command are empty in PostgreSQL's own files, the
   * startup process has read them, and no WAL receiver is left. Fails where that cannot be proven in time.
   */
  | { readonly kind: 'sever' }
  /** End the WAL senders of these members. */
  | { readonly kind: 'end-senders'; readonly members: readonly string[] }
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
  | { readonly key: 'revoke'; readonly member: string; readonly value: Revocation }
  | { readonly key: 'events'; readonly member: string; readonly value: readonly DecisionEvent[] };

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
  if (write.key === 'events') return `events/${write.member}`;
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
