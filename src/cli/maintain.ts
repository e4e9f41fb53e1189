/** restart and reinit: member by member, each by its own agent. */
import { askMember, command } from '../api/client.ts';
import type { ControlConfig } from '../config/config.ts';
import { readCluster } from './cluster.ts';
import { confirm, type ExitCode, failed, type Output, type Refusal, refuse } from './output.ts';
import { renderCluster } from './rows.ts';
import { pause } from './show.ts';
import type { ShownCluster, ShownMember } from './shown-cluster.ts';

/** Patroni's `--role`, for commands to members. */
export type MemberRoleFilter = 'leader' | 'primary' | 'standby-leader' | 'replica' | 'standby' | 'any';

/** `restart`, as given on the command line. */
export interface RestartOptions {
  readonly members: readonly string[];
  readonly role: MemberRoleFilter | undefined;
  /** One of them only. */
  readonly any: boolean;
  readonly pending: boolean;
  readonly scheduledAt: string | undefined;
  readonly serverVersion: string | undefined;
  readonly timeout: string | undefined;
  readonly force: boolean;
  readonly dryRun: boolean;
}

const table = { format: 'pretty', extended: false, tree: false } as const;

/** A restart may wait for a checkpoint, and for crash recovery. */
const restartTimeoutMs = 600_000;
const requestTimeoutMs = 30_000;
const askTimeoutMs = 2000;

/** Restarts PostgreSQL of members: replicas first, the leader last. */
export async function restart(
  config: ControlConfig,
  scope: string,
  options: RestartOptions,
  output: Output,
): Promise<ExitCode> {
  const read = await readCluster(config, scope);
  if (!read.ok) return failed(output, read);
  output.print(renderCluster(read.cluster, table));
  const chosen = choose(read.cluster, options.members, options.role);
  if (!chosen.ok) return failed(output, chosen);
  const pending = options.pending ? chosen.members.filter((member) => member.pendingRestart) : chosen.members;
  const members = leaderLast(pending).slice(0, options.any ? 1 : undefined);
  if (members.length === 0) return failed(output, refuse('No members wait for a restart'));
  const names = members.map((member) => member.name).join(', ');
  if (options.dryRun) {
    output.print(`Dry run: would restart PostgreSQL of ${names}, in this order`);
    return 0;
  }
  const agreed = await confirm(output, options.force, `Are you sure you want to restart members ${names}?`);
  if (!agreed.ok) return failed(output, agreed);

  const body = {
    ...(options.pending && { restart_pending: true }),
    ...(options.scheduledAt !== undefined && { schedule: options.scheduledAt }),
    ...(options.serverVersion !== undefined && { postgres_version: options.serverVersion }),
    ...(options.timeout !== undefined && { timeout: options.timeout }),
  };
  let code: ExitCode = 0;
  for (const member of members) {
    const result = await command(member.apiUrl, '/restart', body, { timeoutMs: restartTimeoutMs });
    output.print(restartText(member.name, result));
    if (!result.ok || (result.status !== 200 && result.status !== 202)) code = 1;
  }
  return code;
}

type Result = Awaited<ReturnType<typeof command>>;

function restartText(name: string, result: Result): string {
  if (!result.ok) return `Failed: restart for member ${name}, (${result.error})`;
  if (result.status === 200) return `Success: restart on member ${name}`;
  if (result.status === 202) return `Success: restart scheduled on member ${name}`;
  if (result.status === 409) return `Failed: another restart is already scheduled on member ${name}`;
  return `Failed: restart for member ${name}, status code=${result.status}, (${result.text})`;
}

function matchesRole(member: ShownMember, role: MemberRoleFilter | undefined): boolean {
  switch (role) {
    case undefined:
    case 'any':
      return true;
    case 'leader':
      return member.role === 'leader' || member.role === 'standby_leader';
    case 'primary':
      return member.role === 'leader';
    case 'standby-leader':
      return member.role === 'standby_leader';
    case 'replica':
    case 'standby':
      break;
  }
  return member.role !== 'leader' && member.role !== 'standby_leader';
}

function choose(
  cluster: ShownCluster,
  names: readonly string[],
  role: MemberRoleFilter | undefined,
): Refusal | { readonly ok: true; readonly members: readonly ShownMember[] } {
  if (cluster.members.length === 0) {
    return refuse(`cluster ${cluster.scope} has no members; the first argument is the cluster, members follow`);
  }
  const withRole = cluster.members.filter((member) => matchesRole(member, role));
  const unknown = names.find((name) => !withRole.some((member) => member.name === name));
  if (unknown !== undefined) {
    const known = cluster.members.map((member) => member.name).join(', ') || 'none';
    const wanted = role === undefined ? '' : ` with the role ${role}`;
    return refuse(`No member ${unknown}${wanted} in cluster ${cluster.scope}; its members: ${known}`);
  }
  const members = names.length === 0 ? withRole : withRole.filter((member) => names.includes(member.name));
  if (members.length === 0) return refuse(`No ${role ?? 'member'} among provided members`);
  return { ok: true, members };
}

/** Clients of the leader wait only once, and its replicas are there when it comes back. */
function leaderLast(members: readonly ShownMember[]): readonly ShownMember[] {
  const isLeader = members.map((member) => matchesRole(member, 'leader'));
  return [...members.filter((_, at) => !isLeader[at]), ...members.filter((_, at) => isLeader[at])];
}

/** `reinit`, as given on the command line. */
export interface ReinitOptions {
  readonly members: readonly string[];
  readonly fromLeader: boolean;
  readonly wait: boolean;
  readonly force: boolean;
  readonly dryRun: boolean;
}

/** Makes the data directory of replicas anew, as a copy. */
export async function reinitialize(
  config: ControlConfig,
  scope: string,
  options: ReinitOptions,
  output: Output,
  signal: AbortSignal,
): Promise<ExitCode> {
  const read = await readCluster(config, scope);
  if (!read.ok) return failed(output, read);
  output.print(renderCluster(read.cluster, table));
  let names = options.members;
  if (names.length === 0 && !options.force && !options.dryRun) {
    const answer = await output.ask('Which member do you want to reinitialize? []: ');
    names = (answer ?? '').split(/[\s,]+/).filter((name) => name !== '');
  }
  if (names.length === 0) return failed(output, refuse('name the member to reinitialize: all of its data is replaced'));
  const chosen = choose(read.cluster, names, undefined);
  if (!chosen.ok) return failed(output, chosen);
  const list = chosen.members.map((member) => member.name).join(', ');
  const leader = chosen.members.find((member) => matchesRole(member, 'leader'));
  if (leader) return failed(output, refuse(`${leader.name} is the leader; switch over first, then reinitialize it`));
  if (options.dryRun) {
    output.print(`Dry run: would replace all data of ${list} by a copy`);
    return 0;
  }
  const agreed = await confirm(output, options.force, `Are you sure you want to reinitialize members ${list}?`);
  if (!agreed.ok) return failed(output, agreed);
  return reinitializeAll(chosen.members, options, output, signal);
}

async function reinitializeAll(
  members: readonly ShownMember[],
  options: ReinitOptions,
  output: Output,
  signal: AbortSignal,
): Promise<ExitCode> {
  let code: ExitCode = 0;
  const begun = new Map<ShownMember, unknown>();
  for (const member of members) {
    const before = await startTime(member);
    const body = { force: options.force, from_leader: options.fromLeader };
    const result = await command(member.apiUrl, '/reinitialize', body, { timeoutMs: requestTimeoutMs });
    if (result.ok && result.status === 200) {
      output.print(`Success: reinitialize for member ${member.name}`);
      begun.set(member, before.value);
    } else {
      const details = result.ok ? `status code=${result.status}, (${result.text})` : `(${result.error})`;
      output.print(`Failed: reinitialize for member ${member.name}, ${details}`);
      code = 1;
    }
  }
  if (!options.wait) return code;
  for (const [member, before] of begun) {
    output.print(`Waiting for reinitialize to complete on: ${member.name}`);
    const done = await waitForNewInstance(member, before, signal);
    if (!done) return 1;
    output.print(`Reinitialize is completed on: ${member.name}`);
  }
  return code;
}

/** When the postmaster of a member that runs was started; undefined while it does not run. */
async function startTime(member: ShownMember): Promise<{ readonly value: unknown }> {
  const answer = await askMember(member.apiUrl, '/patroni', { timeoutMs: askTimeoutMs });
  const runs = answer.ok && answer.answer.state === 'running';
  return { value: runs ? answer.answer['postmaster_start_time'] : undefined };
}

/** The copy is complete when another postmaster runs than before. False: the user gave up. */
async function waitForNewInstance(member: ShownMember, before: unknown, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    const { value } = await startTime(member);
    if (value !== undefined && value !== before) return true;
    await pause(500, signal);
  }
  return false;
}
