/**
 * Cutting the WAL stream of a standby, and proving that it is cut.
 *
 * After this job no commit may be acknowledged on the word of this standby. pg_stat_wal_receiver cannot show that: it
 * hides a receiver that is connecting. What proves it, in this order:
 *
 * 1. Our files say so, and are fsynced. The server has read them: a new session shows the empty values, and the
 *    server has told its other processes before it made that session.
 * 2. The startup process, which asks for receivers, has read them: a pause of the replay that was asked for after (1)
 *    is confirmed, and it reads its configuration before it confirms (PostgreSQL, recoveryPausesHere).
 * 3. No receiver is in the process table; none can be on its way: a request that the startup process made before (2)
 *    the postmaster has carried out before it makes a session that is asked for later. So, once more after one.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobOutcome } from '../core/events.ts';
import { neutralizeAutoConf, severed, writeSeveredConfiguration, writeSignalFiles } from './config-files.ts';
import { loadConfiguration, newSessionSees } from './configure.ts';
import type { Session } from './connection.ts';
import type { Inspector } from './inspect.ts';
import { withSession } from './job-session.ts';
import type { Setup } from './options.ts';
import { effectiveParameters } from './parameters.ts';
import { type Sighting, stopInstance } from './postmaster.ts';
import { childrenOf, type ProcessFacts, receiverOrNot, signalProcess } from './process-table.ts';
import { launchInstance } from './start.ts';

/** How long the proof may take; after that the standby is restarted, which needs none. */
const proofMs = 500;
/** A restart that is to end a stream may not wait long for the restartpoint of a fast stop. */
const fastStopMs = 2000;

/**
 * Ends when the stream is cut for good. A replay that somebody paused goes on. `onDeath` as of a start, since the
 * standby may be restarted.
 */
export async function severInstance(
  setup: Setup,
  inspector: Inspector,
  signal: AbortSignal,
  onDeath: () => void,
): Promise<JobOutcome> {
  if (!existsSync(join(setup.dataDir, 'standby.signal'))) {
    return { ok: false, error: `${setup.dataDir} is no standby's: it has no standby.signal` };
  }
  const { mark, parameters } = await writeSeveredConfiguration(setup);
  const sighting = inspector.sight();
  if (sighting.kind === 'none') {
    await neutralizeAutoConf(setup, setup.dataDir);
    return { ok: true };
  }
  let why = 'no postmaster takes connections';
  if (sighting.kind === 'postmaster') {
    const proven = await prove(
      { setup, postmaster: sighting.process, until: setup.clock.now() + proofMs, signal },
      mark,
    );
    if (proven.ok) return proven;
    why = proven.error;
  }
  if (signal.aborted) return { ok: false, error: 'cancelled; the stream may go on' };
  setup.log.warn('sever-by-restart', `the standby is restarted, since its stream is not proven to be cut: ${why}`);
  return restartSevered(setup, inspector, parameters, signal, onDeath);
}

/** Whether a WAL receiver is in the process table. A process that has no title yet is waited for, so that it is told. */
export async function walReceiverRuns(look: () => Sighting): Promise<boolean> {
  for (let looks = 0; looks < 100; looks += 1) {
    const kinds = new Set(processesOf(look()).map(({ pid }) => receiverOrNot(pid)));
    if (kinds.has('walreceiver')) return true;
    if (!kinds.has('unknown')) return false;
    await sleep(2);
  }
  return true;
}

function processesOf(sighting: Sighting): readonly ProcessFacts[] {
  if (sighting.kind === 'postmaster') return childrenOf(sighting.process);
  return sighting.kind === 'orphans' ? sighting.processes : [];
}

function receiversOf(postmaster: ProcessFacts): readonly ProcessFacts[] {
  return childrenOf(postmaster).filter(({ pid }) => receiverOrNot(pid) !== 'other');
}

/** One attempt at a proof. */
interface Proof {
  readonly setup: Setup;
  readonly postmaster: ProcessFacts;
  /** On the boot-time clock. */
  readonly until: number;
  readonly signal: AbortSignal;
}

/** No wait of a step is longer than what is left for the proof. */
function inTime({ setup, until }: Proof): Setup {
  const leftMs = Math.max(until - setup.clock.now(), 1);
  return { ...setup, timings: { ...setup.timings, connectMs: leftMs, queryMs: leftMs, toolMs: leftMs } };
}

async function prove(proof: Proof, mark: string): Promise<JobOutcome> {
  const first = inTime(proof);
  const loaded = await withSession(first, first.timings.queryMs, (session) =>
    loadConfiguration(inTime(proof), session, mark, proof.signal),
  );
  if (!loaded.ok) return loaded;
  const second = inTime(proof);
  const read = await newSessionSees(second, severed, second.timings.queryMs, proof.signal, (session) =>
    replayHasRead(proof, session),
  );
  return read.ok ? noReceiverLeft(proof) : read;
}

/** The startup process has read its configuration since this was called. Replay goes on afterwards. */
async function replayHasRead(proof: Proof, session: Session): Promise<JobOutcome> {
  const state = await pauseState(session);
  if (!state.ok) return state;
  const wasPaused = state.paused !== 'not paused';
  if (wasPaused) proof.setup.log.info('replay-resumed', 'the replay was paused: it goes on, its stream is being cut');
  // Between its reading and its confirming it may already have been when it had been paused before: then once more.
  for (let round = wasPaused ? 2 : 1; round > 0; round -= 1) {
    const resumed = wasPaused ? await session.query('SELECT pg_wal_replay_resume()') : state;
    const confirmed = resumed.ok ? await confirmedPause(proof, session) : resumed;
    if (!confirmed.ok) {
      await session.query('SELECT pg_wal_replay_resume()');
      return confirmed;
    }
  }
  const resumed = await session.query('SELECT pg_wal_replay_resume()');
  return resumed.ok ? { ok: true } : { ok: false, error: `the replay could not be resumed: ${resumed.error}` };
}

async function confirmedPause({ setup, until, signal }: Proof, session: Session): Promise<JobOutcome> {
  const asked = await session.query('SELECT pg_wal_replay_pause()');
  if (!asked.ok) return { ok: false, error: `the replay could not be paused: ${asked.error}` };
  for (;;) {
    const state = await pauseState(session);
    if (!state.ok || state.paused === 'paused') return state;
    if (signal.aborted || setup.clock.now() > until) {
      return { ok: false, error: 'the startup process does not confirm that it reads its configuration' };
    }
    await sleep(2);
  }
}

/** `not paused`, `pause requested` or `paused`. */
async function pauseState(
  session: Session,
): Promise<{ readonly ok: true; readonly paused: string } | { readonly ok: false; readonly error: string }> {
  const outcome = await session.query('SELECT pg_get_wal_replay_pause_state() AS paused');
  if (!outcome.ok) return { ok: false, error: `the state of the replay: ${outcome.error}` };
  return { ok: true, paused: String(outcome.rows[0]?.['paused']) };
}

/**
 * Ends receivers until there is none. The startup process does so too, but only when it comes to the next segment.
 * A receiver flushes what it received before it ends, and tells nobody of it.
 */
async function noReceiverLeft(proof: Proof): Promise<JobOutcome> {
  const { setup, postmaster, until, signal } = proof;
  for (;;) {
    for (let left = receiversOf(postmaster); left.length > 0; left = receiversOf(postmaster)) {
      const pids = left.map(({ pid }) => pid).join(', ');
      if (signal.aborted || setup.clock.now() > until) return { ok: false, error: `process ${pids} does not end` };
      for (const each of left) if (receiverOrNot(each.pid) === 'walreceiver') signalProcess(each, 'SIGTERM');
      await sleep(3);
    }
    const last = inTime(proof);
    const again = await newSessionSees(last, severed, last.timings.queryMs, signal);
    if (!again.ok) return again;
    if (receiversOf(postmaster).length === 0) return { ok: true };
  }
}

/** What the files say when it starts needs no proof. */
async function restartSevered(
  setup: Setup,
  inspector: Inspector,
  parameters: Readonly<Record<string, string>>,
  signal: AbortSignal,
  onDeath: () => void,
): Promise<JobOutcome> {
  inspector.stopping('PostgreSQL was stopped by pgherd, to cut its WAL stream');
  const quick = { ...setup, timings: { ...setup.timings, fastStopMs } };
  const stopped = await stopInstance(quick, 'fast', () => inspector.sight(), signal);
  if (!stopped.ok) return stopped;
  const control = await inspector.readControl();
  if (!control.ok) return control;
  if (!existsSync(join(setup.dataDir, 'standby.signal'))) {
    return { ok: false, error: 'the standby was promoted before it could be stopped; it is left down' };
  }
  await writeSignalFiles(setup, setup.dataDir, 'replica');
  await neutralizeAutoConf(setup, setup.dataDir);
  const { commandLine } = effectiveParameters(setup, { parameters }, control.control.settings);
  return launchInstance(setup, inspector, commandLine, signal, onDeath);
}
