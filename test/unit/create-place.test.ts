/** Where a new member's things go, where nobody says another place; what people copy; where everything of a member is. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { onlyConfiguration, type Surroundings } from '../../src/config/folder.ts';
import { type PlaceFlags, placeOf, tokenFileOf } from '../../src/create/place.ts';
import { commandLine } from '../../src/create/shell.ts';
import { clientConninfo, clientJdbc, clientUri } from '../../src/postgres/conninfo.ts';

const root: Surroundings = { home: '/root', isRoot: true, environment: {} };
const user: Surroundings = { home: '/home/ada', isRoot: false, environment: {} };
const xdg = { XDG_CONFIG_HOME: '/c', XDG_DATA_HOME: '/d' };

describe('places', () => {
  const cases: readonly (readonly [
    what: string,
    flags: PlaceFlags,
    hostname: string,
    around: Surroundings,
    place: readonly unknown[],
  ])[] = [
    ['root', {}, 'db1.example.com', root, ['db1', '/var/lib/pgherd/orders/data', '/etc/pgherd/orders.yml']],
    [
      'a user',
      {},
      'db1',
      user,
      ['db1', '/home/ada/.local/share/pgherd/orders/data', '/home/ada/.config/pgherd/orders.yml'],
    ],
    [
      'a user with folders of another name',
      {},
      'db1',
      { ...user, environment: xdg },
      ['db1', '/d/pgherd/orders/data', '/c/pgherd/orders.yml'],
    ],
    ['all of it given', { name: 'a', dataDir: '/x/', config: '/y.yaml' }, 'db1', root, ['a', '/x', '/y.yaml']],
    [
      'a host name with what a name must not have',
      {},
      'dß_1,x',
      root,
      ['d-_1-x', '/var/lib/pgherd/orders/data', '/etc/pgherd/orders.yml'],
    ],
    [
      'a host called as one of PostgreSQL’s programs',
      {},
      'walreceiver',
      root,
      [undefined, '/var/lib/pgherd/orders/data', '/etc/pgherd/orders.yml'],
    ],
    ['a host without a name', {}, '', root, [undefined, '/var/lib/pgherd/orders/data', '/etc/pgherd/orders.yml']],
  ];
  for (const [what, flags, hostname, around, place] of cases) {
    test(what, () => {
      const { name, dataDir, config } = placeOf('orders', flags, hostname, around);
      assert.deepEqual([name, dataDir, config], place);
    });
  }

  test('what is given in the working directory is there also for an agent that works elsewhere', () => {
    const { dataDir, config } = placeOf('orders', { dataDir: 'data', config: 'db1.yml' }, 'h', root);
    assert.deepEqual([dataDir, config], [join(process.cwd(), 'data'), join(process.cwd(), 'db1.yml')]);
  });

  test('the token is beside the configuration', () => {
    assert.equal(tokenFileOf('/etc/pgherd/orders.yml'), '/etc/pgherd/orders.join-token');
    assert.equal(tokenFileOf('/etc/pgherd/orders.eu.yaml'), '/etc/pgherd/orders.eu.join-token');
    assert.equal(tokenFileOf('db1'), 'db1.join-token');
  });
});

test('a configuration that nobody names is the only one that is there', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgherd-test-place-'));
  const around = { ...user, environment: { XDG_CONFIG_HOME: folder } };
  try {
    assert.equal(onlyConfiguration(around), undefined);
    mkdirSync(join(folder, 'pgherd'));
    writeFileSync(join(folder, 'pgherd', 'a.join-token'), '');
    assert.equal(onlyConfiguration(around), undefined);
    writeFileSync(join(folder, 'pgherd', 'a.yml'), '');
    assert.equal(onlyConfiguration(around), join(folder, 'pgherd', 'a.yml'));
    writeFileSync(join(folder, 'pgherd', 'b.yml'), '');
    assert.equal(onlyConfiguration(around), undefined);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a command line that is copied means the same to a shell', () => {
  assert.equal(commandLine('pgherd', 'agent', '/etc/a.yml'), 'pgherd agent /etc/a.yml');
  assert.equal(
    commandLine('a b', "it's", '$HOME', '', 'postgres://a?x=1&y'),
    `'a b' 'it'\\''s' '$HOME' '' 'postgres://a?x=1&y'`,
  );
});

describe('how clients reach a cluster', () => {
  const hosts = [
    { host: '10.0.0.1', port: 5432 },
    { host: 'fd00::2', port: 5433 },
  ];
  const plain = { hosts, user: undefined, database: 'postgres', target: 'read-write' } as const;
  const reader = { hosts, user: 'a b', database: 'x/y', target: 'prefer-standby' } as const;

  test('libpq', () => {
    assert.equal(clientUri(plain), 'postgres://10.0.0.1:5432,[fd00::2]:5433/postgres?target_session_attrs=read-write');
    assert.equal(
      clientUri(reader),
      'postgres://a%20b@10.0.0.1:5432,[fd00::2]:5433/x%2Fy?target_session_attrs=prefer-standby',
    );
    assert.equal(
      clientConninfo(plain),
      "host='10.0.0.1,fd00::2' port='5432,5433' dbname=postgres target_session_attrs=read-write",
    );
    assert.equal(
      clientConninfo(reader),
      "host='10.0.0.1,fd00::2' port='5432,5433' user='a b' dbname=x/y target_session_attrs=prefer-standby",
    );
  });

  test('JDBC', () => {
    assert.equal(clientJdbc(plain), 'jdbc:postgresql://10.0.0.1:5432,[fd00::2]:5433/postgres?targetServerType=primary');
    assert.equal(
      clientJdbc(reader),
      'jdbc:postgresql://10.0.0.1:5432,[fd00::2]:5433/x%2Fy?targetServerType=preferSecondary&user=a%20b',
    );
  });
});
