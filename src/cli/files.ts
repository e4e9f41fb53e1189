/** `files`: where everything of a member is. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { memberFiles } from '../create/member-files.ts';
import { codeOf } from '../lib/caught.ts';
import { findBinaries, majorOfDirectory } from '../postgres/binaries.ts';
import { chooseOsUser } from '../postgres/os-user.ts';
import { readPidFile } from '../postgres/process-table.ts';
import type { ConfigPath, Context } from './context.ts';
import type { ExitCode } from './output.ts';
import { launcherPath } from './systemd.ts';
import { type Format, render } from './table.ts';

/** Prints a row for each, with whether it is there. */
export async function showFiles({ path }: ConfigPath, format: Format, context: Context): Promise<ExitCode> {
  const { output, environment } = context;
  const loaded = await loadConfig(path, environment);
  if (!loaded.ok) {
    for (const problem of loaded.problems) output.note(problem);
    return 1;
  }
  const { config } = loaded;
  const { postgresql } = config;
  const programs = postgresql && (await findBinaries(postgresql.binDir, majorOfDirectory(postgresql.dataDir)));
  const files = memberFiles({
    config,
    configPath: resolve(path),
    launcher: launcherPath(),
    binDir: programs?.ok ? programs.binaries.dir : undefined,
    socketDirectory: postgresql && socketsOf(postgresql.dataDir),
  });
  const rows = await Promise.all(files.map(async (file) => [file.what, file.path, await stateOf(file.path)]));
  const columns = [{ name: 'What' }, { name: 'Path' }, { name: 'State' }];
  output.print(render({ columns, rows, title: `Member: ${config.name} of ${config.scope} ` }, format));
  return 0;
}

/** Of the server that runs; '' where it has none; undefined: none runs, or it is not known. */
function socketsOf(dataDir: string): string | undefined {
  const user = chooseOsUser(dataDir);
  const pidFile = user.ok ? readPidFile(dataDir, user.user) : undefined;
  return pidFile && (pidFile.socketDirectory ?? '');
}

async function stateOf(path: string): Promise<string> {
  try {
    const facts = await stat(path);
    return `there, mode ${(facts.mode & 0o7777).toString(8).padStart(4, '0')}`;
  } catch (error) {
    return codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR' ? 'not there' : `not readable (${codeOf(error)})`;
  }
}
