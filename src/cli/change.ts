/** switchover and failover: checked, confirmed, asked of an agent, and told in patronictl's words. */
import { askMember, command } from '../api/client.ts';
import type { ControlConfig } from '../config/config.ts';
import { readCluster } from './cluster.ts';
import {
  type Check,
  checkLines,
  confirm,
  type ExitCode,
  failed,
  localTime,
  type Output,
  type Refusal,
  refuse,
} from './output.ts';
import { renderCluster } from './rows.ts';
import { leaderOf, mayLead, type ShownCluster, type ShownMember, shownLag } from './shown-cluster.ts';

/** The agent answers when the change is done or given up, by itself: this is only for an agent that does not. */
const changeTimeoutMs = 120_000;
const checkTimeoutMs = 2000;

/** `switchover` and `failover`, as given on the command line. */
export interface ChangeOptions {
  readonly kind: 'switchover' | 'failover';
  readonly leader: string | undefined;
  readonly candidate: string | undefined;
  readonly scheduledAt: string | undefined;
  /** Of a failover: to a replica that may lack acknowledged commits. */
  readonly allowDataLoss: boolean;
  readonly force: boolean;
  readonly dryRun: boolean;
}

const table = { format: 'pretty', extended: false, tree: false } as const;

/** Makes another member the leader. 0 only when the agent says that it is. */
export async function change(
  config: ControlConfig,
  scope: string,
  options: ChangeOptions,
  output: Output,
): Promise<ExitCode> {
  const read = await readCluster(config, scope);
  if (!read.ok) return failed(output, read);
  output.print('Current cluster topology');
  output.print(renderCluster(read.cluster, table));
  const plan = await decide(read.cluster, options, output);
  if (!plan.ok) return failed(output, plan);
  if (options.dryRun) return dryRun(read.cluster, plan, output);
  const agreed = await confirm(output, options.force, question(scope, plan));
  if (!agreed.ok) return failed(output, agreed);

  const result = await request(read.cluster, plan);
  const done = result.ok && (result.status === 200 || result.status === 202);
  if (done) output.print(`${localTime(output.now(), 5)} ${result.text}`);
  else {
    const details = result.ok ? `${result.status}, ${result.text}` : result.error;
    output.print(`${plan.kind === 'switchover' ? 'Switchover' : 'Failover'} failed, details: ${details}`);
  }
  const after = await readCluster(config, scope);
  if (after.ok) output.print(renderCluster(after.cluster, table));
  return done ? 0 : 1;
}

interface Plan {
  readonly ok: true;
  readonly kind: 'switchover' | 'failover';
  readonly leader: string | undefined;
  readonly candidate: string | undefined;
  readonly scheduledAt: string | undefined;
  readonly allowDataLoss: boolean;
}

/** Fills in what was not said, by asking where somebody is there, and refuses what cannot be. */
async function decide(cluster: ShownCluster, options: ChangeOptions, output: Output): Promise<Plan | Refusal> {
  const holder = leaderOf(cluster)?.name;
  const { kind, scheduledAt, allowDataLoss } = options;
  const isSwitchover = kind === 'switchover';
  if (isSwitchover && holder === undefined) return refuse('This cluster has no leader');
  const asks = !options.force && !options.dryRun;
  let leader = options.leader;
  if (isSwitchover && leader === undefined) {
    leader = asks ? (await output.ask(`Primary [${holder}]: `))?.trim() || holder : holder;
  }
  if (isSwitchover && leader !== holder) {
    return refuse(`Member ${leader} is not the leader of cluster ${cluster.scope}`);
  }
  const candidates = cluster.members.filter((member) => member.name !== holder && mayLead(member));
  const names = candidates.map((member) => member.name);
  // A candidate that is named gets its own reason below.
  if (names.length === 0 && options.candidate === undefined)
    return refuse(`No candidates found to ${isSwitchover ? 'switchover' : 'failover'} to`);
  let candidate = options.candidate;
  if (candidate === undefined && asks) {
    candidate = (await output.ask(`Candidate [${names.join(', ')}] []: `))?.trim() || undefined;
  }
  if (candidate === undefined && !isSwitchover)
    return refuse('Failover could be performed only to a specific candidate');
  if (candidate !== undefined && candidate === holder) {
    return refuse(
      isSwitchover ? 'Switchover target and source are the same.' : `Member ${candidate} is already the leader`,
    );
  }
  if (candidate !== undefined && !names.includes(candidate)) {
    return refuse(`Member ${candidate} does not exist in cluster ${cluster.scope} or is tagged as nofailover`);
  }
  if (cluster.paused && isSwitchover && candidate === undefined) {
    return refuse('Switchover is possible only to a specific candidate in a paused state');
  }
  return { ok: true, kind, leader: isSwitchover ? leader : undefined, candidate, scheduledAt, allowDataLoss };
}

function question(scope: string, plan: Plan): string {
  const loss = plan.allowDataLoss ? ', although commits that clients were told of may be lost' : '';
  if (plan.kind === 'failover')
    return `Are you sure you want to failover cluster ${scope} to ${plan.candidate}${loss}?`;
  return `Are you sure you want to switchover cluster ${scope}, demoting current leader ${plan.leader}?`;
}

/** The leader's agent carries it out; any other passes it on through the DCS. */
async function request(cluster: ShownCluster, plan: Plan) {
  const leader = leaderOf(cluster);
  const others = cluster.members.filter((member) => member !== leader);
  const ways = [leader, ...others].filter((member) => member !== undefined && member.apiUrl !== '');
  const body = {
    ...(plan.leader !== undefined && { leader: plan.leader }),
    ...(plan.candidate !== undefined && { candidate: plan.candidate }),
    ...(plan.scheduledAt !== undefined && { scheduled_at: plan.scheduledAt }),
    ...(plan.allowDataLoss && { allow_data_loss: true }),
  };
  const errors: string[] = [];
  for (const member of ways) {
    // Reachable first: a change that was sent and not answered must not be sent a second time.
    const there = await askMember(member?.apiUrl ?? '', '/patroni', { timeoutMs: checkTimeoutMs });
    if (there.ok) return command(member?.apiUrl ?? '', `/${plan.kind}`, body, { timeoutMs: changeTimeoutMs });
    errors.push(there.error);
  }
  return refuse(
    errors.length > 0 ? `no agent answers: ${errors.join('; ')}` : 'no member publishes where its agent is',
  );
}

async function dryRun(cluster: ShownCluster, plan: Plan, output: Output): Promise<ExitCode> {
  const checks: Check[] = [];
  const reach = async (member: ShownMember): Promise<boolean> => {
    const answer = await askMember(member.apiUrl, '/patroni', { timeoutMs: checkTimeoutMs });
    checks.push({
      what: `the agent of ${member.name} answers${answer.ok ? '' : ` (${answer.error})`}`,
      holds: answer.ok,
    });
    return answer.ok;
  };
  const leader = leaderOf(cluster);
  if (leader && plan.kind === 'switchover') await reach(leader);
  const candidates = cluster.members.filter(
    (member) => member !== leader && mayLead(member) && (plan.candidate ?? member.name) === member.name,
  );
  for (const member of candidates) {
    await reach(member);
    checks.push({ what: `${member.name} is streaming (found: ${member.state})`, holds: member.state === 'streaming' });
    const lag = shownLag(cluster, member.receivedLsn);
    checks.push({
      what: `the lag of ${member.name} is known (found: ${lag ?? 'unknown'} bytes)`,
      holds: lag !== undefined,
    });
    if (leader?.timeline !== undefined) {
      const what = `${member.name} is on timeline ${leader.timeline} (found: ${member.timeline ?? 'unknown'})`;
      checks.push({ what, holds: member.timeline === leader.timeline });
    }
  }
  if (checks.length > 0) output.print(checkLines(checks));
  const fine = checks.every(({ holds }) => holds);
  const target = plan.candidate ?? `the best of ${candidates.map((member) => member.name).join(', ')}`;
  const from = leader ? ` from ${leader.name}` : '';
  output.print(
    `Dry run: would ${plan.kind === 'switchover' ? 'switch over' : 'fail over'}${from} to ${target}${fine ? '' : '; see what fails above'}`,
  );
  return fine ? 0 : 1;
}
