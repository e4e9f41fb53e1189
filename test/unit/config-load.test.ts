import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { loadConfig, loadControlConfig } from '../../src/config/load.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pgherd-test-config-'));
});
after(async () => {
  await rm(folder, { recursive: true });
});

async function load(text: string, environment: Record<string, string> = {}) {
  const path = join(folder, 'c.yml');
  await writeFile(path, text);
  const loaded = await loadConfig(path, environment);
  const strip = (texts: readonly string[]) => texts.map((problem) => problem.replaceAll(`${path}:`, ''));
  return loaded.ok
    ? { ...loaded, warnings: strip(loaded.warnings) }
    : { ok: false as const, problems: strip(loaded.problems) };
}

const base = `scope: demo
name: pg1
restapi: {listen: 127.0.0.1:8008}
monitor: {uri: postgres://pgherd:hush@127.0.0.1:5433/pgherd}
postgresql: {listen: 127.0.0.1:5432, data_dir: /data}
`;

async function accept(text: string, environment: Record<string, string> = {}) {
  const loaded = await load(text, environment);
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return loaded;
}

async function problems(text: string, environment: Record<string, string> = {}): Promise<readonly string[]> {
  const loaded = await load(text, environment);
  assert.ok(!loaded.ok, 'it should be rejected');
  return loaded.problems;
}

describe('a configuration that is right', () => {
  test('the least one, with its defaults', async () => {
    const { config, warnings } = await accept(base);
    assert.deepEqual(warnings, []);
    assert.equal(config.namespace, '/service');
    assert.deepEqual(config.restapi.connectAddress, { host: '127.0.0.1', port: 8008 });
    assert.deepEqual(config.postgresql?.connectAddress, { host: '127.0.0.1', port: 5432 });
    assert.equal(config.postgresql?.authentication.superuser.username, 'postgres');
    assert.equal(config.postgresql?.authentication.rewind.username, 'postgres');
    assert.deepEqual(config.bootstrap.dcs, {});
    assert.deepEqual(config.tags, {
      noFailover: false,
      failoverPriority: 1,
      noSync: false,
      syncPriority: 1,
      witness: false,
      all: {},
    });
  });

  test('JSON is YAML', async () => {
    const { config } = await accept(
      JSON.stringify({
        scope: 'bench',
        name: 'n1',
        restapi: { listen: '10.77.0.11:8008', connect_address: '10.77.0.11:8008' },
        monitor: { uri: 'postgres://pgherd@10.77.0.14:5433/pgherd' },
        bootstrap: { dcs: { failure_timeout: 0.5 }, initdb: [{ encoding: 'UTF8' }, 'data-checksums'] },
        postgresql: { listen: '10.77.0.11:5432', connect_address: '10.77.0.11:5432', data_dir: '/data/' },
        watchdog: { mode: 'off' },
        tags: {},
      }),
    );
    assert.deepEqual(config.bootstrap.dcs, { failure_timeout: 0.5 });
    assert.deepEqual(config.bootstrap.initdb, ['--encoding=UTF8', '--data-checksums']);
    assert.equal(config.postgresql?.dataDir, '/data');
  });

  test('every key of Patroni is known; what has no effect is named with its place', async () => {
    const file = new URL('../fixtures/patroni-whole-schema.yml', import.meta.url).pathname;
    const loaded = await loadConfig(file, {});
    assert.ok(loaded.ok, JSON.stringify(loaded));
    assert.ok(
      loaded.warnings.includes(`${file}:104:3: postgresql.proxy_address: known, but without effect in this version`),
    );
    const warned = loaded.warnings.map((warning) => warning.split(': ')[1]);
    assert.deepEqual(loaded.config.watchdog, { mode: 'required', device: '/dev/watchdog', safetyMarginMs: 5000 });
    for (const effective of ['bootstrap.dcs.ttl', 'postgresql.pg_hba', 'tags.failover_priority', 'log.level']) {
      assert.ok(!warned.includes(effective), effective);
    }
    assert.equal(loaded.config.postgresql?.authentication.replication.password, '0123456');
    assert.equal(
      loaded.warnings.find((warning) => warning.includes('secret')),
      undefined,
    );
  });

  test('booleans and numbers as Patroni reads them; the raw bootstrap.dcs keeps JSON types', async () => {
    const { config } = await accept(
      `${base}bootstrap: {dcs: {ttl: 30.0, pause: no, postgresql: {use_slots: yes, parameters: {wal_log_hints: on}}}}`,
    );
    const parameters = { wal_log_hints: true };
    assert.deepEqual(config.bootstrap.dcs, { ttl: 30, pause: false, postgresql: { use_slots: true, parameters } });
  });

  test('values that ask for what is done anyway are not warned of', async () => {
    const { warnings } = await accept(
      `${base}bootstrap: {dcs: {synchronous_mode: off, check_timeline: true, failsafe_mode: false}}
watchdog: {mode: automatic}
tags: {noloadbalance: false, clonefrom: no, datacenter: dc1}`,
    );
    assert.deepEqual(warnings, []);
  });

  test('old places of old files', async () => {
    const { config } = await accept(
      base
        .replace('data_dir: /data', 'data_dir: /data, superuser: {username: admin}, name: pg9')
        .replace('name: pg1\n', ''),
    );
    assert.equal(config.name, 'pg9');
    assert.equal(config.postgresql?.authentication.superuser.username, 'admin');
  });

  test('anchors, aliases, merges', async () => {
    const { config } = await accept(`${base}tags: &t {a: 1, b: 2}
bootstrap: {dcs: {postgresql: {parameters: {<<: {work_mem: 4MB}, max_connections: 9}}}}`);
    assert.deepEqual(config.tags.all, { a: 1, b: 2 });
    assert.deepEqual(config.bootstrap.dcs, {
      postgresql: { parameters: { work_mem: '4MB', max_connections: 9 } },
    });
  });

  test('what the cluster does about commits, and how soon it notices, has effect', async () => {
    const { config, warnings } = await accept(
      `${base}bootstrap: {dcs: {synchronous_mode: quorum, synchronous_mode_strict: on, synchronous_node_count: 2,
  maximum_lag_on_syncnode: 16MB, failsafe_mode: true, failure_timeout: 500ms, heartbeat_interval: 0.1, catchup_timeout: 1}}
tags: {nosync: yes, sync_priority: 7}`,
    );
    assert.deepEqual(warnings, []);
    assert.deepEqual([config.tags.noSync, config.tags.syncPriority], [true, 7]);
    const never = await accept(`${base}tags: {sync_priority: 0}`);
    assert.deepEqual([never.config.tags.noSync, never.config.tags.syncPriority], [true, 0]);
  });

  test('a witness needs nothing of PostgreSQL', async () => {
    const { config } = await accept(`scope: demo
name: w
monitor: {uri: postgres://pgherd@127.0.0.1:5433/pgherd}
restapi: {listen: 127.0.0.1:8008}
tags: {witness: yes}`);
    assert.deepEqual([config.postgresql, config.tags.witness, config.tags.all], [undefined, true, { witness: true }]);
    const there = await accept(`${base}tags: {witness: true}`);
    assert.equal(there.config.postgresql, undefined);
  });

  test('the priority 0 means never, nofailover decides where both are there', async () => {
    assert.equal((await accept(`${base}tags: {failover_priority: 0}`)).config.tags.noFailover, true);
    assert.equal(
      (await accept(`${base}tags: {failover_priority: 0, nofailover: false}`)).config.tags.noFailover,
      false,
    );
  });
});

describe('a configuration that is wrong', () => {
  const cases: readonly (readonly [name: string, text: string, expected: readonly (string | RegExp)[]])[] = [
    ['unknown key', `${base}scopee: x\n`, ['6:1: scopee: unknown key; did you mean scope?; correct it or remove it']],
    ['misplaced key', `${base}ttl: 30\n`, [/^6:1: ttl: unknown key; did you mean bootstrap\.dcs\.ttl\? Then move it/]],
    [
      'wrong type',
      `${base}bootstrap: {dcs: {ttl: soon}}`,
      [
        '6:24: bootstrap.dcs.ttl: found "soon"; allowed: seconds (fractions too, or with a unit: 500ms, 10s, 30min), 2 to 86400; correct it or remove the key',
      ],
    ],
    [
      'out of bounds',
      `${base}bootstrap: {dcs: {ttl: 1, failure_timeout: 0.2}}`,
      [/ttl: found 1; /, /timeout: found 0.2; /],
    ],
    ['a list for a map', `${base}tags: [a]`, [/^6:7: tags: found a list; allowed: a map of keys/]],
    ['duplicate key', `${base}scope: other\n`, [/^6:1: this key is there twice/]],
    ['syntax', 'scope: [a\nname: b', [/^\d+:\d+: /]],
    ['tab', 'restapi:\n\tlisten: x', [/tab/]],
    ['empty', '', ['1:1: the file is empty; allowed: a configuration in YAML; fill it']],
    ['only comments', '# nothing\n', [/the file is empty/]],
    ['a text', 'hello', [/^1:1: found a single text; allowed: a map of keys/]],
    [
      'bad listen',
      base.replace('127.0.0.1:5432', '127.0.0.1:99999'),
      [/postgresql\.listen: found "127.0.0.1:99999"; allowed: HOST:PORT/],
    ],
    [
      'wildcard to connect to',
      base.replace('127.0.0.1:5432', '"*:5432"'),
      [/^5:13: postgresql\.connect_address: found nothing/],
    ],
    ['bad name', base.replace('pg1', '"p g1"'), [/^2:7: name: found "p g1"; allowed: up to 63/]],
    ...[
      '*',
      '',
      '.',
      '..',
      'a/b',
      'a,b',
      'a\\tb',
      'a\\nb',
      'a\\x7F',
      'p\u00fc1',
      'a'.repeat(64),
      'WalReceiver',
      'pg_receivewal',
    ].map(
      (name) =>
        [
          `the name ${name}`,
          base.replace('pg1', `"${name}"`),
          [/^2:7: name: found .*; allowed: up to 63 printable .* not \. or \.\. or \* or the name of a program/],
        ] as const,
    ),
    [
      'a bad name in the old place',
      base.replace('name: pg1\n', '').replace('data_dir: /data', 'data_dir: /data, name: "*"'),
      [/postgresql\.name: found "\*"; allowed: up to 63/],
    ],
    ['a scope above', base.replace('scope: demo', 'scope: ..'), [/^1:8: scope: found "\.\."/]],
    ['bad scope', base.replace('scope: demo', 'scope: a/b'), [/^1:8: scope: found "a\/b"/]],
    [
      'nothing but a scope',
      'scope: demo\n',
      [/no section that names the DCS/, /name: found nothing/, /data_dir/, /listen/],
    ],
    ['a tag', `${base}tags: {nofailover: perhaps}`, [/tags\.nofailover: found "perhaps"; allowed: true or false/]],
    [
      'a tag of your own',
      `${base}tags: {mine: [1]}`,
      [/tags\.mine: found a list; allowed: text, a number or a boolean/],
    ],
    [
      'a ttl that is too short for the failure timeout',
      `${base}bootstrap: {dcs: {ttl: 3, failure_timeout: 2}}`,
      [
        /^6:24: bootstrap\.dcs\.ttl: found 3 s; allowed: at least twice failure_timeout, 4 s; raise ttl, or lower failure_timeout$/,
      ],
    ],
    [
      'heartbeats that are too rare',
      `${base}bootstrap: {dcs: {heartbeat_interval: 1}}`,
      [/^6:39: bootstrap\.dcs\.heartbeat_interval: found 1 s; allowed: at most a third of failure_timeout, 0\.666 s; /],
    ],
    ['Kubernetes', `${base}kubernetes: {labels: {}}`, [/^6:1: kubernetes: Kubernetes is not supported; /]],
    [
      'etcd beside the monitor',
      `${base}etcd3: {hosts: [a:2379]}`,
      [/^6:1: etcd3: names a second DCS, beside monitor; allowed: one of them/],
    ],
    ['no URI', base.replace(/uri: [^}]*/, ''), [/^4:10: monitor\.uri: found nothing/]],
  ];
  for (const [name, text, expected] of cases) {
    test(name, async () => {
      const found = await problems(text);
      assert.equal(found.length, expected.length, found.join('\n'));
      for (const [index, want] of expected.entries()) {
        if (typeof want === 'string') assert.equal(found[index], want);
        else assert.match(found[index] ?? '', want);
      }
    });
  }

  test('files that cannot be read', async () => {
    const missing = await loadConfig(join(folder, 'none.yml'), {});
    assert.deepEqual(missing.ok ? [] : missing.problems, [
      `${folder}/none.yml: there is no such file; allowed: a configuration in YAML; check the path`,
    ]);
    const directory = await loadConfig(folder, {});
    assert.match(directory.ok ? '' : (directory.problems[0] ?? ''), /this is a directory/);
    await writeFile(join(folder, 'binary.yml'), Buffer.from([0x73, 0xff, 0xfe]));
    const binary = await loadConfig(join(folder, 'binary.yml'), {});
    assert.match(binary.ok ? '' : (binary.problems[0] ?? ''), /not UTF-8/);
  });

  test('secrets are in no message', async () => {
    const texts = [
      base.replace('postgres://pgherd:hush@127.0.0.1:5433/pgherd', 'mysql://pgherd:hush@h/x'),
      base.replace('data_dir: /data', 'data_dir: /data, authentication: hush'),
      base.replace('data_dir: /data', 'data_dir: /data, authentication: {superuser: {password: [hush]}}'),
      base.replace('data_dir: /data', 'data_dir: /data, authentication: {superuser: {passwort: hush}}'),
      base.replace('data_dir: /data', 'data_dir: /data, authentication: {superuser: {password: *hush}}'),
      base.replace('data_dir: /data', 'data_dir: /data, authentication: {superuser: {password: "hush}}'),
      `${base}bootstrap: {dcs: {postgresql: {parameters: {archive_command: [hush]}}}}`,
    ];
    for (const text of texts) {
      for (const problem of await problems(text)) assert.ok(!problem.includes('hush'), problem);
    }
  });
});

describe("PostgreSQL's parameters", () => {
  test('the typing error of a file in the wild is the one error among them', async () => {
    const file = new URL('../fixtures/patroni-locical.yml', import.meta.url).pathname;
    const loaded = await loadConfig(file, {});
    assert.ok(!loaded.ok);
    assert.deepEqual(
      loaded.problems.filter((problem) => problem.includes('parameters')),
      [
        `${file}:28:20: bootstrap.dcs.postgresql.parameters.wal_level: found "locical"; allowed: minimal, replica, logical ` +
          '(hot_standby and archive are old names, which Patroni accepts, for replica); did you mean logical?',
      ],
    );
    assert.equal(loaded.problems.length, 1);
  });

  const verdicts: readonly (readonly [name: string, value: string, wrong: RegExp | undefined])[] = [
    ['wal_level', 'hot_standby', undefined],
    ['wal_level', 'logical', undefined],
    ['wal_level', 'minimal', /replica or logical/],
    ['hot_standby', 'off', /on: pgherd asks/],
    ['fsync', 'maybe', /on or off/],
    ['fsync', 'TRUE', undefined],
    ['synchronous_commit', 'remote_aply', /did you mean remote_apply/],
    ['synchronous_commit', 'true', undefined],
    ['wal_compression', 'zstd', undefined],
    ['max_connections', 'many', /whole number/],
    ['max_connections', '"300"', undefined],
    ['my_extension.limit', '3', undefined],
    ['"bad name"', '3', /a parameter's name/],
    ['work_mem', '{a: 1}', /text, a number or a boolean/],
    ['work_mem', '"4MB\\nfsync=off"', /without line breaks/],
  ];
  for (const [name, value, wrong] of verdicts) {
    test(`${name}: ${value}`, async () => {
      const loaded = await load(base.replace('data_dir: /data', `data_dir: /data, parameters: {${name}: ${value}}`));
      if (wrong) assert.match(loaded.ok ? 'accepted' : loaded.problems.join('\n'), wrong);
      else assert.ok(loaded.ok, JSON.stringify(loaded));
    });
  }

  test('parameters that pgherd sets, and that are gone, are named', async () => {
    const text = base.replace('data_dir: /data', 'data_dir: /data, parameters: {port: 1, wal_keep_segments: 12}');
    const { warnings } = await accept(text);
    assert.match(warnings.join('\n'), /parameters\.port: left out: postgresql\.listen says it/);
    assert.match(warnings.join('\n'), /wal_keep_size: 192MB says the same/);
  });
});

describe('the environment', () => {
  test('variables win over the file', async () => {
    const { config } = await accept(base, {
      PATRONI_NAME: 'pg7',
      PATRONI_POSTGRESQL_LISTEN: '[::1]:5439',
      PATRONI_SUPERUSER_PASSWORD: 'x',
      PATRONI_MONITOR_URI: 'postgres://pgherd@h:1/p',
      PATRONI_LOGLEVEL: 'debug',
    });
    assert.equal(config.name, 'pg7');
    assert.deepEqual(config.postgresql?.listen, { hosts: ['::1'], port: 5439 });
    assert.equal(config.postgresql?.authentication.superuser.password, 'x');
    assert.deepEqual(config.dcs, { kind: 'monitor', uri: 'postgres://pgherd@h:1/p' });
    assert.equal(config.log.level, 'DEBUG');
  });

  test('a problem names the variable; an unknown one is warned of', async () => {
    const [problem] = await problems(base, { PATRONI_RESTAPI_LISTEN: 'here:there' });
    assert.match(problem ?? '', /^PATRONI_RESTAPI_LISTEN: restapi\.listen: found "here:there"; allowed: HOST:PORT/);
    const { warnings } = await accept(base, { PATRONI_SUPERUSER_PASWORD: 'hush', PATH: '/bin' });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /^PATRONI_SUPERUSER_PASWORD: .*did you mean PATRONI_SUPERUSER_PASSWORD\?$/);
  });

  test('PATRONI_CONFIGURATION is the whole file, and counts only without one', async () => {
    const loaded = await loadConfig(undefined, { PATRONI_CONFIGURATION: base, PATRONI_NAME: 'other' });
    assert.equal(loaded.ok && loaded.config.name, 'pg1');
    const wrong = await loadConfig(undefined, { PATRONI_CONFIGURATION: `${base}x: 1` });
    assert.match(wrong.ok ? '' : (wrong.problems[0] ?? ''), /^PATRONI_CONFIGURATION:6:1: x: unknown key/);
  });

  test('variables alone are a configuration', async () => {
    const loaded = await loadConfig(undefined, {
      PATRONI_SCOPE: 'demo',
      PATRONI_NAME: 'pg1',
      PATRONI_MONITOR_URI: 'postgres://pgherd@h:1/p',
      PATRONI_POSTGRESQL_LISTEN: '127.0.0.1:5432',
      PATRONI_POSTGRESQL_DATA_DIR: '/data',
    });
    assert.ok(loaded.ok, JSON.stringify(loaded));
  });
});

describe('the configuration of the command line', () => {
  test('needs only scope and DCS, and does not mind errors elsewhere', async () => {
    const path = join(folder, 'ctl.yml');
    await writeFile(path, 'scope: demo\nmonitor: {uri: postgres://pgherd@h:1/p}\npostgresql: {listen: "?"}\n');
    const loaded = await loadControlConfig(path, false, {});
    assert.deepEqual(loaded.ok && loaded.config, {
      scope: 'demo',
      namespace: '/service',
      dcs: { kind: 'monitor', uri: 'postgres://pgherd@h:1/p' },
      restapi: undefined,
    });
  });

  test('a default file that is missing is fine, one that was named is not', async () => {
    const path = join(folder, 'nothing.yml');
    assert.ok((await loadControlConfig(path, true, {})).ok);
    assert.ok(!(await loadControlConfig(path, false, {})).ok);
    const loaded = await loadControlConfig(path, true, {
      PATRONI_SCOPE: 'x',
      PATRONI_MONITOR_URI: 'postgres://p@h:1/p',
    });
    assert.deepEqual(loaded.ok && loaded.config.dcs, { kind: 'monitor', uri: 'postgres://p@h:1/p' });
  });
});
