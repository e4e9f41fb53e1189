/** pg_control, through pg_controldata: the last word of an instance that is down. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseLsn } from '../core/lsn.ts';
import type { ControlData } from '../core/model.ts';
import type { Setup } from './options.ts';
import { runTool, type ToolSetup } from './toolbox.ts';

/** With the settings that a standby must not be below. */
export interface FullControlData extends ControlData {
  /** PostgreSQL's parameter names and the values the WAL was written with. */
  readonly settings: Readonly<Record<string, string>>;
}

/** pg_control, or why it cannot be read. */
export type ControlOutcome =
  | { readonly ok: true; readonly control: FullControlData }
  | { readonly ok: false; readonly error: string };

const settingLabels: Readonly<Record<string, string>> = {
  'max_connections setting': 'max_connections',
  'max_worker_processes setting': 'max_worker_processes',
  'max_wal_senders setting': 'max_wal_senders',
  'max_prepared_xacts setting': 'max_prepared_transactions',
  'max_locks_per_xact setting': 'max_locks_per_transaction',
};

/** Reads pg_controldata's output (in English). PostgreSQL, src/bin/pg_controldata/pg_controldata.c. */
export function parseControlData(text: string): ControlOutcome {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  const systemId = fields.get('Database system identifier');
  const state = fields.get('Database cluster state');
  const timeline = Number(fields.get("Latest checkpoint's TimeLineID"));
  const checkpointLsn = parseLsn(fields.get('Latest checkpoint location') ?? '');
  if (!systemId || !state || !Number.isInteger(timeline) || checkpointLsn === undefined) {
    return { ok: false, error: 'pg_controldata says nothing that can be understood' };
  }
  const settings: Record<string, string> = {};
  for (const [label, parameter] of Object.entries(settingLabels)) {
    const value = fields.get(label);
    if (value !== undefined) settings[parameter] = value;
  }
  const control = {
    systemId,
    state,
    timeline,
    checkpointLsn,
    walLogHints: fields.get('wal_log_hints setting') === 'on',
    dataChecksums: Number(fields.get('Data page checksum version') ?? 0) > 0,
    settings,
  };
  return { ok: true, control };
}

/** Whether the last end was an orderly one. */
export function wasShutDown(control: ControlData): boolean {
  return control.state === 'shut down' || control.state === 'shut down in recovery';
}

/** How long the file system may take to tell of a file: a look at the instance must not wait for storage that hangs. */
const fileMarkMs = 500;

/** Reads pg_control anew whenever the file has changed: a fork each second would cost more than all the rest. */
export function controlDataReader(setup: Setup): (fresh: boolean) => Promise<ControlOutcome> {
  let cached: { readonly mark: string; readonly readAt: number; readonly outcome: ControlOutcome } | undefined;
  let asked: Promise<string | undefined> | undefined;
  return async (fresh) => {
    // One that is not answered is not asked twice.
    asked ??= fileMark(join(setup.dataDir, 'global', 'pg_control')).finally(() => (asked = undefined));
    const mark = await Promise.race([asked, sleep(fileMarkMs, late)]);
    if (mark === late) {
      // Of a server that has ended since, the file would say something else.
      if (cached && !fresh) return cached.outcome;
      return { ok: false, error: `the file system does not answer within ${fileMarkMs} ms` };
    }
    const now = setup.clock.now();
    // While a server writes it (`fresh` false) once a second is enough.
    if (cached && (cached.mark === mark || (!fresh && now - cached.readAt < 1000))) return cached.outcome;
    const outcome = await readControlData(setup);
    if (outcome.ok && mark !== undefined) cached = { mark, readAt: now, outcome };
    return outcome;
  };
}

const late = Symbol('late');

async function fileMark(path: string): Promise<string | undefined> {
  try {
    const facts = await stat(path, { bigint: true });
    return `${facts.dev}:${facts.ino}:${facts.mtimeNs}:${facts.size}`;
  } catch {
    return undefined;
  }
}

/** Reads pg_control once. */
export async function readControlData(setup: ToolSetup & Pick<Setup, 'dataDir' | 'timings'>): Promise<ControlOutcome> {
  for (let attempt = 0; ; attempt += 1) {
    const ran = await runTool(setup, {
      program: 'pg_controldata',
      arguments: ['-D', setup.dataDir],
      deadlineMs: setup.timings.toolMs,
      environment: { LC_ALL: 'C', LANGUAGE: 'C' },
    });
    if (!ran.ok) return ran;
    // A server that writes the file meanwhile makes a reader see half of it.
    const torn = /CRC checksum does not match/.test(ran.stdout + ran.errorLines.join(' '));
    if (!torn) return parseControlData(ran.stdout);
    if (attempt === 4) return { ok: false, error: 'global/pg_control is damaged: its checksum does not match' };
  }
}
