/** What a system costs while nothing happens. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster, ProcessGroup } from './systems/system.ts';

/** The cost of some processes on one host. */
export interface GroupCost {
  readonly role: ProcessGroup['role'];
  readonly host: string;
  readonly processes: number;
  readonly rssMiB: number;
  /** Resident memory with what processes share counted once. */
  readonly pssMiB: number;
  readonly cpuSecondsPerMinute: number;
}

/** The cost of a system. */
export interface IdleCost {
  readonly groups: readonly GroupCost[];
  /** Undefined: there is no shared store. */
  readonly storeWritesPerMinute: number | undefined;
}

/** Clock ticks a second in /proc, on every Linux that Debian has. */
const ticksPerSecond = 100;
const idleMs = 60_000;

/** Looks for a minute. */
export async function measureIdle(cluster: Cluster): Promise<IdleCost> {
  const before = cluster.processes().map((group) => ({ group, cpu: group.pids.map(cpuSeconds) }));
  const totalsBefore = cluster.storeTotals();
  const began = performance.now();
  await sleep(idleMs);
  const minutes = (performance.now() - began) / 60_000;
  const totals = cluster.storeTotals();
  const groups = before.map(({ group, cpu }) => {
    const memory = group.pids.map(memoryMiB);
    const used = group.pids.map((pid, index) => Math.max(0, cpuSeconds(pid) - (cpu[index] ?? 0)));
    return {
      role: group.role,
      host: group.host.name,
      processes: group.pids.length,
      rssMiB: sum(memory.map(({ rss }) => rss)),
      pssMiB: sum(memory.map(({ pss }) => pss)),
      cpuSecondsPerMinute: sum(used) / minutes,
    };
  });
  const isCounted = totals !== undefined && totalsBefore !== undefined;
  return { groups, storeWritesPerMinute: isCounted ? (totals.writes - totalsBefore.writes) / minutes : undefined };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** With that of children which have ended: checks are often programs. 0 when it has ended. */
function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // utime, stime, cutime, cstime: fields 14 to 17 of proc(5), two of which come before the bracket.
    return sum(fields.slice(11, 15).map(Number)) / ticksPerSecond;
  } catch {
    return 0;
  }
}

function memoryMiB(pid: number): { readonly rss: number; readonly pss: number } {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const field = (name: string): number =>
      Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) / 1024;
    return { rss: field('Rss'), pss: field('Pss') };
  } catch {
    return { rss: 0, pss: 0 };
  }
}
