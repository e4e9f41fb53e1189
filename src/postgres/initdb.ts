/** A new, empty cluster. */

import { chownSync } from 'node:fs';
import { appendFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobOutcome } from '../core/events.ts';
import type { Progress } from '../core/model.ts';
import { makeDirectory } from '../lib/durable-write.ts';
import { ownerOf } from './config-files.ts';
import { isEmptyDirectory } from './data-directory.ts';
import { openWorkplace } from './directory-swap.ts';
import { defaultHbaLines } from './hba.ts';
import { optionNames, type Setup, toolArguments } from './options.ts';
import { runTool } from './toolbox.ts';

const forbidden = ['pgdata', 'nosync', 'no-sync', 'sync-only', 'pwfile', 'pwprompt', 'username', 'version', 'help'];

/** Creates the data directory; it is not started. It gets its name only when it is complete. */
export async function initializeDatabase(
  setup: Setup,
  progress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<JobOutcome> {
  if (!isEmptyDirectory(setup.dataDir)) return { ok: false, error: `${setup.dataDir} is not empty` };
  const workplace = await openWorkplace(setup, 'initdb');
  if (!workplace.ok) return workplace;
  progress({ doing: 'initdb' });
  const passwordFile = await writePasswordFile(setup);
  try {
    const made = await runInitdb(setup, workplace.path, passwordFile, signal);
    if (!made.ok) {
      await workplace.discard();
      return made;
    }
    await appendFile(join(workplace.path, 'pg_hba.conf'), `\n${defaultHbaLines(setup).join('\n')}\n`);
    if (signal.aborted) {
      await workplace.discard();
      return { ok: false, error: 'initdb was cancelled' };
    }
    await workplace.finish();
    return { ok: true };
  } finally {
    if (passwordFile !== undefined) await rm(passwordFile, { force: true });
  }
}

async function runInitdb(
  setup: Setup,
  path: string,
  passwordFile: string | undefined,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const configured = toolArguments(setup.initdb, forbidden);
  if (configured.refused.length > 0) {
    setup.log.warn('option-ignored', `bootstrap.initdb: pgherd sets ${configured.refused.join(', ')} itself`);
  }
  const outcome = await runTool(setup, {
    program: 'initdb',
    arguments: [
      '-D',
      path,
      '-U',
      setup.authentication.superuser.username,
      ...(passwordFile === undefined ? [] : [`--pwfile=${passwordFile}`]),
      ...defaultArguments(setup),
      ...configured.arguments,
    ],
    deadlineMs: setup.timings.initdbMs,
    signal,
  });
  return outcome.ok ? { ok: true } : outcome;
}

/** What is not configured: UTF-8, and no more trust than necessary. */
function defaultArguments(setup: Setup): readonly string[] {
  const names = optionNames(setup.initdb);
  const has = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
  const result: string[] = [];
  if (!has(/^(encoding|E)$/)) result.push('--encoding=UTF8');
  const environmentHasLocale = ['LC_ALL', 'LANG'].some((name) => process.env[name] !== undefined);
  if (!has(/^(locale|lc-|no-locale)/) && !environmentHasLocale) result.push('--locale=C.UTF-8');
  // Without a password only trust lets us in, and initdb warns of it.
  if (setup.authentication.superuser.password !== undefined) {
    if (!has(/^(auth|A|auth-host)$/)) result.push('--auth-host=scram-sha-256');
    const local = setup.useUnixSocket ? 'scram-sha-256' : 'peer';
    if (!has(/^(auth|A|auth-local)$/)) result.push(`--auth-local=${local}`);
  }
  return result;
}

async function writePasswordFile(setup: Setup): Promise<string | undefined> {
  const { password } = setup.authentication.superuser;
  if (password === undefined) return undefined;
  await makeDirectory(setup.stateDir, 0o700, ownerOf(setup));
  const path = join(setup.stateDir, 'initdb-password');
  await rm(path, { force: true });
  await writeFile(path, `${password}\n`, { mode: 0o600, flag: 'wx' });
  const owner = ownerOf(setup);
  if (owner) chownSync(path, owner.uid, owner.gid);
  return path;
}
