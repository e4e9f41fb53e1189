/** Plays a plan to a cluster of three members in quorum mode, and checks after every step what must hold. */
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Lab, nowMs } from '../lab/cluster.ts';
import { bringUp, type Fault, faultKinds } from '../lab/faults.ts';
import type { Host } from '../lab/host.ts';
import { beginNight, type Night } from '../lab/night.ts';
import { agentsOf, monitorProgramsOf } from '../lab/processes.ts';
import { busyness, type Limits, limitsOf } from './costs.ts';
import { createLedger, type Ledger } from './ledger.ts';
import type { PlannedFault, Step } from './plan.ts';
import { beginWatch, type Watch } from './watch.ts';

/** What became of one step. Times are milliseconds; those of the faults count from the run's beginning. */
export interface Outcome {
  readonly kinds: readonly string[];
  readonly texts: readonly string[];
  readonly beganMs: number;
  readonly endedMs: number;
  readonly gapMs: number;
  /** From the end of the faults until a commit was acknowledged; until everybody was back. */
  readonly writesMs: number;
  /** Undefined: the next step did not wait for it. */
  readonly backMs: number | undefined;
  readonly moved: boolean;
  readonly load: number;
  readonly violations: readonly string[];
}

/** A whole run. */
export interface Verdict {
  readonly outcomes: readonly Outcome[];
  readonly commits: number;
  readonly failovers: number;
  /** Of the end: nothing acknowledged is missing anywhere. */
  readonly violations: readonly string[];
  /** An agent or monitor that had ended without being killed. */
  readonly endedByThemselves: readonly string[];
}

/** What the caller wants to hear of, and when. */
export interface RunOptions {
  readonly steps: readonly Step[];
  /** No further step, and an orderly end. */
  readonly signal?: AbortSignal;
  readonly say: (line: string) => void;
  /** Called with everything that is left, before it is thrown away. */
  readonly keep: (lab: Lab, verdict: Verdict) => void;
}

interface Chaos {
  readonly night: Night;
  readonly lab: Lab;
  readonly ledger: Ledger;
  readonly watch: Watch;
  readonly endedByThemselves: string[];
  readonly beganMs: number;
}

const diskMegabytes = 768;
/** So long everybody has to be well without a pause: an agent that wakes up tells for a moment what it knew before. */
const calmMs = 1000;

/** Stops at the first thing that makes going on pointless: a commit that is missing, a cluster that does not come back. */
export async function runChaos({ steps, signal, say, keep }: RunOptions): Promise<Verdict> {
  const night = await beginNight({ synchronous_mode: 'quorum' }, { ownClocks: true, diskMegabytes });
  const watch = beginWatch(night.lab);
  const chaos: Chaos = {
    night,
    lab: { ...night.lab, start: watch.start },
    ledger: createLedger(night.lab),
    watch,
    endedByThemselves: [],
    beganMs: nowMs(),
  };
  const outcomes: Outcome[] = [];
  let last: readonly string[] = [];
  try {
    for (const host of chaos.lab.hosts) chaos.lab.startWriterInside(host);
    let wasWell = true;
    for (const step of steps) {
      const outcome = await play(chaos, step, wasWell);
      wasWell = !step.isHurried;
      outcomes.push(outcome);
      say(tell(outcome, outcomes.length));
      if (outcome.violations.some(isFatal) || signal?.aborted) break;
    }
    last = [...(await finish(chaos)), ...watch.violations()];
    for (const line of last) say(`!!! ${line}`);
    const verdict = verdictOf(chaos, outcomes, last);
    keep(chaos.lab, verdict);
    return verdict;
  } catch (error) {
    const text = `the run broke off: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    const verdict = verdictOf(chaos, outcomes, [...last, text]);
    keep(chaos.lab, verdict);
    return verdict;
  } finally {
    watch.end();
    await night.lab.end();
  }
}

const fatal = ['lost:', 'not back:'] as const;

function isFatal(violation: string): boolean {
  return fatal.some((word) => violation.startsWith(word));
}

function verdictOf(
  { ledger, endedByThemselves }: Chaos,
  outcomes: readonly Outcome[],
  violations: readonly string[],
): Verdict {
  return {
    outcomes,
    commits: ledger.count(),
    failovers: outcomes.filter(({ moved }) => moved).length,
    violations,
    endedByThemselves,
  };
}

/* ---------------------------------------------------------------- one step */

async function play(chaos: Chaos, step: Step, wasWell: boolean): Promise<Outcome> {
  const { lab, ledger } = chaos;
  const before = await standingOf(chaos);
  const faults = step.faults.map((planned) => ({ planned, fault: castOf(lab, before.primary, planned) }));
  await sleep(step.pauseMs);
  const beganMs = nowMs();
  await Promise.all(faults.map(({ planned, fault }) => inflict(planned, fault)));
  const endedMs = nowMs();
  const limits = limitsOf(step.faults, wasWell, busyness());
  const waits = step.isHurried ? leads : isWell;
  const readyMs = await comeBack(chaos, endedMs, waits, step.isHurried ? limits.primaryMs : limits.backMs);
  const writesAt = ledger.firstAfter(endedMs);
  const facts: Facts = {
    gapMs: ledger.gapMs(beganMs),
    writesMs: writesAt === undefined ? undefined : writesAt - endedMs,
    before,
    beganMs,
  };
  const after = readyMs === undefined ? undefined : await standingOf(chaos);
  const violations = [...chaos.watch.violations(), ...judge(chaos, facts, after, limits)];
  const texts = faults.map(({ planned, fault }) => textOf(planned, fault));
  return {
    kinds: step.faults.map(({ name, on }) => (on === 'monitor' ? name : `${name} (${on})`)),
    texts: wasWell ? texts : ['meanwhile', ...texts],
    beganMs: beganMs - chaos.beganMs,
    endedMs: endedMs - chaos.beganMs,
    gapMs: facts.gapMs,
    writesMs: facts.writesMs ?? Number.POSITIVE_INFINITY,
    backMs: step.isHurried ? undefined : (readyMs ?? Number.POSITIVE_INFINITY),
    moved: after !== undefined && after.primary !== before.primary,
    load: loadavg()[0] ?? 0,
    violations,
  };
}

interface Standing {
  readonly primary: Host;
  readonly timeline: number;
}

/** Who leads is shown a moment after it serves, and by busy agents not every time. */
async function standingOf({ lab, night }: Chaos): Promise<Standing> {
  const looked: { standing?: Standing } = {};
  const look = (): boolean => {
    const primary = lab.leader();
    const timeline = primary && night.reads(primary, 'select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)');
    if (primary && timeline) looked.standing = { primary, timeline: Number.parseInt(timeline, 16) };
    return looked.standing !== undefined;
  };
  await lab.waitFor('a leader is shown', look, 10_000);
  if (looked.standing === undefined) throw new Error('nobody leads');
  return looked.standing;
}

function castOf(lab: Lab, primary: Host, { name, on, target, other, strength }: PlannedFault): Fault {
  const replicas = lab.hosts.filter((host) => host !== primary);
  const struck = { primary, replica: replicas[target] ?? primary, monitor: lab.monitor }[on];
  const others = lab.hosts.filter((host) => host !== struck);
  return faultKinds[name].make({ lab, target: struck, other: others[other] ?? primary, strength });
}

async function inflict({ delayMs, forMs }: PlannedFault, fault: Fault): Promise<void> {
  await sleep(delayMs);
  await fault.begin();
  await sleep(forMs);
  await fault.end();
}

function textOf({ delayMs, forMs }: PlannedFault, { text }: Fault): string {
  const when = delayMs > 0 ? ` ${seconds(delayMs)} later` : '';
  return `${text}${forMs > 0 ? ` for ${seconds(forMs)}` : ''}${when}`;
}

/* ---------------------------------------------------------------- afterwards */

/** How long it took until it was true and remained so, counted from `sinceMs`; undefined: longer than that. */
async function comeBack(
  chaos: Chaos,
  sinceMs: number,
  isTrue: (chaos: Chaos, sinceMs: number) => boolean,
  withinMs: number,
): Promise<number | undefined> {
  let trueSinceMs: number | undefined;
  let superviseAtMs = nowMs() + calmMs;
  while (nowMs() - sinceMs < withinMs) {
    const askedMs = nowMs();
    if (!isTrue(chaos, sinceMs)) trueSinceMs = undefined;
    else {
      trueSinceMs ??= askedMs;
      if (nowMs() - trueSinceMs >= calmMs) return trueSinceMs - sinceMs;
    }
    if (nowMs() > superviseAtMs) {
      await superviseAll(chaos);
      superviseAtMs = nowMs() + calmMs;
    }
    await sleep(100);
  }
  return undefined;
}

/** Somebody leads, and writers notice it. */
function leads({ lab, ledger }: Chaos, sinceMs: number): boolean {
  return lab.leader() !== undefined && ledger.firstAfter(Math.max(sinceMs, nowMs() - calmMs)) !== undefined;
}

/** All agents say so, the primary's PostgreSQL says so, and writers notice it. */
function isWell(chaos: Chaos, sinceMs: number): boolean {
  const { lab, night } = chaos;
  if (!leads(chaos, sinceMs) || !lab.healthy() || night.syncStandbys().length !== lab.hosts.length - 1) return false;
  const leader = lab.leader();
  if (leader === undefined || !lab.hosts.every(lab.answers)) return false;
  const standbys = `select count(*) from pg_stat_replication where state = 'streaming' and sync_state = 'quorum'`;
  return night.reads(leader, `select not pg_is_in_recovery(), (${standbys})`) === `t|${lab.hosts.length - 1}`;
}

/** As a service manager does: who has ended is started again. Nobody should have. */
async function superviseAll({ lab, endedByThemselves, beganMs }: Chaos): Promise<void> {
  for (const host of [...lab.hosts, lab.monitor]) {
    const isThere = host === lab.monitor ? monitorProgramsOf(host).length > 0 : agentsOf(lab, host).length > 0;
    if (isThere) continue;
    endedByThemselves.push(`${host.name}, found ${seconds(nowMs() - beganMs)} after the beginning`);
    await bringUp(lab, host);
  }
}

interface Facts {
  readonly gapMs: number;
  readonly writesMs: number | undefined;
  readonly before: Standing;
  readonly beganMs: number;
}

function judge({ ledger }: Chaos, facts: Facts, after: Standing | undefined, limits: Limits): readonly string[] {
  const { gapMs, writesMs, before, beganMs } = facts;
  const found: string[] = [];
  if (writesMs === undefined || writesMs > limits.primaryMs) {
    found.push(`no primary: writes ${seconds(writesMs)} after the end, allowed ${seconds(limits.primaryMs)}`);
  }
  if (after === undefined) return [...found, `not back: within ${seconds(limits.backMs)} after the end`];
  if (limits.gapMs !== undefined) {
    if (after.primary !== before.primary || after.timeline !== before.timeline) {
      found.push(`without cause: ${after.primary.name} took over`);
    }
    if (gapMs > limits.gapMs) found.push(`without cause: writes paused for ${seconds(gapMs)}`);
  }
  const missing = ledger.missingOn(after.primary, beganMs);
  if (missing.length > 0) {
    found.push(`lost: ${missing.length} commits, ${JSON.stringify(missing.slice(0, 5))}`);
  }
  const turns = ledger.turns(beganMs);
  if (turns.length - 1 > after.timeline - before.timeline) {
    const told = turns.map(({ host, fromMs, lastMs }) => `${host} ${Math.round(fromMs)} to ${Math.round(lastMs)}`);
    found.push(
      `two primaries: timeline ${before.timeline} became ${after.timeline}, and there acknowledged ${told.join(', ')}`,
    );
  }
  return found;
}

/** What only the end can show: everything is everywhere, and every change of the primary is on record with its reason. */
async function finish(chaos: Chaos): Promise<readonly string[]> {
  const { lab, night, ledger } = chaos;
  lab.stopWriters();
  const found: string[] = [];
  const { primary, timeline } = await standingOf(chaos);
  const position = night.reads(primary, 'select pg_current_wal_flush_lsn()');
  const caughtUp = (host: Host): boolean =>
    night.reads(host, `select pg_last_wal_replay_lsn() >= '${position}'`) === 't';
  for (const host of lab.hosts) {
    if (host !== primary) await lab.waitFor(`${host.name} has replayed all`, () => caughtUp(host), 30_000);
    const missing = ledger.missingOn(host, 0);
    if (missing.length > 0) found.push(`lost: ${missing.length} commits of the whole run are not on ${host.name}`);
  }
  const history: readonly { readonly Reason: string }[] = JSON.parse(
    night.ask(primary, 'history', '--format', 'json').text,
  );
  const changes = timeline - 1;
  const reasons = history.filter(({ Reason }) => Reason !== '').length;
  if (reasons < changes) found.push(`of ${changes} changes of the timeline ${reasons} have their reason on record`);
  return found;
}

/* ---------------------------------------------------------------- for people */

export function seconds(ms: number | undefined): string {
  return ms === undefined || !Number.isFinite(ms) ? 'never' : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

function tell(outcome: Outcome, number: number): string {
  const { texts, beganMs, gapMs, writesMs, backMs, moved, load, violations } = outcome;
  const facts = [
    `gap ${seconds(gapMs)}`,
    `writes ${seconds(writesMs)}`,
    ...(backMs === undefined ? [] : [`all back ${seconds(backMs)} after the end`]),
    ...(moved ? ['another primary'] : []),
    `load ${load.toFixed(1)}`,
  ];
  const head = `${String(number).padStart(3)}  ${seconds(beganMs).padStart(8)}  ${texts.join('; ')}`;
  return [`${head}: ${facts.join(', ')}`, ...violations.map((line) => `     !!! ${line}`)].join('\n');
}
