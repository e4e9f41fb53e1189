/** What the helper that tries storage says, and what it means. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAnswer } from '../../src/postgres/storage-probe.ts';

test('room is that of the fuller of the file systems', () => {
  assert.deepEqual(readAnswer('free 10 4096\nend\n'), { ok: true, freeBytes: 40_960 });
  assert.deepEqual(readAnswer('free 10 4096\nfree 3 1024\nend\n'), { ok: true, freeBytes: 3072 });
  assert.deepEqual(readAnswer('end\n'), { ok: true, freeBytes: Infinity });
});

test('only what says that storage takes nothing is a failure of storage', () => {
  const said = (words: string): string => `dd: error writing '/d/pgherd.probe': ${words}\nfree 10 4096\nend\n`;
  for (const words of [
    'No space left on device',
    'Disk quota exceeded',
    'Input/output error',
    'Read-only file system',
    'Structure needs cleaning',
    'Stale file handle',
  ]) {
    const answer = readAnswer(said(words));
    assert.deepEqual(answer, { ok: false, error: `error writing '/d/pgherd.probe': ${words}` });
  }
  for (const words of ['Permission denied', 'Is a directory']) assert.equal(readAnswer(said(words)).ok, true);
  assert.equal(readAnswer('sh: 3: dd: not found\nfree 10 4096\nend\n').ok, true);
});
