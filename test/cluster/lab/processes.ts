/** The processes of a member, of its PostgreSQL and of the monitor, as outer pids. */
import { readFileSync } from 'node:fs';
import type { Lab } from './cluster.ts';
import type { Host } from './host.ts';

export function agentsOf(lab: Lab, host: Host): readonly number[] {
  return host.pids(`pgherd.js agent ${lab.config(host)}`);
}

export function guardsOf(host: Host): readonly number[] {
  return host.pids('guard.js');
}

/** All of PostgreSQL: postmaster, backends, auxiliary processes, and whoever is orphaned. */
export function postgresOf(host: Host): readonly number[] {
  return host.pids('postgres').filter(isPostgres);
}

/** Its process that has `title` in its title: `walsender`, `walreceiver`, `startup`, `checkpointer`. */
export function postgresNamed(host: Host, title: string): readonly number[] {
  return host.pids(title).filter(isPostgres);
}

/** The program `pgherd monitor`, without its PostgreSQL. */
export function monitorProgramsOf(host: Host): readonly number[] {
  return host.pids('pgherd.js monitor');
}

/** Everything but PID 1 and what it sleeps in. */
export function programsOf(lab: Lab, host: Host): readonly number[] {
  return [...agentsOf(lab, host), ...guardsOf(host), ...postgresOf(host), ...monitorProgramsOf(host)];
}

export function send(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended meanwhile.
    }
  }
}

function isPostgres(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1').includes('(postgres) ');
  } catch {
    return false;
  }
}
