/** Members that cannot join a cluster as they are: each waits and says why, and the cluster does not notice. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLoopback, type Loopback } from './loopback/cluster.ts';
import { listing } from './loopback/listing.ts';
import type { Answer, Member, Settings } from './loopback/member.ts';
import { makeDataDirectory, makeFolderForPostgres, postgresOwner, startPlainPostgres } from './loopback/postgres.ts';

const isRoot = process.getuid?.() === 0;

let lab: Loopback;
let pg1: Member;
let pg2: Member;
let asItWas: readonly unknown[];

before(async () => {
  lab = await createLoopback();
  await lab.monitor.start();
  pg1 = await lab.member('pg1');
  pg2 = await lab.member('pg2');
  pg1.start();
  await pg1.isLeader();
  pg2.start();
  await pg2.isStreaming();
  asItWas = await cluster();
});
after(() => lab.end());

/** What must stay as it is while others fail to join. */
async function cluster(): Promise<readonly unknown[]> {
  const [one, two] = [await pg1.isLeader(), await pg2.isStreaming()];
  return [pg1.postmaster(), pg2.postmaster(), one.timeline, two.timeline, one.database_system_identifier];
}

async function assertClusterUnchanged(): Promise<void> {
  assert.deepEqual(await cluster(), asItWas);
}

function passwordOf(user: 'superuser' | 'replication', text: string): Settings {
  return { postgresql: { authentication: { [user]: { password: text } } } };
}

/** Its reason as REST tells it, when `list` tells the same below the table. */
async function reasonOf(member: Member, pattern: RegExp): Promise<Answer> {
  const answer = await member.shows(`a reason like ${pattern}`, ({ because }) => pattern.test(because));
  await lab.listed(pg1, `the reason of ${member.name}`, (text) =>
    text.split('\n').some((line) => line.startsWith(` ${member.name}: `) && pattern.test(line)),
  );
  return answer;
}

describe('passwords that the cluster does not accept', () => {
  test('replication, at a member that is to be cloned', async () => {
    const member = await lab.member('wrongrepl', { settings: passwordOf('replication', 'wrong') });
    member.start();
    const reason = new RegExp(
      `cloning from pg1 at 127\\.0\\.0\\.1:${pg1.port}: .*password authentication failed for user "replicator"` +
        '.*; check postgresql\\.authentication\\.replication and the pg_hba\\.conf of pg1',
    );
    const { state } = await reasonOf(member, reason);
    assert.equal(state, 'stopped');
    assert.deepEqual(readdirSync(member.folder), ['data.pgherd'], 'nothing half-done is left');
    await assertClusterUnchanged();
    assert.equal(await member.stop(), 0);
    member.configure(passwordOf('replication', 'right'));
    member.start();
    await member.isStreaming();
    await assertClusterUnchanged();
  });

  test('replication, at a member that has its data: it does not stream, and says why', async () => {
    const member = await lab.member('norepl');
    member.start();
    await member.isStreaming();
    assert.equal(await member.stop(), 0);
    member.configure(passwordOf('replication', 'wrong'));
    member.start();
    await reasonOf(member, /does not stream/);
    await assertClusterUnchanged();
    assert.equal(await member.stop(), 0);
    member.configure(passwordOf('replication', 'right'));
    member.start();
    await member.isStreaming();
    await member.stop();
  });

  test('the superuser', async () => {
    const member = await lab.member('wrongsuper', { settings: passwordOf('superuser', 'wrong') });
    member.start();
    const reason = new RegExp(
      `PostgreSQL at 127\\.0\\.0\\.1:${member.port} does not let user "postgres" in: password authentication failed for user "postgres"` +
        '; check postgresql\\.authentication\\.superuser and pg_hba\\.conf',
    );
    await reasonOf(member, reason);
    const postmaster = member.postmaster();
    assert.notEqual(postmaster, undefined);
    await assertClusterUnchanged();
    member.agent().kill('SIGKILL');
    await member.agent().ended;
    member.configure(passwordOf('superuser', 'right'));
    member.start();
    await member.isStreaming();
    assert.equal(member.postmaster(), postmaster, 'its PostgreSQL was right all the time');
    await assertClusterUnchanged();
    await member.stop();
  });
});

describe('data directories that are not of this cluster', () => {
  /** The agent over a directory that `prepare` made: it waits with `reason`, and touches nothing. */
  async function leftAlone(name: string, reason: RegExp, prepare: (dataDir: string) => Promise<void>): Promise<Member> {
    const member = await lab.member(name);
    await prepare(member.dataDir);
    const made = listing(member.dataDir);
    member.start();
    await reasonOf(member, reason);
    assert.deepEqual(listing(member.dataDir), made);
    assert.equal(member.postmaster(), undefined);
    await assertClusterUnchanged();
    return member;
  }

  test('of another cluster', async () => {
    const identifiers =
      /the data directory has system identifier \d{19}, the cluster has \d{19}; it is left alone: point data_dir elsewhere, or move it away/;
    const member = await leftAlone('foreign', identifiers, makeDataDirectory);
    const made = listing(member.dataDir);
    const restart = await lab.pgherd(pg1, 'restart', 'main', 'foreign', '--force');
    assert.equal(restart.code, 1);
    assert.match(restart.stdout, /Failed: restart for member foreign, .*the data directory belongs to another cluster/);
    assert.equal(await member.stop(), 0);
    assert.deepEqual(listing(member.dataDir), made);
  });

  test('of another cluster, whose PostgreSQL runs', async () => {
    const member = await lab.member('foreignup');
    const { admin } = await startPlainPostgres(member.dataDir);
    const postmaster = member.postmaster();
    assert.notEqual(postmaster, undefined);
    member.start();
    await reasonOf(member, /the data directory has system identifier \d{19}, the cluster has \d{19}; it is left alone/);
    const { rows } = await admin.query('select pg_is_in_recovery() as standby');
    assert.deepEqual(rows, [{ standby: false }]);
    assert.equal(member.postmaster(), postmaster);
    await assertClusterUnchanged();
    assert.equal(await member.stop(), 0);
    assert.equal(member.postmaster(), postmaster, 'it is not ours to stop');
    await admin.end();
    await member.kill();
  });

  test('files that are no data directory', async () => {
    const prepare = async (dataDir: string): Promise<void> => {
      await makeFolderForPostgres(dataDir);
      writeFileSync(join(dataDir, 'thesis.tex'), 'the only copy');
      mkdirSync(join(dataDir, 'photos'));
      const owner = await postgresOwner();
      if (owner) for (const one of ['thesis.tex', 'photos']) chownSync(join(dataDir, one), owner.uid, owner.gid);
    };
    const member = await leftAlone(
      'files',
      /is not a PostgreSQL data directory: it has no PG_VERSION, but photos, thesis\.tex/,
      prepare,
    );
    await member.kill();
  });

  test('an unreadable directory', async () => {
    const prepare = async (dataDir: string): Promise<void> => {
      await makeDataDirectory(dataDir);
      chmodSync(dataDir, 0o000);
    };
    const member = await leftAlone('locked', /cannot be read|[Pp]ermission denied/, prepare);
    assert.equal(await member.stop(), 0);
    chmodSync(member.dataDir, 0o700);
  });

  test("root's own directory: the agent does not begin", { skip: !isRoot && 'needs root' }, async () => {
    const member = await lab.member('roots');
    mkdirSync(member.dataDir, { recursive: true });
    writeFileSync(join(member.dataDir, 'kernel'), 'x');
    const made = listing(dirname(member.dataDir));
    assert.equal(await member.start().ended, 1);
    assert.match(
      member.log(),
      /belongs to root, and PostgreSQL refuses to run as root: give it to another user \(chown -R postgres /,
    );
    assert.deepEqual(listing(dirname(member.dataDir)), made);
  });
});

describe('a standby of something, where there is no cluster yet', () => {
  test('it founds none', async () => {
    const member = await lab.member('standby', { settings: { scope: 'other' } });
    await makeDataDirectory(member.dataDir);
    writeFileSync(join(member.dataDir, 'standby.signal'), '');
    const owner = await postgresOwner();
    if (owner) chownSync(join(member.dataDir, 'standby.signal'), owner.uid, owner.gid);
    const made = listing(member.dataDir);
    member.start();
    await member.shows('the rule', ({ rule }) => rule === 'standby-without-cluster');
    await member.shows('why', ({ because }) =>
      /is a standby of something \(standby\.signal\); .* start the agent of the primary first/.test(because),
    );
    const shown = await lab.pgherd(member, 'list');
    assert.equal(shown.code, 0);
    assert.match(shown.stdout, /Cluster: other \(uninitialized\)/);
    assert.match(shown.stdout, /^ standby: the data directory is a standby of something/m);
    assert.deepEqual(listing(member.dataDir), made);
    assert.equal(member.postmaster(), undefined);
    assert.equal(await member.stop(), 0);
    assert.deepEqual(listing(member.dataDir), made);
  });
});
