/** Files that are either the old or the new one after a crash, never half of each. */
import { chown, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Whom a file belongs to; undefined = whoever runs us. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * As `replaceDurably`; but when the content and the owner are already so, nothing is written and false is returned.
 */
export async function writeDurably(path: string, content: string, mode: number, owner?: Owner): Promise<boolean> {
  if (await isAlready(path, content, mode, owner)) return false;
  await replaceDurably(path, content, mode, owner);
  return true;
}

/**
 * Replaces `path` by a file with this content: written beside it, fsynced, renamed, and the directory fsynced.
 * Throws the file system's error; the old file is then as it was, or the new one is there and not yet sure to stay.
 */
export async function replaceDurably(
  path: string,
  content: string | Uint8Array,
  mode: number,
  owner?: Owner,
): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  // `wx`: in a directory that belongs to somebody else we follow no link that was put there.
  const file = await open(temporary, 'wx', mode);
  try {
    await file.writeFile(content);
    await file.chmod(mode);
    if (owner) await file.chown(owner.uid, owner.gid);
    await file.sync();
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    throw error;
  }
  await file.close();
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

async function isAlready(path: string, content: string, mode: number, owner: Owner | undefined): Promise<boolean> {
  try {
    if ((await readFile(path, 'utf8')) !== content) return false;
    const facts = await stat(path);
    return (facts.mode & 0o777) === mode && (owner === undefined || facts.uid === owner.uid);
  } catch {
    return false;
  }
}

/** Makes the names in a directory (creations, renames, deletions) survive a crash. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * Creates a directory, and the parents that are missing, with this mode and owner: whoever works in the directory has
 * to reach it, and to rename it in its parent. One that is there keeps its mode.
 */
export async function makeDirectory(path: string, mode: number, owner?: Owner): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  if (first === undefined) return;
  if (owner) {
    for (let created = resolve(path); created.length >= first.length; created = dirname(created)) {
      await chown(created, owner.uid, owner.gid);
    }
  }
  await syncDirectory(dirname(first));
}
