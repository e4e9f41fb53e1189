/** What several rules ask of the instance. */

import { hasUnseenWal } from '../branch.ts';
import type { Job } from '../effects.ts';
import type { Facts } from '../facts.ts';
import { wantedNames } from '../sync-standbys.ts';

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

/** To be started without a source. */
export function startAlone(f: Facts, as: 'primary' | 'replica'): Extract<Job, { kind: 'start' }> {
  const { settings } = f;
  return { kind: 'start', as, upstream: undefined, settings, synchronousStandbyNames: wantedNames(f) };
}

/** To be started as a replica of the holder (of nobody, where there is none or it was revoked). */
export function startFollowing(f: Facts): Job {
  return { ...startAlone(f, 'replica'), upstream: hasUnseenWal(f) ? undefined : f.upstream };
}

/** To be configured without a source. Nothing is proven by it: it never lets fewer commits through. */
export function configureAlone(f: Facts): Extract<Job, { kind: 'configure' }> {
  const { settings } = f;
  return {
    kind: 'configure',
    upstream: undefined,
    settings,
    synchronousStandbyNames: wantedNames(f),
    prove: 'nothing',
  };
}

/** The key is mine, and the DCS is there to give it back to: else nothing is gained by letting go of it. */
export function mayRelease(f: Facts): boolean {
  return f.iHold && f.state.dcs.kind === 'connected';
}
