/** A configuration that is wrong: told with its place, and nothing is started, written or touched. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stringify } from 'yaml';
import { createFolder, endFolder } from './loopback/cluster.ts';
import { listing } from './loopback/listing.ts';
import { freePort, type Outcome, processesIn, runCommand, runPgherd } from './loopback/processes.ts';

let folder: string;
let disk: string;
let dataDir: string;
let apiPort: number;

before(async () => {
  folder = createFolder();
  disk = join(folder, 'disk');
  dataDir = join(disk, 'data');
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(join(dataDir, 'PG_VERSION'), '15\n');
  writeFileSync(join(dataDir, 'precious'), 'what nobody may lose');
  apiPort = await freePort();
});
after(async () => {
  await endFolder(folder);
});

type Data = Record<string, unknown>;

function right(): Data {
  return {
    scope: 'main',
    name: 'pg1',
    restapi: { listen: `127.0.0.1:${apiPort}`, connect_address: `127.0.0.1:${apiPort}` },
    monitor: { uri: 'postgres://pgherd@127.0.0.1:9/pgherd' },
    postgresql: pg(),
  };
}

function pg(): Data {
  return { listen: '127.0.0.1:5999', data_dir: dataDir };
}

function write(text: string): string {
  const path = join(folder, 'pg1.yml');
  writeFileSync(path, text);
  return path;
}

/** Runs the agent on a text: it must end by itself with code 1, and have touched nothing. Returns what it said. */
async function refused(text: string): Promise<readonly string[]> {
  const path = write(text);
  const checked = await untouched(() => runPgherd(['agent', '--validate-config', path]));
  const started = await untouched(() => runPgherd(['agent', path]));
  assert.equal(checked.code, 1, checked.stderr);
  assert.equal(started.code, 1, started.stderr);
  assert.equal(started.stderr, checked.stderr, '--validate-config says what the agent says');
  assert.equal(checked.stdout, '');
  return checked.stderr
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(`${path}:`, ''));
}

async function untouched(run: () => Promise<Outcome>): Promise<Outcome> {
  const before = listing(disk);
  const outcome = await run();
  assert.deepEqual(listing(disk), before);
  assert.deepEqual(processesIn(disk), []);
  return outcome;
}

describe('an agent with a wrong configuration ends with 1 and says where and what', () => {
  test('an unknown key, with what was probably meant', async () => {
    const said = await refused(stringify({ ...right(), scoop: 'main', postgresql: { ...pg(), dta_dir: '/x' } }));
    assert.match(said.join('\n'), /^\d+:1: scoop: unknown key; did you mean scope\?; correct it or remove it$/m);
    assert.match(said.join('\n'), /^\d+:3: postgresql\.dta_dir: unknown key; did you mean data_dir\?/m);
    assert.equal(said.length, 2);
  });

  test('a value of a wrong type', async () => {
    const said = await refused(stringify({ ...right(), postgresql: { ...pg(), use_unix_socket: 'perhaps' } }));
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /^\d+:20: postgresql\.use_unix_socket: found "perhaps"; allowed: .*true.*false/);
  });

  test('wal_level: locical', async () => {
    const dcs = { postgresql: { parameters: { wal_level: 'locical' } } };
    const said = await refused(stringify({ ...right(), bootstrap: { dcs } }));
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /^\d+:\d+: bootstrap\.dcs\.postgresql\.parameters\.wal_level: found "locical"/);
    assert.match(said[0] ?? '', /allowed: .*logical/);
  });

  test('what is missing: scope, name, data_dir', async () => {
    const { scope: _scope, name: _name, ...rest } = right();
    const said = await refused(stringify({ ...rest, postgresql: { listen: '127.0.0.1:5999' } }));
    assert.equal(said.length, 3);
    for (const key of ['scope', 'name', 'postgresql.data_dir']) {
      const line = said.find((each) => each.includes(`: ${key}: found nothing; allowed: `));
      assert.match(line ?? said.join('\n'), /^\d+:\d+: .*; add it$/);
    }
  });

  test('several problems at once, in the order of the file', async () => {
    const text = `scope: main
name: pg1
ttl: 30
restapi: {listen: "127.0.0.1:${apiPort}"}
monitor: {uri: "http://127.0.0.1/"}
bootstrap:
  dcs:
    ttl: soon
postgresql:
  listen: 127.0.0.1:99999
  data_dir: ${dataDir}
  parameters: [wal_level]
`;
    const said = await refused(text);
    assert.deepEqual(
      said.map((line) => /^(\d+:\d+): ([\w.]+):/.exec(line)?.slice(1)),
      [
        ['3:1', 'ttl'],
        ['5:16', 'monitor.uri'],
        ['8:10', 'bootstrap.dcs.ttl'],
        ['10:11', 'postgresql.listen'],
        ['12:15', 'postgresql.parameters'],
      ],
      said.join('\n'),
    );
    assert.match(said[0] ?? '', /did you mean bootstrap\.dcs\.ttl\? Then move it there/);
  });

  test('YAML that is none', async () => {
    const said = await refused('scope: main\n  name: pg1\n');
    assert.match(said[0] ?? '', /^\d+:\d+: /);
  });

  test('an etcd section without an address', async () => {
    const { monitor: _monitor, ...rest } = right();
    const said = await refused(stringify({ ...rest, etcd3: { protocol: 'https' } }));
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /^\d+:1: etcd3: found no address; allowed: hosts, host, url, srv or proxy; add hosts/);
  });

  test('a section for another store: what is there instead', async () => {
    const { monitor: _monitor, ...rest } = right();
    const said = await refused(stringify({ ...rest, consul: { host: '127.0.0.1' } }));
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /^\d+:1: consul: Consul is not supported; allowed: monitor, etcd3; start a monitor/);
  });

  test('no section for the DCS', async () => {
    const { monitor: _monitor, ...rest } = right();
    const said = await refused(stringify(rest));
    assert.match(said.join('\n'), /found no section that names the DCS; allowed: monitor, etcd3; add monitor: \{uri: /);
  });
});

describe('a configuration that cannot be read', () => {
  test('there is no such file', async () => {
    const path = join(folder, 'nothing.yml');
    const { code, stderr } = await untouched(() => runPgherd(['agent', path]));
    assert.equal(code, 1);
    assert.equal(stderr, `${path}: there is no such file; allowed: a configuration in YAML; check the path\n`);
  });

  test('a directory', async () => {
    const { code, stderr } = await untouched(() => runPgherd(['agent', folder]));
    assert.equal(code, 1);
    assert.match(stderr, /this is a directory; allowed: one file/);
  });

  test('an empty file', async () => {
    assert.match((await refused('# nothing\n'))[0] ?? '', /^1:1: the file is empty/);
  });

  test('none was named: wrong usage', async () => {
    const { code, stderr } = await runPgherd(['agent']);
    assert.equal(code, 2);
    assert.match(stderr, /name the configuration: pgherd agent CONFIG/);
  });

  test('this user may not read it', { skip: process.getuid?.() !== 0 && 'needs root' }, async () => {
    const path = join(folder, 'secret.yml');
    writeFileSync(path, stringify(right()), { mode: 0o600 });
    const launcher = join(import.meta.dirname, '../../bin/pgherd');
    const words = ['--reuid=65534', '--regid=65534', '--clear-groups', '--', launcher, 'agent', path];
    const { code, stderr } = await untouched(() => runCommand('setpriv', words));
    assert.equal(code, 1);
    assert.equal(stderr, `${path}: this user may not read the file; allow it, or start as another user\n`);
  });

  test('the command line names the same problems, with code 1', async () => {
    const path = write(stringify({ ...right(), monitor: { url: 'x' } }));
    const { code, stderr, stdout } = await runPgherd(['-c', path, 'list']);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /^Error: .*pg1\.yml:\d+:\d+: monitor\.url: unknown key; did you mean uri\?/m);
  });
});

describe('agent --validate-config', () => {
  test('says that it is valid, names what has no effect, starts nothing', async () => {
    const path = write(stringify({ ...right(), ctl: { insecure: true } }));
    const { code, stdout, stderr } = await untouched(() => runPgherd(['agent', '--validate-config', path]));
    assert.equal(code, 0);
    assert.equal(stdout, `${path} is valid\n`);
    assert.match(stderr, /^warning: .*: ctl.insecure: known, but without effect in this version$/m);
  });
});
