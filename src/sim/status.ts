/** What the agent is shown of its instance. */
import { lsn } from '../core/lsn.ts';
import type { DataDirectory, PostgresStatus, RunningInstance } from '../core/model.ts';
import type { WalSender } from '../core/replicas.ts';
import { isHung } from './streaming.ts';
import type { Data, Member, Sender, World } from './world.ts';

const serverVersion = 160_004;

/** As one look at the instance shows it, now. */
export function statusOf(world: World, member: Member): PostgresStatus {
  return { directory: directoryOf(member), instance: instanceOf(world, member) };
}

function directoryOf(member: Member): DataDirectory {
  const { data } = member.postgres;
  if (data === undefined) return { kind: 'empty' };
  return {
    kind: 'present',
    mark: data.mark,
    standbySignal: data.standbySignal,
    control: {
      systemId: data.systemId,
      state: data.control,
      timeline: data.checkpoint.timeline,
      checkpointLsn: lsn(data.checkpoint.lsn),
      walLogHints: true,
      dataChecksums: true,
    },
  };
}

function instanceOf(world: World, member: Member): PostgresStatus['instance'] {
  const { postgres } = member;
  const { data, process, exit } = postgres;
  if (process === 'none' || data === undefined) return { kind: 'stopped', ...(exit === undefined ? {} : { exit }) };
  if (process === 'dying') return { kind: 'dying', because: 'it was killed, and storage hangs' };
  if (isHung(world, member)) return { kind: 'silent', why: 'unanswered', because: 'no answer in time' };
  if (world.now < member.moods.postmasterFrozen)
    return { kind: 'silent', why: 'frozen', because: 'the postmaster is stopped by a signal' };
  if (process === 'starting') return { kind: 'starting', because: 'the database system is starting up' };
  if (process === 'stopping') return { kind: 'starting', because: 'the database system is shutting down' };
  return running(world, member, data);
}

function running(world: World, member: Member, data: Data): RunningInstance {
  const { postgres } = member;
  const { receiver, loaded } = postgres;
  const replica = data.standbySignal;
  const streams = replica && receiver?.state === 'streaming';
  return {
    kind: 'running',
    inRecovery: replica,
    timeline: data.branch.timeline,
    serverVersion,
    startTime: `start ${postgres.incarnation}`,
    writtenLsn: replica ? undefined : lsn(data.written),
    flushedLsn: replica ? undefined : lsn(data.flushed),
    awaitsWal: !replica && data.written > data.flushed,
    isCrowded: world.now < member.moods.crowded,
    receivedLsn: replica && postgres.hasReceived ? lsn(data.flushed) : undefined,
    replayedLsn: replica ? lsn(postgres.replayed) : undefined,
    replayedAt: undefined,
    replayPaused: false,
    localWalUsedUp: postgres.usedUp,
    replicationState: streams ? 'streaming' : undefined,
    upstream: replica && loaded.upstream !== undefined ? { host: loaded.upstream, port: 5432 } : undefined,
    sourceAgeMs: streams ? world.now - receiver.heardAt : undefined,
    synchronousStandbyNames: loaded.names,
    walSenders: postgres.senders.map((sender) => walSender(world, postgres.senders, sender)),
    slots: [...postgres.slots].map(([name, reserve]) => ({
      name,
      physical: true,
      active: postgres.senders.some((sender) => sender.slot === name),
      restartLsn: reserve ? lsn(data.flushed) : undefined,
    })),
    pendingRestart: [],
    history: data.branch.history,
  };
}

function walSender(world: World, all: readonly Sender[], sender: Sender): WalSender {
  return {
    applicationName: sender.standby.name,
    userName: 'replicator',
    clientAddress: null,
    state: 'streaming',
    syncState: syncState(all, sender),
    syncPriority: sender.priority,
    flushLsn: sender.flush === undefined ? undefined : lsn(sender.flush),
    replayLsn: sender.replay === undefined ? undefined : lsn(sender.replay),
    replyAgeMs: sender.repliedAt === undefined ? undefined : world.now - sender.repliedAt,
  };
}

function syncState(all: readonly Sender[], sender: Sender): string {
  if (sender.priority === 0 || sender.names === undefined) return 'async';
  if (sender.names.method === 'any') return 'quorum';
  const before = all.filter((one) => one.priority > 0 && one.priority < sender.priority).length;
  return before < sender.names.count ? 'sync' : 'potential';
}
