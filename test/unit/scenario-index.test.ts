/** docs/scenarios.md: what the cores of a whole cluster do in each story that test/core/testdata tells. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';

const folder = new URL('../core/testdata/', import.meta.url);
const path = new URL('../../docs/scenarios.md', import.meta.url);

/** The paragraphs of prose: lines that begin with `# `, each run of them one paragraph. */
function prose(text: string): readonly string[] {
  const paragraphs: string[] = [];
  let open = false;
  for (const line of text.split('\n')) {
    const words = /^# ?(.*)$/.exec(line)?.[1];
    if (words === undefined) open = false;
    else if (open) paragraphs.push(`${paragraphs.pop() ?? ''} ${words}`.trim());
    else paragraphs.push(words);
    open = words !== undefined;
  }
  return paragraphs;
}

function page(): string {
  const stories = readdirSync(folder)
    .filter((name) => name.endsWith('.txt'))
    .toSorted()
    .map((name) => {
      const [title = '', ...more] = prose(readFileSync(new URL(name, folder), 'utf8'));
      const link = `[${name.replace(/\.txt$/, '')}](../test/core/testdata/${name})`;
      return [`- **${link}**: ${title}`, ...more.map((words) => `  - ${words}`)].join('\n');
    });
  return `# What happens when

<!-- Made from test/core/testdata by test/unit/scenario-index.test.ts (REWRITE=1). -->

Each of these files tells one story of a whole cluster, second by second: what happened, and what every member decided. The members are
the real core; clocks, network, DCS and PostgreSQL are made up. The files are regenerated from the code and read as a diff.

${stories.join('\n')}
`;
}

test('docs/scenarios.md is what the scenario files say (REWRITE=1 writes it)', () => {
  const text = page();
  if (process.env['REWRITE'] === '1') writeFileSync(path, text);
  assert.ok(readFileSync(path, 'utf8') === text, 'the page is out of date; REWRITE=1 npm test writes it');
});

test('every scenario begins by saying what it is about', () => {
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.txt'))) {
    assert.match(readFileSync(new URL(name, folder), 'utf8'), /^# \S/, name);
  }
});
