/** The world before anything has happened in it. */
import { newMember } from '../core/member.ts';
import type { Self } from '../core/model.ts';
import { createModel } from '../dcs/memory/model.ts';
import { createChecks } from './checks.ts';
import { createQueue } from './queue.ts';
import { randomStream } from './random.ts';
import type { Agent, Conf, Host, Instance, Member, MemberPlan, Moods, Plan, Store, World } from './world.ts';

/** Nobody is followed, nobody is waited for. */
export const emptyConf: Conf = { upstream: undefined, names: '', slots: true };

/** What the core is told of this member. */
export function selfOf(plan: Plan, member: MemberPlan): Self {
  return {
    name: member.name,
    connUrl: `postgres://${member.name}:5432/postgres`,
    apiUrl: `http://${member.name}:8008/patroni`,
    version: '0',
    tags: member.tags,
    bootstrapSettings: plan.settings,
  };
}

/** A world for this plan; `say` is told everything. */
export function createWorld(plan: Plan, say: ((at: number, who: string, what: string) => void) | undefined): World {
  const world: World = {
    plan,
    now: 0,
    queue: createQueue(),
    members: plan.members.map((member, index) => freshMember(plan, member, index)),
    store: freshStore(plan),
    network: { cut: new Map(), cutUntil: -1, slowUntil: -1, slowMs: 0 },
    random: {
      network: randomStream(plan.seed, 'network'),
      dcs: randomStream(plan.seed, 'dcs'),
      clients: randomStream(plan.seed, 'clients'),
      faults: randomStream(plan.seed, 'faults'),
    },
    checks: createChecks(),
    tally: { faults: new Map(), rules: new Map(), answers: new Map(), steps: 0, events: 0, promotions: 0, acked: 0 },
    traps: [],
    struck: [],
    hash: 0,
    nextId: 0,
    questions: new Map(),
    say: say === undefined ? undefined : (who, what) => say(world.now, who, what),
    hooks: { tell: missing, see: missing, strike: missing, serve: missing },
  };
  return world;
}

function missing(): never {
  throw new Error('the runner has not connected the world');
}

function freshMember(plan: Plan, member: MemberPlan, index: number): Member {
  return {
    name: member.name,
    index,
    plan: member,
    host: freshHost(member),
    agent: freshAgent(plan, member),
    postgres: freshInstance(),
    moods: calm(),
    random: randomStream(plan.seed, `member ${member.name}`),
    watch: { lost: true, pending: false, dirty: false, lateUntil: -1, cutUntil: -1 },
  };
}

function freshHost(member: MemberPlan): Host {
  return {
    up: true,
    boot: 1,
    bootedAt: 0,
    drift: member.drift,
    offsetMs: member.clockOffsetMs,
    wallMs: member.wallOffsetMs ?? 0,
    frozenUntil: -1,
    isDeaf: false,
    deferred: [],
    guard: { until: undefined, version: 0 },
  };
}

function freshAgent(plan: Plan, member: MemberPlan): Agent {
  return {
    alive: false,
    listens: false,
    life: 0,
    release: member.release ?? 'this',
    state: newMember(selfOf(plan, member)),
    durable: undefined,
    frozenUntil: -1,
    deferred: [],
    wakeAt: Infinity,
    effects: [],
    persisting: false,
    rule: '',
    carriedOut: new Map(),
    doom: undefined,
    shutdownAnswered: false,
  };
}

function freshInstance(): Instance {
  return {
    data: undefined,
    lostEnd: undefined,
    process: 'none',
    incarnation: 0,
    serving: 0,
    exit: undefined,
    conf: emptyConf,
    loaded: emptyConf,
    applied: emptyConf,
    replayed: 0,
    usedUp: false,
    receiver: undefined,
    receiverRetry: false,
    hasReceived: false,
    senders: [],
    slots: new Map(),
    syncDefined: false,
    releasedLsn: 0,
    waiters: [],
    flushPending: false,
    replyPending: false,
    job: undefined,
    marks: 0,
  };
}

/** Nothing is wrong with it. */
export function calm(): Moods {
  return {
    slowDisk: -1,
    diskFull: -1,
    hung: -1,
    storageHangs: -1,
    postmasterFrozen: -1,
    crowded: -1,
    promoteHangs: -1,
    stopHangs: -1,
    startFails: -1,
    recoveryIsSlow: -1,
    receiverStuck: -1,
    reloadsLate: -1,
    checkpointerLate: -1,
    replayLags: -1,
    jobsSlow: -1,
  };
}

function freshStore(plan: Plan): Store {
  const never = (): Store['landLate'] => ({ until: -1, probability: 0 });
  return {
    model: createModel<unknown>('store-1'),
    kind: plan.store,
    down: false,
    loseRequests: never(),
    loseReplies: never(),
    landLate: never(),
    lateReads: never(),
    view: undefined,
    expiryAt: Infinity,
    backups: [],
    wasRestored: false,
  };
}
