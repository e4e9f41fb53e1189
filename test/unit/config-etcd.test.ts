/** The section that names etcd: Patroni's keys, and what adapters are told of them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DcsConfig } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';

const rest = { scope: 'demo', name: 'pg1', postgresql: { listen: '127.0.0.1:5432', data_dir: '/data' } };
const noTls = { cacert: undefined, cert: undefined, key: undefined };
const plain = { kind: 'etcd', srv: undefined, discover: true, tls: noTls, user: undefined };

async function load(section: object, name = 'etcd3', environment: Record<string, string> = {}) {
  const text = JSON.stringify({ ...rest, ...(name === '' ? {} : { [name]: section }) });
  return await loadConfig(
    undefined,
    Object.keys(environment).length > 0 ? environment : { PATRONI_CONFIGURATION: text },
  );
}

async function dcs(section: object, name?: string): Promise<DcsConfig> {
  const loaded = await load(section, name);
  assert.ok(loaded.ok, JSON.stringify(loaded));
  return loaded.config.dcs;
}

describe('where etcd is', () => {
  const cases: readonly (readonly [name: string, section: object, expected: object])[] = [
    ['one host', { host: '10.0.0.1:2379' }, { urls: ['http://10.0.0.1:2379'] }],
    ['the default port', { host: 'etcd1' }, { urls: ['http://etcd1:2379'] }],
    ['a list', { hosts: ['a:1', '[::1]:2', 'c'] }, { urls: ['http://a:1', 'http://[::1]:2', 'http://c:2379'] }],
    ['a list as one text', { hosts: 'a:1, b:2' }, { urls: ['http://a:1', 'http://b:2'] }],
    ['the same one twice', { hosts: ['a:1'], host: 'a:1' }, { urls: ['http://a:1'] }],
    ['TLS', { hosts: ['a:1'], protocol: 'https' }, { urls: ['https://a:1'] }],
    ['URLs in the list', { hosts: ['https://a:1', 'http://b'] }, { urls: ['https://a:1', 'http://b:2379'] }],
    ['a URL', { url: 'https://a:1' }, { urls: ['https://a:1'] }],
    [
      'a URL with a user',
      { url: 'http://me:se%40cret@a:1' },
      { urls: ['http://a:1'], user: { name: 'me', password: 'se@cret' } },
    ],
    [
      'a user',
      { host: 'a', username: 'me', password: 'x' },
      { urls: ['http://a:2379'], user: { name: 'me', password: 'x' } },
    ],
    [
      'certificates',
      { host: 'a', protocol: 'https', cacert: '/ca', cert: '/c', key: '/k' },
      { urls: ['https://a:2379'], tls: { cacert: '/ca', cert: '/c', key: '/k' } },
    ],
    ['a domain', { srv: 'example.org' }, { urls: [], srv: { domain: 'example.org', suffix: undefined, isTls: false } }],
    [
      'a domain with TLS and a suffix',
      { srv: 'example.org.', srv_suffix: 'db', protocol: 'https' },
      { urls: [], srv: { domain: 'example.org', suffix: 'db', isTls: true } },
    ],
    ['a proxy', { proxy: 'http://p:1', hosts: ['a:1'] }, { urls: ['http://p:1'], discover: false }],
    ['proxies', { hosts: ['p:1'], use_proxies: true }, { urls: ['http://p:1'], discover: false }],
  ];
  for (const [name, section, expected] of cases) {
    test(name, async () => assert.deepEqual(await dcs(section), { ...plain, ...expected }));
  }

  test('the section of old files is taken, with a notice', async () => {
    const loaded = await load({ host: 'a:1' }, 'etcd');
    assert.ok(loaded.ok);
    assert.deepEqual(loaded.config.dcs, { ...plain, urls: ['http://a:1'] });
    assert.equal(loaded.warnings.length, 1);
    assert.match(loaded.warnings[0] ?? '', /: etcd: taken as etcd3: pgherd speaks etcd's v3 API only/);
  });

  test('variables say it too', async () => {
    const loaded = await load({}, '', {
      PATRONI_SCOPE: 'demo',
      PATRONI_NAME: 'pg1',
      PATRONI_POSTGRESQL_LISTEN: '127.0.0.1:5432',
      PATRONI_POSTGRESQL_DATA_DIR: '/data',
      PATRONI_ETCD3_HOSTS: 'a:1,b:2',
      PATRONI_ETCD3_USERNAME: 'me',
      PATRONI_ETCD3_PASSWORD: 'x',
    });
    assert.ok(loaded.ok, JSON.stringify(loaded));
    const expected = { ...plain, urls: ['http://a:1', 'http://b:2'], user: { name: 'me', password: 'x' } };
    assert.deepEqual(loaded.config.dcs, expected);
  });
});

describe('what is wrong is told', () => {
  const cases: readonly (readonly [name: string, section: object, expected: RegExp])[] = [
    ['no address', {}, /etcd3: found no address; allowed: hosts, host, url, srv or proxy/],
    ['an empty list', { hosts: [] }, /etcd3\.hosts: found a list; allowed: a list of HOST:PORT/],
    ['a port', { hosts: ['a:99999'] }, /etcd3\.hosts: found a list; allowed: a list of HOST:PORT/],
    ['all addresses of the machine', { host: '0.0.0.0:2379' }, /etcd3\.host: found "0\.0\.0\.0:2379"; allowed: HOST/],
    ['a URL with a path', { url: 'http://a:1/v3' }, /etcd3\.url: found a text \(not shown\); allowed: a URL such as/],
    ['a protocol', { host: 'a', protocol: 'grpc' }, /etcd3\.protocol: found "grpc"; allowed: one of http, https/],
    [
      'a user without a password',
      { host: 'a', username: 'me' },
      /etcd3\.username: found without password; allowed: both/,
    ],
    ['a certificate without a key', { host: 'a', protocol: 'https', cert: '/c' }, /etcd3\.cert: found without key/],
    ['a key that nobody knows', { hots: ['a'], host: 'a' }, /etcd3\.hots: unknown key; did you mean hosts\?/],
  ];
  for (const [name, section, expected] of cases) {
    test(name, async () => {
      const loaded = await load(section);
      assert.ok(!loaded.ok);
      assert.equal(loaded.problems.length, 1, loaded.problems.join('\n'));
      assert.match(loaded.problems[0] ?? '', expected);
    });
  }

  test('two sections', async () => {
    const text = JSON.stringify({ ...rest, etcd3: { host: 'a' }, etcd: { host: 'a' } });
    const loaded = await loadConfig(undefined, { PATRONI_CONFIGURATION: text });
    assert.match(loaded.ok ? '' : loaded.problems.join('\n'), /: etcd: names a second DCS, beside etcd3; allowed: one/);
  });

  test('certificates without TLS are warned of', async () => {
    const loaded = await load({ host: 'a', cacert: '/ca' });
    assert.ok(loaded.ok);
    assert.match(loaded.warnings.join('\n'), /etcd3\.cacert: no effect without TLS; set protocol: https/);
  });
});
