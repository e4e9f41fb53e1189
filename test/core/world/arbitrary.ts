/** Arbitrary facts: any combination of what a member can know, including those that should never come about. */
import { type Arbitrary, bigInt, boolean, constant, constantFrom, integer, oneof, option, record } from 'fast-check';
import type { Job } from '../../../src/core/effects.ts';
import { type Facts, factsOf } from '../../../src/core/facts.ts';
import { type Lsn, lsn } from '../../../src/core/lsn.ts';
import type { ClusterView, Durable, MemberRecord, PostgresStatus, Versioned } from '../../../src/core/model.ts';
import { initialState, type State } from '../../../src/core/state.ts';
import { defaultSettings } from './settings.ts';

const names = ['a', 'b', 'c'] as const;
const name = constantFrom(...names);
const position: Arbitrary<Lsn> = bigInt({ min: 0n, max: 3000n }).map((bytes) => lsn(bytes));
const moment = integer({ min: 0, max: 60_000 });
const maybe = <Value>(value: Arbitrary<Value>): Arbitrary<Value | undefined> => option(value, { nil: undefined });

const memberRecord: Arbitrary<MemberRecord> = record({
  connUrl: constantFrom('postgres://b:5432/postgres', 'nonsense'),
  apiUrl: constantFrom('http://a:8008/patroni', 'http://elsewhere:8008/patroni'),
  state: constantFrom('running', 'stopped', 'starting', 'crashed'),
  role: constantFrom('primary', 'replica', 'uninitialized'),
  version: constant('0'),
  tags: record({
    noFailover: boolean(),
    failoverPriority: integer({ min: 0, max: 2 }),
    noSync: boolean(),
    syncPriority: integer({ min: 0, max: 2 }),
    witness: boolean(),
    all: constant({}),
  }),
  unfit: boolean(),
  pause: boolean(),
  pendingRestart: constant([]),
  checkpointed: boolean(),
  lsn: position,
});

function versioned<Value>(value: Arbitrary<Value>): Arbitrary<Versioned<Value>> {
  return record({
    value,
    createRevision: integer({ min: 1, max: 9 }),
    modRevision: integer({ min: 1, max: 9 }),
    leaseId: constantFrom('lease-1', 'lease-2'),
  });
}

const settings = record({
  pause: boolean(),
  usePgRewind: boolean(),
  cloneWhenDiverged: boolean(),
  synchronousMode: constantFrom('off', 'on', 'quorum'),
  synchronousModeStrict: boolean(),
}).map((some) => ({
  ...defaultSettings,
  ...some,
}));

const rule = record({
  term: integer({ min: 1, max: 4 }),
  leader: name,
  nonce: constant('n'),
  mode: constantFrom('async', 'async', 'sync'),
  syncStandbys: constantFrom([], ['b'], ['b', 'c'], ['a', 'b']),
  syncCount: integer({ min: 0, max: 2 }),
  released: boolean(),
  number: integer({ min: 1, max: 9 }),
  disarmed: boolean(),
  failsafe: constantFrom(['a', 'b', 'c'], ['b'], ['a']),
  storeId: constant('store-1'),
  handover: maybe(
    record({ originTerm: integer({ min: 1, max: 3 }), timeline: integer({ min: 1, max: 2 }), lsn: position, to: name }),
  ),
}).map(({ handover, ...rest }) => (handover === undefined ? rest : { ...rest, handover }));

const terms = constantFrom(
  [],
  [{ term: 1, timeline: 1, switchLsn: lsn(0), member: 'a', reason: '', at: '' }],
  [
    { term: 1, timeline: 1, switchLsn: lsn(0), member: 'a', reason: '', at: '' },
    { term: 2, timeline: 2, switchLsn: lsn(1000), member: 'b', reason: '', at: '' },
  ],
);

const view: Arbitrary<ClusterView> = record({
  initialize: maybe(versioned(constantFrom('', '7001', '9999'))),
  config: maybe(versioned(settings)),
  rule: maybe(versioned(rule)),
  leader: maybe(versioned(name)),
  members: record({
    a: maybe(versioned(memberRecord)),
    b: maybe(versioned(memberRecord)),
    c: maybe(versioned(memberRecord)),
  }),
  revocation: maybe(
    versioned(
      record({
        term: integer({ min: 1, max: 4 }),
        originTerm: integer({ min: 1, max: 3 }),
        lsn: position,
        sequence: constant(1),
      }),
    ),
  ),
  terms: maybe(versioned(terms)),
  status: maybe(versioned(record({ lsn: position, slots: constant([]) }))),
  failover: maybe(versioned(record({ kind: constantFrom('switchover', 'failover'), candidate: name }))),
  unreadable: constantFrom([], [], [{ key: 'rule', error: 'no JSON' }]),
}).map(
  ({
    initialize,
    config,
    rule: ruleRow,
    leader,
    members,
    revocation,
    terms: termRows,
    status,
    failover,
    unreadable,
  }) => ({
    storeId: 'store-1',
    revision: 9,
    members: new Map(names.flatMap((one) => (members[one] === undefined ? [] : [[one, members[one]] as const]))),
    revocations: new Map(revocation === undefined ? [] : [['a', revocation] as const]),
    unreadable,
    ...(initialize && { initialize }),
    ...(config && { config }),
    ...(ruleRow && { rule: ruleRow }),
    ...(leader && { leader }),
    ...(termRows && { terms: termRows }),
    ...(status && { status }),
    ...(failover && { failover }),
  }),
);

const directory: Arbitrary<PostgresStatus['directory']> = oneof(
  constant({ kind: 'empty' } as const),
  constant({ kind: 'unusable', error: 'no PG_VERSION' } as const),
  record({
    kind: constant('present' as const),
    mark: constantFrom('mark-1', 'mark-2'),
    standbySignal: boolean(),
    control: record({
      systemId: constantFrom('7001', '9999'),
      state: constantFrom('in production', 'shut down', 'shut down in recovery', 'in archive recovery'),
      timeline: integer({ min: 1, max: 2 }),
      checkpointLsn: position,
      walLogHints: boolean(),
      dataChecksums: boolean(),
    }),
  }),
);

const running: Arbitrary<PostgresStatus['instance']> = record({
  inRecovery: boolean(),
  timeline: integer({ min: 1, max: 2 }),
  end: position,
  localWalUsedUp: boolean(),
  replicationState: constantFrom('streaming', undefined),
}).map(({ inRecovery, timeline, end, localWalUsedUp, replicationState }) => ({
  kind: 'running' as const,
  inRecovery,
  timeline,
  serverVersion: 150_018,
  startTime: 'start',
  writtenLsn: inRecovery ? undefined : end,
  flushedLsn: inRecovery ? undefined : end,
  awaitsWal: localWalUsedUp,
  isCrowded: false,
  receivedLsn: inRecovery ? end : undefined,
  replayedLsn: inRecovery ? end : undefined,
  replayedAt: undefined,
  replayPaused: false,
  localWalUsedUp,
  replicationState,
  upstream: undefined,
  walSenders:
    inRecovery || replicationState === undefined
      ? []
      : [
          {
            applicationName: 'b',
            userName: 'replicator',
            clientAddress: null,
            state: 'streaming',
            syncState: 'async',
            syncPriority: 0,
            flushLsn: end,
            replayLsn: end,
            replyAgeMs: 0,
          },
        ],
  sourceAgeMs: inRecovery ? 100 : undefined,
  synchronousStandbyNames: localWalUsedUp ? '' : 'ANY 1 ("b")',
  slots: [],
  pendingRestart: [],
  history: timeline === 2 ? [{ timeline: 1, switchLsn: lsn(1000), reason: '' }] : [],
}));

const instance: Arbitrary<PostgresStatus['instance']> = oneof(
  record({
    kind: constant('stopped' as const),
    exit: record({ kind: constantFrom('stopped', 'crashed'), because: constant('it ended') }),
  }),
  constant({ kind: 'stopped' } as const),
  constant({ kind: 'starting', because: 'recovery' } as const),
  constant({ kind: 'silent', why: 'unanswered', because: 'no answer' } as const),
  constant({ kind: 'silent', why: 'frozen', because: 'stopped by a signal' } as const),
  constant({ kind: 'silent', why: 'crowded', because: 'too many clients' } as const),
  constant({ kind: 'dying', because: 'killed, and storage hangs' } as const),
  running,
);

const job: Arbitrary<Job> = constantFrom<Job>(
  { kind: 'promote' },
  { kind: 'stop', mode: 'fast' },
  { kind: 'stop', mode: 'immediate' },
  { kind: 'start', as: 'primary', upstream: undefined, settings: defaultSettings, synchronousStandbyNames: '' },
  { kind: 'sever' },
  { kind: 'clone', source: { member: 'b', host: 'b', port: 5432 } },
);

const durable: Arbitrary<Durable> = record({
  maxTerm: integer({ min: 0, max: 5 }),
  rewinding: boolean(),
  founding: boolean(),
  disarmed: constantFrom(false, false, true),
  promoting: constantFrom(false, false, true),
  originTerm: maybe(integer({ min: 1, max: 3 })),
  floor: constantFrom(undefined, 'infinite' as const),
  dirMark: constantFrom('mark-1', undefined),
  revokedTerm: constantFrom(undefined, undefined, 1, 2, 3),
}).map(({ maxTerm, rewinding, founding, disarmed, promoting, originTerm, floor, dirMark, revokedTerm }) => ({
  member: 'a',
  maxTerm,
  maxRuleNumber: 0,
  rewinding,
  founding,
  checkpointDue: false,
  disarmed,
  ...(promoting ? { promoting: { term: 2, fromTimeline: 1 } } : {}),
  ...(originTerm === undefined ? {} : { originTerm }),
  ...(floor === undefined ? {} : { floor }),
  ...(dirMark === undefined ? {} : { dirMark }),
  ...(revokedTerm === undefined ? {} : { revokedTerm }),
}));

/** A member named a, at some moment. */
export const facts: Arbitrary<Facts> = record({
  now: moment,
  view: maybe(view),
  postgres: maybe(record({ directory, instance })),
  job: oneof(constant(undefined), constant(undefined), job),
  durable,
  leaseFrom: maybe(moment),
  armedUntil: maybe(moment),
  lost: boolean(),
  shutdown: constantFrom(undefined, undefined, undefined, { requestId: 'r' }),
  reinit: constantFrom(undefined, undefined, { force: false }, { force: true }),
  restart: constantFrom(undefined, undefined, {
    requestId: 'r',
    phase: 'stop' as const,
    startedAt: 0,
    postmaster: 'start',
  }),
  downSince: maybe(moment),
  keyAbsentSince: maybe(moment),
  noFailover: boolean(),
  severed: constantFrom(undefined, 'start'),
  silence: maybe(moment),
  storageHangsSince: maybe(moment),
  storageFullSince: maybe(moment),
  frozenSince: maybe(moment),
  unable: constantFrom(undefined, undefined, 'its storage hangs'),
}).map((some) => {
  const tags = {
    noFailover: some.noFailover,
    failoverPriority: 1,
    noSync: false,
    syncPriority: 1,
    witness: false,
    all: {},
  };
  const self = {
    name: 'a',
    connUrl: 'postgres://a:5432/postgres',
    apiUrl: 'http://a:8008/patroni',
    version: '0',
    tags,
    bootstrapSettings: defaultSettings,
  };
  const state: State = {
    ...initialState(self),
    view: some.view,
    postgres: some.postgres,
    job: some.job === undefined ? undefined : { id: 1, job: some.job, startedAt: 0, term: 1 },
    durable: some.durable,
    leaderLease:
      some.leaseFrom === undefined
        ? undefined
        : { purpose: 'leader', leaseId: 'lease-1', ttlMs: 10_000, askedTtlMs: 10_000, validFrom: some.leaseFrom },
    armedUntil: some.armedUntil,
    dcs: some.lost ? { kind: 'lost', error: 'no connection' } : { kind: 'connected' },
    shutdown: some.shutdown,
    reinit: some.reinit,
    restart: some.restart,
    downSince: some.downSince,
    keyAbsentSince: some.keyAbsentSince,
    severed: some.severed,
    storage: {
      askedAt: some.storageHangsSince ?? some.now,
      answered: some.storageHangsSince === undefined,
      flushedLsn: undefined,
      failing: some.storageFullSince === undefined ? undefined : { since: some.storageFullSince, error: 'no space' },
      freeBytes: 1e9,
    },
    frozenSince: some.frozenSince,
    unable: some.unable,
    ...(some.silence === undefined
      ? {}
      : {
          probe: { member: 'b', askedAt: some.now, at: some.now, answered: false, failedAskedAt: some.now },
          coveredSince: some.silence,
        }),
  };
  return factsOf(state, some.now);
});
