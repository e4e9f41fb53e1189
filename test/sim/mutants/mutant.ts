/** Deliberate bugs: what one is, and how the source becomes one. */
import type { Settings } from '../../../src/core/model.ts';
import type { Fault, FaultKind } from '../../../src/sim/script.ts';

/** One change of the source's text. `find` is there exactly once. */
export interface Edit {
  /** From the repository's root. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** From, to. */
export type Range = readonly [number, number];

/** One fault of a scene. Times are ranges in milliseconds, from the scene's begin. */
export interface SceneStep extends Pick<Fault, 'member' | 'after' | 'delayMs' | 'settings'> {
  readonly kind: FaultKind;
  readonly atMs: Range;
  readonly forMs?: Range;
  readonly value?: Range;
}

/** Some faults that belong together, played again and again. */
export interface Scene {
  readonly everyMs: number;
  readonly steps: readonly SceneStep[];
}

/** What the seeds' clusters are made to be, so that a bug has more chances: each part is optional. */
export interface Arena {
  readonly settings?: Partial<Settings>;
  /** At least so many members with PostgreSQL. */
  readonly members?: number;
  /** Faults of these kinds strike too, besides those that the seed draws. */
  readonly faults?: readonly FaultKind[];
  /** Instead of what the seed draws; then the members are named pg1, pg2, ..., and there are exactly as many. */
  readonly scene?: Scene;
  /** Agents of another release take part. */
  readonly mixed?: boolean;
  /** When the last member's agent begins. */
  readonly lastStartsAtMs?: number;
}

/** Which invariants a bug breaks: those of safety, those of what must come about, or the one of needless failovers. */
export type Harm = 'safety' | 'liveness' | 'economy';

/** A bug that somebody could have written. */
export interface Mutant {
  readonly name: string;
  /** Which condition is missing, and what goes wrong then. */
  readonly what: string;
  readonly edits: readonly Edit[];
  readonly harm: Harm;
  readonly arena?: Arena;
  /** The seed from which on it is found soon. A hint only: the search goes on if it does not hold any more. */
  readonly fromSeed?: number;
  /** It breaks nothing that another condition does not hold up as well: which one, and why it is kept all the same. */
  readonly redundant?: string;
}

/** The text with the change, or a word on why it cannot be made. */
export function patched(text: string, edit: Edit): { readonly text: string } | { readonly error: string } {
  const parts = text.split(edit.find);
  if (parts.length !== 2) return { error: `${edit.file} has the text to be replaced ${parts.length - 1} times` };
  return { text: parts.join(edit.replace) };
}

const economy = ['needless-failover'];
const liveness = [
  'no-recovery',
  'no-rest',
  'restless',
  'switchover-unfinished',
  'outage-too-long',
  'flood',
  'unbounded',
];

/** What a violation of the simulator is a violation of. */
export function harmOf(violation: string): Harm {
  if (economy.includes(violation)) return 'economy';
  return liveness.includes(violation) ? 'liveness' : 'safety';
}
