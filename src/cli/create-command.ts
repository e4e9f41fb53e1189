/** `create`, `join`, `systemd`, `uri` and `files` in the command tree. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type ConfigPath,
  type Context,
  configPathOf,
  dryRunText,
  formatOption,
  readFormat,
  seconds,
} from './context.ts';
import type { CreateFlags, Made } from './create.ts';
import type { JoinFlags } from './join.ts';
import type { MonitorCommand } from './programs.ts';
import type { UriFlags } from './uri.ts';

const uriFormats = ['uri', 'conninfo', 'jdbc', 'json'] as const;

const more = `
Every check is told, and nothing is done unless all hold. Files with secrets have mode 0600.
Without a monitor yet: on a third machine, pgherd monitor --pgdata DIR --listen HOST:PORT. It prints its URI, and where its
password is: give it in the URI, or in PGPASSWORD. The agent's configuration keeps it, and so does the join token.`;

const moreOfJoin = `
DCS is the URI of the monitor; its password comes with the token. The token may also be in a file (--token-file) or in
PGHERD_JOIN_TOKEN: everybody on a host sees the command lines of its processes.`;

/** A TCP port as it is written on the command line. */
function port(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > 65_535)
    throw new InvalidArgumentError('Allowed: 1 to 65535.');
  return number;
}

/** Of a new member, whichever command makes it. */
function newMember(command: Command): Command {
  return command
    .option('--scope <NAME>', 'the cluster', 'main')
    .option('--name <MEMBER>', "the member (default: this host's name)")
    .option('--data-dir <DIR>', 'of PostgreSQL (default: /var/lib/pgherd/SCOPE/data; not as root: ~/.local/share/...)')
    .option('--address <HOST>', 'by which the others reach this host (default: how the DCS sees it)')
    .option('--port <N>', 'of PostgreSQL', port, 5432)
    .option('--api-port <N>', 'of the REST API', port, 8008)
    .option(
      '--config <FILE>',
      'the file to write (default: /etc/pgherd/SCOPE.yml; not as root: ~/.config/pgherd/SCOPE.yml)',
    )
    .option('--bin-dir <DIR>', "PostgreSQL's programs (default: looked for)")
    .option('--run', 'go on as the agent, in the foreground', false)
    .option('--dry-run', dryRunText, false);
}

/** Adds the commands that make members; their work is loaded when they are run. */
export function addCreate(program: Command, context: Context): void {
  program.commandsGroup('Making:');
  newMember(
    program
      .command('create')
      .description(
        'the first member of a new cluster: its configuration, with new passwords, and the token for the others',
      )
      .option('--monitor <URI>', 'the DCS: postgres://pgherd@HOST:PORT/pgherd'),
  )
    .addOption(
      new Option('--synchronous-mode <MODE>', 'for whom commits wait')
        .choices(['quorum', 'on', 'off'])
        .default('quorum'),
    )
    .option('--replace', 'take the place of an earlier `create` whose agent was never started', false)
    .addHelpText('after', more)
    .action(async (flags: CreateFlags) => {
      const { create } = await import('./create.ts');
      await finish(await create(flags, context), flags.run);
    });
  newMember(
    program
      .command('join')
      .description('one more member, with what `create` has left in the DCS: nothing else to edit')
      .argument('<DCS>', 'the URI of the monitor')
      .option('--token <TOKEN>', 'as `create` printed it')
      .option('--token-file <FILE>', 'the same in a file'),
  )
    .option('--timeout <SECONDS>', 'how long the cluster may take to have a primary', seconds, 60)
    .addHelpText('after', moreOfJoin)
    .action(async (dcs: string, flags: JoinFlags) => {
      const { join } = await import('./join.ts');
      const { stopSignal } = await import('./signals.ts');
      const signal = stopSignal();
      await finish(await join(dcs, flags, context, signal), flags.run, signal);
    });
  addSystemd(program, context);

  async function finish({ code, config }: Made, run: boolean, signal?: AbortSignal): Promise<void> {
    if (config === undefined || !run) return context.finish(code);
    const { startAgent } = await import('./programs.ts');
    context.finish(await startAgent(config, signal));
  }
}

interface SystemdFlags {
  readonly monitor: boolean;
  readonly pgdata?: string;
  readonly listen?: string;
  readonly auth: MonitorCommand['auth'];
}

function addSystemd(program: Command, context: Context): void {
  program
    .command('systemd')
    .description('prints a unit for systemd: of the agent of a configuration, or of a monitor')
    .argument('[CONFIG]', 'configuration of the member (also -c CONFIG)')
    .option('--monitor', 'of a monitor instead', false)
    .option('--pgdata <DIR>', 'of the monitor: its data directory')
    .option('--listen <HOST:PORT>', 'of the monitor: where it listens')
    .addOption(
      new Option('--auth <METHOD>', 'of the monitor: how members log in')
        .choices(['trust', 'scram-sha-256'])
        .default('scram-sha-256'),
    )
    .action(async (path: string | undefined, flags: SystemdFlags, command: Command) => {
      const { pgdata, listen, auth } = flags;
      const { printAgentUnit, printMonitorUnit } = await import('./systemd.ts');
      if (!flags.monitor) {
        if (pgdata !== undefined || listen !== undefined)
          command.error('error: --pgdata and --listen go with --monitor');
        return context.finish(await printAgentUnit(pathFrom(path, command, context), context));
      }
      if (path !== undefined) command.error('error: a configuration is of an agent, not of a monitor');
      if (pgdata === undefined || listen === undefined) {
        return command.error('error: --monitor needs --pgdata DIR and --listen HOST:PORT');
      }
      context.finish(printMonitorUnit({ pgdata, listen, auth }, context));
    });
}

/** Adds the commands that tell where a cluster and a member are. */
export function addWhere(program: Command, context: Context): void {
  program
    .command('uri')
    .description('how clients reach the cluster, whoever is primary: every member in one libpq URI')
    .argument('[CONFIG]', 'configuration of a member (also -c CONFIG)')
    .option('--read-only', 'for reading: a standby where there is one', false)
    .option('--user <NAME>', 'as whom')
    .option('--dbname <NAME>', 'to which database', 'postgres')
    .addOption(new Option('--format <FORMAT>', 'of the line').choices(uriFormats).default('uri'))
    .option('--join', 'instead, on a member: the command by which another host joins, with the token', false)
    .action(async (path: string | undefined, flags: UriFlags, command: Command) => {
      const { showUri } = await import('./uri.ts');
      context.finish(await showUri(pathFrom(path, command, context), flags, context));
    });
  program
    .command('files')
    .description('where everything of a member is: configuration, data, state, logs, sockets, passwords')
    .argument('[CONFIG]', 'configuration of the member (also -c CONFIG)')
    .addOption(formatOption())
    .action(async (path: string | undefined, flags: { format: string }, command: Command) => {
      const { showFiles } = await import('./files.ts');
      context.finish(await showFiles(pathFrom(path, command, context), readFormat(flags.format), context));
    });
}

function pathFrom(path: string | undefined, command: Command, context: Context): ConfigPath {
  return path === undefined ? configPathOf(command, context) : { path, optional: false };
}
