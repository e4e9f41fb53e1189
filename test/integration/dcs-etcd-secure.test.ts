/** An etcd that asks who is there: TLS, client certificates, users, tokens that expire. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { EtcdOptions } from '../../src/dcs/etcd/dcs.ts';
import { apply, grant, never, put, read, recorder, until } from '../dcs/contract.ts';
import { startEtcd, type TestEtcd } from '../dcs/etcd.ts';
import { makeFolder } from '../dcs/monitor.ts';

const folder = makeFolder();
after(() => folder.remove());

function openssl(...words: readonly string[]): void {
  execFileSync('openssl', words, { cwd: folder.path, stdio: ['ignore', 'ignore', 'pipe'] });
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function authority(name: string): void {
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  );
}

/** A certificate for one use only, as careful people make them. */
function certificate(name: string, signer: string, use: 'serverAuth' | 'clientAuth', commonName: string): void {
  openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${commonName}`);
  writeFileSync(
    join(folder.path, `${name}.ext`),
    `extendedKeyUsage=${use}\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n`,
  );
  const signing = ['-CA', `${signer}.pem`, '-CAkey', `${signer}.key`, '-CAcreateserial', '-days', '2'];
  openssl('x509', '-req', '-in', `${name}.csr`, ...signing, '-extfile', `${name}.ext`, '-out', `${name}.pem`);
  chmodSync(join(folder.path, `${name}.key`), 0o644);
}

authority('ca');
authority('stranger');
certificate('server', 'ca', 'serverAuth', 'etcd');
certificate('client', 'ca', 'clientAuth', 'pgherd');
certificate('nobody', 'ca', 'clientAuth', 'nobody');
certificate('other', 'stranger', 'clientAuth', 'pgherd');

function at(file: string): string {
  return join(folder.path, file);
}

function tls(ca = 'ca', client?: string): Pick<EtcdOptions, 'tls'> {
  const own =
    client === undefined
      ? { cert: undefined, key: undefined }
      : { cert: at(`${client}.pem`), key: at(`${client}.key`) };
  return { tls: { cacert: at(`${ca}.pem`), ...own } };
}

async function errorOf(etcd: TestEtcd, more: Partial<EtcdOptions>): Promise<string> {
  const dcs = etcd.connect('error', more);
  const outcome = await dcs.transact(put('x', '1'), never);
  await dcs.close();
  assert.ok(outcome.kind === 'not-sent', JSON.stringify(outcome));
  return outcome.error;
}

/** The user `name` with the role `pgherd`, which has the keys below /test/; and root. */
async function makeUsers(etcd: TestEtcd, users: Readonly<Record<string, string>>): Promise<void> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  await etcd.post('/auth/role/add', { name: 'root' });
  await etcd.post('/auth/role/add', { name: 'pgherd' });
  const perm = { permType: 'READWRITE', key: base64('/test/'), range_end: base64('/test0') };
  await etcd.post('/auth/role/grant', { name: 'pgherd', perm });
  for (const [name, password] of Object.entries({ root: 'root', ...users })) {
    await etcd.post('/auth/user/add', { name, password });
    await etcd.post('/auth/user/grant', { user: name, role: name === 'root' ? 'root' : 'pgherd' });
  }
}

/** Everything that an agent does. */
async function works(etcd: TestEtcd, more: Partial<EtcdOptions>): Promise<void> {
  const dcs = etcd.connect('works', more);
  const watched = recorder();
  dcs.watch(watched);
  const leaseId = await grant(dcs, 5000);
  const value = String(performance.now());
  await apply(dcs, put('leader', value, leaseId));
  assert.equal((await dcs.renewLease(leaseId, never)).kind, 'alive');
  await until('the change', () => watched.value('leader') === value);
  dcs.beat(1, 'a');
  await until('the beat', () => watched.beats[0]);
  assert.equal((await dcs.readEvents(never)).kind, 'read');
  assert.equal((await dcs.revokeLease(leaseId, never)).kind, 'gone');
  await dcs.close();
  assert.deepEqual(watched.lost, []);
}

describe('TLS, with certificates for one use only', async () => {
  const words = ['cert-file=server.pem', 'key-file=server.key', 'trusted-ca-file=ca.pem'];
  const files = words.map((word) => `--${word.replace('=', `=${folder.path}/`)}`);
  const etcd = await startEtcd({ members: 1, scheme: 'https', words: [...files, '--client-cert-auth'] });
  after(() => etcd.end());

  test('a certificate of ours, which etcd asks for', () => works(etcd, tls('ca', 'client')));

  test('what is wrong is told', async () => {
    const untrusted = /^etcd https:[^ ]*: it asks for a certificate that it trusts: set cert and key$/;
    assert.match(await errorOf(etcd, tls('ca')), untrusted);
    assert.match(await errorOf(etcd, tls('ca', 'other')), untrusted);
    assert.match(await errorOf(etcd, tls('stranger', 'client')), /: is cacert the authority that signed it\?$/);
    assert.match(await errorOf(etcd, tls('missing', 'client')), /no such file or directory.*missing\.pem/);
    const plain = etcd.urls.map((url) => url.replace('https', 'http'));
    assert.match(await errorOf(etcd, { seeds: { urls: plain, srv: undefined } }), /^etcd http:/);
  });

  test('new certificates need no restart', async () => {
    for (const kind of ['pem', 'key']) copyFileSync(at(`other.${kind}`), at(`own.${kind}`));
    const dcs = etcd.connect('renewed', tls('ca', 'own'));
    assert.equal((await dcs.read(never)).kind, 'failed');
    for (const kind of ['pem', 'key']) copyFileSync(at(`client.${kind}`), at(`own.${kind}`));
    await read(dcs);
    await dcs.close();
  });

  test('the user is whom the certificate names', async () => {
    await makeUsers(etcd, { pgherd: 'unused' });
    await etcd.post('/auth/enable', {});
    await works(etcd, tls('ca', 'client'));
    assert.match(await errorOf(etcd, tls('ca', 'nobody')), /permission denied/);
  });
});

describe('users', async () => {
  const etcd = await startEtcd({ members: 1, words: ['--auth-token-ttl=1', '--bcrypt-cost=4'] });
  after(() => etcd.end());
  const user = { name: 'me', password: 'right' };

  test('a user where etcd asks for none', () => works(etcd, { user }));

  test('a user with its password', async () => {
    await makeUsers(etcd, { me: 'right' });
    await etcd.post('/auth/enable', {});
    await works(etcd, { user });
  });

  test('what is wrong is told, without the password', async () => {
    assert.match(await errorOf(etcd, {}), /it asks for a user and there is none: set username and password/);
    const error = await errorOf(etcd, { user: { ...user, password: 'wrong' } });
    assert.match(error, /the username or the password was not accepted/);
    assert.ok(!error.includes('wrong'));
    const elsewhere = await errorOf(etcd, { user, prefix: '/elsewhere/x/' });
    assert.match(elsewhere, /permission denied: the user needs to read and write the keys/);
  });

  test('a token that has expired is replaced, and what it was to be used for is done, once', async () => {
    const dcs = etcd.connect('expired', { user });
    const revision = await apply(dcs, put('n', '0'));
    const { token } = await etcd.post('/auth/authenticate', { name: 'me', password: 'right' });
    const isExpired = async (): Promise<boolean> => {
      await new Promise((resolve) => setTimeout(resolve, 2500));
      return await etcd.post('/kv/range', { key: 'L3Rlc3Qv' }, String(token)).then(
        () => false,
        () => true,
      );
    };
    await until('tokens of then have expired', isExpired, 10_000);
    assert.equal(await apply(dcs, put('n', '1')), revision + 1);
    await dcs.close();
  });

  test('a token that the member has forgotten', async () => {
    const [member] = etcd.members;
    assert.ok(member);
    const dcs = etcd.connect('forgotten', { user });
    const watched = recorder();
    dcs.watch(watched);
    await until('the first snapshot', () => watched.seen[0]);
    await member.stop();
    await until('the loss', () => watched.lost[0]);
    member.start();
    await etcd.settled();
    const back = watched.seen.length;
    await until('the watch is back', () => watched.seen[back - 1] && watched.seen.length > 1, 10_000);
    await apply(dcs, put('x', '1'));
    await until('the change', () => watched.value('x'));
    await dcs.close();
  });
});
