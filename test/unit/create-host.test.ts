/** What a new member would find on this host: with real files, ports and connections. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type HostFound, type HostQuestion, lookAtHost } from '../../src/create/host.ts';
import { writeNewFiles } from '../../src/create/secret-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgherd-test-host-'));
let dcs: Server;
let other: Server;

before(async () => {
  [dcs, other] = await Promise.all([listening(), listening()]);
});
after(() => {
  dcs.close();
  other.close();
  rmSync(folder, { recursive: true });
});

function listening(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.end());
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

async function freePort(): Promise<number> {
  const server = await listening();
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function look(changes: Partial<HostQuestion> = {}): Promise<HostFound> {
  return lookAtHost({
    dataDir: join(folder, 'none', 'data'),
    config: join(folder, 'etc', 'a.yml'),
    address: undefined,
    port: await freePort(),
    apiPort: await freePort(),
    binDir: join(folder, 'no-programs'),
    store: { host: '127.0.0.1', port: portOf(dcs) },
    major: undefined,
    ...changes,
  });
}

describe('a host', () => {
  test('where nothing is in the way', async () => {
    const found = await look();
    const { address, directory, remembered, agentPid, configExists, tokenExists, unwritable, taken } = found;
    assert.deepEqual(address, { ok: true, host: '127.0.0.1', loopback: true });
    assert.deepEqual(directory, { kind: 'free' });
    assert.deepEqual([remembered, agentPid, configExists, tokenExists], [undefined, undefined, false, false]);
    assert.deepEqual([unwritable, taken], [[], []]);
  });

  test('its address is asked for where the DCS does not answer', async () => {
    const port = await freePort();
    const { address } = await look({ store: { host: '127.0.0.1', port } });
    assert.deepEqual(address, {
      ok: false,
      error: `no connection to 127.0.0.1:${port} (ECONNREFUSED); name it: --address HOST`,
    });
    const named = await look({ store: { host: '127.0.0.1', port }, address: 'localhost' });
    assert.deepEqual(named.address, { ok: true, host: 'localhost', loopback: true });
  });

  test('an address that is given is one of this host', async () => {
    const elsewhere = await look({ address: '192.0.2.7' });
    assert.deepEqual(elsewhere.taken, ['192.0.2.7 is not an address of this host: choose another --address']);
    const unknown = await look({ address: 'no-such-host.invalid' });
    assert.ok(!unknown.address.ok);
    assert.match(unknown.address.error, /^the name no-such-host\.invalid is not known here/);
  });

  test('ports that are taken', async () => {
    const port = portOf(other);
    const inUse = `port ${port} on 127.0.0.1 is in use by another program: end it, or choose another`;
    assert.deepEqual((await look({ port })).taken, [`${inUse} --port`]);
    assert.deepEqual((await look({ apiPort: port })).taken, [`${inUse} --api-port`]);
    const same = await freePort();
    assert.deepEqual((await look({ port: same, apiPort: same })).taken, [
      `PostgreSQL and the REST API cannot both have port ${same}: choose another --api-port`,
    ]);
  });

  test('files that are there', async () => {
    const config = join(folder, 'there', 'a.yml');
    mkdirSync(join(folder, 'there'));
    writeFileSync(config, '');
    assert.deepEqual([(await look({ config })).configExists, (await look({ config })).tokenExists], [true, false]);
    writeFileSync(join(folder, 'there', 'a.join-token'), '');
    assert.equal((await look({ config })).tokenExists, true);
    assert.deepEqual((await look({ config: join(config, 'b.yml') })).unwritable, [`${config} is not a folder`]);
  });

  test('a folder that is this user’s to read only', { skip: process.getuid?.() === 0 }, async () => {
    const closed = join(folder, 'closed');
    mkdirSync(closed, { mode: 0o500 });
    const { unwritable } = await look({ config: join(closed, 'etc', 'a.yml') });
    assert.deepEqual(unwritable, [`this user may not write in ${closed}`]);
  });

  test('a data directory that is none, and one that nobody can read', async () => {
    const letters = join(folder, 'letters');
    mkdirSync(letters);
    writeFileSync(join(letters, 'to-grandma.txt'), '');
    const { directory } = await look({ dataDir: letters });
    assert.deepEqual(directory, {
      kind: 'other',
      error: `${letters} is not a PostgreSQL data directory: it has no PG_VERSION, but to-grandma.txt`,
    });
    rmSync(join(letters, 'to-grandma.txt'));
    assert.deepEqual((await look({ dataDir: letters })).directory, { kind: 'free' });
  });

  test('what a former member left behind', async () => {
    const dataDir = join(folder, 'former', 'data');
    const path = join(`${dataDir}.pgherd`, 'state.json');
    mkdirSync(`${dataDir}.pgherd`, { recursive: true });
    writeFileSync(path, JSON.stringify({ format: 1, member: 'db9', systemId: '66' }));
    assert.deepEqual((await look({ dataDir })).remembered, { path, member: 'db9', systemId: '66' });
    writeFileSync(path, 'torn');
    assert.deepEqual((await look({ dataDir })).remembered, { path, member: undefined, systemId: undefined });
  });

  test('programs of another version than the primary has', async () => {
    const binDir = join(folder, 'bin16');
    mkdirSync(binDir);
    writeFileSync(join(binDir, 'postgres'), '#!/bin/sh\necho "postgres (PostgreSQL) 16.4"\n');
    chmodSync(join(binDir, 'postgres'), 0o755);
    assert.deepEqual((await look({ binDir, major: 16 })).binaries, { ok: true, binaries: { dir: binDir, major: 16 } });
    assert.deepEqual((await look({ binDir, major: 15 })).binaries, {
      ok: false,
      error: `here is version 16, in ${binDir}: install version 15, or name its folder with --bin-dir`,
    });
  });
});

describe('files with secrets', () => {
  test('are for their owner alone, and never written over', async () => {
    const one = { path: join(folder, 'new', 'deep', 'a'), text: 'one' };
    const two = { path: join(folder, 'new', 'deep', 'b'), text: 'two' };
    const before = process.umask(0);
    try {
      assert.ok((await writeNewFiles([one])).ok);
    } finally {
      process.umask(before);
    }
    assert.equal(statSync(one.path).mode & 0o777, 0o600);
    const again = await writeNewFiles([two, { ...one, text: 'other' }]);
    assert.ok(!again.ok);
    assert.equal(again.error, `${one.path} cannot be made: it is there already`);
    assert.equal(readFileSync(one.path, 'utf8'), 'one');
    assert.throws(() => statSync(two.path), 'all of them, or none');
    const both = await writeNewFiles([two]);
    assert.ok(both.ok);
    await both.undo();
    assert.throws(() => statSync(two.path));
  });
});
