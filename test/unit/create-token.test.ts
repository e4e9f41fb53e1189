/** The token, and what it opens: nothing else does, and nothing of it can be read without. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assert as check, option, property, string } from 'fast-check';
import { makeCredentials, seal, unseal } from '../../src/create/seal.ts';
import {
  passwordIn,
  readStore,
  type Store,
  storeAddress,
  storeArgument,
  withPassword,
} from '../../src/create/store.ts';
import { formatToken, makeToken, parseToken } from '../../src/create/token.ts';
import { decodeJoinRecord, encodeJoinRecord, joinKey } from '../../src/dcs/join-record.ts';
import { decodeView } from '../../src/dcs/records.ts';

const prefix = '/service/orders/';

describe('a token', () => {
  test('reads as what was written, whatever the password of the DCS is', () => {
    check(
      property(option(string({ minLength: 1, unit: 'grapheme' }), { nil: undefined }), (password) => {
        const token = makeToken(password);
        const text = formatToken(token);
        assert.match(text, /^[\w.-]+$/);
        assert.deepEqual(parseToken(` ${text}\n`), token);
      }),
    );
  });

  test('is 256 bits of chance', () => {
    const keys = new Set(Array.from({ length: 50 }, () => makeToken(undefined).key.toString('hex')));
    assert.equal(keys.size, 50);
    for (const key of keys) assert.equal(key.length, 64);
  });

  test('a part of one, or more than one, is none', () => {
    const text = formatToken(makeToken('secret'));
    for (const wrong of [
      '',
      'x',
      text.slice(1),
      text.slice(0, 42),
      `${text}.x`,
      `${text} ${text}`,
      text.replace('.', ':'),
    ]) {
      assert.equal(parseToken(wrong), undefined, wrong);
    }
  });
});

describe('sealed credentials', () => {
  const { key } = makeToken(undefined);
  const credentials = makeCredentials();
  const sealed = seal(credentials, key, prefix);

  test('new ones each time, that no configuration has to quote', () => {
    const all = [makeCredentials(), makeCredentials()].flatMap((one) =>
      Object.values(one).map(({ password }) => password),
    );
    assert.equal(new Set(all).size, 6);
    for (const password of all) assert.match(password, /^[\w-]{32}$/);
  });

  test('open with their token, and with the record in between', () => {
    const text = encodeJoinRecord({ version: 1, by: 'db1', at: '2026-11-20T08:00:00Z', ...sealed });
    const record = decodeJoinRecord(text);
    assert.ok(record.ok);
    assert.equal(record.value.by, 'db1');
    assert.deepEqual(unseal(record.value, key, prefix), credentials);
  });

  test('nothing of them is in the record, nor the token', () => {
    const text = JSON.stringify(sealed);
    for (const { username, password } of Object.values(credentials)) {
      assert.ok(!text.includes(password) && !text.includes(username));
      assert.ok(!Buffer.from(sealed.sealed, 'base64url').includes(password));
    }
    assert.ok(!text.includes(key.toString('base64url')));
    assert.notEqual(seal(credentials, key, prefix).sealed, sealed.sealed);
  });

  test('open with no other token, for no other cluster, and after no change', () => {
    assert.equal(unseal(sealed, makeToken(undefined).key, prefix), undefined);
    assert.equal(unseal(sealed, key, '/service/others/'), undefined);
    for (const part of ['salt', 'nonce', 'sealed', 'tag'] as const) {
      const bytes = Buffer.from(sealed[part], 'base64url');
      for (let at = 0; at < bytes.length; at += 1) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ 1;
        assert.equal(
          unseal({ ...sealed, [part]: changed.toString('base64url') }, key, prefix),
          undefined,
          `${part} ${at}`,
        );
      }
      assert.equal(unseal({ ...sealed, [part]: bytes.subarray(0, -1).toString('base64url') }, key, prefix), undefined);
    }
  });

  test('what is in the key and is none of it is told', () => {
    for (const [text, error] of [
      ['', /not JSON/],
      ['[]', /allowed/],
      ['{"version":2}', /version: found 2: allowed: 1; a newer pgherd wrote it/],
      [JSON.stringify({ version: 1, by: 'a', at: '', ...sealed, tag: '?' }), /tag: found "\?": allowed: base64url/],
    ] as const) {
      const record = decodeJoinRecord(text);
      assert.ok(!record.ok);
      assert.match(record.error, error);
    }
  });
});

test('readers of the cluster pass over the key', () => {
  const stored = { createRevision: 1, modRevision: 1 };
  const keys = new Map([
    ['leader', { ...stored, value: 'db1' }],
    ['initialize', { ...stored, value: '77' }],
  ]);
  const snapshot = { storeId: 's', revision: 1, keys };
  const without = decodeView(snapshot);
  for (const value of ['{"version":1}', 'not JSON', '']) {
    const withKey = decodeView({ ...snapshot, keys: new Map([...keys, [joinKey, { ...stored, value }]]) });
    assert.deepEqual(withKey, without);
    assert.deepEqual(withKey.unreadable, []);
  }
});

describe('the DCS on the command line', () => {
  function store(uri: string): Store {
    const read = readStore(uri);
    assert.ok(read.ok);
    return read.store;
  }

  test('what names none is told without being repeated', () => {
    for (const text of [
      '',
      'localhost',
      '10.0.0.9:5433',
      'http://pgherd:secret@h/x',
      'postgres:///x',
      'postgres://h',
    ]) {
      const read = readStore(text);
      assert.ok(!read.ok, text);
      assert.match(
        read.error,
        /allowed: the URI of a monitor, postgres:\/\/pgherd@HOST:PORT\/pgherd; start one .*pgherd monitor/,
      );
      assert.ok(!read.error.includes('secret'));
    }
  });

  test('its password is found, added and left out', () => {
    for (const password of ['s3cret', 'a@b:/?#%41 c', '%', 'ü']) {
      const with1 = withPassword(store('postgres://pgherd@10.0.0.9:5433/pgherd?sslmode=require'), password);
      assert.equal(passwordIn(with1), password);
      assert.equal(storeArgument(with1), 'postgres://pgherd@10.0.0.9:5433/pgherd?sslmode=require');
      assert.equal(withPassword(with1, 'other'), with1, 'one that is there stays');
    }
    const inQuery = store('postgres://pgherd@h:1/pgherd?password=x&sslmode=require');
    assert.equal(passwordIn(inQuery), 'x');
    assert.equal(storeArgument(inQuery), 'postgres://pgherd@h:1/pgherd?sslmode=require');
    const none = store('postgres://pgherd@h:1/pgherd');
    assert.equal(passwordIn(none), undefined);
    assert.equal(withPassword(none, undefined), none);
    assert.equal(passwordIn(store('postgres://pgherd:100%@h:1/pgherd')), '100%');
  });

  test('where it is', () => {
    assert.deepEqual(storeAddress(store('postgres://p@[fd00::9]/d')), { host: 'fd00::9', port: 5432 });
    assert.deepEqual(storeAddress(store('postgresql://p@mon:99/d')), { host: 'mon', port: 99 });
  });
});
