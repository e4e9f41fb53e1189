/** A PostgreSQL of the small world: a history of timelines, a position, a process. */
import { lsn } from '../../../src/core/lsn.ts';
import type { ControlData, Endpoint, PostgresStatus } from '../../../src/core/model.ts';
import type { TimelineSwitch } from '../../../src/core/timeline.ts';

interface Data {
  systemId: string;
  mark: string;
  timeline: number;
  history: TimelineSwitch[];
  end: bigint;
  checkpoint: bigint;
  standbySignal: boolean;
  control: ControlData['state'];
  /** Who wrote the WAL, from where on: what a standby must never have otherwise than its source. */
  wal: readonly Written[];
}

interface Written {
  readonly from: bigint;
  readonly by: string;
}

function writersUpTo(wal: readonly Written[], end: bigint): string {
  return wal
    .filter((written) => written.from < end)
    .map((written) => `${written.from} ${written.by}`)
    .join(', ');
}

/** The shutdown checkpoint's record. */
const checkpointBytes = 120n;

export class Postgres {
  data: Data | undefined;
  process: 'stopped' | 'starting' | 'running' | 'dying' = 'stopped';
  upstream: Endpoint | undefined;
  /** Its WAL sender goes by an old setting, until it is ended. */
  staleSender: string | undefined;
  /** synchronous_standby_names. */
  names = '';
  exit: { kind: 'stopped' | 'crashed'; because: string } | undefined;
  received = false;
  starts = 0;
  slots = new Map<string, boolean>();
  /** While true every start dies at once. */
  broken = false;
  /** While true a start does not become ready. */
  slow = false;
  /** While true a promotion does not end. */
  unpromotable = false;
  /** Calls on its storage do not return. */
  hangs = false;
  /** There is no room on its storage; it goes on with errors. */
  isFull = false;
  /** It dies when it needs room for WAL. */
  diesOfFull = false;
  /** A signal has stopped the postmaster. */
  isFrozen = false;
  /** Clients have every connection; `everybody`: so has everybody else, and nobody can look. */
  crowd: 'none' | 'clients' | 'everybody' = 'none';
  /** What lies in the data directory instead of a cluster. */
  rubbish: string | undefined;
  /** It streams on top of other WAL than its source has. */
  foreignWal: string | undefined;
  #streams: Postgres | undefined;
  readonly name: string;
  #marks = 0;
  #incarnations = 0;

  constructor(name: string) {
    this.name = name;
  }

  get isPrimary(): boolean {
    return this.process === 'running' && this.data !== undefined && !this.data.standbySignal;
  }

  get isReplica(): boolean {
    return this.process === 'running' && this.data?.standbySignal === true;
  }

  initdb(systemId: string): void {
    this.data = {
      systemId,
      mark: `${this.name}-dir-${++this.#marks}`,
      timeline: 1,
      history: [],
      end: 1000n,
      checkpoint: 880n,
      standbySignal: false,
      control: 'shut down',
      wal: [this.#writtenFrom(0n)],
    };
  }

  #writtenFrom(from: bigint): Written {
    this.#incarnations += 1;
    return { from, by: `${this.name}${this.#incarnations}` };
  }

  clone(source: Postgres): boolean {
    if (!source.isPrimary || source.data === undefined) return false;
    this.data = {
      ...source.data,
      history: [...source.data.history],
      mark: `${this.name}-dir-${++this.#marks}`,
      standbySignal: true,
      control: 'in production',
    };
    return true;
  }

  /** Somebody has stopped it, and put an older copy in the place of its data. */
  putOlderCopy(bytes: bigint): void {
    this.stop(false);
    if (this.data === undefined) return;
    const end = this.data.end - bytes;
    this.data = { ...this.data, mark: `${this.name}-dir-${++this.#marks}`, end, checkpoint: end - checkpointBytes };
  }

  rewind(source: Postgres): boolean {
    if (!source.isPrimary || source.data === undefined || this.data === undefined) return false;
    this.data = {
      ...source.data,
      history: [...source.data.history],
      mark: this.data.mark,
      standbySignal: true,
      control: 'in archive recovery',
    };
    return true;
  }

  start(as: 'primary' | 'replica', upstream: Endpoint | undefined): void {
    if (this.data === undefined) throw new Error('start without data');
    if (this.broken) {
      this.exit = { kind: 'crashed', because: 'could not start: the disk is broken' };
      return;
    }
    this.data.standbySignal = as === 'replica';
    this.upstream = upstream;
    this.process = 'starting';
    this.exit = undefined;
    this.received = false;
    this.starts++;
  }

  becomeReady(): void {
    if (this.process !== 'starting' || this.data === undefined) return;
    this.process = 'running';
    this.data.control = this.data.standbySignal ? 'in archive recovery' : 'in production';
  }

  stop(clean: boolean): void {
    if (this.data !== undefined && this.process !== 'stopped' && clean) {
      if (this.isPrimary) {
        this.data.checkpoint = this.data.end;
        this.data.end += checkpointBytes;
        this.data.control = 'shut down';
      } else this.data.control = 'shut down in recovery';
    }
    this.process = this.hangs ? 'dying' : 'stopped';
    this.#streams = undefined;
    this.isFrozen = false;
    this.exit = clean
      ? { kind: 'stopped', because: 'it was shut down' }
      : { kind: 'crashed', because: 'it was killed' };
  }

  /** Storage answers again: what was killed meanwhile is gone. */
  thaw(): void {
    this.hangs = false;
    if (this.process === 'dying') this.process = 'stopped';
  }

  promote(): void {
    if (this.data === undefined || !this.isReplica) return;
    this.data.history = [
      ...this.data.history,
      { timeline: this.data.timeline, switchLsn: lsn(this.data.end), reason: 'no recovery target specified' },
    ];
    const { end } = this.data;
    this.data.wal = [...this.data.wal.filter((written) => written.from < end), this.#writtenFrom(end)];
    this.data.timeline++;
    this.data.standbySignal = false;
    this.data.control = 'in production';
    this.data.end += 40n;
  }

  sever(): void {
    this.upstream = undefined;
    this.#streams = undefined;
  }

  /** Whether a commit returns: as many as `names` asks for stream from here. */
  isAcknowledged(replicas: readonly Postgres[]): boolean {
    const [, count = '0', list = ''] = /^(?:ANY|FIRST) (\d+) \((.*)\)$/.exec(this.names) ?? [];
    const streaming = replicas.filter((one) => one.isStreamingFrom(this) && list.includes(`"${one.name}"`));
    return this.names === '' || streaming.length >= Number(count);
  }

  checkpoint(): void {
    if (this.data !== undefined) this.data.checkpoint = this.data.end;
  }

  write(bytes: bigint): void {
    if (this.isPrimary && this.data !== undefined && !this.hangs) this.data.end += bytes;
  }

  /** Takes what the source has, if my WAL is part of its history. */
  stream(source: Postgres | undefined): void {
    this.#streams = undefined;
    const mine = this.data;
    if (!this.isReplica || mine === undefined || source?.data === undefined || source.process !== 'running') return;
    const theirs = source.data;
    const limit =
      theirs.timeline === mine.timeline
        ? theirs.end
        : theirs.history.find((one) => one.timeline === mine.timeline)?.switchLsn;
    if (limit === undefined || mine.end > limit || mine.systemId !== theirs.systemId) return;
    if (writersUpTo(mine.wal, mine.end) !== writersUpTo(theirs.wal, mine.end)) this.foreignWal = source.name;
    mine.wal = theirs.wal;
    mine.end = theirs.end;
    mine.timeline = theirs.timeline;
    mine.history = [...theirs.history];
    this.received = true;
    this.#streams = source;
  }

  isStreamingFrom(source: Postgres): boolean {
    return this.#streams === source;
  }

  /** The end of a source that was shut down in order. */
  streamRest(source: Postgres): void {
    if (this.data !== undefined && source.data !== undefined) this.data.end = source.data.end;
  }

  status(replicas: readonly Postgres[]): PostgresStatus {
    return { directory: this.#directory(), instance: this.#instance(replicas) };
  }

  #directory(): PostgresStatus['directory'] {
    if (this.rubbish !== undefined) return { kind: 'unusable', error: this.rubbish };
    if (this.data === undefined) return { kind: 'empty' };
    const { systemId, mark, timeline, checkpoint, control, standbySignal } = this.data;
    return {
      kind: 'present',
      mark,
      standbySignal,
      control: {
        systemId,
        state: control,
        timeline,
        checkpointLsn: lsn(checkpoint),
        walLogHints: true,
        dataChecksums: false,
      },
    };
  }

  #instance(replicas: readonly Postgres[]): PostgresStatus['instance'] {
    if (this.process === 'stopped' || this.data === undefined)
      return { kind: 'stopped', ...(this.exit === undefined ? {} : { exit: this.exit }) };
    if (this.process === 'dying') return { kind: 'dying', because: 'it was killed, and its storage hangs' };
    if (this.isFrozen) return { kind: 'silent', why: 'frozen', because: 'the postmaster is stopped by a signal' };
    if (this.crowd === 'everybody')
      return { kind: 'silent', why: 'crowded', because: 'the connection failed: sorry, too many clients already' };
    if (this.process === 'starting') return { kind: 'starting', because: 'the database system is starting up' };
    const { standbySignal, timeline, history } = this.data;
    const end = lsn(this.data.end);
    const walSenders = replicas
      .filter((replica) => replica.#streams === this)
      .map((replica) => ({
        applicationName: replica.name,
        userName: 'replicator',
        clientAddress: '10.0.0.1',
        state: 'streaming',
        syncState: 'async',
        syncPriority: this.names.includes(`"${replica.name}"`) || this.staleSender === replica.name ? 1 : 0,
        replyAgeMs: 0,
        flushLsn: lsn(replica.data?.end ?? 0n),
        replayLsn: lsn(replica.data?.end ?? 0n),
      }));
    return {
      kind: 'running',
      inRecovery: standbySignal,
      timeline,
      serverVersion: 150_018,
      startTime: `start ${this.starts}`,
      writtenLsn: standbySignal ? undefined : end,
      flushedLsn: standbySignal ? undefined : end,
      awaitsWal: !standbySignal && this.hangs,
      isCrowded: this.crowd === 'clients',
      receivedLsn: standbySignal && this.received ? end : undefined,
      replayedLsn: standbySignal ? end : undefined,
      replayedAt: undefined,
      replayPaused: false,
      localWalUsedUp: true,
      replicationState: this.#streams === undefined ? undefined : 'streaming',
      upstream: this.upstream === undefined ? undefined : { host: this.upstream.host, port: this.upstream.port },
      walSenders,
      slots: [...this.slots].map(([name, reserve]) => ({
        name,
        physical: true,
        active: replicas.some((replica) => replica.#streams === this && replica.name === name),
        restartLsn: reserve ? end : undefined,
      })),
      sourceAgeMs: this.#streams === undefined ? undefined : 0,
      synchronousStandbyNames: this.names,
      pendingRestart: [],
      history,
    };
  }
}
