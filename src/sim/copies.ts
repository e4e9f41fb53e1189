/** pg_rewind and pg_basebackup: what they make of a data directory, also when they are interrupted. */

import type { JobOutcome } from '../core/events.ts';
import { dropped, foreignWal } from './checks.ts';
import { onHost } from './clock.ts';
import { initdbEnd, newMark } from './instance.ts';
import { reaches } from './network.ts';
import { between, happens } from './random.ts';
import { onDisk } from './storage.ts';
import { isHung } from './streaming.ts';
import { branchAt, commonByNumbers, commonLsn, lastCheckpoint } from './wal.ts';
import { type Data, type Member, memberNamed, type RunningJob, type World } from './world.ts';

const ok: JobOutcome = { ok: true };

function failed(error: string, untouched: boolean): JobOutcome {
  return { ok: false, error, untouched };
}

/** The source's data, if it can be read now. */
function sourceOf(
  world: World,
  member: Member,
  name: string,
): { readonly source: Member; readonly data: Data } | undefined {
  const source = memberNamed(world, name);
  if (source === undefined || !reaches(world, 'postgres', member, source) || isHung(world, source)) return undefined;
  const { data, process } = source.postgres;
  return data === undefined || process !== 'running' ? undefined : { source, data };
}

/** The directory afterwards: the source's blocks, WAL up to some point, consistent only where the source was at the end. */
export function rewindTo(world: World, member: Member, running: RunningJob, name: string, slow: number): void {
  const { postgres, random } = member;
  const mine = postgres.data;
  onHost(world, member, between(random, 50, 200) * slow, () => {
    if (running.cancelled) return;
    const found = sourceOf(world, member, name);
    if (mine === undefined || postgres.process !== 'none') return running.done(failed('it runs', true));
    if (found === undefined || found.data.standbySignal) return running.done(failed(`${name} cannot be read`, true));
    // Up to 15 the source's timeline is that of its latest checkpoint.
    const isSame = found.data.checkpoint.timeline === mine.branch.timeline;
    if (isSame) {
      mine.standbySignal = true;
      return running.done(ok);
    }
    if (world.now < member.moods.diskFull) return running.done(failed('no space left on device', true));
    // It looks for the blocks to copy in WAL that an interrupted rewind has half replaced (its manual: take a new copy).
    if (mine.torn && happens(random, 0.5)) return running.done(failed('could not find previous WAL record', true));
    running.touched = true;
    onDisk(world, member, between(random, 50, 1500) * slow, () => {
      if (!running.cancelled) finishRewind(world, member, running, mine, name);
    });
  });
}

function finishRewind(world: World, member: Member, running: RunningJob, mine: Data, name: string): void {
  const { postgres, random } = member;
  const found = sourceOf(world, member, name);
  running.touched = false;
  if (found === undefined || found.data.standbySignal) {
    mine.torn = true;
    mine.standbySignal = true;
    return running.done(failed(`the connection to ${name} broke`, false));
  }
  const { branch, flushed } = found.data;
  const fork = Math.min(commonByNumbers(mine.branch, branch), mine.written, flushed);
  if (commonLsn(mine.branch, branch) < fork) foreignWal(world, member, found.source, branch);
  dropped(world, member, 'rewound');
  const end = Math.floor(between(random, fork, flushed));
  postgres.data = {
    ...mine,
    branch: branchAt(branch, end),
    written: end,
    flushed: end,
    checkpoint: { lsn: Math.min(fork, mine.checkpoint.lsn), timeline: branchAt(branch, fork).timeline },
    standbySignal: true,
    control: 'in archive recovery',
    consistentFrom: flushed,
    torn: mine.torn,
  };
  postgres.slots.clear();
  running.done(ok);
}

/** What is left when somebody puts an older copy of the data in its place: of the same kind, and `bytes` behind. */
export function olderCopy(member: Member, data: Data, bytes: number): Data {
  const end = Math.max(data.flushed - Math.floor(bytes), initdbEnd);
  const branch = branchAt(data.branch, end);
  return {
    ...data,
    mark: newMark(member),
    branch,
    written: end,
    flushed: end,
    checkpoint: lastCheckpoint({ branch, lsn: end }),
    control: data.standbySignal ? 'in archive recovery' : 'in production',
    consistentFrom: 0,
    torn: false,
  };
}

/** The old directory stays until the copy is complete; an interrupted copy leaves nothing. */
export function cloneFrom(world: World, member: Member, running: RunningJob, name: string, slow: number): void {
  const { postgres, random } = member;
  onHost(world, member, between(random, 20, 100), () => {
    if (running.cancelled) return;
    if (sourceOf(world, member, name) === undefined) return running.done(failed(`${name} cannot be reached`, true));
    if (postgres.process !== 'none') return running.done(failed('a server runs', true));
    onDisk(world, member, between(random, 200, 2500) * slow, () => {
      if (running.cancelled) return;
      const found = sourceOf(world, member, name);
      if (found === undefined) return running.done(failed(`the connection to ${name} broke`, true));
      if (world.now < member.moods.diskFull) return running.done(failed('no space left on device', true));
      dropped(world, member, 'replaced by a clone');
      const { data } = found;
      postgres.data = {
        ...data,
        mark: newMark(member),
        written: data.flushed,
        branch: branchAt(data.branch, data.flushed),
        standbySignal: true,
        control: 'in production',
        consistentFrom: 0,
        torn: false,
      };
      postgres.slots.clear();
      running.done(ok);
    });
  });
}
