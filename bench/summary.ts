/** Records, put together for each system. */
import { type Spread, spreadOf } from './evaluate.ts';
import { virtualEndpoint } from './probe.ts';
import type { FaultRecord, IdleRecord, RunRecord } from './records.ts';

/** All runs of one fault under one system. */
export interface FaultSummary {
  readonly runs: number;
  /** In milliseconds; of the runs that ended without a commit, what is known: at least that much. */
  readonly gapMs: Spread;
  /** Runs in which there was no commit any more. */
  readonly neverServed: number;
  /** For clients of the virtual address, where there is one. */
  readonly virtualAddressGapMs: Spread | undefined;
  readonly virtualAddressLost: Spread | undefined;
  readonly dualPrimaryMs: Spread;
  /** Of the runs after which there was a primary to ask. */
  readonly lost: Spread | undefined;
  /** Of the runs in which the victim came back by itself. */
  readonly rejoinMs: Spread | undefined;
  readonly rejoined: number;
  readonly refused: number;
}

/** What a system costs, for each database host and for all stores together. */
export interface CostSummary {
  readonly agentRssMiB: number;
  readonly agentPssMiB: number;
  readonly agentCpu: number;
  readonly storeRssMiB: number;
  readonly storePssMiB: number;
  readonly storeCpu: number;
  readonly stores: number;
  readonly storeWritesPerMinute: number | undefined;
}

/** One row of most tables. */
export interface SystemSummary {
  readonly name: string;
  readonly settings: readonly string[];
  readonly versions: readonly string[];
  readonly isPgherd: boolean;
  readonly byFault: ReadonlyMap<string, FaultSummary>;
  readonly bootstrapMs: Spread | undefined;
  readonly cost: CostSummary | undefined;
  /** Runs that could not be made. */
  readonly failures: number;
}

/** In the order of `names`; systems without a record are left out. */
export function summarize(records: readonly RunRecord[], names: readonly string[]): readonly SystemSummary[] {
  return names
    .map((name) => ({ name, own: records.filter((one) => one.system === name) }))
    .filter(({ own }) => own.length > 0)
    .map(({ name, own }) => summaryOf(name, own));
}

function summaryOf(name: string, own: readonly RunRecord[]): SystemSummary {
  const struck = own.filter((one) => one.kind === 'fault');
  const byFault = new Map<string, FaultSummary>();
  for (const fault of new Set(struck.map((one) => one.fault))) {
    const found = faultSummary(struck.filter((one) => one.fault === fault));
    if (found) byFault.set(fault, found);
  }
  const idle = own.findLast((one) => one.kind === 'idle');
  return {
    name,
    settings: [...new Set(own.map((one) => one.settings))],
    versions: [...new Set(own.map((one) => one.version))],
    isPgherd: name.startsWith('pgherd'),
    byFault,
    bootstrapMs: spreadOf(own.filter((one) => one.kind === 'bootstrap').map((one) => one.tookMs)),
    cost: idle && costSummary(idle),
    failures: own.filter((one) => one.kind === 'failure').length,
  };
}

function faultSummary(runs: readonly FaultRecord[]): FaultSummary | undefined {
  const gapMs = spreadOf(runs.map((run) => run.gapMs));
  const dualPrimaryMs = spreadOf(runs.map((run) => run.dualPrimaryMs));
  if (gapMs === undefined || dualPrimaryMs === undefined) return undefined;
  const rejoins = runs.flatMap((run) => run.rejoinMs ?? []);
  const withAddress = runs.filter((run) => run.virtualAddressGapMs !== undefined);
  return {
    runs: runs.length,
    gapMs,
    dualPrimaryMs,
    neverServed: runs.filter((run) => !run.gapEnded).length,
    virtualAddressGapMs: spreadOf(withAddress.flatMap((run) => run.virtualAddressGapMs ?? [])),
    virtualAddressLost: spreadOf(withAddress.map((run) => run.lostBy[virtualEndpoint] ?? 0)),
    lost: spreadOf(runs.flatMap((run) => run.lost ?? [])),
    rejoinMs: spreadOf(rejoins),
    rejoined: rejoins.length,
    refused: runs.filter((run) => run.refusal !== undefined).length,
  };
}

function costSummary({ groups, storeWritesPerMinute }: IdleRecord): CostSummary {
  const agents = groups.filter(({ role }) => role === 'agent');
  const stores = groups.filter(({ role }) => role === 'store');
  const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
  const mean = (values: readonly number[]): number => total(values) / Math.max(1, values.length);
  return {
    agentRssMiB: mean(agents.map((group) => group.rssMiB)),
    agentPssMiB: mean(agents.map((group) => group.pssMiB)),
    agentCpu: mean(agents.map((group) => group.cpuSecondsPerMinute)),
    storeRssMiB: total(stores.map((group) => group.rssMiB)),
    storePssMiB: total(stores.map((group) => group.pssMiB)),
    storeCpu: total(stores.map((group) => group.cpuSecondsPerMinute)),
    stores: stores.length,
    storeWritesPerMinute,
  };
}
