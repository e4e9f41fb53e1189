/** Files with secrets: mode 0600, made new or not at all, on disk when it is said that they are there. */
import { open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf, messageOf } from '../lib/caught.ts';
import { makeDirectory, syncDirectory } from '../lib/durable-write.ts';

/** A file that is to be made. */
export interface NewFile {
  readonly path: string;
  readonly text: string;
}

/** `undo` removes what was made. */
export type WriteOutcome =
  | { readonly ok: true; readonly undo: () => Promise<void> }
  | { readonly ok: false; readonly error: string };

/** Makes all of them, or none; a file that is there is never written over. */
export async function writeNewFiles(files: readonly NewFile[]): Promise<WriteOutcome> {
  const made: string[] = [];
  const undo = async (): Promise<void> => {
    for (const path of made) await rm(path, { force: true });
  };
  for (const { path, text } of files) {
    try {
      await makeDirectory(dirname(path), process.getuid?.() === 0 ? 0o755 : 0o700);
      const file = await open(path, 'wx', 0o600);
      made.push(path);
      try {
        await file.writeFile(text);
        // The mode of `open` is less what the umask takes away.
        await file.chmod(0o600);
        await file.sync();
      } finally {
        await file.close();
      }
      await syncDirectory(dirname(path));
    } catch (error) {
      await undo();
      const why = codeOf(error) === 'EEXIST' ? 'it is there already' : messageOf(error);
      return { ok: false, error: `${path} cannot be made: ${why}` };
    }
  }
  return { ok: true, undo };
}
