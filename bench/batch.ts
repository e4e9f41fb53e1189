/** The work on one cluster: it is made, goes through its tasks, is made anew when one of them left it broken, and is removed. */
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { faults, type Scene } from './faults.ts';
import { type IdleCost, measureIdle } from './idle.ts';
import { versionOf } from './packages.ts';
import { type Batch, idleTask } from './plan.ts';
import { table } from './probe.ts';
import { appendRecord, type Machine } from './records.ts';
import { type Outcome, runFault } from './run.ts';
import { createSite, type Site } from './site.ts';
import { awaitHealth } from './status.ts';
import type { Cluster, System } from './systems/system.ts';

/** A call of the bench. */
export interface Bench {
  /** Where records are added. */
  readonly file: string;
  readonly machine: Machine;
  readonly say: (text: string) => void;
  /** Nothing new is begun any more. */
  readonly isOver: () => boolean;
  done: number;
  readonly total: number;
}

/** What exists at the moment. */
interface Place {
  site?: Site;
  cluster?: Cluster;
}

const bootstrapWithinMs = 150_000;
const healthyWithinMs = 30_000;
const stableMs = 3000;

/** Runs the batch's tasks one after the other, and adds a record for each. */
export async function runBatch(bench: Bench, system: System, batch: Batch): Promise<void> {
  const place: Place = {};
  let ending: Promise<void> | undefined;
  const interrupted = (): void => {
    ending ??= leave(place).finally(() => process.exit(130));
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    for (const [index, task] of batch.tasks.entries()) {
      if (bench.isOver()) return;
      bench.done += 1;
      const label = `[${bench.done}/${bench.total}] round ${batch.round}, ${system.name}, ${task}`;
      try {
        const scene = await healthyScene(bench, system, batch.round, place);
        const result = await runTask(scene, task, index + 1);
        record(bench, system, batch.round, result);
        bench.say(`${label}: ${told(result)}`);
      } catch (error) {
        // A signal ends the command that is under way, and is heard after that.
        await sleep(100);
        if (ending) return await ending;
        const reason = error instanceof Error ? error.message : String(error);
        record(bench, system, batch.round, { kind: 'failure', task, reason: reason.slice(0, 2000) });
        bench.say(`${label} could not be run: ${reason}`);
        await leave(place);
      }
    }
  } finally {
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
    await leave(place);
  }
}

async function leave(place: Place): Promise<void> {
  const { site } = place;
  delete place.site;
  delete place.cluster;
  await site?.destroy();
}

/** The cluster as the last task left it, if it is well again by itself; else a new one. */
async function healthyScene(bench: Bench, system: System, round: number, place: Place): Promise<Scene> {
  if (place.site && place.cluster) {
    const { site, cluster } = place;
    const primary = await awaitHealth(site, cluster, healthyWithinMs, stableMs);
    if (primary) return { site, cluster, primary };
  }
  await leave(place);
  const site = createSite();
  place.site = site;
  await site.powerOnAll();
  const cluster = system.open(site);
  place.cluster = cluster;
  const beganMs = performance.now();
  await cluster.bootstrap();
  const first = await awaitHealth(site, cluster, bootstrapWithinMs, 0);
  if (first === undefined) throw new Error(`the cluster did not come up within ${bootstrapWithinMs / 1000} s`);
  record(bench, system, round, { kind: 'bootstrap', tookMs: performance.now() - beganMs });
  if (site.sql(first, `create table ${table} (number bigint primary key)`, { withinS: 10 }) === undefined) {
    throw new Error(`${first.name} did not make the table`);
  }
  const primary = await awaitHealth(site, cluster, healthyWithinMs, stableMs);
  if (primary === undefined) throw new Error('the new cluster did not stay well');
  return { site, cluster, primary };
}

type Result =
  | ({ readonly kind: 'fault'; readonly fault: string } & Outcome)
  | ({ readonly kind: 'idle' } & IdleCost)
  | { readonly kind: 'bootstrap'; readonly tookMs: number }
  | { readonly kind: 'failure'; readonly task: string; readonly reason: string };

async function runTask(scene: Scene, task: string, number: number): Promise<Result> {
  if (task === idleTask) return { kind: 'idle', ...(await measureIdle(scene.cluster)) };
  const fault = faults.find(({ name }) => name === task);
  if (fault === undefined) throw new Error(`there is no fault ${task}`);
  return { kind: 'fault', fault: task, ...(await runFault(scene, fault, number)) };
}

function record(bench: Bench, system: System, round: number, result: Result): void {
  appendRecord(bench.file, {
    system: system.name,
    version: versionOf(system),
    settings: system.settings,
    round,
    at: new Date().toISOString(),
    machine: bench.machine,
    load: loadavg()[0] ?? 0,
    ...result,
  });
}

/** In one line, for who watches. */
function told(result: Result): string {
  switch (result.kind) {
    case 'idle':
      return result.groups.map(({ role, host, pssMiB }) => `${role} on ${host} ${pssMiB.toFixed(0)} MiB`).join(', ');
    case 'bootstrap':
      return `${(result.tookMs / 1000).toFixed(1)} s`;
    case 'failure':
      return result.reason;
    case 'fault':
      break;
  }
  const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`;
  const gap = `gap ${result.gapEnded ? '' : '> '}${seconds(result.gapMs)}`;
  const rejoin = result.rejoinMs === undefined ? 'no rejoin' : `rejoin ${seconds(result.rejoinMs)}`;
  const moved = `${result.primaryBefore} -> ${result.primaryAfter ?? 'nobody'}`;
  return `${gap}, dual ${seconds(result.dualPrimaryMs)}, lost ${result.lost ?? '?'}, ${rejoin}, ${moved}${result.refusal === undefined ? '' : `, refused: ${result.refusal}`}`;
}
