/** What must hold at every moment. Each check costs some comparisons where something happens; nothing is searched for. */
import type { Step } from '../core/member.ts';
import type { Rule } from '../core/model.ts';
import { holderIn, ruleIn } from './records.ts';
import { type Branch, commonLsn, contains, type WalPoint } from './wal.ts';
import { flushedEnd, isWritable, type Member, type RunningJob, type World, writtenEnd } from './world.ts';

/** Something that must not happen did. */
export interface Violation {
  readonly atMs: number;
  readonly name: string;
  readonly text: string;
}

/** A server that acknowledged something: one life of a writable instance. */
interface Line {
  readonly member: Member;
  readonly serving: number;
  readonly branch: Branch;
  /** Its acknowledgements prove nothing any more: an operator, or a pause of the guard, is the reason. */
  excused: boolean;
}

/** The key was taken: on what ground, and what the DCS knew then. */
export interface Take {
  readonly name: string;
  readonly term: number;
  readonly status: number | undefined;
  readonly lag: number;
  /** By an operator's force, in a mode that promises nothing, or with the word that commits may be lost. */
  readonly isForced: boolean;
}

/** What the checks remember. */
export interface Checks {
  readonly violations: Violation[];
  /** In the order in which they acknowledged first. */
  readonly lines: Line[];
  /** Branches on which something was acknowledged. */
  readonly branches: Branch[];
  /** The last rule in which the member was the leader. */
  readonly rules: Map<string, Rule>;
  lastTake: Take | undefined;
  lastAckAt: number;
  /** Nobody is served, and somebody should be soon; undefined when nothing is promised. */
  outage: { readonly since: number } | undefined;
  readonly gaps: { readonly from: number; readonly to: number }[];
  /** Operators who wait for an answer: since when, and of which agent. */
  readonly asked: Map<string, { readonly at: number; readonly member: Member; readonly life: number }>;
  /** Commits that an operator's force gave up, in bytes. */
  forcedLoss: number;
  /** The member whose lease ended before its time, until it takes the key anew. */
  brokenLease: string | undefined;
  /** For whom an operator said that commits may be lost, and until when a taking may still rest on it. */
  readonly consents: Map<string, number>;
  /** When an operator's wish came into the DCS last: it may land long after its asker was told that its fate is unknown. */
  wishedAt: number;
  /** An operator's force was used: from then on nobody promises that a later primary has everything. */
  isForced: boolean;
}

/** Nothing has happened yet. */
export function createChecks(): Checks {
  return {
    violations: [],
    lines: [],
    branches: [],
    rules: new Map(),
    lastTake: undefined,
    lastAckAt: 0,
    outage: undefined,
    gaps: [],
    asked: new Map(),
    forcedLoss: 0,
    brokenLease: undefined,
    consents: new Map(),
    wishedAt: 0,
    isForced: false,
  };
}

/** A gap in the acknowledgements that is worth a line in the report. */
const gapMs = 250;
/** A guard that wakes up with its host needs so long to do its work. */
export const awakeMs = 60;
const effectsMax = 60;
const listMax = 60;

/** It happened. The run ends. */
export function violated(world: World, name: string, text: string): void {
  world.checks.violations.push({ atMs: world.now, name, text });
  world.say?.('!!!', `${name}: ${text}`);
}

/* ---------------------------------------------------------------- commits */

/** A client was told that its commit is safe. */
export function acknowledged(world: World, member: Member, branch: Branch, lsn: number): void {
  const { checks } = world;
  world.tally.acked += 1;
  if (checks.lastAckAt > 0 && world.now - checks.lastAckAt > gapMs)
    checks.gaps.push({ from: checks.lastAckAt, to: world.now });
  checks.lastAckAt = world.now;
  checks.outage = undefined;
  const rule = ruleOf(world, member);
  const isSync = rule?.mode === 'sync';
  const line = lineOf(world, member, branch, isSync);
  if (isSync) {
    checkLater(world, line, { branch, lsn });
    if (rule.syncCount > 0) checkQuorum(world, member, rule, { branch, lsn });
  } else if (!line.excused) checkAlone(world, line);
  // What is told beside a primary that somebody forced, or by one whose lease was broken, is promised by nobody.
  if (line.excused && ruleIn(world.store.model)?.leader !== member.name) return;
  if (branch.ackedSync === 0 && branch.ackedAsync === 0) checks.branches.push(branch);
  if (isSync) branch.ackedSync = Math.max(branch.ackedSync, lsn);
  else branch.ackedAsync = Math.max(branch.ackedAsync, lsn);
}

/** The rule by which it acknowledges: the present one where it leads, else the last one in which it did. */
function ruleOf(world: World, member: Member): Rule | undefined {
  const now = ruleIn(world.store.model);
  const own = world.checks.rules.get(member.name);
  // A DCS that went back in time knows less than was agreed on.
  return now?.leader === member.name && now.number >= (own?.number ?? 0) ? now : own;
}

function lineOf(world: World, member: Member, branch: Branch, isSync: boolean): Line {
  const { lines } = world.checks;
  const { serving } = member.postgres;
  const known = lines.findLast((line) => line.member === member && line.serving === serving);
  if (known !== undefined) return known;
  const line: Line = { member, serving, branch, excused: false };
  lines.push(line);
  if (isSync) checkContains(world, member, writtenEndOf(member), 'acknowledges');
  return line;
}

function writtenEndOf(member: Member): WalPoint {
  const { data } = member.postgres;
  if (data === undefined) throw new Error('a writer without data');
  return writtenEnd(data);
}

/** Synchronous: whoever began to acknowledge later has this commit. */
function checkLater(world: World, line: Line, point: WalPoint): void {
  const { lines } = world.checks;
  for (let index = lines.length - 1; index >= 0; index -= 1) {
    const later = lines[index];
    if (later === undefined || later === line) return;
    if (!world.checks.isForced && commonLsn(later.branch, point.branch) < point.lsn)
      violated(
        world,
        'acknowledged-beside-a-later-primary',
        `${line.member.name} acknowledged ${point.lsn} (${point.branch.writer}), which ${later.member.name} does not have, who acknowledges since then`,
      );
  }
}

/** Asynchronous: only the newest writer may acknowledge anything, and nobody else has the key. */
function checkAlone(world: World, line: Line): void {
  // One that woke up late, and was excused, is over in a moment.
  const newest = world.checks.lines.findLast(({ excused }) => !excused);
  const { member } = line;
  const holder = holderIn(world.store.model);
  const isBeside = newest !== line;
  const isForeign = holder !== undefined && holder !== member.name && !world.store.wasRestored;
  if (!isBeside && !isForeign) return;
  if (isExcused(world, member)) {
    line.excused = true;
    return;
  }
  if (isBeside)
    violated(
      world,
      'two-writers',
      `${member.name} acknowledged a commit after ${newest?.member.name ?? '?'} had begun to`,
    );
  else
    violated(
      world,
      'writes-without-the-key',
      `${member.name} acknowledged a commit while ${holder ?? '?'} held the leader key`,
    );
}

/** In asynchronous mode safety rests on time: a guard that slept with its host, or died with its agent, kept none. */
function isExcused(world: World, member: Member): boolean {
  if (world.plan.guard === 'in-agent' || world.checks.brokenLease === member.name) return true;
  return world.now < member.host.frozenUntil + awakeMs && member.host.frozenUntil > 0;
}

/** k members of S have it on disk. */
function checkQuorum(world: World, member: Member, rule: Rule, point: WalPoint): void {
  let have = 0;
  for (const other of world.members) {
    const { data, lostEnd } = other.postgres;
    if (other === member || !rule.syncStandbys.includes(other.name)) continue;
    const isThere = data !== undefined && contains(flushedEnd(data), point);
    // Its word may have been on the way while its disk was lost.
    if (isThere || (lostEnd !== undefined && contains(lostEnd, point))) have += 1;
  }
  if (have < rule.syncCount)
    violated(
      world,
      'acknowledged-without-its-quorum',
      `${member.name} acknowledged ${point.lsn}, which ${have} of ${rule.syncStandbys.join(', ')} have; the rule (number ${rule.number}) asks for ${rule.syncCount}`,
    );
}

/** Everything that was acknowledged in synchronous mode is in this log. */
function checkContains(world: World, member: Member, end: WalPoint, what: string): void {
  for (const branch of world.checks.branches) {
    if (branch.ackedSync > 0 && !contains(end, { branch, lsn: branch.ackedSync }))
      violated(
        world,
        'acknowledged-commit-lost',
        `${member.name} ${what} without ${branch.ackedSync} of ${branch.writer}; its log is ${end.branch.writer} up to ${end.lsn}, and leaves that one at ${commonLsn(end.branch, branch)}`,
      );
  }
}

/** The instance takes writes. By the rule it is the primary: then it has all that was promised. */
export function opened(world: World, member: Member): void {
  const { checks, store } = world;
  const rule = ruleIn(store.model);
  const { data } = member.postgres;
  if (data === undefined || rule?.leader !== member.name) return;
  const take = checks.lastTake;
  if (take?.term === rule.term && take.isForced) return giveUpLost(world, data.branch);
  if (rule.mode === 'sync') return checkContains(world, member, writtenEnd(data), 'serves');
  checkLoss(world, member, data.branch);
  giveUpLost(world, data.branch);
}

/** From here on the history is this one; what is not in it is gone with the consent of whoever chose the mode, or the force. */
function giveUpLost(world: World, now: Branch): void {
  for (const branch of world.checks.branches) {
    const common = commonLsn(branch, now);
    if (branch.ackedSync > common) {
      world.checks.forcedLoss += branch.ackedSync - common;
      branch.ackedSync = common;
    }
    branch.ackedAsync = Math.min(branch.ackedAsync, common);
  }
}

/** Asynchronous: no more is lost than `maximum_lag_on_failover`, as far as the DCS knew what there was. */
function checkLoss(world: World, member: Member, now: Branch): void {
  const take = world.checks.lastTake;
  if (take === undefined || take.name !== 'take (asynchronous)' || take.status === undefined) return;
  for (const branch of world.checks.branches) {
    const known = Math.min(branch.ackedAsync, take.status);
    const lost = known - commonLsn(branch, now);
    if (lost > take.lag)
      violated(
        world,
        'lost-more-than-the-limit',
        `${member.name} lacks ${lost} acknowledged bytes of ${branch.writer}; the limit is ${take.lag}`,
      );
  }
}

/* ---------------------------------------------------------------- the setting in force */

/** Something changed in what commits wait for: it is at least what the DCS says of this primary. */
export function namesSet(world: World, member: Member): void {
  const rule = ruleIn(world.store.model);
  if (rule === undefined || rule.mode !== 'sync' || rule.syncCount < 1 || rule.leader !== member.name) return;
  if (!isWritable(member) || world.store.wasRestored) return;
  const { postgres } = member;
  if (!postgres.syncDefined)
    return violated(
      world,
      'commits-do-not-wait',
      `${member.name} acknowledges without waiting; the rule (number ${rule.number}) asks for ${rule.syncCount}`,
    );
  for (const { alive, priority, names, standby } of postgres.senders) {
    if (!alive || priority === 0 || names === undefined) continue;
    const known = names.names.filter((name) => world.members.some((one) => one.name === name));
    if (known.length < names.count) continue;
    const outside = known.filter((name) => !rule.syncStandbys.includes(name)).length;
    if (names.count - outside < rule.syncCount)
      return violated(
        world,
        'setting-weaker-than-the-rule',
        `at ${member.name} the sender to ${standby.name} works by ${names.method} ${names.count} (${names.names.join(', ')}); the rule (number ${rule.number}) says ${rule.syncCount} of ${rule.syncStandbys.join(', ')}`,
      );
  }
}

/* ---------------------------------------------------------------- data */

/** A data directory is about to be replaced: somebody else has what was promised. */
export function dropped(world: World, member: Member, how: string): void {
  const { data } = member.postgres;
  if (data === undefined) return;
  for (const branch of world.checks.branches) {
    const point = { branch, lsn: branch.ackedSync };
    if (branch.ackedSync === 0 || !contains(flushedEnd(data), point)) continue;
    const others = world.members.filter(
      (one) => one !== member && one.postgres.data !== undefined && !one.postgres.data.torn,
    );
    if (!others.some((one) => one.postgres.data !== undefined && contains(flushedEnd(one.postgres.data), point)))
      violated(
        world,
        'last-copy-destroyed',
        `the directory of ${member.name} was ${how}; only it had ${branch.ackedSync} of ${branch.writer}`,
      );
  }
}

/** A job was not completed, and what was there before it is not gone. */
export function unfinished(world: World, { name, postgres }: Member, { job, hadData }: RunningJob): void {
  if (hadData && postgres.data === undefined)
    violated(world, 'directory-destroyed', `${name} has no data directory any more, and ${job.kind} is not complete`);
}

/** A postmaster starts. */
export function started(world: World, member: Member, as: string): void {
  if (member.postgres.data?.torn === true)
    violated(world, 'half-rewound-directory-started', `${member.name} starts as ${as} after an interrupted rewind`);
}

/** A replica takes WAL that is not what it goes on from. */
export function foreignWal(world: World, member: Member, source: Member, branch: Branch): void {
  const mine = member.postgres.data;
  violated(
    world,
    'foreign-wal',
    `${member.name} (${mine?.branch.writer ?? '?'} up to ${mine?.written ?? 0}) takes WAL of ${branch.writer} from ${source.name}; they part at ${mine === undefined ? 0 : commonLsn(mine.branch, branch)}`,
  );
}

/** The core took a step: it asks for little, and remembers little. */
export function stepped(world: World, member: Member, { effects, state }: Step): void {
  if (effects.length > effectsMax)
    violated(world, 'flood', `${member.name} asks for ${effects.length} effects in one step`);
  if (
    state.leasesToEnd.length > listMax ||
    state.requests.length > listMax ||
    member.agent.effects.length > 20 * effectsMax
  )
    violated(
      world,
      'unbounded',
      `${member.name} remembers ever more: ${state.leasesToEnd.length} leases, ${state.requests.length} requests`,
    );
}

/** An operator was answered. */
export function answered(world: World, requestId: string): void {
  world.checks.asked.delete(requestId);
}
