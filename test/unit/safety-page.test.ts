/** docs/safety.md names what checks each of its claims: all of it is there. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { rules } from '../../src/core/rules.ts';

const root = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(root, 'docs', 'safety.md'), 'utf8');
const quoted = [...page.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text ?? '');

test('the scenarios, tests and files that the argument names exist', () => {
  const scenarios = new Set(readdirSync(join(root, 'test', 'core', 'testdata')));
  const named = quoted.filter((text) => /\.(txt|ts)$/.test(text));
  assert.ok(named.length > 10);
  const missing = named.filter((text) => !(text.endsWith('.txt') ? scenarios.has(text) : existsSync(join(root, text))));
  assert.deepEqual(missing, []);
});

test('the rules that the argument names are in the table', () => {
  const names = new Set(rules.map(({ name }) => name));
  const claimed = [
    'awaiting-rule',
    'settle-rule',
    'sync-loosen',
    'configure-primary',
    'sync-tighten',
    'sync-record',
    'data-replaced',
    'data-replaced-stop',
  ];
  for (const name of claimed) {
    assert.ok(quoted.includes(name), `${name} is argued with`);
    assert.ok(names.has(name), `${name} is a rule`);
  }
});
