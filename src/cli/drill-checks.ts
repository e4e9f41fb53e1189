/** What has to hold before a drill, as sentences with what was found. Pure. */
import type { FaultKind } from '../drill/fault.ts';
import type { Check } from './output.ts';
import { leaderOf, mayLead, type ShownCluster, type ShownMember, shownLag } from './shown-cluster.ts';

/** Of a member: does its agent answer, can the writer log in? */
export interface Reached {
  readonly name: string;
  /** undefined: it answers. */
  readonly agentError: string | undefined;
  /** Of a witness there is nothing to log in to. */
  readonly login: LoginFound | undefined;
}

/** What a session of the writer's user found, or why there was none. */
export type LoginFound =
  | {
      readonly ok: true;
      readonly clockAheadMs: number;
      /** What the user's own sessions have. */
      readonly synchronousCommit: string;
      readonly mayCreate: boolean;
      readonly schemaIsThere: boolean;
    }
  | { readonly ok: false; readonly error: string };

/** Of this host, for a fault that acts on processes. */
export interface LocalFound {
  /** The member of the configuration. */
  readonly name: string;
  /** undefined: its processes were found. */
  readonly error: string | undefined;
}

/** Everything that is judged. */
export interface DrillFound {
  readonly cluster: ShownCluster;
  readonly fault: FaultKind;
  /** As whom the writer logs in. */
  readonly user: string;
  readonly database: string;
  readonly schema: string;
  readonly reached: readonly Reached[];
  /** undefined: the fault does not need it. */
  readonly local: LocalFound | undefined;
}

const mebibyte = 1_048_576n;
/** A replica that lags by more than a WAL segment is not what a drill should wait for. */
const lagMostBytes = 16n * mebibyte;

function isSyncStandby({ role, state }: ShownMember): boolean {
  return (role === 'sync_standby' || role === 'quorum_standby') && state === 'streaming';
}

/** In the order in which they are told; a drill begins when all of them hold. */
export function drillChecks(found: DrillFound): readonly Check[] {
  const { cluster } = found;
  const leader = leaderOf(cluster);
  return [
    { what: 'automatic failover is on (no maintenance mode)', holds: !cluster.paused },
    {
      what: `one member is primary and runs (found: ${leader ? `${leader.name}, ${leader.state}` : 'none'})`,
      holds: leader?.role === 'leader' && leader.state === 'running',
    },
    ...cluster.members.filter((member) => member !== leader).map((member) => memberCheck(cluster, member)),
    ...candidateChecks(cluster),
    ...found.reached.flatMap(({ name, agentError, login }) => reachChecks(found, name, agentError, login)),
    ...schemaChecks(found, leader),
    ...localChecks(found, leader),
  ];
}

function memberCheck(cluster: ShownCluster, { name, role, state, receivedLsn }: ShownMember): Check {
  if (role === 'witness') return { what: `${name} runs (found: ${state})`, holds: state === 'running' };
  const lag = shownLag(cluster, receivedLsn);
  const lagText = lag === undefined ? 'an unknown lag' : `${lag} bytes behind`;
  return {
    what: `${name} streams, at most ${lagMostBytes / mebibyte} MB behind (found: ${state}, ${lagText})`,
    holds: state === 'streaming' && lag !== undefined && lag <= lagMostBytes,
  };
}

function candidateChecks(cluster: ShownCluster): readonly Check[] {
  const standbys = cluster.members.filter(isSyncStandby);
  const candidates = standbys.filter(mayLead).map(({ name }) => name);
  const names = standbys.map(({ name }) => name).join(', ') || 'none; set synchronous_mode';
  return [
    {
      what: `commits wait for sync standbys (found: ${cluster.degraded ?? names})`,
      holds: standbys.length > 0 && cluster.degraded === undefined,
    },
    {
      what: `a sync standby may become primary (found: ${candidates.join(', ') || 'none'})`,
      holds: candidates.length > 0,
    },
  ];
}

function reachChecks(
  { user, database }: DrillFound,
  name: string,
  agentError: string | undefined,
  login: LoginFound | undefined,
): readonly Check[] {
  const checks: Check[] = [
    {
      what: `the agent of ${name} answers${agentError === undefined ? '' : ` (${agentError})`}`,
      holds: agentError === undefined,
    },
  ];
  if (login === undefined) return checks;
  const what = `${user} can log in to ${database} on ${name}${login.ok ? '' : ` (${login.error})`}`;
  return [...checks, { what, holds: login.ok }];
}

function schemaChecks(
  { reached, schema, user, database }: DrillFound,
  leader: ShownMember | undefined,
): readonly Check[] {
  const login = reached.find(({ name }) => name === leader?.name)?.login;
  if (!login?.ok) return [];
  return [
    { what: `${user} may create a schema in ${database}`, holds: login.mayCreate },
    {
      what:
        `there is no schema ${schema} yet` +
        (login.schemaIsThere ? ` (a drill runs, or one was cut short: then drop schema ${schema} cascade)` : ''),
      holds: !login.schemaIsThere,
    },
  ];
}

function localChecks({ local, fault }: DrillFound, leader: ShownMember | undefined): readonly Check[] {
  if (local === undefined || leader === undefined) return [];
  const isPrimary = local.name === leader.name;
  const advice = isPrimary ? '' : `: ${fault} acts on processes, so run it on the host of ${leader.name}`;
  const place = `the configuration is that of the primary, ${leader.name} (found: ${local.name}${advice})`;
  const processes = `its agent and PostgreSQL run on this host${local.error === undefined ? '' : ` (${local.error})`}`;
  return [
    { what: place, holds: isPrimary },
    ...(isPrimary ? [{ what: processes, holds: local.error === undefined }] : []),
  ];
}

/** What a user should know although the drill can go on. */
export function drillNotes({ reached, user, database }: DrillFound): readonly string[] {
  const login = reached.map((one) => one.login).find((one) => one?.ok);
  if (!login?.ok || !['off', 'local'].includes(login.synchronousCommit)) return [];
  return [
    `Sessions of ${user} in ${database} have synchronous_commit = ${login.synchronousCommit}: their commits wait for no ` +
      'standby, and a failover may lose them. The writer of the drill had it on.',
  ];
}
