/** What is written for what is asked: whole files, which a person may read beside this test. REWRITE=1 writes them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { agreedSettings } from '../../src/create/agreed.ts';
import { configurationText, type MemberFile } from '../../src/create/configuration.ts';
import { decodeSettings } from '../../src/dcs/settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgherd-test-create-'));
after(() => rmSync(folder, { recursive: true }));

const first: MemberFile = {
  scope: 'orders',
  name: 'db1',
  store: { kind: 'monitor', uri: 'postgres://pgherd:mon1tor@10.0.0.9:5433/pgherd' },
  host: '10.0.0.1',
  port: 5432,
  apiPort: 8008,
  dataDir: '/var/lib/pgherd/orders/data',
  binDir: '/usr/lib/postgresql/15/bin',
  socketDirectory: undefined,
  credentials: {
    superuser: { username: 'postgres', password: 'one-_1' },
    replication: { username: 'replicator', password: 'two' },
    rewind: { username: 'rewinder', password: 'three' },
  },
  founding: { by: 'create', synchronousMode: 'quorum' },
};

/** Its settings as the DCS has them, with what only others know and a pause that will have ended. */
const inTheDcs = {
  ttl: 8,
  synchronous_mode: 'quorum',
  synchronous_node_count: 2,
  pause: true,
  maximum_lag_on_failover: 4_294_967_296,
  our_own_tool: { key: 1 },
  postgresql: {
    use_slots: true,
    what_is_this: 1,
    parameters: { max_connections: 300, log_statement: 'ddl', work_mem: "'8MB'" },
  },
};

const cases: Readonly<Record<string, MemberFile>> = {
  create: first,
  'create-on': { ...first, founding: { by: 'create', synchronousMode: 'on' } },
  'create-off': { ...first, founding: { by: 'create', synchronousMode: 'off' } },
  'create-loopback-own-user': {
    ...first,
    scope: 'yes',
    name: 'pg:1',
    host: '127.0.0.1',
    port: 6001,
    apiPort: 6002,
    dataDir: "/home/o'neill/pg data",
    socketDirectory: "/home/o'neill/pg data.pgherd",
  },
  'create-ipv6': { ...first, host: 'fd00::1' },
  join: { ...first, name: 'db2', host: '10.0.0.2', founding: { by: 'join', settings: agreedSettings(inTheDcs) } },
  'join-nothing-agreed': { ...first, name: 'db2', founding: { by: 'join', settings: {} } },
};

describe('the file of a new member', () => {
  for (const [name, file] of Object.entries(cases)) {
    test(name, async () => {
      const text = configurationText(file);
      const golden = new URL(`testdata/create/${name}.yml`, import.meta.url);
      if (process.env['REWRITE'] === '1') writeFileSync(golden, text);
      assert.equal(text, readFileSync(golden, 'utf8'));
      const path = join(folder, `${name}.yml`);
      writeFileSync(path, text);
      const loaded = await loadConfig(path, {});
      assert.ok(loaded.ok, JSON.stringify(loaded));
      assert.deepEqual(loaded.warnings, []);
      const { config } = loaded;
      const { postgresql } = config;
      assert.deepEqual([config.scope, config.name, config.dcs], [file.scope, file.name, file.store]);
      assert.deepEqual(config.restapi.connectAddress, { host: file.host, port: file.apiPort });
      assert.deepEqual(postgresql?.connectAddress, { host: file.host, port: file.port });
      assert.equal(postgresql.listen.port, file.port);
      assert.deepEqual(postgresql.listen.hosts, file.host === '127.0.0.1' ? ['127.0.0.1'] : [file.host, '127.0.0.1']);
      assert.deepEqual([postgresql.dataDir, postgresql.binDir], [file.dataDir, file.binDir]);
      assert.equal(postgresql.parameters['unix_socket_directories'], file.socketDirectory);
      const users = Object.fromEntries(
        Object.entries(postgresql.authentication).map(([role, { username, password }]) => [
          role,
          { username, password },
        ]),
      );
      assert.deepEqual(users, file.credentials);
      const settings = decodeSettings(config.bootstrap.dcs);
      assert.ok(settings.ok, settings.ok ? '' : settings.error);
      const { founding } = file;
      const wanted =
        founding.by === 'create' ? founding.synchronousMode : (founding.settings['synchronous_mode'] ?? 'off');
      assert.equal(settings.settings.synchronousMode, wanted);
      assert.equal(settings.settings.pause, false);
    });
  }

  test('what members have agreed on is kept by one that joins, to the number', async () => {
    const path = join(folder, 'join.yml');
    const loaded = await loadConfig(path, {});
    assert.ok(loaded.ok);
    const settings = decodeSettings(loaded.config.bootstrap.dcs);
    assert.ok(settings.ok);
    const { ttlMs, synchronousNodeCount, maximumLagOnFailoverBytes: lagBytes, parameters } = settings.settings;
    assert.deepEqual([ttlMs, synchronousNodeCount, lagBytes], [8000, 2, 4_294_967_296n]);
    assert.deepEqual(parameters, { max_connections: '300', log_statement: 'ddl', work_mem: "'8MB'" });
  });

  test('of what the members have agreed on, a file has only what a file may have', () => {
    assert.deepEqual(Object.keys(agreedSettings(inTheDcs)), [
      'ttl',
      'synchronous_mode',
      'synchronous_node_count',
      'maximum_lag_on_failover',
      'postgresql',
    ]);
    assert.deepEqual(agreedSettings({ ttl: 'soon', synchronous_mode: 'quorum' }), { synchronous_mode: 'quorum' });
    assert.deepEqual(agreedSettings({ postgresql: null, ttl: null }), {});
  });
});
