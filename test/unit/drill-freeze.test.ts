/** A process that was stopped goes on, whatever becomes of the one that stopped it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freeze } from '../../src/drill/freeze.ts';
import { until } from '../cluster/loopback/wait.ts';

let sleeper: ChildProcess;

beforeEach(async () => {
  sleeper = spawn('sleep', ['60']);
  await once(sleeper, 'spawn');
});

afterEach(() => {
  sleeper.kill('SIGKILL');
});

function state(): string | undefined {
  const stat = readFileSync(`/proc/${sleeper.pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[0];
}

/** Processes that would continue it. */
function keepers(): number {
  return readdirSync('/proc').filter((name) => {
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return words.includes('pgherd-drill-continues') && words.includes(String(sleeper.pid));
    } catch {
      return false;
    }
  }).length;
}

test('it stands still until it is told to go on; then nobody waits any more', async () => {
  const outcome = await freeze(sleeper.pid ?? 0, 30_000);
  assert.ok(outcome.ok);
  await until('it stands still', () => state() === 'T');
  // While the shell makes its child there are two of its name.
  await until('one stands ready', () => keepers() === 1);
  outcome.thaw();
  await until('it goes on', () => state() !== 'T');
  await until('the keeper ended', () => keepers() === 0);
  outcome.thaw();
});

test('it goes on when the process that stopped it is killed', async () => {
  const path = fileURLToPath(new URL('../../src/drill/freeze.ts', import.meta.url));
  const code = `import { freeze } from '${path}'; await freeze(${sleeper.pid}, 30000); setInterval(() => {}, 1000);`;
  const drill = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'ignore' });
  try {
    await until('it stands still', () => state() === 'T');
  } finally {
    drill.kill('SIGKILL');
  }
  await until('it goes on', () => state() !== 'T');
  await until('the keeper ended', () => keepers() === 0);
});

test('it goes on when its time is up, although nobody says so', async () => {
  const outcome = await freeze(sleeper.pid ?? 0, 1);
  assert.ok(outcome.ok);
  await until('it stands still', () => state() === 'T');
  await until('it goes on', () => state() !== 'T');
});

test('a process that is not there is told, and nobody waits for it', async () => {
  sleeper.kill('SIGKILL');
  await once(sleeper, 'exit');
  const outcome = await freeze(sleeper.pid ?? 0, 30_000);
  assert.match(outcome.ok ? '' : outcome.error, /SIGSTOP to process \d+: .*ESRCH/);
  await until('the keeper ended', () => keepers() === 0);
});
