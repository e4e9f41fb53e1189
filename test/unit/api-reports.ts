/** Reports of a cluster of two, with the facts that Patroni 4.1.4 had when its answers were recorded. */
import { type Lsn, lsn } from '../../src/core/lsn.ts';
import type {
  ClusterView,
  MemberRecord,
  PostgresStatus,
  Rule,
  RunningInstance,
  Settings,
  Versioned,
} from '../../src/core/model.ts';
import type { Report } from '../../src/core/report.ts';

export const scope = 'batman';
export const version = '4.1.4';
export const systemId = '7710173580712720136';

export const settings: Settings = {
  ttlMs: 20_000,
  loopWaitMs: 2000,
  retryTimeoutMs: 5000,
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
  cloneWhenRewindFails: false,
  cloneWhenDiverged: false,
  memberSlotsTtlMs: 1_800_000,
  parameters: {},
};

export const rule: Rule = {
  term: 1,
  leader: 'pg-0',
  nonce: 'n',
  mode: 'async',
  syncStandbys: [],
  syncCount: 0,
  number: 1,
  disarmed: false,
  failsafe: ['pg-0', 'pg-1'],
  released: false,
  storeId: 'store',
};

export function versioned<Value>(value: Value): Versioned<Value> {
  return { value, createRevision: 1, modRevision: 1 };
}

type Name = 'pg-0' | 'pg-1';

function tagsOf(name: Name) {
  return {
    noFailover: false,
    failoverPriority: 1,
    noSync: false,
    syncPriority: 1,
    witness: false,
    all: { mytag: name === 'pg-0' ? 'val0' : 'val1' },
  };
}

export function recordOf(name: Name, position: Lsn): MemberRecord {
  const isPrimary = name === 'pg-0';
  return {
    connUrl: `postgres://127.0.0.1:${isPrimary ? 5432 : 5433}/postgres`,
    apiUrl: `http://127.0.0.1:${isPrimary ? 8008 : 8009}/patroni`,
    state: 'running',
    role: isPrimary ? 'primary' : 'replica',
    version,
    tags: tagsOf(name),
    timeline: 1,
    lsn: position,
    ...(!isPrimary && { receivedLsn: position, replayedLsn: position, replicationState: 'streaming' }),
    pause: false,
    pendingRestart: [],
    checkpointed: true,
    unfit: false,
    serverVersion: 150_018,
    originTerm: 1,
  };
}

const unseen = {
  flushedLsn: undefined,
  awaitsWal: false,
  isCrowded: false,
  localWalUsedUp: true,
  upstream: undefined,
  slots: [],
  pendingRestart: [],
  history: [],
  sourceAgeMs: undefined,
  synchronousStandbyNames: '',
  timeline: 1,
  serverVersion: 150_018,
} as const;

export function primaryInstance(position: Lsn): RunningInstance {
  return {
    ...unseen,
    kind: 'running',
    inRecovery: false,
    startTime: '2026-11-20 08:51:18.221818+00:00',
    writtenLsn: position,
    receivedLsn: undefined,
    replayedLsn: undefined,
    replayedAt: undefined,
    replayPaused: false,
    replicationState: undefined,
    walSenders: [
      {
        applicationName: 'pg-1',
        userName: 'replicator',
        clientAddress: '127.0.0.1',
        state: 'streaming',
        syncState: 'async',
        syncPriority: 0,
        flushLsn: position,
        replayLsn: position,
        replyAgeMs: 100,
      },
    ],
  };
}

export function replicaInstance(position: Lsn): RunningInstance {
  return {
    ...unseen,
    kind: 'running',
    inRecovery: true,
    startTime: '2026-11-20 08:51:19.979129+00:00',
    writtenLsn: undefined,
    receivedLsn: position,
    replayedLsn: position,
    replayedAt: undefined,
    replayPaused: false,
    replicationState: 'streaming',
    walSenders: [],
  };
}

export function statusOf(instance: PostgresStatus['instance']): PostgresStatus {
  const control = {
    systemId,
    state: 'in production',
    timeline: 1,
    checkpointLsn: lsn(0x2000028),
    walLogHints: true,
    dataChecksums: false,
  };
  return { directory: { kind: 'present', mark: 'm', control, standbySignal: false }, instance };
}

export const position = lsn(50_331_648);

export function viewOf(changes: Partial<ClusterView> = {}, at: Lsn = position): ClusterView {
  return {
    storeId: 'store',
    revision: 20,
    initialize: versioned(systemId),
    config: versioned(settings),
    rule: versioned(rule),
    leader: versioned('pg-0'),
    members: new Map([
      ['pg-1', versioned(recordOf('pg-1', at))],
      ['pg-0', versioned(recordOf('pg-0', at))],
    ]),
    revocations: new Map(),
    terms: versioned([{ term: 1, timeline: 1, switchLsn: lsn(0), member: 'pg-0', reason: 'founded', at: 'then' }]),
    status: versioned({ lsn: at, slots: [] }),
    unreadable: [],
    ...changes,
  };
}

function reportOf(name: Name, instance: RunningInstance): Report {
  const record = recordOf(name, position);
  const { connUrl, apiUrl, tags } = record;
  return {
    self: { name, connUrl, apiUrl, version, tags, bootstrapSettings: settings },
    record,
    view: viewOf(),
    dcs: { kind: 'connected' },
    status: statusOf(instance),
    holdsKey: name === 'pg-0',
    servesWrites: name === 'pg-0',
    paused: false,
    unlocked: false,
    rule: name === 'pg-0' ? 'leader-renews' : 'replica-follows',
    because: 'the facts',
  };
}

export const primary = reportOf('pg-0', primaryInstance(position));
export const replica = reportOf('pg-1', replicaInstance(position));

/** The replica, stopped by hand. */
export const stopped: Report = {
  ...replica,
  record: { ...replica.record, state: 'stopped' },
  status: statusOf({ kind: 'stopped' }),
};

/** An agent that never reached its DCS, beside an instance that runs as a replica. */
export const neverSeen: Report = { ...replica, view: undefined, dcs: { kind: 'never' }, unlocked: true };

/** Nobody holds the leader key: the primary released it, this is the replica. */
const { leader: _free, ...freeView } = viewOf();
export const unlocked: Report = { ...replica, view: freeView, unlocked: true };

/** The former holder: its lease ran out by its own count, the view still names it, the instance is not yet stopped. */
export const leaseRunOut: Report = {
  ...primary,
  dcs: { kind: 'lost', error: 'connection refused' },
  holdsKey: false,
  servesWrites: false,
};
