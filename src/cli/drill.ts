/** `drill`: looks, checks, asks, and lets the drill happen; then tells what it found. */
import { existsSync } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { askMember } from '../api/client.ts';
import { type Config, type ControlConfig, stateDirectoryOf } from '../config/config.ts';
import { loadConfig, loadControlConfig } from '../config/load.ts';
import { decodeDecisions } from '../dcs/decisions.ts';
import { decodeView } from '../dcs/records.ts';
import { openClient } from '../drill/client.ts';
import { type FaultKind, type FaultPlan, isLocalFault } from '../drill/fault.ts';
import { findProcesses, type LocalMember } from '../drill/local-member.ts';
import { chooseLogin, connectionUri, type Login, type Target } from '../drill/login.ts';
import { reportPage } from '../drill/page.ts';
import { type DrillPlan, drillApplication, drillSchema, runDrill } from '../drill/run.ts';
import { duration, faultText, reportText } from '../drill/text.ts';
import { messageOf } from '../lib/caught.ts';
import { defaultTtlMs } from '../lib/timing.ts';
import { readCluster, withDcs } from './cluster.ts';
import type { ConfigPath, Context } from './context.ts';
import { type DrillFound, drillChecks, drillNotes, type LoginFound, type Reached } from './drill-checks.ts';
import { checkLines, confirm, type ExitCode, type Output, type Refusal, refuse } from './output.ts';
import { renderCluster } from './rows.ts';
import { leaderOf, type ShownCluster, type ShownMember } from './shown-cluster.ts';

/** As given on the command line; durations in seconds. */
export interface DrillFlags {
  readonly fault: FaultKind;
  readonly stopFor?: number;
  readonly timeout: number;
  readonly user?: string;
  readonly dbname?: string;
  readonly format: 'text' | 'json';
  readonly html?: string;
  readonly force: boolean;
  readonly dryRun: boolean;
}

const askTimeoutMs = 2000;
const loginTimeouts = { connectMs: 3000, queryMs: 3000 };
/** An agent that stood still for longer than its lease: time for the others to notice it and to take over. */
const stopBeyondTtlMs = 10_000;

/** 0 nothing lost and all as before · 1 something lost, or not as before in time · 2 refused: nothing was done. */
export async function drill(
  from: ConfigPath,
  flags: DrillFlags,
  { output, environment }: Context,
  signal: AbortSignal,
): Promise<ExitCode> {
  const asText = flags.format === 'text';
  const say = (text: string): void => (asText ? output.print(text) : output.note(text));
  const loaded = await load(from, flags, environment);
  if (!loaded.ok) return refused(output, loaded.problems);
  const situation = await lookAt(loaded, flags, environment);
  if (!situation.ok) return refused(output, [situation.error]);
  const { cluster, found } = situation;
  say(renderCluster(cluster, { format: 'pretty', extended: false, tree: false }));
  const checks = drillChecks(found);
  const fine = checks.every(({ holds }) => holds);
  say(checkLines(checks));
  if (flags.dryRun || !fine) {
    if (!asText) output.print(JSON.stringify({ ok: fine, checks }));
    if (flags.dryRun) say(`Dry run: ${fine ? 'the drill could begin' : 'the drill would be refused'}`);
    if (!fine) output.note('Error: see what FAILS above; nothing was done');
    return fine ? 0 : 2;
  }
  const plan = planOf(loaded, situation, flags);
  const writable = await mayWrite(flags.html);
  if (!writable.ok) return refused(output, [writable.error]);
  const agreed = await confirm(output, flags.force, question(plan));
  if (!agreed.ok) return refused(output, [agreed.error]);
  const began = performance.now();
  const tell = (text: string): void => say(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  tell(`The writer connects to ${connectionUri(plan.targets)}`);
  const outcome = await runDrill(plan, tell, signal);
  if (!outcome.ok) {
    output.note(`Error: the drill ended early: ${outcome.error}`);
    return 1;
  }
  const { report } = outcome;
  output.print(asText ? `\n${reportText(report)}` : JSON.stringify(report));
  if (flags.html !== undefined) {
    await writeFile(flags.html, reportPage(report));
    say(`\nThe page is in ${flags.html}`);
  }
  return report.ok ? 0 : 1;
}

function refused(output: Output, problems: readonly string[]): ExitCode {
  for (const problem of problems) output.note(`Error: ${problem}`);
  return 2;
}

/* ---------------------------------------------------------------- looking */

interface Loaded {
  readonly ok: true;
  readonly config: ControlConfig;
  readonly scope: string;
  /** The member of the file; undefined: the file has none, or one that could not run. */
  readonly member: Config | undefined;
}

type Environment = Context['environment'];

/** For the command line's own file a few keys are enough; for a fault on this host it has to be the member's. */
async function load(
  { path, optional }: ConfigPath,
  { fault }: DrillFlags,
  environment: Environment,
): Promise<Loaded | { readonly ok: false; readonly problems: readonly string[] }> {
  const control = await loadControlConfig(path, optional, environment);
  if (!control.ok) return control;
  // Where nobody named a file and there is none, everything comes from the environment.
  const member = await loadConfig(optional && !existsSync(path) ? undefined : path, environment);
  if (!member.ok && isLocalFault(fault)) {
    const need = `--fault ${fault} needs the whole configuration of the member on this host`;
    return { ok: false, problems: [...member.problems, need] };
  }
  const { scope } = control.config;
  if (scope === undefined) return { ok: false, problems: [`${path} does not name the cluster; add its scope`] };
  return { ok: true, config: control.config, scope, member: member.ok ? member.config : undefined };
}

interface Situation {
  readonly ok: true;
  readonly cluster: ShownCluster;
  readonly ttlMs: number;
  readonly targets: readonly Target[];
  readonly local: LocalMember | undefined;
  readonly found: DrillFound;
}

async function lookAt(loaded: Loaded, flags: DrillFlags, environment: Environment): Promise<Situation | Refusal> {
  const { config, scope, member } = loaded;
  const read = await readCluster(config, scope);
  if (!read.ok) return read;
  if (read.source === 'rest') return refuse(`the DCS is unreachable (${read.dcsError}): this is no time for a drill`);
  const { cluster } = read;
  if (cluster.members.length === 0) return refuse(`the DCS knows no cluster ${scope} (namespace ${config.namespace})`);
  const superuser = member?.postgresql?.authentication.superuser;
  const chosen = await chooseLogin({ user: flags.user, database: flags.dbname }, environment, superuser);
  if (!chosen.ok) return chosen;
  const { login } = chosen;
  const local = member && localOf(member);
  const reached = await Promise.all(cluster.members.map((one) => reach(one, login)));
  const needsLocal = isLocalFault(flags.fault);
  const localFound = needsLocal ? await lookHere(member, local) : undefined;
  return {
    ok: true,
    cluster,
    ttlMs: decodeView(read.snapshot).config?.value.ttlMs ?? defaultTtlMs,
    targets: cluster.members.flatMap((one) => targetOf(one, login)),
    local,
    found: {
      cluster,
      fault: flags.fault,
      user: login.user,
      database: login.database,
      schema: drillSchema,
      reached,
      local: localFound,
    },
  };
}

function localOf(config: Config): LocalMember | undefined {
  const { name, postgresql } = config;
  return postgresql && { name, dataDir: postgresql.dataDir, stateDirectory: stateDirectoryOf(config) };
}

async function lookHere(member: Config | undefined, local: LocalMember | undefined): Promise<DrillFound['local']> {
  if (local === undefined) return { name: member?.name ?? 'nobody', error: 'this member is a witness' };
  const processes = await findProcesses(local);
  return { name: local.name, error: processes.ok ? undefined : processes.error };
}

function targetOf({ name, role, host, port }: ShownMember, login: Login): readonly Target[] {
  return role === 'witness' || host === '' ? [] : [{ name, address: { host, port: port ?? 5432 }, login }];
}

async function reach(member: ShownMember, login: Login): Promise<Reached> {
  const [target] = targetOf(member, login);
  const [agent, found] = await Promise.all([
    askMember(member.apiUrl, '/patroni', { timeoutMs: askTimeoutMs }),
    target ? tryLogin(target) : undefined,
  ]);
  return { name: member.name, agentError: agent.ok ? undefined : agent.error, login: found };
}

const loginQuery =
  `select extract(epoch from clock_timestamp()) * 1000 as now_ms, current_setting('synchronous_commit') as waits, ` +
  `has_database_privilege(current_database(), 'create') as may_create, to_regnamespace('${drillSchema}') is not null as there`;

/** With the user's own settings. The server's clock is compared with the middle of the time that the answer took. */
async function tryLogin(target: Target): Promise<LoginFound> {
  const opened = await openClient(target, drillApplication, loginTimeouts, {});
  if (!opened.ok) return { ok: false, error: opened.error };
  const askedAtMs = Date.now();
  const answer = await opened.session.query(loginQuery);
  const middleMs = (askedAtMs + Date.now()) / 2;
  opened.session.close();
  if (!answer.ok) return { ok: false, error: answer.error };
  const row = answer.rows[0] ?? {};
  return {
    ok: true,
    clockAheadMs: Number(row['now_ms']) - middleMs,
    synchronousCommit: String(row['waits']),
    mayCreate: row['may_create'] === true,
    schemaIsThere: row['there'] === true,
  };
}

/* ---------------------------------------------------------------- planning */

/** Of a situation in which every check holds. */
function planOf({ config, scope }: Loaded, situation: Situation, flags: DrillFlags): DrillPlan {
  const { cluster, targets, found } = situation;
  const leader = leaderOf(cluster);
  if (leader === undefined) throw new Error('the checks have found a primary');
  const fault = faultOf(situation, leader, flags);
  const ahead = found.reached.flatMap(({ name, login }) => (login?.ok ? [[name, login.clockAheadMs] as const] : []));
  return {
    cluster: scope,
    fault,
    victim: { name: leader.name, apiUrl: leader.apiUrl },
    agents: cluster.members.map(({ name, apiUrl }) => ({ name, apiUrl })),
    targets,
    clockAheadMs: new Map(ahead),
    timeoutMs: flags.timeout * 1000 + (fault.kind === 'stop-agent' ? fault.atMostMs : 0),
    notes: drillNotes(found),
    readEvents: async () => {
      const read = await withDcs(config, scope, (dcs, signal) => dcs.readEvents(signal));
      return 'kind' in read && read.kind === 'read' ? decodeDecisions(read.events).decisions : undefined;
    },
  };
}

function faultOf({ local, ttlMs }: Situation, leader: ShownMember, { fault, stopFor }: DrillFlags): FaultPlan {
  if (fault === 'switchover') return { kind: 'switchover', primary: leader.name, apiUrl: leader.apiUrl };
  if (local === undefined) throw new Error('the checks have found the processes of this host');
  if (fault === 'kill-postgres') return { kind: fault, member: local };
  const atMostMs = stopFor === undefined ? ttlMs + stopBeyondTtlMs : stopFor * 1000;
  return { kind: fault, member: local, atMostMs };
}

function question({ cluster, fault, victim, timeoutMs }: DrillPlan): string {
  const most = fault.kind === 'stop-agent' ? `, for ${duration(fault.atMostMs)} at most` : '';
  return (
    `${faultText(fault.kind, victim.name)}${most}; writes of cluster ${cluster} will stand still for a while ` +
    `(the drill waits ${duration(timeoutMs)} for it to be as before). Are you sure?`
  );
}

/** Found out before the fault, not after it. */
async function mayWrite(path: string | undefined): Promise<Refusal | { readonly ok: true }> {
  if (path === undefined) return { ok: true };
  try {
    await appendFile(path, '');
    return { ok: true };
  } catch (error) {
    return refuse(`--html: ${path} cannot be written: ${messageOf(error)}`);
  }
}
