/** What every command is given: the process that it runs in, the configuration, and options that many of them have. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ControlConfig } from '../config/config.ts';
import { onlyConfiguration, type Surroundings } from '../config/folder.ts';
import type { Output } from './output.ts';
import type { Format } from './table.ts';

/** What commands reach of the process that they run in. */
export interface Context {
  readonly output: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Gets the exit code of the command that was run. */
  finish(code: number): void;
}

export const forceText = 'do not ask for confirmation';
export const dryRunText = 'print what would be done, and do nothing';

/** A duration as it is written on the command line. */
export function seconds(text: string): number {
  const number = Number(text);
  if (!(number >= 0.1 && number <= 86_400)) throw new InvalidArgumentError('Allowed: seconds from 0.1 to 86400.');
  return number;
}

/** A count as it is written on the command line. */
export function whole(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError('Allowed: a whole number.');
  return number;
}

const formats = ['pretty', 'tsv', 'json', 'yaml', 'yml'] as const;

/** How a table is printed. */
export function formatOption(): Option {
  return new Option('-f, --format <FORMAT>', 'output format').choices(formats).default('pretty');
}

/** What that option said. */
export function readFormat(text: string): Format {
  if (text === 'tsv' || text === 'json' || text === 'yaml') return text;
  return text === 'yml' ? 'yaml' : 'pretty';
}

/** Which file is the configuration. */
export interface ConfigPath {
  readonly path: string;
  /** Nobody named it: it need not be there. */
  readonly optional: boolean;
}

/** The file that `command` was given, else the environment's, else the customary one: patronictl's, or that of `create`. */
export function configPathOf(command: Command, { environment }: Context): ConfigPath {
  const { configFile } = command.optsWithGlobals<{ configFile?: string }>();
  const named = configFile ?? (environment['PATRONICTL_CONFIG_FILE'] || undefined);
  if (named !== undefined) return { path: named, optional: false };
  const path = join(homedir(), '.config', 'patroni', 'patronictl.yaml');
  const own = existsSync(path) ? undefined : onlyConfiguration(surroundings(environment));
  return { path: own ?? path, optional: own === undefined };
}

/** Who asks, and where. */
export function surroundings(environment: Context['environment']): Surroundings {
  return { home: homedir(), isRoot: process.getuid?.() === 0, environment };
}

/** The configuration, or undefined once its problems are told and the exit code is set. */
export async function configOf(command: Command, context: Context): Promise<ControlConfig | undefined> {
  const { loadControlConfig } = await import('../config/load.ts');
  const { path, optional } = configPathOf(command, context);
  const loaded = await loadControlConfig(path, optional, context.environment);
  if (loaded.ok) return loaded.config;
  for (const problem of loaded.problems) context.output.note(`Error: ${problem}`);
  context.finish(1);
  return undefined;
}

/** The named cluster, or the configuration's; undefined once it is told that there is none. */
function scopeOf(named: string | undefined, config: ControlConfig, context: Context): string | undefined {
  const scope = named ?? config.scope;
  if (scope !== undefined) return scope;
  context.output.note('Error: name the cluster, or a configuration (-c) that has its scope');
  context.finish(2);
  return undefined;
}

/** For commands on one cluster: configuration and scope, then `run`. */
export async function onCluster(
  named: string | undefined,
  command: Command,
  context: Context,
  run: (config: ControlConfig, scope: string) => Promise<number>,
): Promise<void> {
  const config = await configOf(command, context);
  const scope = config && scopeOf(named, config, context);
  if (config && scope !== undefined) context.finish(await run(config, scope));
}
