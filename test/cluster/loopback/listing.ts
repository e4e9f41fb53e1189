/** What is in a folder, exactly: the proof that nothing was touched. */
import { existsSync, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Every entry with its kind, owner, mode, size and time of change, the folder itself first. */
export function listing(folder: string): readonly string[] {
  return existsSync(folder) ? entries(folder, '.') : ['absent'];
}

function entries(root: string, name: string): readonly string[] {
  const path = join(root, name);
  const facts = lstatSync(path, { bigint: true });
  const kind = facts.isDirectory() ? 'd' : facts.isSymbolicLink() ? `l ${readlinkSync(path)}` : 'f';
  const line = `${name} ${kind} ${facts.uid}:${facts.gid} ${facts.mode.toString(8)} ${facts.size} ${facts.mtimeNs} ${facts.ino}`;
  if (!facts.isDirectory()) return [line];
  const below = readdirSync(path).toSorted();
  return [line, ...below.flatMap((each) => entries(root, join(name, each)))];
}
