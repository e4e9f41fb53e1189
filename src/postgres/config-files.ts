/**
 * The configuration files of the instance.
 *
 * Our parameters are in a file of our own, `pgherd.conf`, which the last line of postgresql.conf includes: what an
 * administrator writes there stays, ours prevails. Files are replaced as a whole; one that is as it should be is not
 * touched.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Endpoint, Settings } from '../core/model.ts';
import { slotNameOf } from '../core/slots.ts';
import { syncDirectory, writeDurably } from '../lib/durable-write.ts';
import { passfile, upstreamConninfo } from './conninfo.ts';
import { defaultHbaLines } from './hba.ts';
import { type Credentials, rewindCredentials, type Setup } from './options.ts';
import { effectiveParameters, formatParameter, isOurs, parseParameters, stripAutoConf } from './parameters.ts';

/** What the files are to say. */
export interface Configuration {
  readonly upstream: Endpoint | undefined;
  /** Undefined: of the cluster's settings nothing is known yet. */
  readonly settings: Settings | undefined;
  /** The parameter's value, as it is to stand there. */
  readonly synchronousStandbyNames: string;
  /** Least values from pg_control, for a standby. */
  readonly atLeast: Readonly<Record<string, string>>;
}

/** What was written, and what goes on the postmaster's command line instead. */
export interface WrittenConfiguration {
  readonly commandLine: Readonly<Record<string, string>>;
  /** The file's content, as the parameter `pgherd.configuration` shows it: proves that a session has read it. */
  readonly mark: string;
}

const ownFile = 'pgherd.conf';
const includeLine = `include '${ownFile}'`;
const markParameter = 'pgherd.configuration';

/** Where the files of a data directory are that is not (yet) the instance's, as a clone's. */
export interface Places {
  readonly dataDir: string;
  readonly configDir: string;
}

/** Writes pgherd.conf and the files around it. Throws the file system's errors. */
export async function writeConfiguration(
  setup: Setup,
  configuration: Configuration,
  places: Places = setup,
): Promise<WrittenConfiguration> {
  const settings: FileSettings = configuration.settings ?? noSettings;
  const parameters = effectiveParameters(setup, settings, configuration.atLeast);
  for (const warning of parameters.warnings) setup.log.warn('parameter-ignored', warning);
  const mark = await writeOwnFile(setup, places, {
    ...parameters.file,
    ...following(setup, configuration.upstream, settings),
    synchronous_standby_names: configuration.synchronousStandbyNames,
  });
  await writeAccessRules(setup, settings, places);
  await writePassfile(setup);
  return { commandLine: parameters.commandLine, mark };
}

/**
 * Leaves everything as it stands in our file, except that the instance follows nobody and fetches no archived WAL.
 * `parameters`: what else the file says. Throws the file system's errors.
 */
export async function writeSeveredConfiguration(
  setup: Setup,
): Promise<{ readonly mark: string; readonly parameters: Readonly<Record<string, string>> }> {
  const path = join(setup.configDir, ownFile);
  const text = existsSync(path) ? await readFile(path, 'utf8') : '';
  const { [markParameter]: _former, ...parameters } = parseParameters(text);
  const mark = await writeOwnFile(setup, setup, { ...parameters, ...severed });
  return { mark, parameters };
}

/** Returns the mark. File and directory are fsynced when it resolves. */
async function writeOwnFile(setup: Setup, places: Places, values: Readonly<Record<string, string>>): Promise<string> {
  const lines = Object.entries(values)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, value]) => formatParameter(name, value));
  const body = lines.join('\n');
  const mark = createHash('sha256').update(body).digest('hex').slice(0, 16);
  const head = '# Written by pgherd: changes are lost. Use the configuration of the member or of the cluster.\n';
  await write(setup, places.configDir, ownFile, `${head}${body}\n${formatParameter(markParameter, mark)}\n`);
  await includeOwnFile(setup, places);
  return mark;
}

/** What of the cluster's settings is in the files. */
type FileSettings = Pick<Settings, 'parameters' | 'useSlots' | 'pgHba' | 'synchronousMode'>;

/** Before the instance knows the cluster: only what the member itself has to say. */
const noSettings: FileSettings = { parameters: {}, useSlots: false, synchronousMode: 'off' };

const nobody = { primary_conninfo: '', primary_slot_name: '' } as const;

/** The values of a standby that gets no WAL from anywhere. */
export const severed = { ...nobody, restore_command: '' } as const;

/** Whom the instance follows. Empty, not absent: postgresql.conf may name somebody. A primary ignores it. */
function following(setup: Setup, upstream: Endpoint | undefined, settings: FileSettings): Record<string, string> {
  if (upstream === undefined) return nobody;
  const { replication } = setup.authentication;
  return {
    primary_conninfo: upstreamConninfo(upstream, replication, setup.pgpass, setup.member),
    primary_slot_name: settings.useSlots ? slotNameOf(setup.member) : '',
  };
}

async function includeOwnFile(setup: Setup, places: Places): Promise<void> {
  const path = join(places.configDir, 'postgresql.conf');
  const text = existsSync(path) ? await readFile(path, 'utf8') : '';
  const lines = text.split('\n');
  const meaningful = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  // Last, since of two values PostgreSQL takes the later one.
  if (meaningful.at(-1) === includeLine) return;
  const others = lines.filter((line) => line.trim() !== includeLine).join('\n');
  const separator = others === '' || others.endsWith('\n') ? '' : '\n';
  await write(setup, places.configDir, 'postgresql.conf', `${others}${separator}${includeLine}\n`);
}

/** Configured lines replace the file; without any, one that is there is left alone. */
async function writeAccessRules(setup: Setup, settings: FileSettings, places: Places): Promise<void> {
  const hba = setup.pgHba ?? settings.pgHba;
  if (hba !== undefined) await write(setup, places.configDir, 'pg_hba.conf', `${hba.join('\n')}\n`);
  else if (!existsSync(join(places.configDir, 'pg_hba.conf'))) {
    setup.log.warn('pg-hba-written', `${places.configDir} had no pg_hba.conf: one with pgherd's own users is written`);
    const local = ['local all all peer', 'host all all 127.0.0.1/32 scram-sha-256'];
    await write(setup, places.configDir, 'pg_hba.conf', `${[...local, ...defaultHbaLines(setup)].join('\n')}\n`);
  }
  if (setup.pgIdent !== undefined) {
    await write(setup, places.configDir, 'pg_ident.conf', `${setup.pgIdent.join('\n')}\n`);
  } else if (!existsSync(join(places.configDir, 'pg_ident.conf'))) {
    await write(setup, places.configDir, 'pg_ident.conf', '# No mappings.\n');
  }
}

/** All users that PostgreSQL's programs connect as. */
export async function writePassfile(setup: Setup): Promise<void> {
  const { superuser, replication } = setup.authentication;
  const users: readonly Credentials[] = [replication, rewindCredentials(setup), superuser];
  await writeDurably(setup.pgpass, passfile(users), 0o600, ownerOf(setup));
}

/** Removes what ALTER SYSTEM would override ours with. Only while no server runs: it rewrites the file itself. */
export async function neutralizeAutoConf(setup: Setup, dataDir: string): Promise<void> {
  const path = join(dataDir, 'postgresql.auto.conf');
  if (!existsSync(path)) return;
  const { text, removed } = stripAutoConf(await readFile(path, 'utf8'));
  if (removed.length === 0) return;
  setup.log.warn('auto-conf-cleaned', `removed from ${path}, since pgherd decides it: ${removed.join(', ')}`);
  await write(setup, dataDir, 'postgresql.auto.conf', text);
}

/** Names in postgresql.auto.conf that override ours, for a server that runs. */
export async function overridingNames(setup: Setup): Promise<readonly string[]> {
  try {
    const text = await readFile(join(setup.dataDir, 'postgresql.auto.conf'), 'utf8');
    return [...new Set(stripAutoConf(text).removed.filter(isOurs))];
  } catch {
    return [];
  }
}

/** What makes a server start as a replica, or not. */
export async function writeSignalFiles(setup: Setup, dataDir: string, as: 'primary' | 'replica'): Promise<void> {
  const present = ['recovery.signal', 'standby.signal'].filter((name) => existsSync(join(dataDir, name)));
  const unwanted = present.filter((name) => as === 'primary' || name === 'recovery.signal');
  if (as === 'replica') await write(setup, dataDir, 'standby.signal', '');
  for (const name of unwanted) await rm(join(dataDir, name), { force: true });
  if (unwanted.length > 0) await syncDirectory(dataDir);
}

async function write(setup: Setup, directory: string, name: string, content: string): Promise<void> {
  const path = join(directory, name);
  await writeDurably(path, content, 0o600, ownerOf(setup));
}

/** Whom the files belong to: as root we write for the user that runs PostgreSQL. */
export function ownerOf(setup: Setup): { readonly uid: number; readonly gid: number } | undefined {
  return setup.osUser.become ? { uid: setup.osUser.uid, gid: setup.osUser.gid } : undefined;
}
