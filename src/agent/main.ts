/** `pgherd agent CONFIG`: wires one member together and runs it in the foreground. No judgement here. */
import { connectPeers } from '../api/peers.ts';
import { startApi } from '../api/server.ts';
import { isWildcard } from '../config/address.ts';
import { type Config, stateDirectoryOf } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { version } from '../config/version.ts';
import type { Durable, Self } from '../core/model.ts';
import { openDcs } from '../dcs/open.ts';
import { decodeSettings } from '../dcs/settings.ts';
import { bootClock, bootId } from '../host/clock.ts';
import { durableFile } from '../host/durable-file.ts';
import { openStateDirectory } from '../host/state-directory.ts';
import { watchdogTrouble } from '../host/watchdog.ts';
import { createLog, type Log, parseLevel } from '../lib/log.ts';
import type { Clock } from '../ports/host.ts';
import type { Postgres } from '../ports/postgres.ts';
import { findBinaries, majorOfDirectory } from '../postgres/binaries.ts';
import { managePostgres } from '../postgres/instance.ts';
import { chooseOsUser, type OsUser } from '../postgres/os-user.ts';
import { beginGuarding, type Guarding, nothingToGuard } from './guarding.ts';
import { noPostgres } from './no-postgres.ts';
import { createRuntime, type Runtime } from './runtime.ts';
import { postgresOptions, prefixOf, selfOf } from './setup.ts';
import type { World } from './world.ts';

/** A DCS call that is not answered in this time has failed: short enough for three renewals before a deadline. */
const dcsTimeoutMs = 1500;
/** How long an orderly end may take: the fast stop of PostgreSQL and its escalation. */
const shutdownMs = 90_000;

/** Exit codes: 0 ended in order, 1 could not begin, or an internal error. */
export async function runAgent(configPath: string | undefined, signal: AbortSignal): Promise<number> {
  const loaded = await loadConfig(configPath);
  if (!loaded.ok) {
    for (const problem of loaded.problems) process.stderr.write(`${problem}\n`);
    return 1;
  }
  const { config } = loaded;
  const level = parseLevel(config.log.level);
  const log = createLog({
    member: config.name,
    ...(level === undefined ? {} : { level }),
    ...(config.log.type === 'json' ? { form: 'json' as const } : {}),
  });
  for (const warning of loaded.warnings) log.warn('configuration', warning);
  const begun = await begin(config, log);
  if (!begun.ok) {
    log.error('cannot-begin', begun.error);
    return 1;
  }
  return await runUntil(begun, signal, log);
}

interface Begun {
  readonly runtime: Runtime;
  readonly postgres: Postgres;
  readonly end: () => Promise<void>;
}

type BeginOutcome = ({ readonly ok: true } & Begun) | { readonly ok: false; readonly error: string };

/** Everything that can fail before the member takes part. Nothing of the data directory is touched. */
async function begin(config: Config, log: Log): Promise<BeginOutcome> {
  const settings = decodeSettings(config.bootstrap.dcs);
  if (!settings.ok) return { ok: false, error: `bootstrap.dcs: ${settings.error}` };
  const stateDirectory = stateDirectoryOf(config);
  const clock = bootClock();
  const prepared = await prepare(config, clock, log);
  if (!prepared.ok) return prepared;
  const { owner, postgres } = prepared;
  const opened = await openStateDirectory(stateDirectory, owner);
  if (!opened.ok) return opened;
  const durable = durableFile(stateDirectory, owner);
  const remembered = await durable.load();
  if (!remembered.ok) {
    await opened.release();
    return remembered;
  }
  const watchdog = usableWatchdog(config, log);
  const guarded = await guardOf(config, stateDirectory, watchdog.use, () => runtime.ttlMs(), clock, postgres, log);
  if (!guarded.ok) {
    await opened.release();
    return guarded;
  }
  const guard = guarded.guarding;
  const dcs = await openDcs(config.dcs, {
    prefix: prefixOf(config),
    clock,
    timeoutMs: dcsTimeoutMs,
    noticeMs: () => runtime.failureTimeoutMs(),
  });
  const world: World = { dcs, postgres, durable, peers: connectPeers(config.scope), guard, clock, log };
  const self = selfOf(config, settings.settings);
  const runtime: Runtime = createRuntime(watchdog.mayLead ? self : neverPrimary(self), world);
  const api = await listen(config, runtime, world);
  if (!api.ok) {
    guard.close();
    await runtime.close();
    await opened.release();
    return api;
  }
  // The deadline of the agent before this one holds until a lease of ours has a later one.
  const armedUntil = await guard.armedUntil();
  if (armedUntil !== undefined) guard.arm(armedUntil);
  runtime.start(forMember(remembered.durable, config.name), armedUntil, bootId());
  guard.watch(runtime.guardActed);
  const end = async (): Promise<void> => {
    await api.close();
    guard.close();
    await runtime.close();
    await opened.release();
  };
  return { ok: true, runtime, postgres, end };
}

/** A witness has nothing that could be ended. */
async function guardOf(
  config: Config,
  stateDirectory: string,
  watchdog: Config['watchdog'] | undefined,
  ttlMs: () => number,
  clock: Clock,
  postgres: Postgres,
  log: Log,
): Promise<{ readonly ok: true; readonly guarding: Guarding } | { readonly ok: false; readonly error: string }> {
  if (config.postgresql === undefined) return { ok: true, guarding: nothingToGuard };
  const { dataDir } = config.postgresql;
  const fence = (): Promise<void> => postgres.fence();
  return await beginGuarding({ stateDirectory, dataDir, watchdog, ttlMs, clock, fence, log });
}

/** `required` without a device that works: the member serves as a replica, and never as the primary. */
function usableWatchdog(
  { watchdog }: Config,
  log: Log,
): { readonly use: Config['watchdog'] | undefined; readonly mayLead: boolean } {
  if (watchdog.mode === 'off') return { use: undefined, mayLead: true };
  const trouble = watchdogTrouble(watchdog.device);
  if (trouble === undefined) return { use: watchdog, mayLead: true };
  if (watchdog.mode === 'automatic') {
    log.info('watchdog', `${trouble}; watchdog.mode is automatic: this member goes on without`);
    return { use: undefined, mayLead: true };
  }
  log.error(
    'watchdog',
    `${trouble}; watchdog.mode is required: this member never becomes primary until that is mended`,
  );
  return { use: undefined, mayLead: false };
}

function neverPrimary(self: Self): Self {
  return { ...self, tags: { ...self.tags, noFailover: true, all: { ...self.tags.all, nofailover: true } } };
}

type Prepared =
  | { readonly ok: true; readonly postgres: Postgres; readonly owner: OsUser | undefined }
  | { readonly ok: false; readonly error: string };

/** What the member works on, and as whom; nothing of it is touched. */
async function prepare(config: Config, clock: Clock, log: Log): Promise<Prepared> {
  const who = `pgherd ${version}, member ${config.name} of ${config.scope}`;
  const { postgresql } = config;
  if (postgresql === undefined) {
    log.info('begin', `${who}, a witness without PostgreSQL`);
    return { ok: true, postgres: noPostgres(), owner: undefined };
  }
  const { dataDir, binDir } = postgresql;
  const user = chooseOsUser(dataDir);
  if (!user.ok) return user;
  const programs = await findBinaries(binDir, majorOfDirectory(dataDir));
  if (!programs.ok) return programs;
  log.info('begin', who, {
    dataDir,
    postgres: `version ${programs.binaries.major} in ${programs.binaries.dir}`,
    postgresRunsAs: user.user.name,
    because: user.user.because,
  });
  const options = postgresOptions(config, postgresql, programs.binaries.dir, user.user, clock, log);
  return { ok: true, postgres: managePostgres(options), owner: user.user };
}

/** What was remembered under another name speaks of another member. */
function forMember(durable: Durable | undefined, name: string): Durable | undefined {
  return durable?.member === name ? durable : undefined;
}

async function listen(
  config: Config,
  runtime: Runtime,
  world: World,
): Promise<
  { readonly ok: true; readonly close: () => Promise<void> } | { readonly ok: false; readonly error: string }
> {
  const { hosts, port } = config.restapi.listen;
  const [host = '127.0.0.1'] = hosts;
  return await startApi({
    host: isWildcard(host) && host === '*' ? '::' : host,
    port,
    log: world.log,
    agent: {
      scope: config.scope,
      name: config.name,
      report: runtime.report,
      operate: runtime.operate,
      hear: runtime.hear,
      askFailsafe: runtime.askFailsafe,
      lastStepAt: runtime.lastStepAt,
      dcsLastSeenEpochS: runtime.dcsLastSeenEpochS,
      now: () => world.clock.now(),
    },
  });
}

/**
 * Runs until `signal`; then hands over and stops the instance. SIGUSR2 ends the agent alone: the instance goes on under the
 * guard, for the agent that follows. A bug ends the instance before it ends the agent.
 */
async function runUntil(begun: Begun, signal: AbortSignal, log: Log): Promise<number> {
  const failed = new Promise<number>((resolve) => {
    const onBug = (error: unknown): void => {
      log.error('internal-error', error instanceof Error ? (error.stack ?? error.message) : String(error));
      void begun.postgres.fence().finally(() => resolve(1));
    };
    process.on('uncaughtException', onBug);
    process.on('unhandledRejection', onBug);
  });
  process.on('SIGHUP', () =>
    log.warn('reload', 'SIGHUP does nothing yet: restart the agent to read its file again; PostgreSQL goes on'),
  );
  const told = new Promise<number>((resolve) => {
    process.on('SIGUSR2', () => {
      log.info('end', 'the agent was told to end alone (SIGUSR2): PostgreSQL goes on under the guard');
      resolve(0);
    });
    const onAbort = (): void => void shutDown(begun, log).then(() => resolve(0));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  const code = await Promise.race([failed, told]);
  await begun.end();
  return code;
}

/** Whatever could not be ended in order must not be left behind writable, with nobody to stand over it. */
async function shutDown(begun: Begun, log: Log): Promise<void> {
  log.info('end', 'the agent was told to end');
  const answer = await begun.runtime.operate({ kind: 'shutdown' }, AbortSignal.timeout(shutdownMs));
  log.info('end', answer.text, { status: answer.status });
  if (answer.status !== 200) await begun.postgres.fence();
}
