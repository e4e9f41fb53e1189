/** Stories of the simulator (test/core/testdata) on real processes, in asynchronous mode: a short lease, a writer a host. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { missingOn } from './lab/checks.ts';
import { nowMs } from './lab/cluster.ts';
import { beginNight, type Night } from './lab/night.ts';
import { listen } from './lab/trap.ts';

const ttlMs = 6000;

let night: Night;

before(async () => {
  night = await beginNight({ ttl: ttlMs / 1000 });
});

after(async () => {
  await night?.lab.end();
});

test('reboot-within-ttl: the host of the primary is back before its lease ends: it serves again, and nothing is lost', async () => {
  const { lab } = night;
  const leader = night.primary();
  const timeline = night.timeline();
  const ear = listen(lab);
  const offAt = nowMs();
  leader.powerOff();
  await night.boot(leader);
  await night.writesAgain(nowMs(), 2 * ttlMs);
  console.log(`# reboot within the TTL: write gap ${Math.round(night.gapMs(offAt))} ms`);
  await night.endsWell();
  assert.match(ear.said(leader), /INFO +(retake|retake-own-key|serve-again):/);
  assert.equal(night.primary(), leader);
  assert.equal(night.timeline(), timeline);
});

test('same-timeline-number: two terms make a timeline of the same number; the first is copied anew, never rewound', async () => {
  const { lab } = night;
  const leader = night.primary();
  const others = night.replicas();
  const timeline = night.timeline();
  for (const host of others) lab.startWriterInside(host);
  const ear = listen(lab);
  leader.powerOff();
  const first = await ear.hears(others, /job-begun: promote/, 4 * ttlMs);
  // Nobody learns where its term begins; a client of its own sees it serve.
  first.cutOff();
  const cutAt = nowMs();
  const second = others.find((host) => host !== first);
  assert.ok(second);
  const serves = (): boolean => lab.acknowledged().some((row) => row.host === second.name && row.atMs > cutAt);
  await lab.waitFor('the second one serves', serves, 4 * ttlMs);
  const beside = (host: string): boolean => host === first.name;
  const fork = lab.acknowledged().filter((row) => beside(row.host) && row.atMs > cutAt - 1000);
  assert.ok(fork.length > 0, 'the first one has WAL of its own');
  assert.equal(night.timeline(), timeline + 1, 'and so has the second, under the same number');
  first.plugIn();
  await ear.hears(
    [first],
    /clone: .*both histories have the same timeline number, so pg_rewind cannot help/,
    4 * ttlMs,
  );
  await night.boot(leader);
  await night.everybodyIsWell();
  const kept = lab.acknowledged().filter((row) => !fork.includes(row) && row.atMs > cutAt);
  for (const host of lab.hosts) assert.deepEqual(missingOn(lab, host, kept), [], `on ${host.name}`);
  assert.ok(missingOn(lab, second, fork).length > 0, 'what it acknowledged alone is not there: it was one');
});
