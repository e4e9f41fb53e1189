/**
 * One look at the instance: what runs, what it answers, what is in its directory.
 *
 * The inspection session stays open: its end is the alarm that the postmaster died, within milliseconds, for an
 * adopted one too. What a postmaster leaves behind when it dies is ended here, before `stopped` is reported.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlData, DataDirectory, Instance, InstanceExit, PostgresStatus } from '../core/model.ts';
import { type Access, accessOf } from './access.ts';
import { openSession, type Session } from './connection.ts';
import { type ControlOutcome, controlDataReader, wasShutDown } from './control-data.ts';
import { examineDataDirectory } from './data-directory.ts';
import { askReplayTimeline, askSeen, askSettings } from './inspection-query.ts';
import type { Setup } from './options.ts';
import { killOrphans, lookForInstance, type Sighting } from './postmaster.ts';
import { type InstanceProcess, readPidFile, stillThere } from './process-table.ts';
import { type RunningMemory, runningInstance, runningMemory } from './running-instance.ts';
import { lastServerErrors, serverLogSize } from './server-log.ts';

/** What is known of the instance from one look to the next. */
export interface Inspector {
  /** Looks anew. Bounded by the connect and query deadlines. */
  look(): Promise<PostgresStatus>;
  /** What runs now, without asking it. */
  sight(): Sighting;
  /** A postmaster was started; `logFrom` is where its words begin in the server log. */
  started(process: InstanceProcess, logFrom: number): void;
  /** A postmaster that was started ended before it had a pid file. */
  failedToStart(because: string): Promise<void>;
  /** The instance is being ended on purpose; the reason is told when it has ended. */
  stopping(because: string): void;
  /** The directory's content was replaced: how the former instance ended says nothing about it. */
  replaced(): void;
  /** The parameters that the postmaster's command line should have. */
  wants(commandLine: Readonly<Record<string, string>>): void;
  readControl(): Promise<ControlOutcome>;
  close(): void;
}

interface Known {
  readonly process: InstanceProcess;
  readonly logFrom: number;
  /** It has taken a connection of ours. */
  hasAnswered: boolean;
}

interface Inspection {
  readonly setup: Setup;
  readonly alarm: () => void;
  readonly controlData: ReturnType<typeof controlDataReader>;
  readonly memory: RunningMemory;
  known: Known | undefined;
  exit: InstanceExit | undefined;
  stopReason: string | undefined;
  session: Session | undefined;
  /** The process table was looked through and no process of the instance was there: only a pid file brings one. */
  knownClean: boolean;
}

/** `alarm` is called when the inspection session ends, and so probably the postmaster. */
export function inspector(setup: Setup, alarm: () => void): Inspector {
  const inspection: Inspection = {
    setup,
    alarm,
    controlData: controlDataReader(setup),
    memory: runningMemory(setup),
    known: undefined,
    exit: undefined,
    stopReason: undefined,
    session: undefined,
    knownClean: false,
  };
  return {
    look: () => look(inspection, 0),
    sight: () => sight(inspection),
    started: (process, logFrom) => {
      inspection.knownClean = false;
      begin(inspection, { process, logFrom, hasAnswered: false });
    },
    failedToStart: async (because) => {
      const control = await inspection.controlData(true);
      inspection.exit = { kind: control.ok && wasShutDown(control.control) ? 'stopped' : 'crashed', because };
    },
    stopping: (because) => {
      inspection.stopReason = because;
    },
    replaced: () => {
      inspection.exit = undefined;
    },
    wants: (commandLine) => inspection.memory.wants(commandLine),
    readControl: () => inspection.controlData(true),
    close: () => dropSession(inspection),
  };
}

/** What was known of the former instance says nothing about this one. */
function begin(inspection: Inspection, known: Known): void {
  inspection.known = known;
  inspection.exit = undefined;
  inspection.stopReason = undefined;
  dropSession(inspection);
}

function dropSession(inspection: Inspection): void {
  inspection.session?.close();
  inspection.session = undefined;
}

function sight(inspection: Inspection): Sighting {
  const { setup, known } = inspection;
  const sighting = lookForInstance(setup, known?.process);
  if (sighting.kind !== 'postmaster') return sighting;
  const { pid, startTicks } = sighting.process;
  if (known?.process.pid !== pid || known.process.startTicks !== startTicks) {
    begin(inspection, { process: { pid, startTicks }, logFrom: serverLogSize(setup), hasAnswered: false });
  }
  inspection.knownClean = false;
  return sighting;
}

/** Ends the remains of an instance whose postmaster is gone, and tells what is there then. */
async function clearRemains(inspection: Inspection): Promise<Sighting> {
  const { clock } = inspection.setup;
  const began = clock.now();
  for (;;) {
    const sighting = sight(inspection);
    const elapsedMs = clock.now() - began;
    if (sighting.kind !== 'orphans' || elapsedMs > 3000) return sighting;
    killOrphans(sighting.processes, elapsedMs > 500);
    await sleep(4);
  }
}

async function noteEnd(inspection: Inspection): Promise<void> {
  dropSession(inspection);
  if (inspection.known === undefined) return;
  const ended = inspection.known;
  inspection.known = undefined;
  const control = await inspection.controlData(true);
  const inOrder = control.ok && wasShutDown(control.control);
  const words = lastServerErrors(inspection.setup, ended.logFrom, !ended.hasAnswered);
  const otherwise = inOrder
    ? 'PostgreSQL was shut down from outside'
    : 'PostgreSQL ended without a word: its postmaster was killed';
  const because = inspection.stopReason ?? (words || otherwise);
  inspection.exit = { kind: inOrder ? 'stopped' : 'crashed', because };
  inspection.stopReason = undefined;
}

async function look(inspection: Inspection, attempt: number): Promise<PostgresStatus> {
  const { setup } = inspection;
  if (inspection.knownClean && inspection.known === undefined && !readPidFile(setup.dataDir, setup.osUser))
    return stoppedStatus(inspection);
  let sighting = sight(inspection);
  if (sighting.kind === 'orphans') {
    if (inspection.known)
      setup.log.warn('postmaster-died', 'the postmaster is gone: its remaining processes are ended');
    sighting = await clearRemains(inspection);
  }
  if (sighting.kind === 'none') {
    await noteEnd(inspection);
    inspection.knownClean = true;
    return stoppedStatus(inspection);
  }
  if (sighting.kind === 'orphans') {
    const pids = sighting.processes.map((process) => process.pid).join(', ');
    const because = `the postmaster is gone, and its processes ${pids} cannot be ended`;
    return statusOf(inspection, silent(because));
  }
  if (sighting.kind === 'dying') return dyingStatus(inspection, sighting.processes);
  if (sighting.kind === 'single-user') {
    const because = `crash recovery in a single-user server (${sighting.process.pid})`;
    return statusOf(inspection, { kind: 'starting', because });
  }
  const seen = await ask(inspection, sighting);
  const mayBeOver = seen === 'session-lost' || (seen.instance.kind !== 'running' && !stillThere(sighting.process));
  if (mayBeOver && attempt < 3) return look(inspection, attempt + 1);
  return seen === 'session-lost'
    ? statusOf(inspection, silent('the server ends every connection of the inspection'))
    : seen;
}

function stoppedStatus(inspection: Inspection): Promise<PostgresStatus> {
  const { exit } = inspection;
  return statusOf(inspection, exit === undefined ? { kind: 'stopped' } : { kind: 'stopped', exit });
}

function silent(because: string): Instance {
  return { kind: 'silent', why: 'unanswered', because };
}

function dyingStatus(inspection: Inspection, processes: readonly InstanceProcess[]): Promise<PostgresStatus> {
  dropSession(inspection);
  const pids = processes.map((process) => process.pid).join(', ');
  const because = `PostgreSQL was killed, and the kernel holds its processes ${pids} until storage answers; they can do nothing more`;
  return statusOf(inspection, { kind: 'dying', because });
}

async function statusOf(
  { setup, controlData }: Inspection,
  instance: Instance,
  control?: ControlData,
): Promise<PostgresStatus> {
  const directory: DataDirectory = await examineDataDirectory(setup.dataDir, async () =>
    control === undefined ? controlData(instance.kind === 'stopped') : { ok: true, control },
  );
  return { directory, instance };
}

type Postmaster = Extract<Sighting, { readonly kind: 'postmaster' }>;

async function ask(inspection: Inspection, sighting: Postmaster): Promise<PostgresStatus | 'session-lost'> {
  const { memory } = inspection;
  if (/[Tt]/.test(sighting.process.state)) {
    const because = `the postmaster (${sighting.process.pid}) is stopped by a signal`;
    return statusOf(inspection, { kind: 'silent', why: 'frozen', because });
  }
  const access = accessOf(inspection.setup, sighting.pidFile);
  const connected = await connect(inspection, access, sighting.pidFile?.status);
  if (!connected.ok) return statusOf(inspection, connected.instance);
  const open = connected.session;
  const seen = await askSeen(open);
  if (!seen.ok) {
    if (open.isOpen()) return statusOf(inspection, silent(`the inspection failed: ${seen.error}`));
    inspection.session = undefined;
    if (!open.wasLate()) return 'session-lost';
    return statusOf(inspection, silent(`the inspection at ${access.place} had ${seen.error}`));
  }
  const timeline = seen.value.inRecovery ? await askReplayTimeline(open) : undefined;
  const settings = memory.needsSettings(seen.value) ? await askSettings(open, memory.settingNames()) : undefined;
  if (settings?.ok) memory.takeSettings(seen.value, settings.value);
  const running = await runningInstance(seen.value, timeline, memory);
  return statusOf(inspection, running.instance, running.control);
}

type Connected = { readonly ok: true; readonly session: Session } | { readonly ok: false; readonly instance: Instance };

/** The session that is open, or a new one. */
async function connect(inspection: Inspection, access: Access, pidFileStatus: string | undefined): Promise<Connected> {
  if (inspection.session?.isOpen()) return { ok: true, session: inspection.session };
  // The pid file tells it too, and an attempt to connect would only fill the server's log.
  const unready = notReady(pidFileStatus);
  if (unready !== undefined) return { ok: false, instance: { kind: 'starting', because: unready } };
  const opened = await openSession(access.request);
  if (!opened.ok) return { ok: false, instance: access.refusal(opened, pidFileStatus) };
  inspection.session = opened.session;
  opened.session.ended.then(inspection.alarm, inspection.alarm);
  if (inspection.known) inspection.known.hasAnswered = true;
  return { ok: true, session: opened.session };
}

function notReady(status: string | undefined): string | undefined {
  if (status === undefined || status === 'starting') return 'the database system is starting up';
  if (status === 'stopping') return 'the database system is shutting down';
  if (status === 'standby') return 'the database system is recovering and not yet consistent';
  return undefined;
}
