/** pg_rewind: a member whose history left the primary's goes back to where they part, and takes the primary's blocks. */
import { existsSync } from 'node:fs';
import { copyFile, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobOutcome } from '../core/events.ts';
import type { Endpoint, Progress } from '../core/model.ts';
import { makeDirectory, syncDirectory, writeDurably } from '../lib/durable-write.ts';
import { withLoginAdvice } from './access.ts';
import { neutralizeAutoConf, ownerOf, writeConfiguration, writePassfile, writeSignalFiles } from './config-files.ts';
import { upstreamConninfo } from './conninfo.ts';
import { type FullControlData, wasShutDown } from './control-data.ts';
import type { Inspector } from './inspect.ts';
import { rewindCredentials, type Setup, toolArguments } from './options.ts';
import { spawnPostmaster, stopInstance, waitForPidFile } from './postmaster.ts';
import { readPidFile } from './process-table.ts';
import { lastServerErrors } from './server-log.ts';
import { runTool } from './toolbox.ts';

/** Patroni's list. */
const forbidden = `target-pgdata source-pgdata source-server write-recovery-conf dry-run restore-target-wal config-file
   no-ensure-shutdown version help`.split(/\s+/);

/** pg_rewind overwrites them with the source's. */
const ownFiles = ['postgresql.conf', 'pgherd.conf', 'pg_hba.conf', 'pg_ident.conf', 'postgresql.auto.conf'];

/** The instance must not run. Afterwards the directory is a replica's, with its own configuration. */
export async function rewindInstance(
  setup: Setup,
  inspector: Inspector,
  source: Endpoint,
  progress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const sighting = inspector.sight();
  if (sighting.kind !== 'none') return { ok: false, error: 'an instance that runs cannot be rewound' };
  const control = await inspector.readControl();
  if (!control.ok) return control;
  await keepOwnFiles(setup);
  await writePassfile(setup);
  const settled = await settle(setup, inspector, control.control, signal);
  if (!settled.ok) return { ...settled, untouched: true };
  progress({ doing: 'rewind' });
  const rewound = await runRewind(setup, source, progress, signal);
  if (!rewound.ok) {
    // Not again a writable server, whoever starts it by hand.
    await writeSignalFiles(setup, setup.dataDir, 'replica');
    return { ...rewound, error: `rewinding to ${source.member} at ${source.host}:${source.port}: ${rewound.error}` };
  }
  await restoreOwnFiles(setup);
  await writeSignalFiles(setup, setup.dataDir, 'replica');
  await neutralizeAutoConf(setup, setup.dataDir);
  return { ok: true };
}

/**
 * pg_rewind wants a target that was shut down. A crashed primary it recovers itself, in a single-user server, which
 * does not start with a standby.signal. A crashed standby must recover as a standby: as anything else it would go on
 * to write WAL of its own.
 */
async function settle(
  setup: Setup,
  inspector: Inspector,
  control: FullControlData,
  signal: AbortSignal,
): Promise<JobOutcome> {
  if (wasShutDown(control)) return { ok: true };
  if (control.state === 'in archive recovery') return recoverAsStandby(setup, inspector, control, signal);
  await writeSignalFiles(setup, setup.dataDir, 'primary');
  return { ok: true };
}

/** Starts without network and upstream, until its own WAL is consistent; then stops in order. */
async function recoverAsStandby(
  setup: Setup,
  inspector: Inspector,
  control: FullControlData,
  signal: AbortSignal,
): Promise<JobOutcome> {
  await writeSignalFiles(setup, setup.dataDir, 'replica');
  await neutralizeAutoConf(setup, setup.dataDir);
  const written = await writeConfiguration(setup, {
    upstream: undefined,
    settings: undefined,
    synchronousStandbyNames: '',
    atLeast: control.settings,
  });
  const spawned = spawnPostmaster(setup, { ...written.commandLine, listen_addresses: '', restore_command: '' });
  const process = await waitForPidFile(setup, spawned, signal);
  if (typeof process !== 'string') {
    const began = setup.clock.now();
    while (!spawned.hasExited() && !signal.aborted && setup.clock.now() - began < setup.timings.promoteMs) {
      if (readPidFile(setup.dataDir, setup.osUser)?.status === 'ready') break;
      await sleep(20);
    }
    await stopInstance(setup, 'fast', () => inspector.sight(), new AbortController().signal);
  }
  const after = await inspector.readControl();
  if (!after.ok) return after;
  inspector.replaced();
  if (wasShutDown(after.control)) return { ok: true };
  const words = lastServerErrors(setup, spawned.logFrom, true);
  return { ok: false, error: `the crashed standby could not be recovered before the rewind: ${words || 'no word'}` };
}

async function runRewind(
  setup: Setup,
  source: Endpoint,
  progress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const configured = toolArguments(setup.rewind, forbidden);
  if (configured.refused.length > 0) {
    setup.log.warn('option-ignored', `postgresql.rewind: pgherd sets ${configured.refused.join(', ')} itself`);
  }
  // A space, which no member's name has: see clone.ts.
  const server = upstreamConninfo(source, rewindCredentials(setup), setup.pgpass, 'pgherd rewind', 'postgres');
  // Said right before the first file is changed (PostgreSQL, src/bin/pg_rewind/pg_rewind.c).
  let touched = false;
  const outcome = await runTool(setup, {
    program: 'pg_rewind',
    arguments: [
      '-D',
      setup.dataDir,
      `--source-server=${server}`,
      '--progress',
      ...((await hasRestoreCommand(setup)) ? ['--restore-target-wal'] : []),
      ...(setup.configDir === setup.dataDir ? [] : [`--config-file=${join(setup.configDir, 'postgresql.conf')}`]),
      ...configured.arguments,
    ],
    deadlineMs: undefined,
    environment: { LC_ALL: 'C', LANGUAGE: 'C' },
    signal,
    onErrorLine: (line) => {
      touched ||= line.includes('need to copy');
      const match = /(\d+)\/(\d+) kB/.exec(line);
      if (!match?.[1] || !match[2]) return;
      progress({ doing: 'rewind', doneBytes: BigInt(match[1]) * 1024n, totalBytes: BigInt(match[2]) * 1024n });
    },
  });
  if (outcome.ok) return { ok: true };
  return { ok: false, error: withLoginAdvice(outcome.error, 'rewind', source.member), untouched: !touched };
}

async function hasRestoreCommand(setup: Setup): Promise<boolean> {
  const asked = await runTool(setup, {
    program: 'postgres',
    arguments: [
      '-D',
      setup.dataDir,
      '-C',
      'restore_command',
      ...(setup.configDir === setup.dataDir ? [] : ['-c', `config_file=${join(setup.configDir, 'postgresql.conf')}`]),
    ],
    deadlineMs: setup.timings.toolMs,
  });
  return asked.ok && asked.stdout.trim() !== '';
}

function keptDirectory(setup: Setup): string {
  return join(setup.stateDir, 'kept-from-rewind');
}

/**
 * Copies our files aside. What an earlier, interrupted rewind kept is better: the directory may have the source's
 * files by now.
 */
async function keepOwnFiles(setup: Setup): Promise<void> {
  const kept = keptDirectory(setup);
  if (existsSync(join(kept, 'complete'))) return;
  await rm(kept, { recursive: true, force: true });
  await makeDirectory(kept, 0o700, ownerOf(setup));
  for (const name of ownFiles) {
    const path = join(setup.dataDir, name);
    if (existsSync(path)) await copyFile(path, join(kept, name));
  }
  await writeDurably(join(kept, 'complete'), '', 0o600);
}

async function restoreOwnFiles(setup: Setup): Promise<void> {
  const kept = keptDirectory(setup);
  for (const name of await readdir(kept)) {
    if (!ownFiles.includes(name)) continue;
    await writeDurably(join(setup.dataDir, name), await readFile(join(kept, name), 'utf8'), 0o600, ownerOf(setup));
  }
  await syncDirectory(setup.dataDir);
  await forgetKeptFiles(setup);
}

/** When the directory is another one, what was kept belongs to none. */
export async function forgetKeptFiles(setup: Setup): Promise<void> {
  await rm(keptDirectory(setup), { recursive: true, force: true });
}
