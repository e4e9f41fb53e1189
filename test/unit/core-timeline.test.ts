/** Timeline history files: what PostgreSQL writes is read as it is; whatever else comes is refused, and nothing throws. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Arbitrary,
  array,
  bigInt,
  assert as check,
  constantFrom,
  integer,
  oneof,
  property,
  record,
  string,
  stringMatching,
  uniqueArray,
} from 'fast-check';
import { formatLsn, lsn } from '../../src/core/lsn.ts';
import { parseTimelineHistory, type TimelineSwitch } from '../../src/core/timeline.ts';

const ancestors: Arbitrary<readonly TimelineSwitch[]> = uniqueArray(
  record({
    timeline: integer({ min: 1, max: 2 ** 32 - 1 }),
    switchLsn: bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(lsn),
    reason: stringMatching(/^(?:[a-z]+(?: [a-z]+)*)?$/),
  }),
  { selector: ({ timeline }) => timeline, maxLength: 8 },
).map((switches) => switches.map((one) => ({ ...one })).toSorted((a, b) => a.timeline - b.timeline));

function line({ timeline, switchLsn, reason }: TimelineSwitch): string {
  return `${timeline}\t${formatLsn(switchLsn)}\t${reason}`;
}

test('a file of PostgreSQL', () => {
  const text = '1\t0/5000000\tno recovery target specified\n\n2\t0/7000A10\tbefore 2000-01-01 01:00:00+01\n';
  assert.deepEqual(parseTimelineHistory(text), [
    { timeline: 1, switchLsn: lsn(0x5000000), reason: 'no recovery target specified' },
    { timeline: 2, switchLsn: lsn(0x7000a10), reason: 'before 2000-01-01 01:00:00+01' },
  ]);
  assert.deepEqual(parseTimelineHistory(''), []);
});

test('what was written is read, whatever comments and empty lines are between', () => {
  check(
    property(ancestors, array(constantFrom('', '# a comment', '   ', '\t'), { minLength: 1 }), (switches, between) => {
      const lines = switches.flatMap((one, index) => [between[index % between.length] ?? '', line(one)]);
      assert.deepEqual(parseTimelineHistory(lines.join('\n')), switches);
      assert.deepEqual(parseTimelineHistory(`${lines.join('\r\n')}\r\n`), switches);
    }),
  );
});

test('malformed text never throws; ancestors are ascending, or the file is refused', () => {
  const part = oneof(
    string(),
    stringMatching(/^[0-9]{1,3}\t[0-9A-F]{1,3}\/[0-9A-F]{1,9}\t?[a-z ]{0,5}$/),
    constantFrom('1', '-1', '0', '1.5', '1e1', '0x1F', 'NaN', '0/1', '\t', ' ', '\n', '#'),
  );
  check(
    property(array(part, { maxLength: 6 }), constantFrom('\n', '\t', ''), (parts, separator) => {
      const text = parts.join(separator);
      const switches = parseTimelineHistory(text);
      for (const [index, one] of (switches ?? []).entries()) {
        assert.ok(Number.isSafeInteger(one.timeline) && one.timeline >= 1);
        assert.ok(one.timeline > (switches?.[index - 1]?.timeline ?? 0));
        assert.match(text, new RegExp(`(?:^|\\s)0*${one.timeline}\\s`), 'a timeline is written in decimal digits');
      }
    }),
    { numRuns: 2000 },
  );
});

test('ancestors out of order, or twice, are refused', () => {
  check(
    property(
      ancestors.filter((switches) => switches.length > 1),
      (switches) => {
        assert.equal(parseTimelineHistory(switches.toReversed().map(line).join('\n')), undefined);
        assert.equal(parseTimelineHistory([...switches, ...switches].map(line).join('\n')), undefined);
      },
    ),
  );
});

test('a line that tells half is refused', () => {
  for (const text of [
    '1',
    '1\t',
    '1\tx',
    'x\t0/1',
    '\t0/1',
    '0\t0/1',
    '-1\t0/1',
    '1.5\t0/1',
    '1e1\t0/1',
    '0x1\t0/1',
    '4294967296\t0/1',
  ])
    assert.equal(parseTimelineHistory(text), undefined, JSON.stringify(text));
});
