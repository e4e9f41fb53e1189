/** Where PostgreSQL's programs are: an agent's, or a monitor's. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runProgram } from '../lib/subprocess.ts';

/** Links to some of them in PATH are not enough. */
const programs = ['postgres', 'initdb', 'pg_controldata', 'pg_basebackup', 'pg_rewind'] as const;

/** The major version that made a data directory; undefined where there is none. */
export function majorOfDirectory(dataDir: string): number | undefined {
  try {
    const major = Number.parseInt(readFileSync(join(dataDir, 'PG_VERSION'), 'utf8'), 10);
    return Number.isInteger(major) ? major : undefined;
  } catch {
    return undefined;
  }
}

/** PostgreSQL's programs of one version. */
export interface Binaries {
  readonly dir: string;
  readonly major: number;
}

/** The programs, or where they were looked for in vain. */
export type BinariesOutcome =
  | { readonly ok: true; readonly binaries: Binaries }
  | { readonly ok: false; readonly error: string };

/**
 * The programs in `binDir`; without one those of version `major` (that of an existing data directory), or the newest:
 * PATH first, then where Debian and Red Hat put them.
 */
export async function findBinaries(binDir: string | undefined, major: number | undefined): Promise<BinariesOutcome> {
  const found: Binaries[] = [];
  for (const dir of binDir === undefined ? candidates() : [binDir]) {
    const version = await majorOf(dir);
    if (version !== undefined) found.push({ dir, major: version });
  }
  const [newest] = found.toSorted((a, b) => b.major - a.major);
  if (newest === undefined) {
    const where = binDir ?? 'PATH, /usr/lib/postgresql/*/bin and /usr/pgsql-*/bin';
    return { ok: false, error: `no PostgreSQL server was found in ${where}: install postgresql, or name its folder` };
  }
  const chosen = major === undefined ? newest : found.find((one) => one.major === major);
  if (chosen === undefined) {
    const there = [...new Set(found.map((one) => one.major))].join(', ');
    return {
      ok: false,
      error: `the data directory was made by PostgreSQL ${major}; here is version ${there}: install version ${major}, or upgrade the directory with pg_upgrade`,
    };
  }
  if (chosen.major < 14) {
    return { ok: false, error: `${chosen.dir} has PostgreSQL ${chosen.major}; allowed: version 14 or later` };
  }
  return { ok: true, binaries: chosen };
}

function candidates(): readonly string[] {
  const inPath = (process.env['PATH'] ?? '').split(delimiter);
  const debian = foldersIn('/usr/lib/postgresql').map((version) => `/usr/lib/postgresql/${version}/bin`);
  const redHat = foldersIn('/usr').flatMap((name) => (name.startsWith('pgsql-') ? [`/usr/${name}/bin`] : []));
  return [...inPath, ...debian, ...redHat].filter(
    (dir) => dir !== '' && programs.every((program) => existsSync(join(dir, program))),
  );
}

function foldersIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

async function majorOf(dir: string): Promise<number | undefined> {
  const outcome = await runProgram({
    command: join(dir, 'postgres'),
    arguments: ['--version'],
    environment: process.env,
    workingDirectory: '/',
    deadlineMs: 10_000,
  });
  const match = /\(PostgreSQL\) (\d+)/.exec(outcome.stdout);
  return match ? Number(match[1]) : undefined;
}
