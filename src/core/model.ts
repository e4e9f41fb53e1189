/**
 * The nouns. Everything here is data: no behaviour, no I/O.
 * The keys of the DCS and their records are those of the failover protocol (ARCHITECTURE.md lists them).
 */
import type { Lsn } from './lsn.ts';
import type { Slot, WalSender } from './replicas.ts';
import type { TimelineSwitch } from './timeline.ts';

/**
 * A moment on this host's boot-time clock, in milliseconds. Boot time counts suspension and is
 * never set; wall-clock time appears only in texts for people.
 */
export type Instant = number;

/** A position that can be compared across members: WAL is ordered by the term that wrote it, then by LSN. */
export interface Position {
  /** The term in which the newest WAL was written. Timeline numbers are no order: two terms can make the same one. */
  readonly originTerm: number;
  readonly lsn: Lsn;
}

/** Fields that a newer pgherd wrote into a record, and that this one does not know: carried along, never looked at. */
export type Newer = Readonly<Record<string, unknown>>;

/* ---------------------------------------------------------------- records of the DCS */

/** Whether a commit waits for standbys. */
export type Mode = 'async' | 'sync';

/** On what ground the key is taken. `revoked`: in synchronous mode, on a cover of revocations. */
export type Ground = 'retake' | 'handover' | 'asynchronous' | 'revoked' | 'forced';

/**
 * A clean shutdown's end, offered to whoever has it. `lsn` is where the shutdown checkpoint's record begins:
 * a member reaches it when it has replayed past it, since that record was the last one.
 */
export interface Handover {
  readonly originTerm: number;
  readonly timeline: number;
  readonly lsn: Lsn;
  /** A preference, for a while; absent = anyone. */
  readonly to?: string;
}

/** `rule`: no lease, never deleted. The one record that elections turn on. */
export interface Rule {
  /** Raised by every taking and re-taking of the leader key. */
  readonly term: number;
  readonly leader: string;
  readonly nonce: string;
  readonly mode: Mode;
  /** The sync standbys S, and how many of them must flush a commit. Empty and 0 in asynchronous mode. */
  readonly syncStandbys: readonly string[];
  readonly syncCount: number;
  /** Number of the rule: raised by every change of the record. */
  readonly number: number;
  /** The holder's guard is off (pause): no automatic takeover in asynchronous mode. */
  readonly disarmed: boolean;
  readonly handover?: Handover;
  /** Where the WAL of the member that took the key ended then: who has a part of it may follow before the term is on record. */
  readonly base?: Position;
  /** The members that the holder knows. Who is not in it does not stand in asynchronous mode. */
  readonly failsafe: readonly string[];
  /** The holder gave the key back itself (it did not expire): the promises of this term bind nobody any more. */
  readonly released: boolean;
  readonly storeId: string;
  readonly newer?: Newer;
}

/** `revoke/<member>`: no lease, never deleted. In asynchronous mode it only makes a candidate's position known. */
export interface Revocation extends Position {
  readonly term: number | 'free';
  readonly sequence: number;
}

/** One row of `terms`: the term's WAL begins at `switchLsn` on `timeline`. */
export interface TermEntry {
  readonly term: number;
  readonly timeline: number;
  readonly switchLsn: Lsn;
  /** The term whose WAL this one goes on from at `switchLsn`; absent in a cluster's first row. Terms are a tree. */
  readonly parent?: number;
  readonly member: string;
  readonly reason: string;
  /** Wall-clock time for people, ISO 8601. */
  readonly at: string;
  readonly newer?: Newer;
}

/** Patroni's names of a member's state. `unknown`: a word that a newer pgherd uses, or a newer Patroni. */
export type MemberState =
  | 'unknown'
  | 'initializing new cluster'
  | 'initdb failed'
  | 'creating replica'
  | 'running'
  | 'starting'
  | 'start failed'
  | 'restarting'
  | 'stopping'
  | 'stopped'
  | 'crashed';

/** Patroni's names of a member's role; `witness` is ours. */
export type MemberRole = 'primary' | 'replica' | 'uninitialized' | 'demoted' | 'promoted' | 'witness';

/** Long work under way. */
export interface Progress {
  readonly doing: 'clone' | 'rewind' | 'initdb';
  readonly doneBytes?: bigint;
  readonly totalBytes?: bigint;
}

/** What the configuration says of a member's fitness to be primary. */
export interface Tags {
  /** Never a candidate. */
  readonly noFailover: boolean;
  /** Higher wins among equal positions; 0 = never a candidate. Default 1. */
  readonly failoverPriority: number;
  /** Never a sync standby. */
  readonly noSync: boolean;
  /** Higher is chosen first as sync standby (synchronous_mode `on`); 0 = never. Default 1. */
  readonly syncPriority: number;
  /** It has no PostgreSQL: it watches, and answers what it hears. */
  readonly witness: boolean;
  /** As configured. */
  readonly all: Readonly<Record<string, string | number | boolean>>;
}

/** `members/<name>`: on the member's own lease. Patroni's fields, and under `pgherd` ours. */
export interface MemberRecord {
  readonly connUrl: string;
  readonly apiUrl: string;
  readonly state: MemberState;
  readonly role: MemberRole;
  readonly version: string;
  readonly tags: Tags;
  readonly timeline?: number;
  /** Primary: written; replica: the greater of received and replayed. */
  readonly lsn?: Lsn;
  readonly receivedLsn?: Lsn;
  readonly replayedLsn?: Lsn;
  readonly replicationState?: string;
  readonly pause: boolean;
  readonly pendingRestart: readonly string[];
  /** False from a promotion until its first checkpoint: pg_rewind up to 15 cannot use it before. */
  readonly checkpointed: boolean;
  readonly serverVersion?: number;
  readonly originTerm?: number;
  /** It may not be a sync standby now: rewound or cloned and not yet as far again, or about to be. */
  readonly unfit: boolean;
  /** The rule that holds at the member, and why: what it does or waits for. */
  readonly rule?: string;
  readonly because?: string;
  readonly progress?: Progress;
}

/** `status`: the primary's position, for lag. */
export interface StatusRecord {
  readonly lsn: Lsn;
  readonly slots: readonly (readonly [name: string, lsn: Lsn])[];
}

/** `failover`: an operator's wish, executed by the holder (or, where there is none, by the candidate). */
export interface FailoverRequest {
  readonly kind: 'switchover' | 'failover';
  readonly leader?: string;
  readonly candidate?: string;
  /** The operator knows that commits may be lost, and says so. */
  readonly allowDataLoss?: boolean;
  /** Why it was not done. */
  readonly refused?: string;
  /** Of the operator's request, so that its asker finds the outcome. */
  readonly requestId?: string;
  readonly newer?: Newer;
}

/** `config`: what the whole cluster agrees on. Durations in milliseconds, as validated on reading. */
export interface Settings {
  readonly ttlMs: number;
  readonly loopWaitMs: number;
  readonly retryTimeoutMs: number;
  readonly failureTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly maximumLagOnFailoverBytes: bigint;
  readonly primaryStartTimeoutMs: number;
  /** Storage that hangs, or takes nothing, for so long is a reason to move the primary. */
  readonly storageTimeoutMs: number;
  readonly pause: boolean;
  readonly synchronousMode: 'off' | 'on' | 'quorum';
  /** Commits hang rather than be acknowledged by the primary alone. */
  readonly synchronousModeStrict: boolean;
  readonly synchronousNodeCount: number;
  /** A replica further behind than this is not made a sync standby; undefined = no limit. */
  readonly maximumLagOnSyncnodeBytes: bigint | undefined;
  /** While the DCS is away the primary goes on if the members agree. */
  readonly failsafeMode: boolean;
  /** A candidate of higher priority gets so long to fetch what it lacks; 0 = most WAL wins, priority only among equals. */
  readonly catchupTimeoutMs: number;
  readonly usePgRewind: boolean;
  readonly useSlots: boolean;
  /** May a data directory be replaced by a clone when pg_rewind failed, or cannot be used? */
  readonly cloneWhenRewindFails: boolean;
  readonly cloneWhenDiverged: boolean;
  /** A lost member's slot is kept this long. */
  readonly memberSlotsTtlMs: number;
  readonly parameters: Readonly<Record<string, string>>;
  /** Absent: each member's own. */
  readonly pgHba?: readonly string[];
}

/** A key as it was read. */
export interface Versioned<Value> {
  readonly value: Value;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly leaseId?: string;
}

/** The whole of the cluster's keys, at one revision. */
export interface ClusterView {
  readonly storeId: string;
  /** The latest that is known: of what was read, or of an answered write of my own. */
  readonly revision: number;
  /** Up to here nothing is missing; of what came later only my own writes are known. Absent: nothing is missing. */
  readonly completeTo?: number;
  /** The system identifier; '' while the founder initialises. */
  readonly initialize?: Versioned<string>;
  readonly config?: Versioned<Settings>;
  readonly rule?: Versioned<Rule>;
  readonly leader?: Versioned<string>;
  readonly members: ReadonlyMap<string, Versioned<MemberRecord>>;
  readonly revocations: ReadonlyMap<string, Versioned<Revocation>>;
  readonly terms?: Versioned<readonly TermEntry[]>;
  readonly status?: Versioned<StatusRecord>;
  readonly failover?: Versioned<FailoverRequest>;
  /** Keys whose content could not be read, and why. While there is one that matters, nothing is decided on it. */
  readonly unreadable: readonly { readonly key: string; readonly error: string }[];
}

/* ---------------------------------------------------------------- one member */

/** Where a PostgreSQL instance can be reached. */
export interface Endpoint {
  readonly member: string;
  readonly host: string;
  readonly port: number;
}

/** What a member is, from its own configuration: fixed while the agent runs. */
export interface Self {
  readonly name: string;
  readonly connUrl: string;
  readonly apiUrl: string;
  readonly version: string;
  readonly tags: Tags;
  /** What the founder writes into `config`, and what holds before there is one. */
  readonly bootstrapSettings: Settings;
}

/** What a member must remember. Outside the data directory (a clone must not inherit it), fsynced before it is relied on. */
export interface Durable {
  readonly member: string;
  readonly systemId?: string;
  /** Which directory this state speaks of. */
  readonly dirMark?: string;
  readonly storeId?: string;
  readonly maxTerm: number;
  readonly maxRuleNumber: number;
  /** Of the taking of `maxTerm`. */
  readonly maxNonce?: string;
  /** Of the newest WAL in the data directory. */
  readonly originTerm?: number;
  /** The WAL here goes at least so far. */
  readonly lastLsn?: Lsn;
  /** A promotion that was asked for: if the timeline is greater than `fromTimeline`, the newest WAL is of `term`. */
  readonly promoting?: { readonly term: number; readonly fromTimeline: number };
  /** For the history. */
  readonly takenOn?: { readonly term: number; readonly ground: Ground; readonly from: string };
  /** How this member came to write in `term`: from which term's WAL, and whether by a promotion (a new timeline). */
  readonly branch?: { readonly term: number; readonly parent?: number; readonly promoted: boolean };
  /** A holder is followed whose term is not on record: WAL of a timeline after `fromTimeline` is of that term. */
  readonly joining?: { readonly term: number; readonly parent: number; readonly fromTimeline: number };
  /** No checkpoint followed the last promotion yet. */
  readonly checkpointDue: boolean;
  /** The guard is off, by a record that was answered. */
  readonly disarmed: boolean;
  /** Since WAL was discarded: the member counts for nothing until it is as far again. */
  readonly floor?: Position | 'infinite';
  readonly rewinding: boolean;
  /** No WAL is streamed from the holder of this term, nor of an earlier one, until the revocation is taken back. */
  readonly revokedTerm?: number;
  /** Neither to revoke nor to stand while the key is held in `term`: until then, on the clock of that boot. */
  readonly promise?: {
    readonly term: number;
    readonly bootId: string;
    readonly until: Instant;
    readonly ttlMs: number;
  };
  /** This directory was made by initdb and its identifier is not yet published: no client has written to it. */
  readonly founding: boolean;
  readonly newer?: Newer;
}

/* ---------------------------------------------------------------- PostgreSQL as it is seen */

/** pg_control: the last word of an instance that is down. */
export interface ControlData {
  readonly systemId: string;
  /** `in production`, `shut down`, `shut down in recovery`, `in archive recovery`, `in crash recovery`, `shutting down`, ... */
  readonly state: string;
  readonly timeline: number;
  readonly checkpointLsn: Lsn;
  readonly walLogHints: boolean;
  readonly dataChecksums: boolean;
}

/** What is in the data directory. */
export type DataDirectory =
  | { readonly kind: 'empty' }
  | { readonly kind: 'unusable'; readonly error: string }
  | {
      readonly kind: 'present';
      readonly mark: string;
      readonly control: ControlData;
      /** standby.signal or recovery.signal is there: it would start as a replica. */
      readonly standbySignal: boolean;
    };

/** The postmaster and what it answers. */
export type Instance =
  /** No process of the instance is left. `exit` tells how it ended, if it was seen. */
  | { readonly kind: 'stopped'; readonly exit?: InstanceExit }
  /** A postmaster is there and does not take connections yet, or no longer. `because` in its own words. */
  | { readonly kind: 'starting'; readonly because: string }
  /** A postmaster is there and gave no answer. `frozen`: a signal stopped it; `crowded`: it lives, without a free connection. */
  | { readonly kind: 'silent'; readonly why: 'frozen' | 'crowded' | 'unanswered'; readonly because: string }
  /** All that is left was sent SIGKILL, and the kernel holds it (storage that hangs): it never executes another instruction. */
  | { readonly kind: 'dying'; readonly because: string }
  | RunningInstance;

/** How the instance ended. `stopped`: an orderly end (pg_control says "shut down"); `crashed`: any other. */
export interface InstanceExit {
  readonly kind: 'stopped' | 'crashed';
  readonly because: string;
}

/** What an instance that takes connections answers. */
export interface RunningInstance {
  readonly kind: 'running';
  readonly inRecovery: boolean;
  readonly timeline: number;
  readonly serverVersion: number;
  readonly startTime: string;
  /** Primary only: written, and on disk. */
  readonly writtenLsn: Lsn | undefined;
  readonly flushedLsn: Lsn | undefined;
  /** Some process waits until WAL is written or flushed. */
  readonly awaitsWal: boolean;
  /** Clients have every connection that clients may have. */
  readonly isCrowded: boolean;
  /** Replica only: flushed by the WAL receiver since the start, and replayed. */
  readonly receivedLsn: Lsn | undefined;
  readonly replayedLsn: Lsn | undefined;
  readonly replayedAt: string | undefined;
  readonly replayPaused: boolean;
  /** Replica only: the startup process has read all WAL that is here, and waits for more. */
  readonly localWalUsedUp: boolean;
  /** Replica only: `streaming`, `in archive recovery`, or undefined. */
  readonly replicationState: string | undefined;
  /** Replica only: where primary_conninfo points, as the server itself reports it. */
  readonly upstream: { readonly host: string; readonly port: number } | undefined;
  /** Replica only: since the WAL receiver heard its source last. */
  readonly sourceAgeMs: number | undefined;
  /** synchronous_standby_names, as a new session sees it. */
  readonly synchronousStandbyNames: string;
  readonly walSenders: readonly WalSender[];
  readonly slots: readonly Slot[];
  readonly pendingRestart: readonly string[];
  /** Ancestors of the timeline, oldest first. */
  readonly history: readonly TimelineSwitch[];
}

/** The outcome of one look at the instance. */
export interface PostgresStatus {
  readonly directory: DataDirectory;
  readonly instance: Instance;
}
