/** What is still to be run, in which order: systems take turns, so that a slow hour of the machine hits all of them. */
import type { RunRecord } from './records.ts';

/** What is measured besides faults: once a system. */
export const idleTask = 'idle';

/** Work on one cluster: it is made, goes through the tasks, and is removed. */
export interface Batch {
  readonly round: number;
  readonly system: string;
  /** Faults by name, or `idle`. */
  readonly tasks: readonly string[];
}

/** What was asked for. */
export interface Wanted {
  readonly systems: readonly string[];
  readonly tasks: readonly string[];
  readonly runs: number;
}

/**
 * The batches that are missing in `records`, round by round; each round begins with another system. A task that could
 * not be run counts as done after two attempts in its round.
 */
export function planBatches({ systems, tasks, runs }: Wanted, records: readonly RunRecord[]): readonly Batch[] {
  const batches: Batch[] = [];
  for (let round = 1; round <= runs; round += 1) {
    const first = (round - 1) % Math.max(1, systems.length);
    for (const system of [...systems.slice(first), ...systems.slice(0, first)]) {
      const due = tasks.filter((task) => task !== idleTask || round === 1);
      const missing = due.filter((task) => !isDone(records, system, task, round));
      if (missing.length > 0) batches.push({ round, system, tasks: missing });
    }
  }
  return batches;
}

function isDone(records: readonly RunRecord[], system: string, task: string, round: number): boolean {
  const ofRound = records.filter((one) => one.system === system && one.round === round);
  const attempts = ofRound.filter((one) => one.kind === 'failure' && one.task === task).length;
  return attempts >= 2 || ofRound.some((one) => taskOf(one) === task);
}

function taskOf(one: RunRecord): string | undefined {
  if (one.kind === 'fault') return one.fault;
  return one.kind === 'idle' ? idleTask : undefined;
}
