/** Wrong usage of `create`, `join`, `systemd`, `uri` and `files`: told before anything is asked or made, with exit code 2. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { CommanderError } from 'commander';
import { createProgram } from '../../src/cli/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgherd-test-usage-'));
after(() => rmSync(folder, { recursive: true }));
const config = join(folder, 'a.yml');
writeFileSync(
  config,
  `scope: orders
name: db1
restapi: {listen: '127.0.0.1:1'}
monitor: {uri: 'postgres://pgherd:hush@127.0.0.1:1/pgherd'}
postgresql: {listen: '127.0.0.1:2', data_dir: ${folder}/data}
`,
);

async function run(words: readonly string[], environment: Record<string, string> = {}) {
  let code = 0;
  const printed: string[] = [];
  const noted: string[] = [];
  const output = {
    print: (text: string) => void printed.push(text),
    note: (text: string) => void noted.push(text),
    clear: () => {},
    now: () => new Date(0),
    ask: async () => undefined,
  };
  try {
    await createProgram({ output, environment, finish: (result) => (code = result) }).parseAsync(words, {
      from: 'user',
    });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    code = 2;
  }
  return { code, printed: printed.join('\n'), noted: noted.join('\n') };
}

const uri = 'postgres://pgherd@127.0.0.1:1/pgherd';

describe('wrong usage', () => {
  const cases: readonly (readonly [words: readonly string[], told: RegExp])[] = [
    [
      ['create'],
      /name the DCS: --monitor postgres:.*; without a monitor yet, start one .*pgherd monitor --pgdata DIR --listen HOST:PORT/,
    ],
    [['create', '--monitor', 'somewhere'], /--monitor: this names no DCS; allowed: the URI of a monitor/],
    [['create', '--monitor', uri, '--scope', 'a b'], /--scope: found "a b"; allowed: up to 63 printable/],
    [['create', '--monitor', uri, '--scope', '../x'], /--scope: found "\.\.\/x"/],
    [['create', '--monitor', uri, '--name', '*'], /--name: found "\*"; allowed: .*not .* the name of a program/],
    [
      ['create', '--monitor', uri, '--address', '10.0.0.1:5432'],
      /--address: found .*; allowed: an address or a name, without a port/,
    ],
    [['create', '--monitor', uri, '--address', '0.0.0.0'], /--address: found "0\.0\.0\.0"/],
    [['create', '--monitor', uri, '--port', '0'], /'--port <N>' argument '0' is invalid. Allowed: 1 to 65535/],
    [['create', '--monitor', uri, '--synchronous-mode', 'yes'], /Allowed choices are quorum, on, off/],
    [['join'], /missing required argument 'DCS'/],
    [['join', 'nowhere', '--token', 'x'], /this names no DCS/],
    [
      ['join', uri],
      /name the token: --token TOKEN, --token-file FILE, or PGHERD_JOIN_TOKEN; `pgherd uri --join` prints it on a member/,
    ],
    [['join', uri, '--token', 'hush'], /--token: this is no token, or not all of one/],
    [['join', uri, '--token-file', `${folder}/none`], /--token-file: .*none cannot be read: there is no such file/],
    [['join', uri, '--token-file', config], /a\.yml: this is no token/],
    [['systemd', config, '--pgdata', '/x'], /--pgdata and --listen go with --monitor/],
    [['systemd', '--monitor', '--pgdata', '/x'], /--monitor needs --pgdata DIR and --listen HOST:PORT/],
    [
      ['systemd', config, '--monitor', '--pgdata', '/x', '--listen', 'h:1'],
      /a configuration is of an agent, not of a monitor/,
    ],
    [['uri', config, '--format', 'odbc'], /Allowed choices are uri, conninfo, jdbc, json/],
  ];
  for (const [words, told] of cases) {
    test(words.join(' ').replaceAll(folder, '...'), async () => {
      const { code, printed, noted } = await run(words);
      assert.match(noted, told);
      assert.ok(!noted.includes('hush'));
      assert.deepEqual([code, printed], [2, '']);
      assert.deepEqual(readdirSync(folder), ['a.yml']);
    });
  }

  test('a token in the environment is looked at, and not shown', async () => {
    const { code, noted } = await run(['join', uri], { PGHERD_JOIN_TOKEN: 'hush' });
    assert.deepEqual(
      [code, noted],
      [2, 'Error: PGHERD_JOIN_TOKEN: this is no token, or not all of one; `pgherd uri --join` prints it on a member'],
    );
  });
});

describe('without a DCS that answers', () => {
  test('create says so, tells all the other checks, and makes nothing', async () => {
    const place = ['--config', join(folder, 'x', 'b.yml'), '--data-dir', join(folder, 'x', 'data'), '--name', 'db1'];
    const { code, printed, noted } = await run(['create', '--monitor', uri, ...place]);
    assert.equal(code, 1);
    assert.match(printed, / FAILS {2}the DCS answers \(monitor .*connection refused: is the monitor running/);
    assert.match(printed, / FAILS {2}the others reach this host at a known address .*--address HOST/);
    assert.match(printed, / ok {5}the data directory .* is free/);
    assert.equal(noted, 'Error: see what FAILS above; nothing was done');
    assert.deepEqual(readdirSync(folder), ['a.yml']);
  });

  test('uri --join needs the token that is kept beside the configuration, and no DCS', async () => {
    const without = await run(['uri', config, '--join']);
    assert.equal(without.code, 1);
    assert.match(
      without.noted,
      /the join token in .*a\.join-token cannot be read: it is not there: `create` and `join` keep the token/,
    );
    const token = `${'A'.repeat(43)}.aHVzaA`;
    writeFileSync(join(folder, 'a.join-token'), `${token}\n`);
    const { code, printed } = await run(['uri', config, '--join']);
    rmSync(join(folder, 'a.join-token'));
    assert.deepEqual([code, printed], [0, `pgherd join ${uri} --scope orders --token ${token}`]);
  });
});

test('systemd prints the unit of a configuration, and where to put it', async () => {
  const { code, printed, noted } = await run(['systemd', config]);
  assert.equal(code, 0);
  assert.match(
    printed,
    /^# Made by: pgherd systemd .*a\.yml\n\[Unit\]\nDescription=pgherd agent: member db1 of the cluster orders\n/,
  );
  assert.match(printed, /\nExecStart=\/.*\/bin\/pgherd agent \/.*\/a\.yml\n/);
  assert.match(noted, /\/etc\/systemd\/system\/pgherd-orders\.service/);
  const monitor = await run([
    'systemd',
    '--monitor',
    '--pgdata',
    '/var/lib/pgherd/monitor',
    '--listen',
    '10.0.0.9:5433',
  ]);
  assert.match(
    monitor.printed,
    /\nExecStart=\/.*\/bin\/pgherd monitor --pgdata \/var\/lib\/pgherd\/monitor --listen 10\.0\.0\.9:5433 --auth scram-sha-256\n/,
  );
});

test('files tells where everything is, also of a member that never ran', async () => {
  const { code, printed } = await run(['files', config, '--format', 'tsv']);
  assert.equal(code, 0);
  assert.match(printed, new RegExp(`\\nconfiguration \\(with passwords\\)\\t${config}\\tthere, mode 0[0-7]{3}\\n`));
  assert.match(printed, new RegExp(`\\ndata directory\\t${folder}/data\\tnot there\\n`));
  assert.match(printed, new RegExp(`\\nstate directory\\t${folder}/data\\.pgherd\\tnot there\\n`));
});
