/** Units for systemd: their text, and what systemd says of them where it is installed. REWRITE=1 writes the texts. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type UnitOptions, unitName, unitText } from '../../src/create/unit.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgherd-test-unit-'));
after(() => rmSync(folder, { recursive: true }));

const agent: UnitOptions = {
  description: 'pgherd agent: member db1 of the cluster orders',
  command: ['/opt/pgherd/bin/pgherd', 'agent', '/etc/pgherd/orders.yml'],
  user: undefined,
  stopWithinS: 120,
  madeBy: 'pgherd systemd /etc/pgherd/orders.yml',
};

const cases: Readonly<Record<string, UnitOptions>> = {
  'agent.service': agent,
  'agent-of-a-user.service': {
    ...agent,
    description: 'pgherd agent: member 100% of the cluster $x',
    command: ['/opt/pg herd/bin/pgherd', 'agent', '/home/o\'neill/100% "$x"\\y.yml'],
    user: 'daemon',
  },
  'monitor.service': {
    ...agent,
    description: 'pgherd monitor: what the members of clusters agree on',
    command: ['/opt/pgherd/bin/pgherd', 'monitor', '--pgdata', '/var/lib/pgherd/monitor', '--listen', '[fd00::9]:5433'],
    stopWithinS: 40,
  },
};

describe('a unit', () => {
  for (const [name, options] of Object.entries(cases)) {
    test(name, () => {
      const text = unitText(options);
      const golden = new URL(`testdata/create/${name}`, import.meta.url);
      if (process.env['REWRITE'] === '1') writeFileSync(golden, text);
      assert.equal(text, readFileSync(golden, 'utf8'));
    });

    test(`${name} is one that systemd takes`, (context) => {
      if (!hasAnalyze()) return context.skip('systemd-analyze (package systemd) is not installed');
      // It looks whether the program is there.
      const program = join(folder, 'pg herd');
      mkdirSync(program, { recursive: true });
      writeFileSync(join(program, 'pgherd'), '#!/bin/sh\n');
      chmodSync(join(program, 'pgherd'), 0o755);
      const path = join(folder, name);
      writeFileSync(path, unitText({ ...options, command: [join(program, 'pgherd'), ...options.command.slice(1)] }));
      assert.equal(verify(path), '');
    });
  }

  test('systemd would find what is wrong with one', (context) => {
    if (!hasAnalyze()) return context.skip('systemd-analyze (package systemd) is not installed');
    const path = join(folder, 'wrong.service');
    writeFileSync(
      path,
      unitText({ ...agent, command: ['/no/such/program'] }).replace('KillMode=process', 'KillMode=gently'),
    );
    const told = verify(path);
    assert.match(told, /kill mode/i);
    assert.match(told, /\/no\/such\/program is not executable/);
  });

  test('its name has only what names of units may have', () => {
    assert.equal(unitName('orders'), 'pgherd-orders');
    assert.equal(unitName('a@b/c\\d#e:f.g_h-i'), 'pgherd-a-b-c-d-e:f.g_h-i');
  });
});

function hasAnalyze(): boolean {
  return spawnSync('systemd-analyze', ['--version'], { stdio: 'ignore' }).status === 0;
}

/** What it has to say, warnings too; '' = nothing. */
function verify(path: string): string {
  const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  return stdout + stderr;
}
