/**
 * One look at the instance: what runs, what it answers, what is in its directory.
 *
 * The inspection session stays open: its end is the alarm that the postmaster died, within milliseconds, for an
 * adopted one too. What a postmaster leaves behind when it dies is ended here, before `stopped` is reported.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlData, DataDirectory, Instance, InstanceExit, PostgresStatus } from '../core/model.ts';
import { accessOf } from './access.ts';
import { openSession, type Session } from './connection.ts';
import { type ControlOutcome, controlDataReader, wasShutDown } from './control-data.ts';
import { examineDataDirectory } from './data-directory.ts';
import { askReplayTimeline, askSeen, askSettings } from './inspection-query.ts';
import type { Setup } from './options.ts';
import { killOrphans, lookForInstance, type Sighting } from './postmaster.ts';
import { type InstanceProcess, readPidFile, stillThere } from './process-table.ts';
import { runningInstance, runningMemory } from './running-instance.ts';
import { lastServerErrors, serverLogSize } from './server-log.ts';

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

/** `alarm` is called when the inspection session ends, and so probably the postmaster. */
export function inspector(setup: Setup, alarm: () => void): Inspector {
  const controlData = controlDataReader(setup);
  const memory = runningMemory(setup);
  let known: Known | undefined;
  let exit: InstanceExit | undefined;
  let stopReason: string | undefined;
  let session: Session | undefined;
  /** The process table was looked through and no process of the instance was there: only a pid file brings one. */
  let knownClean = false;

  const sight = (): Sighting => {
    const sighting = lookForInstance(setup, known?.process);
    if (sighting.kind !== 'postmaster') return sighting;
    const { pid, startTicks } = sighting.process;
    if (known?.process.pid !== pid || known.process.startTicks !== startTicks) {
      known = { process: { pid, startTicks }, logFrom: serverLogSize(setup), hasAnswered: false };
      exit = undefined;
      stopReason = undefined;
      dropSession();
    }
    knownClean = false;
    return sighting;
  };

  const dropSession = (): void => {
    session?.close();
    session = undefined;
  };

  /** Ends the remains of an instance whose postmaster is gone; true when nothing is left. */
  const clearRemains = async (): Promise<Sighting> => {
    const began = setup.clock.now();
    for (;;) {
      const sighting = sight();
      const elapsedMs = setup.clock.now() - began;
      if (sighting.kind !== 'orphans' || elapsedMs > 3000) return sighting;
      killOrphans(sighting.processes, elapsedMs > 500);
      await sleep(4);
    }
  };

  const noteEnd = async (): Promise<void> => {
    dropSession();
    if (known === undefined) return;
    const ended = known;
    known = undefined;
    const control = await controlData(true);
    const inOrder = control.ok && wasShutDown(control.control);
    const words = lastServerErrors(setup, ended.logFrom, !ended.hasAnswered);
    const otherwise = inOrder
      ? 'PostgreSQL was shut down from outside'
      : 'PostgreSQL ended without a word: its postmaster was killed';
    exit = { kind: inOrder ? 'stopped' : 'crashed', because: stopReason ?? (words || otherwise) };
    stopReason = undefined;
  };

  const look = async (attempt: number): Promise<PostgresStatus> => {
    if (knownClean && known === undefined && !readPidFile(setup.dataDir, setup.osUser)) return stoppedStatus();
    let sighting = sight();
    if (sighting.kind === 'orphans') {
      if (known) setup.log.warn('postmaster-died', 'the postmaster is gone: its remaining processes are ended');
      sighting = await clearRemains();
    }
    if (sighting.kind === 'none') {
      await noteEnd();
      knownClean = true;
      return stoppedStatus();
    }
    if (sighting.kind === 'orphans') {
      const pids = sighting.processes.map((process) => process.pid).join(', ');
      return statusOf({ kind: 'silent', because: `the postmaster is gone, and its processes ${pids} cannot be ended` });
    }
    if (sighting.kind === 'single-user') {
      return statusOf({
        kind: 'starting',
        because: `crash recovery in a single-user server (${sighting.process.pid})`,
      });
    }
    const seen = await ask(sighting);
    const mayBeOver = seen === 'session-lost' || (seen.instance.kind !== 'running' && !stillThere(sighting.process));
    if (mayBeOver && attempt < 3) return look(attempt + 1);
    return seen === 'session-lost'
      ? statusOf({ kind: 'silent', because: 'the server ends every connection of the inspection' })
      : seen;
  };

  const stoppedStatus = (): Promise<PostgresStatus> =>
    statusOf(exit === undefined ? { kind: 'stopped' } : { kind: 'stopped', exit });

  const statusOf = async (instance: Instance, control?: ControlData): Promise<PostgresStatus> => {
    const directory: DataDirectory = await examineDataDirectory(setup.dataDir, async () =>
      control === undefined ? controlData(instance.kind === 'stopped') : { ok: true, control },
    );
    return { directory, instance };
  };

  const ask = async (
    sighting: Extract<Sighting, { readonly kind: 'postmaster' }>,
  ): Promise<PostgresStatus | 'session-lost'> => {
    if (/[Tt]/.test(sighting.process.state)) {
      return statusOf({ kind: 'silent', because: `the postmaster (${sighting.process.pid}) is stopped by a signal` });
    }
    const access = accessOf(setup, sighting.pidFile);
    if (!session?.isOpen()) {
      // The pid file tells it too, and an attempt to connect would only fill the server's log.
      const unready = notReady(sighting.pidFile?.status);
      if (unready !== undefined) return statusOf({ kind: 'starting', because: unready });
      const opened = await openSession(access.request);
      if (!opened.ok) return statusOf(access.refusal(opened, sighting.pidFile?.status));
      session = opened.session;
      opened.session.ended.then(alarm, alarm);
      if (known) known.hasAnswered = true;
    }
    const open = session;
    const seen = await askSeen(open);
    if (!seen.ok) {
      if (open.isOpen()) return statusOf({ kind: 'silent', because: `the inspection failed: ${seen.error}` });
      session = undefined;
      if (!open.wasLate()) return 'session-lost';
      return statusOf({ kind: 'silent', because: `the inspection at ${access.place} had ${seen.error}` });
    }
    const timeline = seen.value.inRecovery ? await askReplayTimeline(open) : undefined;
    const settings = memory.needsSettings(seen.value) ? await askSettings(open, memory.settingNames()) : undefined;
    if (settings?.ok) memory.takeSettings(seen.value, settings.value);
    const running = await runningInstance(seen.value, timeline, memory);
    return statusOf(running.instance, running.control);
  };

  return {
    look: () => look(0),
    sight,
    started: (process, logFrom) => {
      known = { process, logFrom, hasAnswered: false };
      exit = undefined;
      stopReason = undefined;
      knownClean = false;
      dropSession();
    },
    failedToStart: async (because) => {
      const control = await controlData(true);
      exit = { kind: control.ok && wasShutDown(control.control) ? 'stopped' : 'crashed', because };
    },
    stopping: (because) => {
      stopReason = because;
    },
    replaced: () => {
      exit = undefined;
    },
    wants: (commandLine) => memory.wants(commandLine),
    readControl: () => controlData(true),
    close: dropSession,
  };
}

function notReady(status: string | undefined): string | undefined {
  if (status === undefined || status === 'starting') return 'the database system is starting up';
  if (status === 'stopping') return 'the database system is shutting down';
  if (status === 'standby') return 'the database system is recovering and not yet consistent';
  return undefined;
}
