/** From a server's answers to the model's `RunningInstance`, with what has to be remembered between two looks. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlData, RunningInstance } from '../core/model.ts';
import { parseTimelineHistory, type TimelineSwitch } from '../core/timeline.ts';
import { upstreamOf } from './conninfo.ts';
import type { Seen } from './inspection-query.ts';
import type { Setup } from './options.ts';
import { type Silence, silenceMeter } from './silence.ts';

/** What need not be asked in every look. */
export interface RunningMemory {
  wants(commandLine: Readonly<Record<string, string>>): void;
  /** Whether the server has read its configuration, or we have other wishes, since the settings were asked for. */
  needsSettings(seen: Seen): boolean;
  settingNames(): readonly string[];
  takeSettings(
    seen: Seen,
    settings: { readonly pendingRestart: readonly string[]; readonly values: Readonly<Record<string, string>> },
  ): void;
  pendingRestart(): readonly string[];
  /** The timeline of the newest received WAL; it outlives the WAL receiver, whose view ends with it. */
  receivedTimeline(seen: Seen): number | undefined;
  history(timeline: number): Promise<readonly TimelineSwitch[]>;
  /** How long the peers have been silent: the source of a replica, the standbys of whoever sends. */
  silences(seen: Seen): Silences;
}

interface Silences {
  readonly source: number | undefined;
  /** By the walsender's process id. */
  readonly senders: ReadonlyMap<number, number>;
}

/** Nothing is remembered yet. */
export function runningMemory(setup: Setup): RunningMemory {
  const histories = new Map<number, readonly TimelineSwitch[]>();
  let wanted: Readonly<Record<string, string>> = {};
  let askedFor: string | undefined;
  let pendingRestart: readonly string[] = [];
  const meter = silenceMeter(setup.clock);
  let received: { readonly startTime: string; readonly timeline: number } | undefined;
  return {
    wants: (commandLine) => {
      wanted = commandLine;
      askedFor = undefined;
    },
    needsSettings: (seen) => askedFor !== settingsMark(seen),
    settingNames: () => Object.keys(wanted),
    takeSettings: (seen, settings) => {
      askedFor = settingsMark(seen);
      // What is on the command line PostgreSQL does not report as pending: nothing in a file can change it.
      const ours = Object.entries(wanted).flatMap(([name, value]) =>
        settings.values[name] !== undefined && settings.values[name] !== value ? [name] : [],
      );
      pendingRestart = [...new Set([...settings.pendingRestart, ...ours])].sort();
    },
    pendingRestart: () => pendingRestart,
    receivedTimeline: (seen) => {
      if (seen.receiver?.timeline) received = { startTime: seen.startTime, timeline: seen.receiver.timeline };
      return received?.startTime === seen.startTime ? received.timeline : undefined;
    },
    history: async (timeline) => {
      if (timeline === 1) return [];
      const cached = histories.get(timeline);
      if (cached) return cached;
      const read = await readHistory(setup.dataDir, timeline);
      if (read) histories.set(timeline, read);
      return read ?? [];
    },
    silences: (seen) => {
      const { receiver } = seen;
      const words = seen.walSenders.map((sender) => wordOf(sender.pid, sender.saidAt, sender.saidAgoMs));
      if (receiver) words.push(wordOf(receiver.pid, receiver.heardAt, receiver.heardAgoMs));
      const ages = meter(words.filter((word) => word !== undefined));
      return { source: receiver ? ages.get(receiver.pid) : undefined, senders: ages };
    },
  };
}

function wordOf(pid: number, at: string | null, agoMs: number | null): Silence | undefined {
  return at === null || agoMs === null ? undefined : { key: pid, at, agoMs };
}

function settingsMark(seen: Seen): string {
  return `${seen.startTime} ${seen.configuredAt}`;
}

async function readHistory(dataDir: string, timeline: number): Promise<readonly TimelineSwitch[] | undefined> {
  const name = `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
  try {
    return parseTimelineHistory(await readFile(join(dataDir, 'pg_wal', name), 'utf8'));
  } catch {
    return undefined;
  }
}

/** `replayTimeline`: as the server tells it; undefined where the session could not ask. */
export async function runningInstance(
  seen: Seen,
  replayTimeline: number | undefined,
  memory: RunningMemory,
): Promise<{ readonly instance: RunningInstance; readonly control: ControlData }> {
  const timeline = timelineOf(seen, replayTimeline, memory);
  const waits = seen.startupWaits === 'RecoveryWalStream' || seen.startupWaits === 'RecoveryRetrieveRetryInterval';
  const silences = memory.silences(seen);
  const instance: RunningInstance = {
    kind: 'running',
    inRecovery: seen.inRecovery,
    timeline,
    serverVersion: seen.version,
    startTime: seen.startTime,
    writtenLsn: seen.writtenLsn,
    flushedLsn: seen.flushedLsn,
    awaitsWal: seen.awaitsWal,
    isCrowded: seen.clients >= seen.clientsMax,
    receivedLsn: seen.receivedLsn,
    replayedLsn: seen.replayedLsn,
    replayedAt: seen.replayedAt ?? undefined,
    replayPaused: seen.replayPaused,
    localWalUsedUp: seen.inRecovery && waits,
    replicationState: replicationState(seen),
    upstream: seen.inRecovery ? upstreamOf(seen.primaryConninfo) : undefined,
    sourceAgeMs: seen.inRecovery ? silences.source : undefined,
    synchronousStandbyNames: seen.synchronousStandbyNames,
    walSenders: seen.walSenders.map(({ pid, saidAt: _at, saidAgoMs: _ago, ...sender }) => ({
      ...sender,
      replyAgeMs: silences.senders.get(pid),
    })),
    slots: seen.slots,
    pendingRestart: memory.pendingRestart(),
    history: await memory.history(timeline),
  };
  const control: ControlData = {
    systemId: seen.systemId,
    state: seen.inRecovery ? 'in archive recovery' : 'in production',
    timeline: seen.checkpoint.timeline,
    checkpointLsn: seen.checkpoint.lsn,
    walLogHints: seen.walLogHints,
    dataChecksums: seen.dataChecksums,
  };
  return { instance, control };
}

/**
 * The timeline that the greater of the received and the replayed LSN is on: a position on the new timeline must not
 * be reported with the number of the old one, or it looks like a divergence.
 */
function timelineOf(seen: Seen, replayTimeline: number | undefined, memory: RunningMemory): number {
  if (seen.primaryTimeline !== null) return seen.primaryTimeline;
  const replayed = replayTimeline ?? Math.max(seen.checkpoint.timeline, seen.recoveryEnd ?? 0);
  const received = memory.receivedTimeline(seen);
  const ahead = seen.receivedLsn !== undefined && seen.receivedLsn > (seen.replayedLsn ?? 0n);
  return ahead && received !== undefined ? Math.max(replayed, received) : replayed;
}

function replicationState(seen: Seen): string | undefined {
  if (!seen.inRecovery) return undefined;
  if (seen.receiver?.status === 'streaming') return 'streaming';
  return seen.restoreCommand ? 'in archive recovery' : undefined;
}
