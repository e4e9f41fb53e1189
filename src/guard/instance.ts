/**
 * The processes of the instance, found without a look at its disk: everything here reads /proc alone, and a link there
 * is read as text, so that storage which hangs cannot hang the guard.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type InstanceProcess, type ProcessFacts, serverProcess, signalProcess } from '../postgres/process-table.ts';

/** The instance on one data directory. */
export interface GuardedInstance {
  /** All processes of it that live now, orphans of a postmaster that is gone included. */
  find(): readonly ProcessFacts[];
}

/**
 * `directory`: the data directory without symbolic links, as the kernel shows it.
 *
 * Where the kernel does not show us other users' working directories (root without the ptrace capability, as in some
 * containers), a process is known by its postmaster's pid file and by having been seen below it before: orphans that
 * nobody has looked at before their postmaster ended are not found then.
 */
export function guardedInstance(directory: () => string): GuardedInstance {
  let known: readonly InstanceProcess[] = [];
  return {
    find() {
      const servers = serverProcesses();
      const hidden: ProcessFacts[] = [];
      const found = servers.filter((server) => {
        const place = workingDirectory(server.pid);
        if (place === undefined) hidden.push(server);
        return place === directory();
      });
      const all = hidden.length === 0 ? found : [...found, ...belonging(hidden, known, postmasterPid(directory()))];
      known = all;
      return all;
    },
  };
}

/** The signal to each of them; a frozen one takes any but SIGKILL only when it goes on. */
export function signalAll(processes: readonly ProcessFacts[], signal: 'SIGQUIT' | 'SIGKILL'): void {
  for (const process of processes) {
    signalProcess(process, signal);
    if (signal !== 'SIGKILL') signalProcess(process, 'SIGCONT');
  }
}

function serverProcesses(): readonly ProcessFacts[] {
  const servers: ProcessFacts[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const server = Number.isInteger(pid) ? serverProcess(pid) : undefined;
    if (server) servers.push(server);
  }
  return servers;
}

function workingDirectory(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, '');
  } catch {
    return undefined;
  }
}

function belonging(
  servers: readonly ProcessFacts[],
  known: readonly InstanceProcess[],
  postmaster: number | undefined,
): readonly ProcessFacts[] {
  const isKnown = ({ pid, startTicks }: ProcessFacts): boolean =>
    known.some((one) => one.pid === pid && one.startTicks === startTicks);
  return servers.filter((one) => one.pid === postmaster || one.parentPid === postmaster || isKnown(one));
}

/** Only where the links are hidden: this reads the data directory. */
function postmasterPid(directory: string): number | undefined {
  try {
    const pid = Math.abs(Number(readFileSync(join(directory, 'postmaster.pid'), 'latin1').split('\n')[0]));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}
