/**
 * Whether an instance that lives can serve. A look at it shows less than one would think: a session that is open already
 * answers while new ones are not let in, and every query that touches no disk answers while storage hangs.
 */
import type { Facts } from './facts.ts';
import { formatLsn } from './lsn.ts';
import type { Instance, Instant } from './model.ts';

/** PostgreSQL's unit of writing: where not even that fits, nothing does. */
export const blockBytes = 8192;
/** PostgreSQL's default of wal_segment_size. A crashed instance may need a new segment before it can begin. */
export const segmentBytes = 16_777_216;

/**
 * While WAL is flushed all the same, a probe may take this many times longer: storage under a flood of writes is slow, and
 * where WAL has a file system of its own, the other one is given up all the same.
 */
const patienceWithProgress = 3;

/** `hangs`: calls do not return, so an orderly end cannot be hoped for; `refuses` and `frozen`: it can. */
export interface Inability {
  readonly kind: 'hangs' | 'refuses' | 'frozen';
  readonly because: string;
}

/** Why the instance cannot serve though it lives; undefined when nothing speaks against it. */
export function inabilityOf(f: Facts): Inability | undefined {
  return storageTrouble(f) ?? frozen(f);
}

/** The storage of the instance, or of the agent, has hung or taken nothing for storage_timeout. */
export function storageTrouble(f: Facts): Inability | undefined {
  const { storage, walStuck, unsaved } = f.state;
  const limitMs = f.settings.storageTimeoutMs;
  if (storage !== undefined && !storage.answered && agoMs(f, storage.askedAt) >= limitMs * patience(f))
    return { kind: 'hangs', because: `storage hangs: a write to the data directory has not returned ${forLong(f)}` };
  if (walStuck !== undefined && agoMs(f, walStuck.since) >= limitMs) {
    const place = formatLsn(walStuck.flushedLsn);
    const because = `storage hangs: sessions wait for WAL, and none was flushed after ${place} ${forLong(f)}`;
    return { kind: 'hangs', because };
  }
  if (unsaved !== undefined && agoMs(f, unsaved.since) >= limitMs) {
    const because = `what this member must remember could not be saved ${forLong(f)}: ${unsaved.error}`;
    return { kind: 'hangs', because };
  }
  if (storage?.failing !== undefined && agoMs(f, storage.failing.since) >= limitMs)
    return { kind: 'refuses', because: `storage takes no writes ${forLong(f)}: ${storage.failing.error}` };
  return undefined;
}

function forLong({ settings }: Facts): string {
  return `for longer than storage_timeout (${settings.storageTimeoutMs / 1000} s)`;
}

/** What was not answered while this agent, or its host, was frozen says nothing. */
function agoMs(f: Facts, since: Instant): number {
  return f.now - Math.max(since, f.state.awakeSince);
}

function patience({ state, running }: Facts): number {
  const before = state.storage?.flushedLsn;
  const flushed = running?.flushedLsn;
  return before !== undefined && flushed !== undefined && flushed > before ? patienceWithProgress : 1;
}

function frozen(f: Facts): Inability | undefined {
  const { frozenSince } = f.state;
  const instance = f.postgres?.instance;
  if (frozenSince === undefined || instance?.kind !== 'silent') return undefined;
  if (agoMs(f, frozenSince) < f.settings.failureTimeoutMs) return undefined;
  return { kind: 'frozen', because: `${instance.because}: nobody new is let in` };
}

/** It lives, and has no connection left to show more of itself. */
export function isCrowded({ postgres }: Facts): boolean {
  return postgres !== undefined && isCrowdedInstance(postgres.instance);
}

/** As `isCrowded`, of one look. */
export function isCrowdedInstance(instance: Instance): boolean {
  return instance.kind === 'silent' && instance.why === 'crowded';
}

/** How often storage is tried: it is to be given up some moments after the time-out, not a whole one later. */
export function probeEveryMs(storageTimeoutMs: number): number {
  return Math.min(Math.max(storageTimeoutMs / 5, 200), 5000);
}

/** When something of the above may come to be true without an event. */
export function abilityMoments({ state, settings }: Facts, at: (moment: Instant) => void): void {
  const { storage, walStuck, unsaved, frozenSince, awakeSince } = state;
  const limitMs = settings.storageTimeoutMs;
  const after = (since: Instant | undefined, ms: number): void => {
    if (since !== undefined) at(Math.max(since, awakeSince) + ms);
  };
  after(walStuck?.since, limitMs);
  after(unsaved?.since, limitMs);
  after(frozenSince, settings.failureTimeoutMs);
  if (storage === undefined) return;
  after(storage.failing?.since, limitMs);
  if (storage.answered) at(storage.askedAt + probeEveryMs(limitMs));
  else {
    after(storage.askedAt, limitMs);
    after(storage.askedAt, patienceWithProgress * limitMs);
  }
}
