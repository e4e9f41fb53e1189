import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { behindLines } from '../../bench/behind.ts';
import { chart } from '../../bench/chart.ts';
import type { RunRecord } from '../../bench/records.ts';
import { summarize } from '../../bench/summary.ts';
import { page } from '../../bench/table.ts';
import { faultRun, someRun } from './bench-records.ts';

const faults = [
  { name: 'crash', title: 'Killed', about: 'SIGKILL.' },
  { name: 'cut', title: 'Cut off', about: 'No network.' },
];
const names = ['pgherd', 'other', 'mover'];

const records: readonly RunRecord[] = [
  ...[300, 500, 400].map((gapMs, index) => faultRun({ system: 'pgherd', fault: 'crash', round: index + 1, gapMs })),
  faultRun({ system: 'other', fault: 'crash', round: 1, gapMs: 12_340, lost: 7, rejoinMs: undefined }),
  faultRun({ system: 'other', fault: 'crash', round: 2, gapMs: 2000, dualPrimaryMs: 3210, rejoinMs: 800 }),
  faultRun({
    system: 'mover',
    fault: 'crash',
    round: 1,
    virtualAddressGapMs: 650,
    lost: 9,
    lostBy: { n1: 8, virtual: 1 },
  }),
  faultRun({ system: 'other', fault: 'cut', round: 1, gapMs: 60_000, gapEnded: false, lost: undefined, refusal: 'no' }),
  { ...someRun('pgherd', 1), kind: 'bootstrap', tookMs: 7000 },
  {
    ...someRun('pgherd', 1),
    kind: 'idle',
    storeWritesPerMinute: 120.4,
    groups: [
      { role: 'agent', host: 'n1', processes: 1, rssMiB: 80, pssMiB: 60, cpuSecondsPerMinute: 0.5 },
      { role: 'agent', host: 'n2', processes: 1, rssMiB: 70, pssMiB: 50, cpuSecondsPerMinute: 0.7 },
      { role: 'store', host: 'm', processes: 9, rssMiB: 100, pssMiB: 40, cpuSecondsPerMinute: 1 },
    ],
  },
  {
    ...someRun('other', 1),
    kind: 'idle',
    groups: [{ role: 'agent', host: 'n1', processes: 1, rssMiB: 20, pssMiB: 10, cpuSecondsPerMinute: 0.9 }],
  },
  { ...someRun('other', 2), kind: 'failure', task: 'crash', reason: 'x' },
];

/** The cells of all rows that begin with this system, in order. */
function rowsOf(system: string): readonly (readonly string[])[] {
  return page(records, names, faults)
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter((cells) => cells[1] === system)
    .map((cells) => cells.slice(2, -1));
}

describe('the page', () => {
  test('shows medians in the overview, with what was lost and how long there were two primaries', () => {
    assert.deepEqual(rowsOf('**pgherd**')[0], ['0.40', '']);
    assert.deepEqual(rowsOf('other')[0], ['7.17 (dual 3.21, lost 7)', '> 60.0']);
  });

  test('shows all three figures for each fault, and who came back', () => {
    assert.deepEqual(rowsOf('**pgherd**')[1], ['3', '0.30 / 0.40 / 0.50', '0.00', '0', '1.50', '']);
    assert.deepEqual(rowsOf('other')[1], [
      '2',
      '2.00 / 7.17 / 12.3',
      '0.00 / 1.60 / 3.21',
      '0 / 3.5 / 7',
      '0.80 (1 of 2)',
      '',
    ]);
    assert.deepEqual(rowsOf('other')[2], ['1', '> 60.0 (1 refused)', '0.00', '?', '1.50']);
  });

  test('shows what a client of the virtual address saw', () => {
    assert.deepEqual(rowsOf('mover')[1], ['1', '0.40', '0.00', '9', '1.50', '0.65, lost 1']);
  });

  test('shows the cost of one agent and of all stores', () => {
    assert.deepEqual(rowsOf('**pgherd**').at(-1), ['75 (55)', '0.60', '100 (40)', '1.00', '120', '7.00']);
    assert.deepEqual(rowsOf('other').at(-1), ['20 (10)', '0.90', '', '', '', '']);
  });

  test('says where and when, how each was set up, and what could not be run', () => {
    const text = page(records, names, faults);
    assert.match(text, /2031-01-01 to 2031-01-03; 7 runs; A <fast> CPU, 2 cores, 24 GiB, Debian 12 \(Linux 6\.1\), /);
    assert.match(text, /^- \*\*other\*\*: as other is\. other 1\.0\. 1 runs could not be made\.$/m);
  });
});

describe('where pgherd is behind', () => {
  const lines = (): readonly string[] => behindLines(summarize(records, names), faults);

  test('names each measure in which another one is ahead by more than a tenth', () => {
    assert.deepEqual(lines(), [
      '- Killed, rejoin: pgherd 1.50 s; ahead: other 0.80 s (and lost 7)',
      '- memory of the agent (PSS): pgherd 55 MiB; ahead: other 10 MiB',
      // It has none.
      '- CPU of the store: pgherd 1.00 s/min; ahead: other 0.00 s/min',
    ]);
  });

  test('is not behind one whose service never came back, nor by what nobody notices', () => {
    const some = (system: string, gapMs: number, gapEnded: boolean): RunRecord =>
      faultRun({ system, fault: 'crash', round: 1, gapMs, gapEnded });
    const behind = (pgherdMs: number, otherMs: number, ended: boolean): number =>
      behindLines(summarize([some('pgherd', pgherdMs, true), some('other', otherMs, ended)], names), faults).length;
    assert.equal(behind(4000, 2000, true), 1);
    assert.equal(behind(4000, 2000, false), 0);
    assert.equal(behind(4000, 3700, true), 0);
    assert.equal(behind(90, 20, true), 0);
    const [line] = behindLines(summarize([some('pgherd', 400, true), some('other', 20, true)], names), faults);
    assert.equal(line, '- Killed, write gap: pgherd 0.40 s; ahead: other under 0.10 s');
  });
});

describe('the picture', () => {
  const svg = chart(summarize(records, names), faults, 'on <this> & that');
  const numbers = (attribute: string): readonly number[] =>
    [...svg.matchAll(new RegExp(`<circle [^>]*${attribute}="([\\d.]+)"`, 'g'))].map(([, value]) => Number(value));

  test('has a panel for each fault that was run, and a point for each system that ran it', () => {
    assert.equal(svg.match(/class="title"/g)?.length, 2);
    assert.equal(numbers('cx').length, 4);
    assert.doesNotMatch(chart(summarize(records.slice(0, 3), names), faults, ''), /Cut off/);
  });

  test('places points on a logarithmic scale: ten times as long is always as far', () => {
    const at = (gapMs: number): number => {
      const one = chart(summarize([faultRun({ system: 'other', fault: 'crash', round: 1, gapMs })], names), faults, '');
      return Number(/<circle [^>]*cx="([\d.]+)"/.exec(one)?.[1]);
    };
    assert.ok(Math.abs(at(1000) - at(100) - (at(10_000) - at(1000))) < 0.2);
    assert.ok(at(100) < at(1000));
    assert.equal(at(1), at(10));
  });

  test('says what was lost, or else that there were two primaries, and that service did not return', () => {
    assert.match(svg, />7\.17 <tspan class="bad">7 lost</);
    assert.match(svg, />&gt; 60\.0<|>> 60\.0</);
    const dual = [faultRun({ system: 'other', fault: 'crash', round: 1, dualPrimaryMs: 4000 })];
    assert.match(chart(summarize(dual, names), faults, ''), /<tspan class="bad">dual 4\.00</);
  });

  test('is well-formed: texts are escaped, every element is closed', () => {
    assert.match(svg, /on &lt;this&gt; &amp; that/);
    const open: string[] = [];
    for (const [, closing, name = '', closed] of svg.matchAll(/<(\/)?(\w+)[^>]*?(\/)?>/g)) {
      if (closing) assert.equal(open.pop(), name);
      else if (!closed) open.push(name);
    }
    assert.deepEqual(open, []);
  });
});
