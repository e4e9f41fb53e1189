/**
 * The guard: a process of its own beside each agent, so that the deadline of the leader key is kept when the agent is
 * killed, stopped, stuck or being replaced. It knows a directory and an instant, and nothing of clusters.
 *
 *     guard --directory STATE --data-dir DATA [--watchdog DEVICE --safety-margin MS]
 *
 * It listens on STATE/guard.sock, ends when no agent is connected and nothing is left to enforce, and writes what it did
 * to STATE/guard.events, a JSON line each, for the agent to report.
 */
import { appendFile, chmodSync, openSync, readFileSync, realpath, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootClock, wallTime } from '../host/clock.ts';
import { type AgentWord, guardLine, guardVersion, lineReader, readAgentLine } from '../host/guard-line.ts';
import { startTicksOf } from '../host/process-identity.ts';
import { type Watchdog, watchdog } from '../host/watchdog.ts';
import { guardedInstance } from './instance.ts';
import { type Standing, stand } from './standing.ts';

const { values } = parseArgs({
  options: {
    directory: { type: 'string' },
    'data-dir': { type: 'string' },
    watchdog: { type: 'string' },
    'safety-margin': { type: 'string', default: '5000' },
  },
});
const { directory, 'data-dir': dataDir } = values;
if (directory === undefined || dataDir === undefined) throw new Error('--directory and --data-dir are needed');
guardOver(directory, dataDir, values.watchdog, Number(values['safety-margin']));

function guardOver(stateDir: string, data: string, device: string | undefined, safetyMarginMs: number): void {
  const clock = bootClock();
  let place = data;
  // Not waited for: a clone may be about to make the directory, and a disk may hang.
  const locate = (): void => realpath(data, (error, real) => (place = error ? place : real));
  locate();
  const tell = teller(join(stateDir, 'guard.events'));
  const dog = device === undefined ? undefined : watchdog({ device, safetyMarginMs, tell });
  const standing = stand({
    now: () => clock.now(),
    instance: guardedInstance(() => place),
    tell,
    onFenced: () => dog?.letGo(),
  });
  const agents = new Set<Socket>();
  const leaveWhenIdle = (): void => {
    if (agents.size > 0 || !standing.isIdle()) return;
    dog?.letGo();
    tidy(stateDir);
    process.exit(0);
  };
  const server = createServer((socket) => {
    agents.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      agents.delete(socket);
      leaveWhenIdle();
    });
    const say = (text: string): void => void socket.write(text);
    const hear = lineReader((line) => {
      const word = readAgentLine(line);
      if (word?.kind === 'arm' && word.until !== standing.until()) locate();
      if (word) obey(word, standing, dog, say);
    });
    socket.setEncoding('utf8').on('data', hear);
    say(guardLine({ kind: 'hello', version: guardVersion, pid: process.pid, until: standing.until() }));
  });
  listen(server, stateDir);
  // An agent that has just started a guard connects within moments.
  setInterval(leaveWhenIdle, 5000);
  // Its work is done by the deadline, or by the agent that says so: not by whoever ends everything at a shutdown.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, leaveWhenIdle);
}

function obey(word: AgentWord, standing: Standing, dog: Watchdog | undefined, say: (text: string) => void): void {
  if (word.kind === 'end') {
    dog?.letGo();
    process.exit(0);
  }
  const before = standing.until();
  standing.arm(word.until);
  if (word.until === undefined) dog?.letGo();
  else if (before === undefined || word.until > before) dog?.feed(word.ttlMs);
  say(guardLine({ kind: 'armed', until: word.until }));
}

/** Who comes later has nothing to wonder about. What another guard has put there since is its own. */
function tidy(stateDir: string): void {
  try {
    if (readFileSync(join(stateDir, 'guard.pid'), 'latin1') !== identity()) return;
    for (const name of ['guard.sock', 'guard.err', 'guard.pid']) rmSync(join(stateDir, name), { force: true });
  } catch {
    // The folder is gone, or was tidied.
  }
}

function identity(): string {
  return `${process.pid} ${startTicksOf(process.pid) ?? ''}\n`;
}

/** A path to a socket has 107 bytes at most: by way of an open directory it is always short. */
function listen(server: ReturnType<typeof createServer>, stateDir: string): void {
  const path = `/proc/self/fd/${openSync(stateDir, 'r')}/guard.sock`;
  // Whoever listened here before is dead, or the agent is replacing it.
  rmSync(path, { force: true });
  writeFileSync(join(stateDir, 'guard.pid'), identity(), { mode: 0o600 });
  server.listen(path, () => chmodSync(path, 0o600));
}

function teller(path: string): (text: string) => void {
  return (text) => {
    const line = `${JSON.stringify({ at: wallTime(), text })}\n`;
    // Nobody waits for the disk, and a full one is not the guard's matter. Not to standard error: a pipe that nobody reads
    // would stop the guard.
    appendFile(path, line, { mode: 0o600 }, () => undefined);
  };
}
