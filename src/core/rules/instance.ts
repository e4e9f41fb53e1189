/** What several rules ask of the instance. */
import type { Facts } from '../facts.ts';

/** A postmaster is there, whatever it answers. */
export function isUp(f: Facts): boolean {
  return ['primary', 'replica', 'starting', 'silent'].includes(f.instance);
}

/** pg_control says so: every connected replica was sent all WAL before the end. */
export function stoppedCleanly(f: Facts): boolean {
  return (
    f.instance === 'stopped' &&
    f.postgres?.directory.kind === 'present' &&
    f.postgres.directory.control.state === 'shut down'
  );
}
