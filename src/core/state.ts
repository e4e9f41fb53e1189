/** What a member carries from one step to the next. Data only; `observe.ts` changes it, `rules/` reads it. */
import type { Configuration } from './configuration.ts';
import type { Answer, Job, Transaction } from './effects.ts';
import type { Lease } from './lease.ts';
import type { Lsn } from './lsn.ts';
import type { ClusterView, Durable, Instant, Position, PostgresStatus, Progress, Self } from './model.ts';
import type { DecisionEvent, Heartbeat } from './signs.ts';
import type { SenderSeen, Tightening } from './sync-standbys.ts';

/** All of a member's memory, but for what `Durable` keeps on disk. */
export interface State {
  readonly self: Self;
  readonly durable: Durable;

  /** The DCS as last read, with my own answered transactions applied to it. */
  readonly view: ClusterView | undefined;
  readonly viewAskedAt: Instant;
  /** When the present view came to be known. A read that was asked for later and shows less means that the DCS went back. */
  readonly viewKnownAt: Instant;
  /** Decisions wait for a view that was asked for later than this: something happened that the present one cannot show. */
  readonly viewNeededSince: Instant;
  readonly readAskedAt: Instant | undefined;
  readonly dcs:
    | { readonly kind: 'never'; readonly error?: string }
    | { readonly kind: 'connected' }
    | { readonly kind: 'lost'; readonly error: string };
  /** Members that the rule knows and that are not registered, since when. */
  readonly absentSince: ReadonlyMap<string, Instant>;
  /** Members that were taken out of the rule by this agent: their slots go. */
  readonly forgotten: readonly string[];
  /** When the leader key was first seen absent; undefined while somebody holds it. */
  readonly keyAbsentSince: Instant | undefined;
  /** Since when the present term is known. */
  readonly holderSince: Instant;
  /** Since when the DCS has been seen without a break. */
  readonly watchedSince: Instant;
  /** Since when a cover of revocations of the present term has been complete. */
  readonly coveredSince: Instant | undefined;

  readonly bootId: string;
  /** Since when this agent has kept its appointments: what it missed while it, or its host, was frozen is no silence. */
  readonly awakeSince: Instant;
  /** When it wanted to be woken at the latest. */
  readonly wakeBy: Instant;
  /** The last sign of life of each other member's agent. */
  readonly heard: ReadonlyMap<string, Heard>;
  /** The holder's last heartbeat that came through the DCS. */
  readonly alive: { readonly member: string; readonly at: Instant } | undefined;
  /** When the instance heard its source last. */
  readonly sourceHeardAt: Instant | undefined;
  /** The last attempt to connect to the holder's PostgreSQL. */
  readonly probe: Probe | undefined;
  readonly heartbeatSentAt: Instant;
  readonly beatSentAt: Instant;
  /** Who promised to wait in `promisesTerm`, and when the question was sent that it answered. */
  readonly promises: ReadonlyMap<string, Instant>;
  readonly promisesTerm: number;
  readonly failsafeAskedAt: Instant;
  /** A taking of mine that was not answered may land until then. */
  readonly takeUnsettledUntil: Instant;

  /** The replicas as the primary's WAL senders show them, by name in lower case. */
  readonly senders: ReadonlyMap<string, SenderSeen>;
  readonly tightening: Tightening | undefined;
  /** A change of the rule by me may still land. */
  readonly ruleUnsettled: boolean;
  readonly gate: { readonly mark: string; readonly passed: boolean; readonly retryAt: Instant } | undefined;
  /** Start time of the instance whose stream is proven to be cut. */
  readonly severed: string | undefined;
  readonly revokedAt: Instant | undefined;
  /** After a revocation in vain. */
  readonly revokeAgainAt: Instant;
  readonly revokedInVain: number;
  /** WAL is fetched from another that has revoked, up to there. */
  readonly catchingUp: { readonly target: Position; readonly until: Instant } | undefined;
  /** The newest decisions, for people. */
  readonly decisions: readonly DecisionEvent[];
  readonly decisionsTold: readonly DecisionEvent[];

  readonly leaderLease: Lease | undefined;
  readonly memberLease: Lease | undefined;
  /** Lease requests under way, or failed: when the next one may be sent. */
  readonly leaderLeaseBusyUntil: Instant | undefined;
  readonly memberLeaseBusyUntil: Instant | undefined;
  /** Leases that were given up: a key that hangs on one is not mine, whatever it says. */
  readonly abandonedLeases: readonly string[];
  /** Abandoned leases that the DCS has still to be told to end, so that nothing late can hang on them. */
  readonly leasesToEnd: readonly string[];
  /** When the DCS was told last to end a lease that the key hangs on. */
  readonly givenUpAt: Instant;

  /** At most one transaction on the rule, and one that only publishes, are under way. */
  readonly ruleTransaction: PendingTransaction | undefined;
  readonly publication: PendingTransaction | undefined;
  readonly transactionRetryAt: Instant;
  /** Refusals since the last one that was applied: the first is for nobody to wait on. */
  readonly refusedInARow: number;
  readonly publicationRetryAt: Instant;
  readonly publishedAt: Instant;
  readonly announcedAt: Instant;
  /** The shutdown that was offered in the last handover: a stop is handed over once. */
  readonly offeredLsn: Lsn | undefined;
  /** `downSince` when the key was given back last: a crash is offered once too. */
  readonly offeredDownSince: Instant | undefined;
  readonly slotsChangedAt: Instant | undefined;

  readonly postgres: PostgresStatus | undefined;
  readonly seenAt: Instant;
  readonly inspectionAskedAt: Instant;
  readonly job: RunningJob | undefined;
  readonly failures: ReadonlyMap<Job['kind'], Failure>;
  /** Since when the instance that should be writable here is not. */
  readonly downSince: Instant | undefined;
  /** The instance went down while the cluster was paused: that is no failure. */
  readonly wentDownInPause: boolean;
  /** A stop of ours is the reason that the instance is down. */
  readonly stoppedByUs: boolean;
  /** Since when a signal has stopped the postmaster. */
  readonly frozenSince: Instant | undefined;
  /** WAL that somebody waits for is not flushed beyond `flushedLsn`: since when. */
  readonly walStuck: { readonly since: Instant; readonly flushedLsn: Lsn } | undefined;
  /** When clients were last seen to have every connection. */
  readonly crowdedAt: Instant | undefined;
  readonly storage: StorageSeen | undefined;
  /** Since when what is to be remembered could not be saved. */
  readonly unsaved: { readonly since: Instant; readonly error: string } | undefined;
  /** Why the instance was ended though it lived: the key is to be given away. */
  readonly unable: string | undefined;

  /** What the guard was told last. */
  readonly armedUntil: Instant | undefined;
  /** The term in which this member gave the key up because it could not serve. */
  readonly abstainTerm: number | undefined;
  /** On what ground this agent asked for the key last. */
  readonly takenOn: Durable['takenOn'] | undefined;
  /** The roles that replication needs were created in this agent's life. */
  readonly provisioned: boolean;
  /** What the instance was last configured for. */
  readonly configuredFor: Configuration | undefined;

  /** When an operator's wish came into view: it is judged by what the instance shows after that. */
  readonly wishSeenAt: Instant;
  readonly switchover: SwitchoverProgress | undefined;
  readonly restart: RestartProgress | undefined;
  readonly reinit: { readonly force: boolean } | undefined;
  readonly shutdown: { readonly requestId: string } | undefined;
  readonly requests: readonly PendingRequest[];
  /** Answers that are to be given with this step's effects. */
  readonly answers: readonly { readonly requestId: string; readonly answer: Answer }[];

  readonly nextId: number;
  /** Of the rule that matched last, so that a change is told once. */
  readonly lastRule: { readonly name: string; readonly because: string };
  /** When that rule began to hold. */
  readonly ruleSince: Instant;
}

/** A sign of life of a member's agent. */
export interface Heard {
  readonly at: Instant;
  /** Since when it has told of this term: what it says again is no news. */
  readonly termSince: Instant;
  readonly heartbeat: Heartbeat;
}

/** An attempt to connect to a member's PostgreSQL. */
export interface Probe {
  readonly member: string;
  readonly askedAt: Instant;
  /** When its outcome was known. */
  readonly at: Instant;
  /** Undefined while it is under way. */
  readonly answered: boolean | undefined;
  /** When the last attempt that failed was begun. */
  readonly failedAskedAt: Instant | undefined;
}

/** What the write probes show. */
export interface StorageSeen {
  /** When the last one was asked for, and whether it came back. */
  readonly askedAt: Instant;
  readonly answered: boolean;
  /** How far the instance had flushed its WAL then. */
  readonly flushedLsn: Lsn | undefined;
  /** They come back with errors, or find no room: since when. */
  readonly failing: { readonly since: Instant; readonly error: string } | undefined;
  /** As of the last one that came back; undefined when it failed. */
  readonly freeBytes: number | undefined;
}

/** Sent, and not answered yet. */
export interface PendingTransaction {
  readonly id: number;
  readonly transaction: Transaction;
  readonly sentAt: Instant;
  /** The lease that hangs on its outcome: given up when the answer is lost. */
  readonly leaseId?: string;
}

/** Begun, and not finished yet. */
export interface RunningJob {
  readonly id: number;
  readonly job: Job;
  readonly startedAt: Instant;
  /** The term when it began: what is copied is of that term. */
  readonly term: number | undefined;
  readonly progress?: Progress;
}

/** A kind of job that failed, and when it may be tried again. */
export interface Failure {
  readonly count: number;
  readonly retryAt: Instant;
  readonly error: string;
}

/** The holder's own part of a planned hand-over. */
export interface SwitchoverProgress {
  /** Revision of the wish that is being executed. */
  readonly revision: number;
  readonly candidate: string;
  /** `failed`: the shutdown was not clean, so nobody can be sure to have all of it. */
  readonly phase: 'checkpoint' | 'stop' | 'release' | 'failed';
}

/** A restart that an operator waits for. */
export interface RestartProgress {
  readonly requestId: string;
  readonly phase: 'stop' | 'start';
  readonly startedAt: Instant;
  /** Start time of the postmaster that is to go. */
  readonly postmaster: string | undefined;
}

/** An operator who waits for an answer. */
export interface PendingRequest {
  readonly requestId: string;
  readonly kind: 'switchover' | 'failover';
  readonly leader: string | undefined;
  readonly candidate: string | undefined;
  readonly allowDataLoss: boolean;
  /** Who held the key when the request came. */
  readonly formerLeader: string | undefined;
  readonly formerTerm: number;
  /** Whether the wish is in the DCS. */
  readonly written: boolean;
  readonly until: Instant;
  readonly waitedMs: number;
}

/** What a member remembers that has seen nothing. */
export function emptyDurable(member: string): Durable {
  return {
    member,
    maxTerm: 0,
    maxRuleNumber: 0,
    checkpointDue: false,
    disarmed: false,
    rewinding: false,
    founding: false,
  };
}

/** Nothing was heard of anybody, and nothing is known of replicas. */
const nothingHeard = {
  bootId: '',
  awakeSince: 0,
  wakeBy: Infinity,
  heard: new Map(),
  alive: undefined,
  sourceHeardAt: undefined,
  probe: undefined,
  heartbeatSentAt: -Infinity,
  beatSentAt: -Infinity,
  promises: new Map(),
  promisesTerm: 0,
  failsafeAskedAt: -Infinity,
  takeUnsettledUntil: -Infinity,
  senders: new Map(),
  tightening: undefined,
  ruleUnsettled: true,
  gate: undefined,
  severed: undefined,
  revokedAt: undefined,
  revokeAgainAt: -Infinity,
  revokedInVain: 0,
  catchingUp: undefined,
  decisions: [],
  decisionsTold: [],
} satisfies Partial<State>;

/** Nothing speaks against the instance. */
const ableAsFarAsKnown = {
  frozenSince: undefined,
  walStuck: undefined,
  crowdedAt: undefined,
  storage: undefined,
  unsaved: undefined,
  unable: undefined,
} satisfies Partial<State>;

/** Nothing is known and nothing was asked for. */
export function initialState(self: Self): State {
  return {
    self,
    durable: emptyDurable(self.name),
    view: undefined,
    viewAskedAt: -1,
    viewKnownAt: -1,
    viewNeededSince: -1,
    readAskedAt: undefined,
    dcs: { kind: 'never' },
    absentSince: new Map(),
    forgotten: [],
    keyAbsentSince: undefined,
    holderSince: -1,
    watchedSince: -1,
    coveredSince: undefined,
    ...nothingHeard,
    leaderLease: undefined,
    memberLease: undefined,
    leaderLeaseBusyUntil: undefined,
    memberLeaseBusyUntil: undefined,
    abandonedLeases: [],
    leasesToEnd: [],
    givenUpAt: -Infinity,
    ruleTransaction: undefined,
    publication: undefined,
    transactionRetryAt: 0,
    refusedInARow: 0,
    publicationRetryAt: 0,
    publishedAt: -Infinity,
    announcedAt: -Infinity,
    offeredLsn: undefined,
    offeredDownSince: undefined,
    slotsChangedAt: undefined,
    postgres: undefined,
    seenAt: -1,
    inspectionAskedAt: -1000,
    job: undefined,
    failures: new Map(),
    downSince: undefined,
    wentDownInPause: false,
    stoppedByUs: false,
    ...ableAsFarAsKnown,
    armedUntil: undefined,
    abstainTerm: undefined,
    takenOn: undefined,
    provisioned: false,
    configuredFor: undefined,
    wishSeenAt: -1,
    switchover: undefined,
    restart: undefined,
    reinit: undefined,
    shutdown: undefined,
    requests: [],
    answers: [],
    nextId: 1,
    lastRule: { name: 'none', because: '' },
    ruleSince: 0,
  };
}

/** How many decisions a member keeps: enough for a night. */
const decisionsMax = 30;

/** With more decisions, the oldest of them forgotten. */
export function withDecisions(state: State, more: readonly DecisionEvent[]): State {
  return { ...state, decisions: [...state.decisions, ...more].slice(-decisionsMax) };
}
