/**
 * Disks that hang and fill, on this machine: a file system in a file (loop device), frozen with fsfreeze. What writes to a
 * frozen one waits in the kernel (state D), and no signal ends it. One that lies in a file on another frozen one is like a
 * device that does not answer: writes go to memory, and their flush hangs. Needs root.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export interface Disk {
  /** Where it is mounted; belongs to postgres. */
  readonly path: string;
  /** From now on it hangs; it thaws by itself after a minute and a half, whatever becomes of the test. */
  readonly freeze: () => void;
  readonly thaw: () => void;
  /** Nothing may run on it any more. */
  readonly end: () => void;
}

const watchdogS = 90;

/** Whether disks can be made here. */
export function canMakeDisks(): boolean {
  if (process.getuid?.() !== 0) return false;
  try {
    command('losetup', '--find');
    return true;
  } catch {
    return false;
  }
}

/** `hangs`: writes, or only their flush, as where a device is gone. The image lies in `folder`. */
export function makeDisk(folder: string, name: string, megabytes: number, hangs: 'writes' | 'flushes'): Disk {
  const path = join(folder, name);
  if (hangs === 'writes') {
    const image = mountImage(folder, path, name, megabytes);
    return diskOf(path, path, [path], image);
  }
  const outer = join(folder, `${name}-device`);
  const outerImage = mountImage(folder, outer, `${name}-device`, megabytes + 64);
  mountImage(outer, path, name, megabytes);
  return diskOf(path, outer, [path, outer], outerImage);
}

function diskOf(path: string, frozen: string, mounted: readonly string[], image: string): Disk {
  let watchdog: ChildProcess | undefined;
  const thaw = (): void => {
    if (watchdog === undefined) return;
    try {
      command('fsfreeze', '--unfreeze', frozen);
    } catch {
      // It has thawed by itself.
    }
    watchdog.kill('SIGKILL');
    watchdog = undefined;
    process.off('exit', thaw);
  };
  return {
    path,
    freeze: () => {
      const script = `sleep ${watchdogS}; fsfreeze --unfreeze '${frozen}'`;
      watchdog = spawn('sh', ['-c', script], { stdio: 'ignore', detached: true });
      watchdog.unref();
      process.on('exit', thaw);
      command('fsfreeze', '--freeze', frozen);
    },
    thaw,
    end: () => {
      thaw();
      for (const path of mounted) command('umount', '--lazy', path);
      rmSync(image, { force: true });
    },
  };
}

/** Takes all room that is left to everybody but root. */
export function fill(path: string): void {
  const script = `dd if=/dev/zero of='${path}/ballast' bs=64k 2>/dev/null; dd if=/dev/zero of='${path}/crumbs' bs=1k 2>/dev/null; true`;
  command('setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', '--', 'sh', '-c', script);
}

/** Gives it back. */
export function empty(path: string): void {
  rmSync(join(path, 'ballast'), { force: true });
  rmSync(join(path, 'crumbs'), { force: true });
}

function mountImage(folder: string, path: string, name: string, megabytes: number): string {
  const image = join(folder, `${name}.img`);
  mkdirSync(path, { recursive: true });
  command('truncate', '-s', `${megabytes}M`, image);
  command('mkfs.ext4', '-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image);
  command('mount', '-o', 'loop', image, path);
  command('chown', 'postgres:postgres', path);
  return image;
}

function command(program: string, ...words: string[]): void {
  execFileSync(program, words, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 });
}
