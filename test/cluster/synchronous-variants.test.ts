/**
 * What the mode changes, on real processes: strict commits that hang rather than be on the primary alone, and the
 * asynchronous mode, in which the primary asks every member before it goes on without the monitor.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs, ttlMs } from './lab/cluster.ts';
import { beginNight } from './lab/night.ts';

test('strict: without any sync standby commits hang, nobody takes over, and the first standby that is back lets them go', async () => {
  const night = await beginNight({ synchronous_mode: 'quorum', synchronous_mode_strict: true });
  const { lab } = night;
  try {
    const leader = night.primary();
    const [first, second] = night.replicas();
    assert.ok(first && second);
    first.powerOff();
    await lab.waitFor('one is left', () => night.syncStandbys().join() === second.name, 15_000);
    await night.writesAgain(nowMs(), 5000);
    second.powerOff();
    const lostAt = nowMs();
    // Longer than anything would wait before it gave up on the standby.
    await sleep(6000);
    const acknowledged = lab.acknowledged().filter((row) => row.atMs > lostAt + 500);
    assert.deepEqual(acknowledged, [], 'nothing is acknowledged');
    assert.equal(lab.leader(), leader);
    assert.equal(night.reads(leader, "select count(*) > 0 from pg_stat_activity where wait_event = 'SyncRep'"), 't');
    assert.deepEqual(night.syncStandbys(), [second.name], 'and nothing is loosened on record');
    const backAt = nowMs();
    await night.boot(first);
    await night.writesAgain(backAt, 20_000);
    console.log(`# strict: writes again ${Math.round(nowMs() - backAt)} ms after a standby was back`);
    await night.boot(second);
    await night.endsWell();
    assert.equal(night.primary(), leader);
  } finally {
    await lab.end();
  }
});

test('asynchronous mode without the monitor: the primary goes on while all members agree, and stops in time when one cannot be asked', async () => {
  const night = await beginNight({});
  const { lab } = night;
  try {
    const leader = night.primary();
    const timeline = night.timeline();
    const downAt = nowMs();
    await lab.monitor.kill('monitor');
    await lab.monitor.kill('postgres');
    await sleep(ttlMs + 3000);
    await night.writesAgain(nowMs(), 2000);
    const gap = night.gapMs(downAt);
    console.log(`# asynchronous, monitor down: write gap ${Math.round(gap)} ms`);
    assert.ok(gap < 1000, `${gap} ms`);

    const [silent] = lab.hosts.filter((host) => host !== leader);
    assert.ok(silent);
    const postmaster = lab.postmaster(leader);
    const silentAt = nowMs();
    await night.killAgent(silent);
    await lab.waitFor('PostgreSQL of the primary has stopped', () => !existsSync(`/proc/${postmaster}`), ttlMs);
    const stoppedMs = nowMs() - silentAt;
    console.log(
      `# asynchronous, monitor down and one member silent: PostgreSQL stopped after ${Math.round(stoppedMs)} ms`,
    );
    const stoppedAt = nowMs();
    const nobody = (): boolean => lab.acknowledged().every((row) => row.atMs <= stoppedAt);
    await night.holdsFor('nobody is elected without the monitor', nobody, 4000);
    const backAt = nowMs();
    lab.startMonitor();
    lab.start(silent);
    await night.writesAgain(backAt, 4 * ttlMs);
    await night.endsWell();
    console.log(
      `# asynchronous: the leader is ${night.primary() === leader ? 'the same' : 'another'}, timeline ${timeline} → ${night.timeline()}`,
    );
  } finally {
    await lab.end();
  }
});
