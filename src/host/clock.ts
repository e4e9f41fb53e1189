/** The boot-time clock: counts suspension, and nothing sets it. */
import { openSync, readSync } from 'node:fs';
import type { Clock } from '../ports/host.ts';

/**
 * Node's monotonic clock stands still while the machine is suspended; /proc/uptime does not, but has a resolution
 * of 10 ms only. The sum of the monotonic clock and an offset has both virtues. /proc/uptime is truncated, so each
 * reading gives an offset that is too small by up to 10 ms: the greatest one seen is the best, and taking the
 * greatest never sets the clock back.
 */
export function bootClock(): Clock {
  const uptime = openSync('/proc/uptime', 'r');
  const buffer = Buffer.alloc(64);
  let offsetMs = Number.NEGATIVE_INFINITY;
  return {
    now: () => {
      const monotonicMs = Number(process.hrtime.bigint() / 1000n) / 1000;
      const length = readSync(uptime, buffer, 0, buffer.length, 0);
      const uptimeMs = Number.parseFloat(buffer.toString('latin1', 0, length)) * 1000;
      offsetMs = Math.max(offsetMs, uptimeMs - monotonicMs);
      return monotonicMs + offsetMs;
    },
    wall: wallTime,
  };
}

/** Local wall-clock time, ISO 8601 with offset: `2026-11-20T11:17:03.120+00:00`. For texts only. */
export function wallTime(): string {
  const date = new Date();
  const offsetMinutes = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + offsetMinutes * 60_000).toISOString().slice(0, -1);
  const absolute = Math.abs(offsetMinutes);
  return `${local}${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Identity of this boot: another one means that boot-time instants of the past say nothing. */
export function bootId(): string {
  const buffer = Buffer.alloc(64);
  const length = readSync(openBootId(), buffer, 0, buffer.length, 0);
  return buffer.toString('latin1', 0, length).trim();
}

let bootIdFile: number | undefined;
function openBootId(): number {
  bootIdFile ??= openSync('/proc/sys/kernel/random/boot_id', 'r');
  return bootIdFile;
}
