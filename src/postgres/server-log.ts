/** Where the postmaster writes before (or instead of) a log of its own, and what it said last. */
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
} from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Setup } from './options.ts';

const rotateAboveBytes = 10 * 1024 * 1024;
const tailBytes = 64 * 1024;

/** Opens the log for a new postmaster; a long one becomes `.1` first. The caller closes the descriptor. */
export function openServerLog(setup: Setup): { readonly descriptor: number; readonly from: number } {
  const open = (): number =>
    openSync(setup.serverLog, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600);
  let descriptor = open();
  if (fstatSync(descriptor).size > rotateAboveBytes) {
    closeSync(descriptor);
    renameSync(setup.serverLog, `${setup.serverLog}.1`);
    descriptor = open();
  }
  if (setup.osUser.become) fchownSync(descriptor, setup.osUser.uid, setup.osUser.gid);
  return { descriptor, from: fstatSync(descriptor).size };
}

/** Where the next word of a server will be. */
export function serverLogSize(setup: Setup): number {
  try {
    return statSync(setup.serverLog).size;
  } catch {
    return 0;
  }
}

/**
 * The last FATAL and PANIC messages with their hints, one line; '' when there are none.
 * `from`: the log's size when the postmaster was started. `errorsToo`: ERROR as well, which of a server that has
 * taken connections are only its clients' mistakes.
 */
export function lastServerErrors(setup: Setup, from: number, errorsToo: boolean): string {
  const collected = collectorLog(setup);
  const lines = [...tailOf(setup.serverLog, from), ...(collected === undefined ? [] : tailOf(collected, 0))];
  const found: string[] = [];
  let taken = false;
  for (const line of lines) {
    const match = /\b(FATAL|PANIC|ERROR|HINT|DETAIL|LOG):\s+(.*)$/.exec(line);
    if (!match?.[1] || match[2] === undefined) continue;
    const [, severity, text] = match;
    const follows = severity === 'HINT' || severity === 'DETAIL';
    if (!follows) taken = matters(severity, text, errorsToo);
    if (taken) found.push(text);
  }
  return [...new Set(found.slice(-4))].join('; ');
}

function matters(severity: string, text: string, errorsToo: boolean): boolean {
  // Why a port cannot be had is told by a LOG line, before a FATAL that only says that there is none.
  if (severity === 'LOG') return /^could not (bind|create|open|write|map)/.test(text);
  if (severity === 'ERROR' && !errorsToo) return false;
  // Of clients, or of a stop that was asked for: true, and no reason for anything.
  return !/^(terminating (connection|walreceiver|background worker)|the database system is (starting|shutting)|password auth|no pg_hba|remaining connection slots|sorry, too many)/.test(
    text,
  );
}

function collectorLog(setup: Setup): string | undefined {
  try {
    const current = readFileSync(join(setup.dataDir, 'current_logfiles'), 'utf8');
    const path = /^stderr (.*)$/m.exec(current)?.[1];
    if (path === undefined) return undefined;
    return isAbsolute(path) ? path : join(setup.dataDir, path);
  } catch {
    return undefined;
  }
}

function tailOf(path: string, from: number): readonly string[] {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch {
    return [];
  }
  try {
    const size = fstatSync(descriptor).size;
    const start = Math.max(from, size - tailBytes, 0);
    const buffer = Buffer.alloc(Math.max(size - start, 0));
    readSync(descriptor, buffer, 0, buffer.length, start);
    return buffer.toString('utf8').split('\n');
  } finally {
    closeSync(descriptor);
  }
}
