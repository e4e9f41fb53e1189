/** The nouns of the made-up world. All of it is data; each module beside this one changes its own part. */
import type { Effect, Job } from '../core/effects.ts';
import type { Event, JobOutcome } from '../core/events.ts';
import type { ClusterView, Durable, Instant, Settings, Tags } from '../core/model.ts';
import type { State } from '../core/state.ts';
import type { Model } from '../dcs/memory/model.ts';
import type { Checks } from './checks.ts';
import type { Queue } from './queue.ts';
import type { Random } from './random.ts';
import type { Release } from './releases.ts';
import type { Fault } from './script.ts';
import type { SyncNames } from './sync-names.ts';
import type { Branch, WalPoint } from './wal.ts';

/** A cluster and what is done to it: all that a seed decides before the run. Times are milliseconds of true time. */
export interface Plan {
  readonly seed: number;
  readonly members: readonly MemberPlan[];
  readonly settings: Settings;
  /** `monitor`: fast answers, leases end to the millisecond. `etcd`: slower, leases end up to half a second late. */
  readonly store: 'monitor' | 'etcd';
  /** `in-agent`: the deadline is kept by the agent's process, and dies with it. */
  readonly guard: 'separate' | 'in-agent';
  readonly clients: { readonly sessions: number; readonly everyMs: number };
  readonly faults: readonly Fault[];
  /** Agents of this release and of the next take part. */
  readonly mixed?: boolean;
  /** When the faults end and everything is healed. */
  readonly healAtMs: number;
}

/** One member of the plan. */
export interface MemberPlan {
  readonly name: string;
  readonly tags: Tags;
  readonly startAtMs: number;
  /** Its clock runs at 1 + `drift`. */
  readonly drift: number;
  readonly clockOffsetMs: number;
  /** How far its wall clock is off at first; 0 where nothing is said. */
  readonly wallOffsetMs?: number;
  /** Which release its agent is of at first; this one where nothing is said. */
  readonly release?: Release;
}

/** A machine: its clock, and whether it runs at all. */
export interface Host {
  up: boolean;
  /** Counts its boots. */
  boot: number;
  bootedAt: number;
  readonly drift: number;
  offsetMs: number;
  /** How far its wall clock is off. */
  wallMs: number;
  frozenUntil: number;
  /** While it is frozen signs of life that come to it are lost (a virtual machine is moved), or wait (it is short of time). */
  isDeaf: boolean;
  /** What came while it was frozen. */
  readonly deferred: (() => void)[];
  guard: GuardState;
}

/** The guard over the postmaster of one host, on the host's clock. */
export interface GuardState {
  until: Instant | undefined;
  /** Counts the changes, so that an old timer knows that it is old. */
  version: number;
}

/** The agent's process, and what it left on disk. */
export interface Agent {
  alive: boolean;
  /** It has read what it remembers: from then on it listens. */
  listens: boolean;
  life: number;
  release: Release;
  state: State;
  durable: Durable | undefined;
  frozenUntil: number;
  readonly deferred: (() => void)[];
  /** True time of the wake that is in the queue; Infinity when none is. */
  wakeAt: number;
  /** Effects wait behind a `persist` that is not on disk yet. */
  readonly effects: Effect[];
  persisting: boolean;
  rule: string;
  /** Carried out since the last reset, by kind: at rest there are few. */
  readonly carriedOut: Map<Effect['kind'], number>;
  /** It is killed before it carries out so many more effects, and begins anew some time later. */
  doom: { effects: number; readonly againMs: number } | undefined;
  shutdownAnswered: boolean;
}

/** What PostgreSQL's own files say. */
export interface Conf {
  readonly upstream: string | undefined;
  readonly names: string;
  readonly slots: boolean;
}

/** A data directory. */
export interface Data {
  readonly systemId: string;
  readonly mark: string;
  /** The log; `written` is with the operating system, `flushed` on disk. */
  branch: Branch;
  written: number;
  flushed: number;
  checkpoint: { readonly lsn: number; readonly timeline: number };
  standbySignal: boolean;
  control: string;
  /** Consistent from here on (after a rewind). */
  consistentFrom: number;
  /** A rewind of it was interrupted. */
  torn: boolean;
  /** A client was told of a commit in it before the cluster knew its identifier. */
  readonly fresh: boolean;
}

/** A WAL receiver of a replica. */
export interface Receiver {
  readonly id: number;
  readonly source: Member;
  state: 'connecting' | 'streaming';
  heardAt: number;
}

/** A WAL sender, at its primary (or a replica that others follow). */
export interface Sender {
  readonly id: number;
  readonly standby: Member;
  readonly receiver: Receiver;
  readonly slot: string | undefined;
  alive: boolean;
  /** This process's own copy of the setting, and what it makes of this standby. */
  names: SyncNames | undefined;
  priority: number;
  sent: number;
  sentBranch: Branch | undefined;
  flush: number | undefined;
  replay: number | undefined;
  repliedAt: number | undefined;
  /** A message to the standby is under way. */
  inFlight: boolean;
  /** What was under way when the link was cut: sent again when it is back. */
  stalled: (() => void)[];
  /** A reload that this process has not seen yet: it does before it handles an answer to WAL behind `beforeLsn`. */
  reload: { readonly beforeLsn: number } | undefined;
}

/** A commit that waits for its sync standbys. */
export interface Waiter {
  readonly lsn: number;
  readonly released: () => void;
}

/** An instance, whether it runs or not. */
export interface Instance {
  data: Data | undefined;
  /** How far the log went in the directory that a fault took away last. */
  lostEnd: WalPoint | undefined;
  /** `dying`: it was killed, and what is left of it waits for storage. */
  process: 'none' | 'starting' | 'running' | 'stopping' | 'dying';
  /** Counts postmasters. */
  incarnation: number;
  /** Counts what a client would notice as another server: a start, a promotion. */
  serving: number;
  exit: { readonly kind: 'stopped' | 'crashed'; readonly because: string } | undefined;
  conf: Conf;
  /** As a new session sees it. */
  loaded: Conf;
  /** As the startup process knows it. */
  applied: Conf;
  replayed: number;
  usedUp: boolean;
  receiver: Receiver | undefined;
  receiverRetry: boolean;
  /** Something came from the source since this start. */
  hasReceived: boolean;
  readonly senders: Sender[];
  readonly slots: Map<string, boolean>;
  /** The checkpointer's word whether commits wait at all. */
  syncDefined: boolean;
  /** The greatest position that was released to waiters since this start. */
  releasedLsn: number;
  waiters: Waiter[];
  flushPending: boolean;
  replyPending: boolean;
  job: RunningJob | undefined;
  marks: number;
}

/** A job that the agent asked for. */
export interface RunningJob {
  readonly id: number;
  readonly job: Job;
  cancelled: boolean;
  /** Of a rewind: files were changed. */
  touched: boolean;
  /** There was a data directory when it began; no fault has taken it away since. */
  hadData: boolean;
  /** Tells the agent, once. */
  readonly done: (outcome: JobOutcome) => void;
}

/** What lasts for a while at a member; each until a moment of true time. */
export interface Moods {
  slowDisk: number;
  diskFull: number;
  hung: number;
  storageHangs: number;
  /** The postmaster alone was stopped by a signal: who is in goes on, nobody new is let in. */
  postmasterFrozen: number;
  /** Clients have every connection. */
  crowded: number;
  promoteHangs: number;
  stopHangs: number;
  startFails: number;
  recoveryIsSlow: number;
  receiverStuck: number;
  reloadsLate: number;
  checkpointerLate: number;
  replayLags: number;
  jobsSlow: number;
}

/** A member: host, agent, instance. */
export interface Member {
  readonly name: string;
  readonly index: number;
  readonly plan: MemberPlan;
  readonly host: Host;
  readonly agent: Agent;
  readonly postgres: Instance;
  readonly moods: Moods;
  readonly random: Random;
  readonly watch: WatchState;
}

/** A member's watch on the DCS. */
export interface WatchState {
  lost: boolean;
  pending: boolean;
  dirty: boolean;
  lateUntil: number;
  cutUntil: number;
}

/** Which messages between two ends are lost; ends are members by index, the DCS is `dcsEnd`. */
export interface Network {
  /** True time until which messages from the first to the second end are lost, by kind. */
  readonly cut: Map<string, number>;
  /** From then on nothing is cut. */
  cutUntil: number;
  slowUntil: number;
  slowMs: number;
}

/** The DCS, and what is wrong with it. Values are records as they are. */
export interface Store {
  model: Model<unknown>;
  readonly kind: Plan['store'];
  down: boolean;
  loseRequests: Chance;
  loseReplies: Chance;
  landLate: Chance;
  lateReads: Chance;
  view: { readonly model: Model<unknown>; readonly revision: number; readonly contents: ClusterView } | undefined;
  expiryAt: number;
  /** Earlier contents, for restores. */
  readonly backups: { readonly at: number; readonly model: Model<unknown> }[];
  wasRestored: boolean;
}

/** A probability that lasts until a moment of true time. */
export interface Chance {
  until: number;
  probability: number;
}

/** Counts for the report. */
export interface Tally {
  readonly faults: Map<string, number>;
  readonly rules: Map<string, number>;
  readonly answers: Map<string, number>;
  steps: number;
  events: number;
  promotions: number;
  acked: number;
}

/** Waits for something to happen before it strikes. */
export interface Trap {
  readonly fault: Fault;
  readonly after: string;
}

/** One run. */
export interface World {
  readonly plan: Plan;
  now: number;
  readonly queue: Queue;
  readonly members: readonly Member[];
  readonly store: Store;
  readonly network: Network;
  readonly random: {
    readonly network: Random;
    readonly dcs: Random;
    readonly clients: Random;
    readonly faults: Random;
  };
  readonly checks: Checks;
  readonly tally: Tally;
  readonly traps: Trap[];
  /** What struck when, for the report. */
  readonly struck: { readonly at: number; readonly until: number; readonly kind: string }[];
  hash: number;
  nextId: number;
  /** Questions of other members that an agent answers by a request id. */
  readonly questions: Map<string, (status: number, text: string) => void>;
  /** Tells the story; undefined when nobody listens. */
  readonly say: ((who: string, what: string) => void) | undefined;
  /** Given by the runner: what modules below must reach above them. */
  hooks: Hooks;
}

/** The way up: an event for a member's agent, a look at its instance. */
export interface Hooks {
  readonly tell: (member: Member, event: Event) => void;
  readonly see: (member: Member) => void;
  readonly strike: (fault: Fault, actor: Member | undefined) => void;
  /** The instance takes writes: clients come. */
  readonly serve: (member: Member) => void;
}

/** The log that is on the member's disk as far as its processes know. */
export function writtenEnd(data: Data): WalPoint {
  return { branch: data.branch, lsn: data.written };
}

/** The log that would be left after a power loss. */
export function flushedEnd(data: Data): WalPoint {
  return { branch: data.branch, lsn: data.flushed };
}

/** A member without PostgreSQL has none to start either. */
export function hasPostgres(member: Member): boolean {
  return !member.plan.tags.witness;
}

/** It takes writes (a client may try; whether they are acknowledged is another matter). */
export function isWritable(member: Member): boolean {
  const { data, process } = member.postgres;
  return process === 'running' && data !== undefined && !data.standbySignal;
}

/** The member of this name. There must be one. */
export function memberNamed(world: World, name: string): Member | undefined {
  return world.members.find((member) => member.name === name);
}

/** A number that was not given before. */
export function freshId(world: World): number {
  world.nextId += 1;
  return world.nextId;
}
