/** How long a peer has said nothing, counted so that no wall clock decides it. */
import type { Clock } from '../ports/host.ts';

/** A peer's last word, as the server shows it. */
export interface Silence {
  /** Which peer: the process that talks with it. */
  readonly key: number;
  /** When it spoke, as text: another one means that it has spoken again. */
  readonly at: string;
  /** The same by the server's wall clock, in ms. */
  readonly agoMs: number;
}

/** Ages in ms by key, at the moment of the call. */
export type SilenceMeter = (words: readonly Silence[]) => ReadonlyMap<number, number>;

/**
 * PostgreSQL shows moments by the wall clock, `pg_stat_replication.reply_time` even by that of the standby's host: a
 * clock that is wrong would make a live peer look dead. So an age begins when a look first shows a word, and goes on
 * by our clock; the wall clock only says how far between two looks the word came. What was before the first look is
 * not known, and does not count.
 */
export function silenceMeter(clock: Clock): SilenceMeter {
  let known: ReadonlyMap<number, { readonly at: string; readonly spokeAt: number }> = new Map();
  let lookedAt: number | undefined;
  return (words) => {
    const now = clock.now();
    const longestMs = lookedAt === undefined ? 0 : now - lookedAt;
    lookedAt = now;
    const next = words.map(({ key, at, agoMs }) => {
      const before = known.get(key);
      const spokeAt = before?.at === at ? before.spokeAt : now - Math.min(Math.max(agoMs, 0), longestMs);
      return [key, { at, spokeAt }] as const;
    });
    known = new Map(next);
    return new Map(next.map(([key, { spokeAt }]) => [key, now - spokeAt]));
  };
}
