/**
 * A new data directory is made beside the old one and put in its place when it is complete.
 *
 * Invariant: the old directory is deleted only after the new one has its name. The names beside `<dataDir>`:
 * `.clone` and `.initdb` are unfinished and worth nothing; `.old` is the former directory, which is put back when
 * its place is empty; `.failed` is for people, and never touched again.
 */
import { chmodSync, chownSync, existsSync, realpathSync, renameSync, rmdirSync, statSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDirectory, syncDirectory } from '../lib/durable-write.ts';
import { ownerOf } from './config-files.ts';
import { isEmptyDirectory } from './data-directory.ts';
import type { Setup } from './options.ts';

/** A place for a new data directory, or why there is none. */
export type Workplace =
  | {
      readonly ok: true;
      /** Where the new directory is made: empty, and the operating system user's. */
      readonly path: string;
      /** Gives it its place. The old directory is deleted in the background. */
      finish(): Promise<void>;
      /** Throws it away; what was in the data directory is as before. */
      discard(): Promise<void>;
    }
  | { readonly ok: false; readonly error: string };

/** Behind a symbolic link it is the real directory that is renamed: the link stays. */
function realPlace(setup: Setup): string {
  return existsSync(setup.dataDir) ? realpathSync(setup.dataDir) : setup.dataDir;
}

/** Prepares the making of a new data directory. `kind` is the ending of its name meanwhile. */
export async function openWorkplace(setup: Setup, kind: 'clone' | 'initdb'): Promise<Workplace> {
  await restoreDirectory(setup);
  const place = realPlace(setup);
  await makeDirectory(dirname(place), 0o755);
  if (isMountPoint(place)) return inPlace(setup, place);
  const path = `${place}.${kind}`;
  await removeTree(path);
  await mkdir(path, { mode: 0o700 });
  ownDirectory(setup, path);
  return {
    ok: true,
    path,
    finish: async () => {
      await removeTree(`${place}.old`);
      const hadOne = existsSync(place);
      // Without a wait in between: nobody of this process sees the place empty.
      if (hadOne) renameSync(place, `${place}.old`);
      renameSync(path, place);
      await syncDirectory(dirname(place));
      removeTree(`${place}.old`).catch((error: unknown) =>
        setup.log.warn('old-directory-kept', `${place}.old could not be deleted: ${String(error)}`),
      );
    },
    discard: () => removeTree(path),
  };
}

/** A mount point cannot be renamed: it is filled directly, if there is nothing in it. */
function inPlace(setup: Setup, place: string): Workplace {
  if (!isEmptyDirectory(place)) {
    return {
      ok: false,
      error: `${place} is a mount point and not empty, so it cannot be replaced as a whole: use a folder inside of it as data directory, or empty it by hand`,
    };
  }
  ownDirectory(setup, place);
  return {
    ok: true,
    path: place,
    finish: () => syncDirectory(place),
    discard: async () => {
      for (const name of await readdir(place)) await removeTree(join(place, name));
    },
  };
}

function isMountPoint(path: string): boolean {
  return existsSync(path) && statSync(path).dev !== statSync(dirname(path)).dev;
}

function ownDirectory(setup: Setup, path: string): void {
  const owner = ownerOf(setup);
  if (owner) chownSync(path, owner.uid, owner.gid);
  chmodSync(path, 0o700);
}

/**
 * After an agent that was killed between the two renames: the former directory goes back to its place.
 * An empty directory in that place (a service manager may have made it) gives way.
 */
export async function restoreDirectory(setup: Setup): Promise<void> {
  const place = realPlace(setup);
  const old = `${place}.old`;
  if (!existsSync(join(old, 'PG_VERSION'))) return;
  if (existsSync(place)) {
    if (!isEmptyDirectory(place) || isMountPoint(place)) return;
    rmdirSync(place);
  }
  renameSync(old, place);
  await syncDirectory(dirname(place));
  setup.log.warn('directory-restored', `${old} was put back as ${place}: its replacement had not been completed`);
}

/** Moves the data directory to `<dataDir>.failed`, or `.failed.2`, ... */
export async function setAside(setup: Setup): Promise<void> {
  const place = realPlace(setup);
  if (!existsSync(place)) return;
  let target = `${place}.failed`;
  for (let number = 2; existsSync(target); number += 1) target = `${place}.failed.${number}`;
  await rename(place, target);
  await syncDirectory(dirname(place));
  setup.log.info('directory-set-aside', `${place} is now ${target}`);
}

async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 3 });
}
