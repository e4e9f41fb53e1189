import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { keysOf } from '../../src/config/key.ts';
import { configurationReference } from '../../src/config/reference.ts';
import { file } from '../../src/config/schema.ts';

const path = new URL('../../docs/configuration.md', import.meta.url);

test('docs/configuration.md is what the schema says (REWRITE=1 writes it)', () => {
  const text = configurationReference();
  if (process.env['REWRITE'] === '1') writeFileSync(path, text);
  assert.equal(readFileSync(path, 'utf8'), text);
});

test('every key has its line of help', () => {
  for (const [name, key] of keysOf(file)) assert.match(key.doc.help, /^\S.*\S$/, name);
});
