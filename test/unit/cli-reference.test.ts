import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { commandLineReference } from '../../src/cli/reference.ts';

const path = new URL('../../docs/command-line.md', import.meta.url);

test('docs/command-line.md is what the command tree says (REWRITE=1 writes it)', () => {
  const text = commandLineReference();
  if (process.env['REWRITE'] === '1') writeFileSync(path, text);
  assert.equal(readFileSync(path, 'utf8'), text);
});
