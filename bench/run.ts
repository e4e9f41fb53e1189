/** One run: a healthy cluster with writers, a fault, its end, and what comes of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../test/cluster/lab/host.ts';
import { type Acknowledged, type Interval, intervalsOf, longestPause, missing, overlapMs } from './evaluate.ts';
import type { Fault, Scene } from './faults.ts';
import { type Endpoint, type Probe, startProbe, table, virtualEndpoint } from './probe.ts';
import type { Site } from './site.ts';
import { primariesOf, wholePrimary } from './status.ts';
import type { Cluster } from './systems/system.ts';

/** What came of a fault. Times are milliseconds; those that are points in time count from the fault. */
export interface Outcome {
  readonly primaryBefore: string;
  /** Undefined: no instance takes writes. */
  readonly primaryAfter: string | undefined;
  /** The longest time without an acknowledged commit, for clients that try every host. */
  readonly gapMs: number;
  readonly gapFromMs: number;
  /** False: there was no commit any more until the end of the run. */
  readonly gapEnded: boolean;
  /** The same for a client of the virtual address, where there is one. */
  readonly virtualAddressGapMs: number | undefined;
  /** The longest pause just before the fault: how quiet the machine was. */
  readonly gapBeforeMs: number;
  readonly dualPrimaryMs: number;
  readonly acknowledged: number;
  /** Undefined: there is no primary that could be asked. */
  readonly lost: number | undefined;
  /** By endpoint. */
  readonly lostBy: Readonly<Record<string, number>>;
  /** When the fault was undone; 0: it needs no undoing. */
  readonly mendedMs: number;
  /** From then until all stream again; undefined: not within the time that is waited. */
  readonly rejoinMs: number | undefined;
  /** When which endpoint acknowledged. */
  readonly intervals: Readonly<Record<string, readonly Interval[]>>;
  readonly refusal: string | undefined;
}

const warmUpMs = 3000;
const writableWithinMs = 15_000;
/** How long the return of service is waited for, and that of the lost host. */
const servedWithinMs = 100_000;
const rejoinWithinMs = 60_000;
/** For systems that do not bring a lost primary back: long enough to see that. */
const noRejoinWithinMs = 20_000;
/** Service that lasted so long has come back. */
const servedForMs = 2000;
const beforeMendingMs = 5000;
const settleMs = 2000;
const pollMs = 50;

/** The clock that all processes of the machine share. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** `round` is another one for every run on the same cluster. Throws when the run could not be made. */
export async function runFault(scene: Scene, fault: Fault, round: number): Promise<Outcome> {
  const { site, cluster, primary } = scene;
  const probe = startProbe(site, endpointsOf(scene, fault), round);
  try {
    await writable(probe, primary);
    let beganMs = nowMs();
    const { victim, mend, refusal } = fault.strike(scene, () => {
      beganMs = nowMs();
    });
    const served = await awaitService(probe, cluster, beganMs, fault.lastsMs ?? servedWithinMs, mend ? servedForMs : 0);
    let mendedAtMs = beganMs;
    if (mend) {
      if (fault.lastsMs !== undefined) await sleep(Math.max(0, beganMs + fault.lastsMs - nowMs()));
      else if (served) await sleep(beforeMendingMs);
      await mend();
      mendedAtMs = nowMs();
    }
    const rejoinedAtMs = await awaitReturn(site, cluster, victim);
    await sleep(settleMs);
    const endMs = nowMs();
    probe.stop();
    const [after] = primariesOf(site, cluster);
    return {
      primaryBefore: primary.name,
      primaryAfter: after?.name,
      mendedMs: mendedAtMs - beganMs,
      rejoinMs: rejoinedAtMs === undefined ? undefined : rejoinedAtMs - mendedAtMs,
      refusal,
      ...judge(probe, cluster, beganMs, endMs),
      ...(await losses(site, after, probe)),
    };
  } finally {
    probe.stop();
  }
}

function endpointsOf({ cluster, primary }: Scene, fault: Fault): readonly Endpoint[] {
  const hosts = cluster.hosts.map(({ name, address }) => ({ name, address }));
  const address = cluster.virtualAddress;
  return [
    ...hosts,
    ...(address === undefined ? [] : [{ name: virtualEndpoint, address }]),
    ...(fault.needsInside
      ? [{ name: `${primary.name}${insideEnding}`, address: primary.address, inside: primary }]
      : []),
  ];
}

const insideEnding = '-inside';

async function writable(probe: Probe, primary: Host): Promise<void> {
  const began = nowMs();
  while (probe.lastMs(primary.name) === undefined) {
    if (nowMs() - began > writableWithinMs) throw new Error(`nobody could write to ${primary.name}`);
    await sleep(pollMs);
  }
  await sleep(warmUpMs);
}

/** Waits until commits have been acknowledged without a long pause for `forMs`. */
async function awaitService(
  probe: Probe,
  cluster: Cluster,
  beganMs: number,
  withinMs: number,
  forMs: number,
): Promise<boolean> {
  // What was under way when it began may still be acknowledged.
  const countsFromMs = beganMs + 100;
  let sinceMs: number | undefined;
  while (nowMs() - beganMs < withinMs) {
    const lastMs = Math.max(0, ...cluster.hosts.map(({ name }) => probe.lastMs(name) ?? 0));
    const serves = lastMs > countsFromMs && nowMs() - lastMs < 300;
    sinceMs = serves ? (sinceMs ?? lastMs) : undefined;
    if (sinceMs !== undefined && nowMs() - sinceMs >= forMs) return true;
    await sleep(pollMs);
  }
  return false;
}

/** When the victim streams again, or leads, with all others streaming; undefined: not in time. */
async function awaitReturn(site: Site, cluster: Cluster, victim: Host): Promise<number | undefined> {
  const began = nowMs();
  const withinMs = cluster.bringsBack ? rejoinWithinMs : noRejoinWithinMs;
  while (nowMs() - began < withinMs) {
    if (wholePrimary(site, cluster, victim) !== undefined) return nowMs();
    await sleep(pollMs);
  }
  return undefined;
}

type Judged = Pick<
  Outcome,
  | 'gapMs'
  | 'gapFromMs'
  | 'gapEnded'
  | 'gapBeforeMs'
  | 'virtualAddressGapMs'
  | 'dualPrimaryMs'
  | 'acknowledged'
  | 'intervals'
>;

function judge(probe: Probe, cluster: Cluster, beganMs: number, endMs: number): Judged {
  const rows = probe.acknowledged();
  const names = cluster.hosts.map(({ name }) => name);
  const ofClients = rows.filter(({ by }) => names.includes(by));
  const gap = longestPause(ofClients, beganMs, endMs);
  const before = ofClients.filter(({ atMs }) => atMs <= beganMs);
  const throughAddress = rows.filter(({ by }) => by === virtualEndpoint);
  const byHost = rows
    .map((row) => ({ ...row, by: row.by.replace(insideEnding, '') }))
    .filter(({ by }) => names.includes(by));
  const intervals = [...intervalsOf(rows)].map(([by, found]) => [by, found.map((one) => since(one, beganMs))] as const);
  return {
    gapMs: gap.ms,
    gapFromMs: gap.fromMs - beganMs,
    gapEnded: gap.ended,
    gapBeforeMs: longestPause(before, beganMs - warmUpMs / 2, before.at(-1)?.atMs ?? 0).ms,
    virtualAddressGapMs:
      cluster.virtualAddress === undefined ? undefined : longestPause(throughAddress, beganMs, endMs).ms,
    dualPrimaryMs: overlapMs(intervalsOf(byHost)),
    acknowledged: rows.length,
    intervals: Object.fromEntries(intervals),
  };
}

function since({ fromMs, toMs }: Interval, beganMs: number): Interval {
  return { fromMs: Math.round(fromMs - beganMs), toMs: Math.round(toMs - beganMs) };
}

async function losses(site: Site, primary: Host | undefined, probe: Probe): Promise<Pick<Outcome, 'lost' | 'lostBy'>> {
  const rows = probe.acknowledged();
  const present = primary === undefined ? undefined : await numbersOn(site, primary, rows);
  if (present === undefined) return { lost: undefined, lostBy: {} };
  const gone = missing(rows, present);
  const lostBy: Record<string, number> = {};
  for (const { by } of gone) lostBy[by] = (lostBy[by] ?? 0) + 1;
  return { lost: gone.length, lostBy };
}

async function numbersOn(
  site: Site,
  primary: Host,
  rows: readonly Acknowledged[],
): Promise<ReadonlySet<number> | undefined> {
  const first = rows.reduce((least, { number }) => Math.min(least, number), Number.MAX_SAFE_INTEGER);
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const answer = site.sql(primary, `select number from ${table} where number >= ${first}`, { withinS: 20 });
    if (answer !== undefined) return new Set(answer.map(([number]) => Number(number)));
    await sleep(1000);
  }
  return undefined;
}
