/**
 * Does storage take a write? Asked of a small process beside the agent: a call on storage that hangs does not return, and
 * cannot be ended either. In the agent it would take a thread away for good, and keep its sockets open when it ends.
 *
 * What is written is a block in the middle of nothing, over and over, and flushed without the file's times: the same kind of
 * write as that of WAL, which waits neither for a file system's journal nor for room. Room is asked for.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { StorageOutcome } from '../core/events.ts';
import type { Setup } from './options.ts';
import { asOsUser, osUserEnvironment } from './os-user.ts';

/** The probes of one instance; one at a time. */
export interface StorageProbe {
  /** Resolves when storage has answered, however late. */
  probe(): Promise<StorageOutcome>;
  close(): void;
}

/**
 * Reads the data directory's name, a line for each probe; answers with what it met, and `end`. A directory without
 * PG_VERSION is being made, or emptied: it is left alone. Two places where `stat` shows two file systems.
 */
const script = `
file=pgherd.probe
try() { dd if=/dev/zero of="$1/$file" bs=8192 count=1 conv=notrunc,fdatasync status=none; }
while IFS= read -r data; do
  if [ -e "$data/PG_VERSION" ]; then
    {
      try "$data"
      set -- $(stat -f -c '%i %a %S' "$data" "$data/pg_wal")
      echo "free $2 $3"
      [ "$1" = "$4" ] || { echo "free $5 $6"; try "$data/pg_wal"; }
    } 2>&1
  fi
  echo end
done`;

/** The words (of strerror, in the C locale) that say that storage takes nothing. Anything else is another matter. */
const refusals =
  /No space left on device|Disk quota exceeded|Input\/output error|Read-only file system|Structure needs cleaning|Stale file handle|No such device/;

/** Nothing is started before the first probe. */
export function storageProbe(setup: Setup): StorageProbe {
  let helper: Helper | undefined;
  let isClosed = false;
  return {
    probe: async () => {
      if (isClosed) return { ok: true, freeBytes: Number.POSITIVE_INFINITY };
      if (helper?.hasEnded() !== false) helper = startHelper(setup);
      const said = await helper.ask(setup.dataDir);
      if (said === undefined) {
        setup.log.debug('storage-probe', 'the process that tries storage ended; the next probe has another one');
        return { ok: true, freeBytes: Number.POSITIVE_INFINITY };
      }
      return readAnswer(said);
    },
    close: () => {
      isClosed = true;
      helper?.end();
    },
  };
}

/** What the helper said of one probe, up to `end`. */
export function readAnswer(said: string): StorageOutcome {
  const error = said.split('\n').find((line) => refusals.test(line));
  if (error !== undefined) return { ok: false, error: error.replace(/^dd: /, '') };
  const free = [...said.matchAll(/^free (\d+) (\d+)$/gm)].map(([, blocks, bytes]) => Number(blocks) * Number(bytes));
  return { ok: true, freeBytes: Math.min(...free, Number.POSITIVE_INFINITY) };
}

interface Helper {
  /** Undefined when it ended before it had answered. */
  ask(dataDir: string): Promise<string | undefined>;
  hasEnded(): boolean;
  end(): void;
}

function startHelper(setup: Setup): Helper {
  const run = asOsUser(setup.osUser, 'sh', false);
  // A stuck child of it outlives it until storage answers; it holds nothing but its own file and these pipes.
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(run.command, [...run.arguments, '-c', script], {
    cwd: '/',
    env: osUserEnvironment(setup.osUser, { LC_ALL: 'C' }),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let hasEnded = false;
  let answered: ((said: string | undefined) => void) | undefined;
  let said = '';
  const answer = (text: string | undefined): void => {
    const tell = answered;
    answered = undefined;
    said = '';
    tell?.(text);
  };
  const over = (): void => {
    hasEnded = true;
    answer(undefined);
  };
  child.once('error', over);
  child.once('exit', over);
  // EPIPE: it has ended, which is told by itself.
  child.stdin.on('error', () => {});
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (/^end$/m.test(said)) answer(said);
  });
  return {
    ask: (dataDir) =>
      new Promise((resolve) => {
        if (hasEnded) return resolve(undefined);
        answered = resolve;
        child.stdin.write(`${dataDir}\n`);
      }),
    hasEnded: () => hasEnded,
    end: () => {
      child.kill('SIGKILL');
      child.unref();
      child.stdin.destroy();
      child.stdout.destroy();
    },
  };
}
