/** What is in the data directory, whether or not a server runs on it. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlData, DataDirectory } from '../core/model.ts';
import { codeOf, messageOf } from '../lib/caught.ts';
import type { ControlOutcome } from './control-data.ts';

/** What an operator's mount point or file manager leaves, and PostgreSQL's tools pass over. */
const harmless: ReadonlySet<string> = new Set(['lost+found']);

/** Missing, or without any content. Throws what the file system says when it cannot be read. */
export function isEmptyDirectory(path: string): boolean {
  try {
    return readdirSync(path).every((name) => harmless.has(name));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true;
    throw error;
  }
}

/**
 * Looks at the directory. `readControl` is asked only where there is one to read.
 */
export async function examineDataDirectory(
  dataDir: string,
  readControl: () => Promise<ControlOutcome | { readonly ok: true; readonly control: ControlData }>,
): Promise<DataDirectory> {
  try {
    if (isEmptyDirectory(dataDir)) return { kind: 'empty' };
    for (const name of ['PG_VERSION', join('global', 'pg_control')]) {
      if (existsSync(join(dataDir, name))) continue;
      const found = readdirSync(dataDir).slice(0, 5).join(', ');
      return unusable(`${dataDir} is not a PostgreSQL data directory: it has no ${name}, but ${found}`);
    }
    const mark = directoryMark(dataDir);
    const outcome = await readControl();
    if (!outcome.ok) return unusable(`${dataDir}: ${outcome.error}`);
    const { systemId, state, timeline, checkpointLsn, walLogHints, dataChecksums } = outcome.control;
    const standbySignal = existsSync(join(dataDir, 'standby.signal')) || existsSync(join(dataDir, 'recovery.signal'));
    const control = { systemId, state, timeline, checkpointLsn, walLogHints, dataChecksums };
    return { kind: 'present', mark, control, standbySignal };
  } catch (error) {
    return unusable(`${dataDir} cannot be read: ${messageOf(error)}`);
  }
}

function unusable(error: string): DataDirectory {
  return { kind: 'unusable', error };
}

/**
 * Which copy of the data this is: inode and birth time of its folder `global`. Not of the data directory itself,
 * which stays the same where it is a mount point and its content is replaced; no tool replaces `global` alone.
 */
function directoryMark(dataDir: string): string {
  const facts = statSync(join(dataDir, 'global'), { bigint: true });
  return `${facts.ino}-${facts.birthtimeNs}`;
}
