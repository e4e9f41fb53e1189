/** As whom the writer logs in: what is said wins over the environment, that over the member's file. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { DatabaseUser } from '../../src/config/config.ts';
import { chooseLogin, connectionUri, type Login } from '../../src/drill/login.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgherd-test-'));
const certificate = join(folder, 'root.crt');
writeFileSync(certificate, 'a certificate');
after(() => rmSync(folder, { recursive: true }));

const superuser: DatabaseUser = { username: 'boss', password: 'from the file', options: {} };
const none = { user: undefined, database: undefined };

async function login(...given: Parameters<typeof chooseLogin>): Promise<Login> {
  const outcome = await chooseLogin(...given);
  assert.ok(outcome.ok);
  return outcome.login;
}

describe('user, password and database', () => {
  const cases: readonly (readonly [
    what: string,
    given: Parameters<typeof chooseLogin>,
    expected: readonly [user: string, password: string | undefined, database: string],
  ])[] = [
    ['the superuser of the file', [none, {}, superuser], ['boss', 'from the file', 'postgres']],
    ['the environment', [none, { PGUSER: 'me', PGPASSWORD: 'x', PGDATABASE: 'shop' }, superuser], ['me', 'x', 'shop']],
    [
      'the command line',
      [{ user: 'you', database: 'till' }, { PGUSER: 'me', PGDATABASE: 'shop' }, superuser],
      ['you', undefined, 'till'],
    ],
    [
      "another user does not get the superuser's password",
      [none, { PGUSER: 'me' }, superuser],
      ['me', undefined, 'postgres'],
    ],
    ['a password of the environment wins', [none, { PGPASSWORD: 'x' }, superuser], ['boss', 'x', 'postgres']],
    [
      'the superuser by name',
      [{ user: 'boss', database: undefined }, {}, superuser],
      ['boss', 'from the file', 'postgres'],
    ],
    [
      'what is empty is not there',
      [none, { PGUSER: '', PGPASSWORD: '', PGDATABASE: '' }, superuser],
      ['boss', 'from the file', 'postgres'],
    ],
    ['nobody is named: as libpq', [none, {}, undefined], [userInfo().username, undefined, 'postgres']],
  ];
  for (const [what, given, expected] of cases) {
    test(what, async () => {
      const { user, password, database } = await login(...given);
      assert.deepEqual([user, password, database], expected);
    });
  }
});

describe('encryption', () => {
  test('is not checked where nobody asks for it', async () => {
    const { sslMode, tls } = await login(none, {}, superuser);
    assert.deepEqual([sslMode, tls], ['prefer', undefined]);
  });

  test("verify-full, by the file's words", async () => {
    const options = { sslmode: 'verify-full', sslrootcert: certificate };
    const { sslMode, tls } = await login(none, {}, { ...superuser, options });
    assert.deepEqual([sslMode, tls], ['verify-full', { ca: 'a certificate', rejectUnauthorized: true }]);
  });

  test('verify-ca, by the environment: whose certificate it is does not matter', async () => {
    const { sslMode, tls } = await login(none, { PGSSLMODE: 'verify-ca', PGSSLROOTCERT: certificate }, superuser);
    assert.equal(sslMode, 'verify-ca');
    assert.equal(tls?.rejectUnauthorized, true);
    assert.equal(typeof tls.checkServerIdentity, 'function');
  });

  test('a certificate that is missing is told', async () => {
    const outcome = await chooseLogin(
      none,
      { PGSSLMODE: 'verify-full', PGSSLROOTCERT: '/nowhere/root.crt' },
      superuser,
    );
    assert.match(outcome.ok ? '' : outcome.error, /^sslmode verify-full: \/nowhere\/root\.crt cannot be read: ENOENT/);
  });
});

test('the same for psql: every member, the writable one is taken; no password', async () => {
  const own = await login({ user: 'o/p', database: 'a b' }, { PGPASSWORD: 'secret' }, undefined);
  const at = (host: string, port: number) => ({ name: host, address: { host, port }, login: own });
  assert.equal(
    connectionUri([at('10.0.0.1', 5432), at('fd00::2', 5433)]),
    'postgres://o%2Fp@10.0.0.1:5432,[fd00::2]:5433/a%20b?target_session_attrs=read-write',
  );
});
