/** docs/command-line.md, from the command tree. */
import type { Command } from 'commander';
import { createProgram } from './program.ts';

const head = `# Command line

<!-- Made from src/cli/program.ts by test/unit/cli-reference.test.ts (REWRITE=1). -->

The verbs, options, tables and texts are patronictl's, so that what people and scripts know goes on working. What differs:

- A switchover, failover, restart or reinitialization that failed ends with a code that is not 0.
- Where a question would be asked and nobody is there to answer, nothing is done: add \`--force\`.
- \`--dry-run\` prints the checks and what would be done, and does nothing.
- \`list\` and \`topology\` work without the DCS: they ask the agents, and say so on standard error.
- Members that the leader counts on and that are not heard of are listed as \`unreachable\`; below the table stands what a
  member waits for, and what the configuration's own agent waits for when the DCS does not list it.

## Exit codes

| code | |
| --- | --- |
| 0 | done; with \`--dry-run\`: it could be done |
| 1 | failed, refused, or not in time |
| 2 | wrong usage: an unknown command or option, a missing argument |

\`drill\` has its own, so that a script can tell a drill that was refused: [drill.md](drill.md).

A program (\`agent\`, \`monitor\`, \`demo\`) stops in an orderly way at the first SIGTERM or SIGINT; at the second it ends at once.

## Configuration

\`-c CONFIG\`, else the file that \`PATRONICTL_CONFIG_FILE\` names, else \`~/.config/patroni/patronictl.yaml\` if it is there, else the only
\`*.yml\` where \`create\` and \`join\` write it (\`/etc/pgherd\`; of others than root \`~/.config/pgherd\`). Any member's configuration will
do: only \`scope\`, \`namespace\`, \`monitor\` or \`etcd3\`, and \`restapi\` are read (\`drill\`, \`files\` and \`systemd\` read all of it). \`PATRONI_*\`
variables win over it.
`;

const quiet = { print: () => {}, note: () => {}, clear: () => {}, now: () => new Date(0), ask: async () => undefined };

function usage(command: Command): string {
  return `pgherd ${command.name()} ${command.usage()}`;
}

function cells(rows: readonly (readonly [string, string])[]): readonly string[] {
  if (rows.length === 0) return [];
  return [
    '',
    '| | |',
    '| --- | --- |',
    ...rows.map(([name, text]) => `| \`${name.replaceAll('|', '\\|')}\` | ${text} |`),
  ];
}

function describe(command: Command): string {
  const help = command.createHelp();
  const args = command.registeredArguments.map((argument) => [argument.name(), argument.description] as const);
  const options = help
    .visibleOptions(command)
    .filter((option) => option.long !== '--help')
    .map((option) => [help.optionTerm(option), help.optionDescription(option)] as const);
  const lines = [
    `## ${command.name()}`,
    '',
    `${sentence(command.description())}.`,
    '',
    '```',
    usage(command),
    '```',
    ...cells([...args, ...options]),
  ];
  return lines.join('\n');
}

function sentence(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** The text of the file. */
export function commandLineReference(): string {
  const program = createProgram({ output: quiet, environment: {}, finish: () => {} });
  return `${[head.trimEnd(), ...program.commands.map(describe)].join('\n\n')}\n`;
}
