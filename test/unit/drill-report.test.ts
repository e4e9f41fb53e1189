/** What is made of a drill's findings: the verdict, the figures, the text, the page. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { reportPage } from '../../src/drill/page.ts';
import { type Findings, type Report, reportOf } from '../../src/drill/report.ts';
import { reportText, verdict } from '../../src/drill/text.ts';
import { closeRange, ticksOf, wholeRange } from '../../src/drill/timeline.ts';
import type { Acknowledgement } from '../../src/drill/writer.ts';

const faultAtMs = 10_000;
const faultEpochMs = Date.parse('2026-11-21T12:00:00.000Z');

/** A commit every 10 ms: by `a` until the fault, by `b` from `resumeMs` after it until `endMs` after it. */
function commits(resumeMs: number, endMs: number): readonly Acknowledgement[] {
  const rows: Acknowledgement[] = [];
  const add = (member: string, atMs: number): void => void rows.push({ number: rows.length + 1, member, atMs });
  for (let ms = -3000; ms <= 0; ms += 10) add('a', faultAtMs + ms);
  for (let ms = resumeMs; ms <= endMs; ms += 10) add('b', faultAtMs + ms);
  return rows;
}

const acknowledged = commits(400, 4000);
const numbers = acknowledged.map(({ number }) => number);

const findings: Findings = {
  cluster: 'orders',
  fault: 'kill-postgres',
  victim: 'a',
  beganAtMs: faultAtMs - 3000,
  faultAtMs,
  faultEpochMs,
  endedAtMs: faultAtMs + 4005,
  continuedAtMs: undefined,
  rejoinedAtMs: faultAtMs + 1200,
  recoveredAtMs: faultAtMs + 2400,
  faultError: undefined,
  acknowledged,
  unanswered: [9001, 9002],
  present: new Set([...numbers, 9002]),
  before: {
    members: [
      { name: 'a', role: 'leader', state: 'running', timeline: 3 },
      { name: 'b', role: 'quorum_standby', state: 'streaming' },
    ],
  },
  after: {
    members: [
      { name: 'a', role: 'quorum_standby', state: 'streaming' },
      { name: 'b', role: 'leader', state: 'running', timeline: 4 },
    ],
  },
  changes: [
    { atMs: faultAtMs - 2990, member: 'a', role: 'leader', state: 'running' },
    { atMs: faultAtMs - 2990, member: 'b', role: 'quorum_standby', state: 'streaming' },
    { atMs: faultAtMs + 30, member: 'a', role: 'replica', state: 'crashed' },
    { atMs: faultAtMs + 350, member: 'b', role: 'leader', state: 'running' },
    { atMs: faultAtMs + 1200, member: 'a', role: 'quorum_standby', state: 'streaming' },
  ],
  decisions: [
    { at: '2026-11-21T12:00:05.250Z', member: 'b', term: 2, rule: 'promote', because: 'term 2 is mine' },
    {
      at: '2026-11-21T13:00:00.020+01:00',
      member: 'a',
      term: 1,
      rule: 'hand-over-crashed',
      because: 'PostgreSQL <ended>',
    },
  ],
  clockAheadMs: new Map([['b', 5000]]),
  notes: [],
};

describe('a drill that went well', () => {
  const report = reportOf(findings);

  test('is judged so', () => {
    assert.equal(report.ok, true);
    assert.equal(verdict(report), 'nothing is lost, and the cluster is as it was');
    assert.equal(report.faultAt, '2026-11-21T12:00:00.000Z');
    assert.deepEqual(report.primary, { before: 'a', after: 'b' });
    assert.deepEqual(report.timeline, { before: 3, after: 4 });
    assert.deepEqual([report.beganMs, report.endedMs, report.rejoinMs, report.recoveredMs], [-3000, 4005, 1200, 2400]);
  });

  test('its writes are counted', () => {
    const { rate, ...writes } = report.writes;
    assert.deepEqual(writes, {
      acknowledged: numbers.length,
      lost: 0,
      lostNumbers: [],
      unanswered: 2,
      unansweredPresent: 1,
      usualIntervalMs: 10,
      gapMs: 400,
      resumed: true,
      standstills: [{ fromMs: 0, toMs: 400, before: 'a', after: 'b' }],
    });
    const sum = (member: string): number => (rate.members[member] ?? []).reduce((all, count) => all + count, 0);
    assert.equal(sum('a') + sum('b'), numbers.length);
    assert.equal(rate.fromMs + (rate.members['a']?.length ?? 0) * rate.stepMs >= report.endedMs, true);
    const inTheGap = Math.floor((200 - rate.fromMs) / rate.stepMs);
    assert.deepEqual([rate.members['a']?.[inTheGap], rate.members['b']?.[inTheGap]], [0, 0]);
  });

  test('decisions are put in order by our clock, whatever the hosts call the time', () => {
    assert.deepEqual(
      report.events.map(({ atMs, rule }) => [atMs, rule]),
      [
        [20, 'hand-over-crashed'],
        [250, 'promote'],
      ],
    );
  });

  test('the text has the figures and the decisions', () => {
    const text = reportText(report);
    assert.match(text, /^Drill of orders, 2026-11-21T12:00:00\.000Z: PostgreSQL of a is killed\n/);
    assert.match(text, /\n {2}writes stood still +0\.40 s \(usually 10 ms from commit to commit\)\n/);
    assert.match(text, /\n {2}lost commits +none\n/);
    assert.match(text, /\n {2}not acknowledged +2 \(found: 1\)\n/);
    assert.match(text, /\n {2}primary +a → b\n {2}timeline +3 → 4\n {2}former primary is back +after 1\.20 s\n/);
    assert.match(
      text,
      /\n +\+0\.020 {2}a {2}term 1 {2}hand-over-crashed {2}PostgreSQL <ended>\n +\+0\.250 {2}b {2}term 2 {2}promote +term 2 is mine$/,
    );
  });
});

describe('a drill that did not go well', () => {
  for (const [what, changes, words] of [
    ['commits are lost', { present: new Set(numbers.slice(2)) }, /^FAILED: 2 acknowledged commits are lost$/],
    ['nothing can be read back', { present: undefined }, /^FAILED: what was written could not be read back$/],
    ['it is not as before in time', { recoveredAtMs: undefined }, /^FAILED: the cluster is not as it was$/],
    [
      'the fault was refused',
      { faultError: 'the switchover was not done: no (503)' },
      /^FAILED: the switchover was not done: no \(503\)$/,
    ],
    [
      'nobody takes writes any more',
      { acknowledged: commits(1, 0), recoveredAtMs: undefined, rejoinedAtMs: undefined },
      /^FAILED: nobody takes writes; the cluster is not as it was$/,
    ],
  ] as const) {
    test(what, () => {
      const report = reportOf({ ...findings, ...changes });
      assert.equal(report.ok, false);
      assert.match(verdict(report), words);
      assert.match(reportPage(report), /<p class="verdict bad">FAILED: /);
    });
  }

  test('a standstill that has not ended lasts until the end', () => {
    const report = reportOf({ ...findings, acknowledged: commits(1, 0), recoveredAtMs: undefined });
    assert.equal(report.writes.gapMs, 4005);
    assert.deepEqual(report.writes.standstills, [{ fromMs: 0, toMs: 4005, before: 'a', after: null }]);
    assert.match(reportText(report), /writes stood still +4\.00 s and longer/);
  });

  test('lost numbers are named', () => {
    const report = reportOf({ ...findings, present: new Set(numbers.slice(12)) });
    assert.match(reportText(report), /\n {2}lost commits +12: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, \.\.\.\n/);
  });
});

test('of an agent that stood still, the way back begins when it goes on', () => {
  const report = reportOf({ ...findings, fault: 'stop-agent', continuedAtMs: faultAtMs + 1000 });
  assert.equal(report.stoppedForMs, 1000);
  assert.equal(report.rejoinMs, 200);
  assert.match(reportPage(report), />the agent goes on</);
});

describe('the page', () => {
  const hostile = '<script>alert("1")</script>';
  const report: Report = {
    ...reportOf(findings),
    cluster: hostile,
    victim: hostile,
    notes: [hostile],
    observed: reportOf(findings).observed.map((one) => ({ ...one, member: hostile, state: hostile })),
    events: reportOf(findings).events.map((one) => ({ ...one, member: hostile, rule: hostile, because: hostile })),
  };
  const pages = [reportPage(reportOf(findings)), reportPage(report)];

  test('shows whatever it is given as text', () => {
    for (const page of pages) assert.doesNotMatch(page, /<script|alert\("/);
    assert.match(pages[1] ?? '', /&lt;script&gt;alert\(&quot;1&quot;\)&lt;\/script&gt;/);
  });

  test('loads nothing, and says so', () => {
    for (const page of pages) {
      assert.doesNotMatch(page, /https?:|url\(|@import|\bsrc=|<link|<iframe/);
      assert.match(page, /Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/);
      assert.match(page, /prefers-color-scheme: dark/);
    }
  });

  test('every element is closed, and every class has its colour', () => {
    for (const page of pages) {
      const open: string[] = [];
      for (const [, closing, name = '', rest = ''] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:"[^"]*"|[^">])*)>/g)) {
        if (['meta'].includes(name) || rest.endsWith('/')) continue;
        if (closing === '') open.push(name);
        else assert.equal(open.pop(), name);
      }
      assert.deepEqual(open, []);
      for (const [, list = ''] of page.matchAll(/class="([^"]*)"/g))
        for (const name of list.split(' ')) assert.ok(page.includes(`.${name} `) || name === 'label', name);
    }
  });

  test('no coordinate is missing, and none is outside of the picture', () => {
    for (const page of pages) {
      assert.doesNotMatch(page, /NaN|undefined|Infinity/);
      for (const [, x] of page.matchAll(/ (?:x|x1|x2|cx)="([^"]*)"/g))
        assert.ok(Number(x) >= 0 && Number(x) <= 1000, x);
      for (const [, size] of page.matchAll(/ (?:width|height)="([0-9.-]+)"/g)) assert.ok(Number(size) >= 0, size);
    }
  });

  test('the standstill is drawn, at its place and with its length', () => {
    const [page = ''] = pages;
    assert.match(page, /<rect class="standstill"[^>]*><title>writes stand still for 0\.40 s<\/title>/);
    assert.match(page, /<h2>Around the standstill<\/h2>/);
    const { fromMs, toMs } = wholeRange(reportOf(findings));
    assert.deepEqual([fromMs, toMs], [-3000, 4005]);
    assert.deepEqual(closeRange(reportOf(findings)), { fromMs: -200, toMs: 800 });
  });

  test('where nothing stood still, there is one picture', () => {
    const quiet = reportPage(reportOf({ ...findings, acknowledged: commits(10, 4000) }));
    assert.doesNotMatch(quiet, /Around the standstill|class="standstill"/);
  });
});

describe('ticks', () => {
  for (const [fromMs, toMs, stepMs, first, last] of [
    [-3000, 4005, 1000, -3000, 4000],
    [-200, 800, 100, -200, 800],
    [-3000, 40_000, 5000, 0, 40_000],
    [0, 3_600_000, 600_000, 0, 3_600_000],
    [5, 25, 10, 10, 20],
  ] as const) {
    test(`from ${fromMs} to ${toMs} ms`, () => {
      const ticks = ticksOf({ fromMs, toMs });
      assert.deepEqual([ticks.stepMs, ticks.atMs[0], ticks.atMs.at(-1)], [stepMs, first, last]);
    });
  }
});
