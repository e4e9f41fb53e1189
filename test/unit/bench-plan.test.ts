import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { parseOptions } from '../../bench/options.ts';
import { planBatches } from '../../bench/plan.ts';
import { appendRecord, type RunRecord, readRecords } from '../../bench/records.ts';
import { faultRun, someRun } from './bench-records.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgherd-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const wanted = { systems: ['a', 'b', 'c'], tasks: ['crash', 'idle'], runs: 2 };

describe('the plan', () => {
  test('systems take turns, each round begins with another one, and what costs a minute is measured once', () => {
    assert.deepEqual(
      planBatches(wanted, []).map(({ round, system, tasks }) => `${round} ${system}: ${tasks.join(' ')}`),
      ['1 a: crash idle', '1 b: crash idle', '1 c: crash idle', '2 b: crash', '2 c: crash', '2 a: crash'],
    );
  });

  test('what has been run is not run again', () => {
    const records: readonly RunRecord[] = [
      faultRun({ system: 'a', fault: 'crash', round: 1 }),
      faultRun({ system: 'b', fault: 'crash', round: 2 }),
      { ...someRun('c', 1), kind: 'idle', groups: [] },
    ];
    assert.deepEqual(
      planBatches(wanted, records).map(({ round, system, tasks }) => `${round} ${system}: ${tasks.join(' ')}`),
      ['1 a: idle', '1 b: crash idle', '1 c: crash', '2 c: crash', '2 a: crash'],
    );
  });

  test('what could not be run is tried once more', () => {
    const failure: RunRecord = { ...someRun('a', 1), kind: 'failure', task: 'crash', reason: 'x' };
    const only = { systems: ['a'], tasks: ['crash'], runs: 1 };
    assert.equal(planBatches(only, [failure]).length, 1);
    assert.equal(planBatches(only, [failure, failure]).length, 0);
    assert.equal(planBatches({ ...only, runs: 2 }, [failure, failure]).length, 1);
  });
});

describe('the raw results', () => {
  test('come back as they were written, without the digits that tell nothing', () => {
    const file = join(folder, 'runs.jsonl');
    assert.deepEqual(readRecords(file), []);
    const first = faultRun({ system: 'a', fault: 'crash', round: 1, gapMs: 440.123_456 });
    const second: RunRecord = { ...someRun('a', 1), kind: 'bootstrap', tookMs: 12 };
    appendRecord(file, first);
    appendRecord(file, second);
    assert.deepEqual(readRecords(file), [{ ...first, gapMs: 440.123 }, second]);
  });

  test('a line that is none is named', () => {
    const file = join(folder, 'broken.jsonl');
    appendRecord(file, faultRun({ system: 'a', fault: 'crash', round: 1 }));
    writeFileSync(file, '{"kind":"fault"', { flag: 'a' });
    assert.throws(() => readRecords(file), /broken\.jsonl, line 2: .*move the file away to begin anew/s);
  });
});

describe('the command line', () => {
  const optionsOf = (...words: string[]): unknown => {
    const parsed = parseOptions(words);
    if (!parsed.ok) return parsed.error;
    const { systems, tasks, runs, action } = parsed.options;
    return { systems: systems.map(({ name }) => name), tasks, runs, action };
  };

  test('takes names, and the beginning of the names of systems', () => {
    assert.deepEqual(optionsOf('--systems', 'repmgr,keepalived', '--faults', 'switchover,crash', '--runs', '5'), {
      systems: ['repmgr', 'keepalived'],
      tasks: ['crash', 'switchover'],
      runs: 5,
      action: 'run',
    });
    assert.deepEqual(optionsOf('--systems', 'pgherd-q', '--faults', 'idle', '--plan'), {
      systems: ['pgherd-quorum', 'pgherd-quorum-fast'],
      tasks: ['idle'],
      runs: 3,
      action: 'plan',
    });
  });

  test('refuses what it does not know, and says what is allowed', () => {
    assert.match(String(optionsOf('--systems', 'stolon')), /^--systems: 'stolon' is not known; allowed: pgherd, /);
    assert.match(String(optionsOf('--systems', '')), /^--systems: '' is not known/);
    assert.match(String(optionsOf('--faults', 'cras')), /^--faults: 'cras' is not known; allowed: crash, /);
    assert.match(String(optionsOf('--runs', '0')), /^--runs: '0' is not allowed; allowed: a whole number from 1/);
    assert.match(String(optionsOf('--minutes', 'ten')), /^--minutes: 'ten' is not allowed/);
    assert.match(String(optionsOf('--plan', '--install')), /choose one/);
    assert.match(String(optionsOf('--sytems', 'pgherd')), /Unknown option '--sytems'/);
  });
});
