/** `drill` in the command tree. */
import { type Command, Option } from 'commander';
import { type Context, configPathOf, dryRunText, forceText, seconds } from './context.ts';
import type { DrillFlags } from './drill.ts';

const faults = ['switchover', 'kill-postgres', 'stop-agent'] as const;

/** What `--help` says below the options. */
const more = `
Faults: switchover is planned; kill-postgres is SIGKILL of the primary's postmaster; stop-agent is SIGSTOP of the
primary's agent, and SIGCONT as soon as another member takes writes. The last two run on the primary's host.
Exit codes: 0 nothing lost and all as before; 1 something lost, or not as before in time; 2 refused, or wrong usage.`;

/** Adds the command; its work is loaded when it is run. */
export function addDrill(program: Command, context: Context): void {
  program.commandsGroup('Proving:');
  program
    .command('drill')
    .description('a failover drill: a planned fault, a client that writes, and a report of what it cost')
    .argument('[CONFIG]', 'configuration of a member, of the primary for a fault on its host (also -c CONFIG)')
    .addOption(new Option('--fault <KIND>', 'what happens to the primary').choices(faults).default('switchover'))
    .option('--stop-for <SECONDS>', 'of stop-agent: at most so long (default: the TTL and 10 s)', seconds)
    .option('--timeout <SECONDS>', 'how long the cluster may take to be as before', seconds, 120)
    .option('--user <NAME>', "as whom the writer logs in (default: $PGUSER, then the configuration's superuser)")
    .option('--dbname <NAME>', 'where it makes its schema, pgherd_drill (default: $PGDATABASE, then postgres)')
    .addOption(new Option('--format <FORMAT>', 'of the report').choices(['text', 'json']).default('text'))
    .option('--html <FILE>', 'write the report as a page too, with the course drawn')
    .option('--force', forceText, false)
    .option('--dry-run', dryRunText, false)
    .addHelpText('after', more)
    .action(async (path: string | undefined, flags: DrillFlags, command: Command) => {
      if (flags.stopFor !== undefined && flags.fault !== 'stop-agent')
        command.error(`error: --stop-for goes with --fault stop-agent, not with ${flags.fault}`);
      const { drill } = await import('./drill.ts');
      const { stopSignal } = await import('./signals.ts');
      const from = path === undefined ? configPathOf(command, context) : { path, optional: false };
      context.finish(await drill(from, flags, context, stopSignal()));
    });
}
