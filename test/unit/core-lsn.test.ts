/** LSNs: the text form, the order, the lag. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Arbitrary, array, bigInt, assert as check, option, property, string } from 'fast-check';
import { formatLsn, type Lsn, lagBytes, lsn, lsnZero, maxLsnOf, parseLsn } from '../../src/core/lsn.ts';

const last = 2n ** 64n - 1n;
const anyLsn: Arbitrary<Lsn> = bigInt({ min: 0n, max: last }).map(lsn);

test('the text form is PostgreSQL’s', () => {
  const known: readonly (readonly [string, bigint])[] = [
    ['0/0', 0n],
    ['0/3000088', 0x3000088n],
    ['16/B374D848', 0x16_b374_d848n],
    ['FFFFFFFF/FFFFFFFF', last],
  ];
  for (const [text, bytes] of known) {
    assert.equal(parseLsn(text), bytes);
    assert.equal(formatLsn(lsn(bytes)), text);
  }
  assert.equal(parseLsn('16/b374d848'), lsn(0x16_b374_d848n));
  assert.equal(parseLsn('00000016/0B374D84'), lsn(0x16_0b37_4d84n));
});

test('what is written can be read, and what is read is written the same', () => {
  check(
    property(anyLsn, (position) => {
      assert.equal(parseLsn(formatLsn(position)), position);
      assert.match(formatLsn(position), /^(?:0|[1-9A-F][0-9A-F]{0,7})\/(?:0|[1-9A-F][0-9A-F]{0,7})$/);
    }),
  );
});

test('text that is no LSN is none, and no text throws', () => {
  for (const text of [
    '',
    '/',
    '0',
    '0/',
    '/0',
    '0/0 ',
    ' 0/0',
    '0x1/0',
    '-1/0',
    '1/123456789',
    '123456789/1',
    '0/G',
    '0/0/0',
  ])
    assert.equal(parseLsn(text), undefined, text);
  check(
    property(string(), (text) => {
      const position = parseLsn(text);
      assert.ok(position === undefined || (position >= 0n && position <= last));
    }),
  );
});

test('a count of bytes that no LSN can have is a bug of the caller', () => {
  check(property(bigInt({ min: 1n }), (bytes) => assert.throws(() => lsn(-bytes), RangeError)));
  check(property(bigInt({ min: 1n }), (bytes) => assert.throws(() => lsn(last + bytes), RangeError)));
  assert.throws(() => lsn(0.5), RangeError);
});

test('lag is the distance, and never negative', () => {
  check(
    property(anyLsn, anyLsn, (a, b) => {
      assert.equal(lagBytes(a, b) === 0n, a <= b);
      assert.equal(lagBytes(a, b) - lagBytes(b, a), a - b);
      assert.ok(lagBytes(a, b) >= 0n);
    }),
  );
});

test('the greatest of those known', () => {
  assert.equal(maxLsnOf(), undefined);
  assert.equal(maxLsnOf(undefined, undefined), undefined);
  assert.equal(maxLsnOf(undefined, lsnZero), lsnZero);
  check(
    property(array(option(anyLsn, { nil: undefined }), { minLength: 1 }), (positions) => {
      const known = positions.filter((position) => position !== undefined);
      const greatest = maxLsnOf(...positions);
      if (greatest === undefined) assert.equal(known.length, 0);
      else assert.ok(known.includes(greatest) && known.every((position) => position <= greatest));
    }),
  );
});
