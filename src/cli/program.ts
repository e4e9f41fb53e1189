/** The command tree: names, arguments and options. What a command does is loaded when it is run. */
import { Command, Option } from 'commander';
import {
  type Context,
  configOf,
  dryRunText,
  forceText,
  formatOption,
  onCluster,
  readFormat,
  seconds,
  whole,
} from './context.ts';
import { addCreate, addWhere } from './create-command.ts';
import { addDrill } from './drill-command.ts';
import type { MemberRoleFilter } from './maintain.ts';
import type { ShowOptions } from './show.ts';
import type { SimOptions } from './sim.ts';

const exitCodes = `
Exit codes: 0 done; 1 failed, refused, or not in time; 2 wrong usage.`;

/** Every command, with its actions bound to `context`. */
export function createProgram(context: Context): Command {
  const program = new Command('pgherd')
    .description('High availability for PostgreSQL on machines that you own.')
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true, helpWidth: 100 })
    .configureOutput({
      writeOut: (text) => context.output.print(text.trimEnd()),
      writeErr: (text) => context.output.note(text.trimEnd()),
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
    })
    .exitOverride()
    .addHelpText('after', exitCodes)
    .option(
      '-c, --config-file <CONFIG>',
      'configuration of the cluster (default: $PATRONICTL_CONFIG_FILE, ~/.config/patroni/patronictl.yaml, the only one in /etc/pgherd)',
    );
  addPrograms(program, context);
  addCreate(program, context);
  addShow(program, context);
  addWhere(program, context);
  addChange(program, context);
  addMaintain(program, context);
  addDrill(program, context);
  return program;
}

/* ---------------------------------------------------------------- programs */

function addPrograms(program: Command, context: Context): void {
  program.commandsGroup('Programs:').helpCommand(false);
  program
    .command('agent')
    .description('run a member: this PostgreSQL, its part in the cluster, and the REST API, in the foreground')
    .argument('[CONFIG]', 'its configuration, in YAML (also -c CONFIG)')
    .option('--validate-config', 'check the configuration and end')
    .action(async (path: string | undefined, options: { validateConfig?: true }, command: Command) => {
      const config = path ?? command.optsWithGlobals<{ configFile?: string }>().configFile;
      const fromEnvironment = Object.keys(context.environment).some((name) => name.startsWith('PATRONI_'));
      if (config === undefined && !fromEnvironment) {
        return command.error('error: name the configuration: pgherd agent CONFIG');
      }
      if (options.validateConfig) return context.finish(await validate(config, context));
      const { startAgent } = await import('./programs.ts');
      context.finish(await startAgent(config));
    });
  program
    .command('monitor')
    .description('run a monitor: a PostgreSQL database that serves as the DCS of clusters, in the foreground')
    .requiredOption('--pgdata <DIR>', 'its data directory; made when it is not there')
    .requiredOption('--listen <HOST:PORT>', 'where it listens')
    .addOption(
      new Option('--auth <METHOD>', 'how members log in').choices(['trust', 'scram-sha-256']).default('scram-sha-256'),
    )
    .action(async (options: { pgdata: string; listen: string; auth: 'trust' | 'scram-sha-256' }) => {
      const { startMonitor } = await import('./programs.ts');
      context.finish(await startMonitor(options, (line) => context.output.print(line)));
    });
  program
    .command('demo')
    .description('a cluster on this machine that loses its primary, goes on, and takes it back')
    .option('--once', 'clean up and end after the last act', false)
    .addOption(new Option('--format <FORMAT>', 'of the summary').choices(['text', 'json']).default('text'))
    .option('--dir <DIR>', 'the folder to work in (default: a new one)')
    .action(async (options: { once: boolean; format: 'text' | 'json'; dir?: string }) => {
      const { startDemo } = await import('./programs.ts');
      context.finish(await startDemo({ once: options.once, format: options.format, directory: options.dir }));
    });
  program
    .command('sim')
    .description('made-up clusters with made-up faults, from seeds: what must never happen, and what must again')
    .option('--seeds <N>', 'how many seeds', whole, 1000)
    .option('--from <SEED>', 'the first one', whole, 1)
    .option('--jobs <N>', 'so many processes', whole, 1)
    .option('--replay <SEED>', 'tell the story of one seed', whole)
    .option('--plan <FILE>', 'tell the story of a saved plan')
    .option('--shrink <SEED>', 'leave out what does not matter to a failing seed', whole)
    .option('--save <FILE>', 'where to write the shrunk plan (default: standard output)')
    .addOption(new Option('--format <FORMAT>', 'of the report').choices(['text', 'json']).default('text'))
    .action(async (options: SimOptions) => {
      const { simulate } = await import('./sim.ts');
      context.finish(await simulate(options, context.output));
    });
}

/** Tells what is wrong with an agent's configuration, and what has no effect. */
async function validate(path: string | undefined, { output, environment }: Context): Promise<number> {
  const { loadConfig } = await import('../config/load.ts');
  const loaded = await loadConfig(path, environment);
  for (const problem of loaded.ok ? [] : loaded.problems) output.note(problem);
  for (const warning of loaded.ok ? loaded.warnings : []) output.note(`warning: ${warning}`);
  if (loaded.ok) output.print(`${path ?? 'the environment'} is valid`);
  return loaded.ok ? 0 : 1;
}

/* ---------------------------------------------------------------- looking */

interface WatchOptions {
  readonly watch?: number;
  readonly W?: true;
}

function watchable(command: Command): Command {
  return command
    .option('-W', 'print again every 2 seconds')
    .option('-w, --watch <SECONDS>', 'print again every so many seconds', seconds);
}

function everyS(options: WatchOptions): number | undefined {
  return options.watch ?? (options.W ? 2 : undefined);
}

function addShow(program: Command, context: Context): void {
  program.commandsGroup('Looking:');
  const list = program
    .command('list')
    .description('members, roles, states, lag; from the agents when the DCS is away')
    .argument('[CLUSTER...]', 'clusters (default: the scope of the configuration)')
    .option('-e, --extended', 'all columns', false)
    .option('-t, --timestamp', 'print the time above', false)
    .addOption(formatOption());
  watchable(list).action(
    async (
      names: string[],
      options: WatchOptions & { extended: boolean; timestamp: boolean; format: string },
      command: Command,
    ) => {
      const { extended, timestamp } = options;
      const format = readFormat(options.format);
      await showClusters(names, { extended, timestamp, format, tree: false, everyS: everyS(options) }, command);
    },
  );
  const topology = program
    .command('topology')
    .description('the same as a tree: who streams from whom')
    .argument('[CLUSTER...]', 'clusters (default: the scope of the configuration)');
  watchable(topology).action(async (names: string[], options: WatchOptions, command: Command) => {
    const look = { extended: false, timestamp: false, format: 'pretty', tree: true } as const;
    await showClusters(names, { ...look, everyS: everyS(options) }, command);
  });

  async function showClusters(names: readonly string[], options: ShowOptions, command: Command): Promise<void> {
    await onCluster(names[0], command, context, async (config, scope) => {
      const { show } = await import('./show.ts');
      const { stopSignal } = await import('./signals.ts');
      return show(config, [scope, ...names.slice(1)], options, context.output, stopSignal());
    });
  }

  program
    .command('history')
    .description('which timeline ended where and why, and who made the next one')
    .argument('[CLUSTER]', 'the cluster (default: the scope of the configuration)')
    .option('--events', 'instead, what the members decided of late, and why', false)
    .addOption(formatOption())
    .action(async (name: string | undefined, options: { events: boolean; format: string }, command: Command) => {
      await onCluster(name, command, context, async (config, scope) => {
        const { showHistory } = await import('./show.ts');
        const { showEvents } = await import('./events.ts');
        const look = options.events ? showEvents : showHistory;
        return look(config, scope, readFormat(options.format), context.output);
      });
    });
  program
    .command('version')
    .description('of pgherd; with a cluster, of its members and their PostgreSQL')
    .argument('[CLUSTER]', 'the cluster')
    .argument('[MEMBER...]', 'members (default: all)')
    .action(async (name: string | undefined, members: string[], _options: unknown, command: Command) => {
      const { showVersion } = await import('./show.ts');
      if (name === undefined) return context.finish(await showVersion(undefined, undefined, [], context.output));
      const config = await configOf(command, context);
      if (config) context.finish(await showVersion(config, name, members, context.output));
    });
}

/* ---------------------------------------------------------------- changing */

function addChange(program: Command, context: Context): void {
  program.commandsGroup('Changing:');
  interface Options {
    readonly leader?: string;
    readonly primary?: string;
    readonly candidate?: string;
    readonly scheduled?: string;
    readonly allowDataLoss?: boolean;
    readonly force: boolean;
    readonly dryRun: boolean;
  }
  const run = async (kind: 'switchover' | 'failover', name: string | undefined, options: Options, command: Command) => {
    await onCluster(name, command, context, async (config, scope) => {
      const { change } = await import('./change.ts');
      const { candidate, force, dryRun, allowDataLoss = false } = options;
      const leader = options.leader ?? options.primary;
      const plan = { kind, leader, candidate, scheduledAt: options.scheduled, allowDataLoss, force, dryRun };
      return change(config, scope, plan, context.output);
    });
  };
  program
    .command('switchover')
    .description('hand over to a replica, as planned: no commit is lost')
    .argument('[CLUSTER]', 'the cluster (default: the scope of the configuration)')
    .option('--leader <MEMBER>', 'the present leader')
    .addOption(new Option('--primary <MEMBER>', 'the same').conflicts('leader'))
    .option('--candidate <MEMBER>', 'who becomes leader (default: the best)')
    .option('--scheduled <TIME>', 'when, in ISO 8601 with a time zone (default: now)')
    .option('--force', forceText, false)
    .option('--dry-run', dryRunText, false)
    .action(async (name: string | undefined, options: Options, command: Command) => {
      await run('switchover', name, options, command);
    });
  program
    .command('failover')
    .description('make a replica the leader, also when there is none')
    .argument('[CLUSTER]', 'the cluster (default: the scope of the configuration)')
    .option('--candidate <MEMBER>', 'who becomes leader')
    .option('--allow-data-loss', 'also one that may lack commits that clients were told of', false)
    .option('--force', forceText, false)
    .option('--dry-run', dryRunText, false)
    .action(async (name: string | undefined, options: Options, command: Command) => {
      await run('failover', name, options, command);
    });
  for (const [word, text] of [
    ['pause', 'stop automatic failover'],
    ['resume', 'resume automatic failover'],
  ] as const) {
    program
      .command(word)
      .description(text)
      .argument('[CLUSTER]', 'the cluster (default: the scope of the configuration)')
      .option('--wait', 'until all members show it', false)
      .option('--dry-run', dryRunText, false)
      .action(async (name: string | undefined, options: { wait: boolean; dryRun: boolean }, command: Command) => {
        await onCluster(name, command, context, async (config, scope) => {
          const { setPause } = await import('./pause.ts');
          const { stopSignal } = await import('./signals.ts');
          return setPause(config, scope, { paused: word === 'pause', ...options }, context.output, stopSignal());
        });
      });
  }
}

function clusterThenMembers(command: Command): Command {
  return command
    .argument('[CLUSTER]', 'the cluster (default: the scope of the configuration)')
    .argument('[MEMBER...]', 'its members');
}

function addMaintain(program: Command, context: Context): void {
  interface RestartFlags {
    readonly role?: MemberRoleFilter;
    readonly any: boolean;
    readonly scheduled?: string;
    readonly pgVersion?: string;
    readonly pending: boolean;
    readonly timeout?: string;
    readonly force: boolean;
    readonly dryRun: boolean;
  }
  clusterThenMembers(program.command('restart').description('restart PostgreSQL of members, the leader last'))
    .addOption(
      new Option('-r, --role <ROLE>', 'only members with this role').choices([
        'leader',
        'primary',
        'standby-leader',
        'replica',
        'standby',
        'any',
      ]),
    )
    .option('--any', 'one of them only', false)
    .option('--scheduled <TIME>', 'when, in ISO 8601 with a time zone (default: now)')
    .option('--pg-version <VERSION>', 'only where PostgreSQL is older than this')
    .option('--pending', 'only where a change waits for it', false)
    .option('--timeout <SECONDS>', 'fail over when it takes longer')
    .option('--force', forceText, false)
    .option('--dry-run', dryRunText, false)
    .action(async (name: string | undefined, members: string[], flags: RestartFlags, command: Command) => {
      await onCluster(name, command, context, async (config, scope) => {
        const { restart } = await import('./maintain.ts');
        const { role, any, pending, timeout, force, dryRun } = flags;
        const scheduledAt = flags.scheduled;
        const serverVersion = flags.pgVersion;
        const options = { members, role, any, pending, timeout, force, dryRun, scheduledAt, serverVersion };
        return restart(config, scope, options, context.output);
      });
    });
  interface ReinitFlags {
    readonly force: boolean;
    readonly fromLeader: boolean;
    readonly wait: boolean;
    readonly dryRun: boolean;
  }
  clusterThenMembers(program.command('reinit').description('make the data of replicas anew, as a copy'))
    .option('--from-leader', 'copy from the leader', false)
    .option('--wait', 'until the copy runs', false)
    .option('--force', forceText, false)
    .option('--dry-run', dryRunText, false)
    .action(async (name: string | undefined, members: string[], flags: ReinitFlags, command: Command) => {
      await onCluster(name, command, context, async (config, scope) => {
        const { reinitialize } = await import('./maintain.ts');
        const { stopSignal } = await import('./signals.ts');
        return reinitialize(config, scope, { members, ...flags }, context.output, stopSignal());
      });
    });
}
