/** A disk that is too small for a copy: the member says so, leaves nothing half-done, and joins when there is room. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLoopback, type Loopback } from './loopback/cluster.ts';
import type { Member } from './loopback/member.ts';

const isRoot = process.getuid?.() === 0;

describe('a full disk', { skip: !isRoot && 'mounting a small file system needs root' }, () => {
  let lab: Loopback;
  let pg1: Member;
  before(async () => {
    lab = await createLoopback();
    await lab.monitor.start();
    pg1 = await lab.member('pg1');
    pg1.start();
    await pg1.isLeader();
  });
  after(() => lab.end());

  function mount(path: string, megabytes: number): void {
    mkdirSync(path, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'pgherd-test', path]);
  }

  function enlarge(path: string, megabytes: number): void {
    execFileSync('mount', ['-o', `remount,size=${megabytes}m`, path]);
  }

  function usedBytes(path: string): number {
    const { blocks, bfree, bsize } = statfsSync(path);
    return (blocks - bfree) * bsize;
  }

  const noSpace = /cloning from pg1 at .*No space left on device/;

  /** It fails with the reason, again and again; then there is room. */
  async function failsThenJoins(member: Member, path: string): Promise<void> {
    member.start();
    await member.shows('the reason', ({ because }) => noSpace.test(because));
    await lab.listed(pg1, 'the reason', (text) =>
      text.split('\n').some((line) => line.startsWith(` ${member.name}: `) && noSpace.test(line)),
    );
    await member.shows('a third attempt', ({ because }) => /\(attempt [3-9]; /.test(because));
    await member.shows('a pause', ({ rule }) => rule === 'try-again-later');
    assert.ok(!existsSync(join(member.dataDir, 'PG_VERSION')), 'no half of a copy');
    assert.equal(existsSync(`${member.dataDir}.clone`), false);
    assert.ok(usedBytes(path) < 1024 * 1024, `${usedBytes(path)} bytes are left behind`);
    const leader = await pg1.isLeader();
    assert.equal(leader.timeline, 1);
    enlarge(path, 400);
    await member.isStreaming();
    await member.kill();
  }

  test('the data directory is in it', async () => {
    const path = join(lab.folder, 'small');
    mount(path, 12);
    const member = await lab.member('inside', { dataDir: join(path, 'data') });
    await failsThenJoins(member, path);
    assert.deepEqual(readdirSync(path), ['data', 'data.pgherd']);
  });

  test('the data directory is the mount point', async () => {
    const path = join(lab.folder, 'point', 'data');
    mount(path, 12);
    const member = await lab.member('point');
    assert.equal(member.dataDir, path);
    await failsThenJoins(member, path);
  });
});
