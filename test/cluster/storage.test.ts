/**
 * A primary that lives and cannot serve: its storage hangs or is full, a signal has stopped its postmaster. And one that
 * only has no connection left, which is no failure. Three members on disks of their own, a monitor, a writer for each host.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { canMakeDisks, type Disk, empty, fill, makeDisk } from '../disks/disk.ts';
import { nowMs } from './lab/cluster.ts';
import type { Host } from './lab/host.ts';
import { beginNight, type Night } from './lab/night.ts';
import type { Acknowledged } from './lab/notes.ts';

const skip = !canMakeDisks() && 'loop devices need root';
const failoverMs = 10_000;

/** A cluster whose members have their data, and what they remember, on disks that can be made to hang. */
function nightOnDisks(dcs: Readonly<Record<string, unknown>>, hangs: 'writes' | 'flushes') {
  const disks = new Map<string, Disk>();
  let night: Night;
  before(async () => {
    const prepare = (host: Host): void => {
      mkdirSync(host.disk, { recursive: true });
      disks.set(host.name, makeDisk(host.disk, 'pg', 500, hangs));
    };
    night = await beginNight(dcs, { prepare });
  });
  afterEach(() => {
    for (const disk of disks.values()) {
      disk.thaw();
      empty(disk.path);
    }
  });
  after(async () => {
    // What hung has to end before its disk goes.
    for (const host of night?.lab.hosts ?? []) host.powerOff();
    for (const disk of disks.values()) disk.end();
    await night?.lab.end();
  });
  return {
    night: () => night,
    disk: (host: Host): Disk => disks.get(host.name) ?? assert.fail(`no disk of ${host.name}`),
  };
}

function servesElsewhere(night: Night, former: Host, sinceMs: number): boolean {
  return night.lab.acknowledged().some((row) => row.host !== former.name && row.atMs > sinceMs);
}

/** Another member serves within 10 s; how long that took, and that the story says why. */
async function failsOver(night: Night, former: Host, what: string, reason: RegExp, sinceMs = nowMs()): Promise<void> {
  const { lab } = night;
  await lab.waitFor(`another one serves (${what})`, () => servesElsewhere(night, former, sinceMs), failoverMs + 5000);
  const tookMs = nowMs() - sinceMs;
  console.log(`# ${what}: another one serves after ${Math.round(tookMs)} ms`);
  assert.ok(tookMs < failoverMs, `${tookMs} ms`);
  const asked = lab.leader() ?? former;
  const events = lab.pgherd(asked, 'history', '--events');
  assert.match(events, reason, events);
}

/** What was acknowledged in the last moments before `atMs`, and in asynchronous mode may not have been sent. */
function beganBefore(atMs: number): (row: Acknowledged) => boolean {
  return (row) => row.atMs > atMs - 1000 && row.atMs < atMs + failoverMs;
}

describe('in synchronous mode', { skip }, () => {
  const { night, disk } = nightOnDisks(
    { synchronous_mode: 'quorum', postgresql: { parameters: { max_connections: 40 } } },
    'writes',
  );

  test('a signal stops the postmaster: who is connected goes on, and another one takes over', async () => {
    const { lab } = night();
    const leader = night().primary();
    const frozenAt = nowMs();
    process.kill(lab.postmaster(leader), 'SIGSTOP');
    await failsOver(night(), leader, 'SIGSTOP of the postmaster', /postmaster-frozen .*stopped by a signal/, frozenAt);
    await night().endsWell();
  });

  test('its storage hangs: it cannot be ended, and another one takes over; it follows when storage answers', async () => {
    const { lab } = night();
    const leader = night().primary();
    const hungAt = nowMs();
    disk(leader).freeze();
    await failsOver(night(), leader, 'hung storage', /storage-hangs .*storage hangs: /, hungAt);
    const seen = (): string => lab.look()?.find(({ name }) => name === leader.name)?.because ?? '';
    await lab.waitFor('it says what is the matter', () => /storage hangs|storage answers/.test(seen()), 5000);
    const stuck = leader
      .pids('postgres')
      .filter((pid) => /^State:\tD/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')));
    assert.ok(stuck.length > 0, 'the kernel holds some of it');
    // Its agent lives all the while, and the others stay as they are.
    await night().holdsFor('one leader', () => lab.leader() !== undefined && lab.leader() !== leader, 12_000);
    disk(leader).thaw();
    await night().endsWell();
  });

  test('storage hangs for less than storage_timeout: no failover', async () => {
    const { lab } = night();
    const leader = night().primary();
    const timeline = night().timeline();
    disk(leader).freeze();
    await night().holdsFor('the same leader', () => lab.leader() === leader, 3000);
    disk(leader).thaw();
    await night().writesAgain(nowMs(), 5000);
    await night().endsWell();
    assert.equal(night().timeline(), timeline);
  });

  test('storage of a sync standby hangs: it leaves the sync standbys, and comes back', async () => {
    const { lab } = night();
    const leader = night().primary();
    const [standby] = night().replicas();
    assert.ok(standby);
    const hungAt = nowMs();
    disk(standby).freeze();
    await lab.waitFor('it is no sync standby', () => !night().syncStandbys().includes(standby.name), 10_000);
    const seen = (): string | undefined => lab.look()?.find(({ name }) => name === standby.name)?.rule;
    await lab.waitFor('it says why', () => seen() === 'replica-unfit', 12_000);
    const gap = night().gapMs(hungAt);
    console.log(`# storage of a sync standby hangs: write gap ${Math.round(gap)} ms`);
    disk(standby).thaw();
    await night().endsWell();
    assert.equal(night().primary(), leader);
    assert.ok(gap < 1000, `${gap} ms`);
  });

  test('its disk is full: it is shut down in order, and another one takes over', async () => {
    const leader = night().primary();
    fill(disk(leader).path);
    const filledAt = nowMs();
    await failsOver(
      night(),
      leader,
      'full disk',
      /(storage-refuses .*no space is left|hand-over-crashed .*No space left)/,
      filledAt,
    );
    empty(disk(leader).path);
    await night().endsWell();
  });

  test('clients have every connection, those of superusers too: nothing but a notice', async () => {
    const { lab } = night();
    const leader = night().primary();
    const timeline = night().timeline();
    lab.sql(leader, "create role guest login password 'x'");
    const takenAt = nowMs();
    leader.start([process.execPath, join(import.meta.dirname, 'lab', 'crowd.ts'), leader.address, '5432'], 'crowd.log');
    await lab.waitFor(
      'nobody gets in',
      () => readFileSync(join(leader.disk, 'crowd.log'), 'utf8').includes('full'),
      10_000,
    );
    assert.throws(() => lab.sql(leader, 'select 1'), 'a superuser neither');
    await night().holdsFor('the same leader', () => lab.leader() === leader, 15_000);
    assert.match(lab.pgherd(leader, 'history', '--events'), /connections-used-up/);
    await leader.kill('crowd.ts');
    const gap = night().gapMs(takenAt);
    await night().endsWell();
    assert.equal(night().timeline(), timeline);
    assert.ok(gap < 1000, `${gap} ms`);
  });
});

describe('in asynchronous mode', { skip }, () => {
  const { night, disk } = nightOnDisks({}, 'flushes');

  test('a signal stops the postmaster: an orderly shutdown wakes it up, and nothing is lost', async () => {
    const leader = night().primary();
    const frozenAt = nowMs();
    process.kill(night().lab.postmaster(leader), 'SIGSTOP');
    await failsOver(night(), leader, 'SIGSTOP of the postmaster', /postmaster-frozen/, frozenAt);
    await night().endsWell();
  });

  test('the device behind its storage does not answer: the key is given back before the lease ends', async () => {
    const { lab } = night();
    const leader = night().primary();
    const hungAt = nowMs();
    disk(leader).freeze();
    await failsOver(night(), leader, 'a device that does not answer', /storage-hangs .*storage hangs: /, hungAt);
    await night().holdsFor('one leader', () => lab.leader() !== undefined && lab.leader() !== leader, 12_000);
    disk(leader).thaw();
    await night().endsWell(beganBefore(hungAt));
  });

  test('it dies of a full disk, and again when it is started: another one takes over', async () => {
    const { lab } = night();
    const leader = night().primary();
    fill(disk(leader).path);
    // Until the segments that it had in store are used up.
    for (let segment = 0; segment < 40 && lab.leader() === leader; segment += 1)
      night().reads(leader, "select pg_switch_wal() from (select pg_logical_emit_message(false, 'x', 'x')) x");
    const died = nowMs();
    await failsOver(
      night(),
      leader,
      'WAL without room',
      /(no WAL segment fits|No space left|no space is left)/,
      died - 3000,
    );
    empty(disk(leader).path);
    await night().endsWell(beganBefore(died));
  });
});
