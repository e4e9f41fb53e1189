/** docs/rules.md: the decision table as a page. It is written, and compared, by test/unit/core-rules-reference.test.ts. */
import { ruleSections } from '../src/core/rules.ts';

const head = `# Rules

<!-- Made from src/core/rules.ts by test/unit/core-rules-reference.test.ts (REWRITE=1). -->

What a member does is decided by one ordered table. At every event (the DCS changed, PostgreSQL was looked at, a request was
answered, the clock went on) the table is read from its top, and the first rule whose condition holds decides; nothing else in
pgherd decides about roles. The rule's name and the facts that made it hold are in the log whenever they change, and in the
member's record in the DCS.

- *does* is what the rule wants, once: what is under way is not asked for again. \`wait\` changes nothing.
- "The key" is the leader key: who holds it, on a lease that lives, may run a writable primary. "By my own count": the holder
  counts from before it sent the last renewal that was answered, so its count ends before the DCS's.
- Jobs on the instance: \`initdb\`, \`start\`, \`stop\`, \`promote\`, \`configure\`, \`rewind\`, \`clone\` and the like, one at a time.
  \`fence\` is an immediate stop, whatever job runs.
- Transactions compare what they were decided on, and are refused when it has changed: \`found\`, \`take\`, \`release\`,
  \`announce position\`, \`record term\` and the like.
- Beside the rules, and whatever they say, a member renews its leases, publishes its record, looks at its instance and looks
  after replication slots (\`src/core/chores.ts\`).

## Situations

A member is in one of five situations; each has its section below. Safety comes before all of them.

\`\`\`mermaid
stateDiagram-v2
  [*] --> away: the agent begins
  away --> founding: the DCS knows no cluster
  away --> vacant: the key is free
  away --> following: another holds the key
  away --> holding: the key is still mine (reclaim)
  founding --> holding: my transaction was the first
  founding --> following: another's was
  vacant --> holding: take
  vacant --> following: another took it
  holding --> vacant: release
  holding --> away: no renewal was answered in time (fence)
  holding --> following: another holds the key (fence)
  following --> vacant: released, or its lease expired
  following --> away: the DCS does not answer
  vacant --> away: the DCS does not answer
\`\`\`

A holder that does not reach the DCS stays in *holding* until its own count of the lease ends.
`;

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** The text of the page. */
export function rulesPage(): string {
  const sections = ruleSections.map(({ title, rules }) =>
    [
      `## ${title}`,
      '',
      '| rule | when | does |',
      '| --- | --- | --- |',
      ...rules.map(({ name, condition, does }) => `| \`${name}\` | ${cell(condition)} | ${does} |`),
    ].join('\n'),
  );
  return `${[head.trimEnd(), ...sections].join('\n\n')}\n`;
}
