/** docs/configuration.md, from the schema. */
import { variableNames } from './environment.ts';
import type { Fields, Key } from './key.ts';
import { file } from './schema.ts';
import { refusedStores } from './schema-stores.ts';

const head = `# Configuration

<!-- Made from src/config by test/unit/config-reference.test.ts (REWRITE=1). -->

One YAML (or JSON) file for each member, in Patroni's form: \`pgherd agent CONFIG\`. It is checked before anything starts;
\`pgherd agent --validate-config CONFIG\` only checks. Each problem is told as \`file:line:column: key: what was found; what is
allowed; what to do\`.

- A key that nobody knows is an error. A key that Patroni acts on and this version does not is named in a warning, unless
  its value asks for what is done anyway.
- Durations are seconds, fractions too; or a number with a unit: \`500ms\`, \`10s\`, \`30min\`, \`2h\`, \`1d\`.
- Booleans are \`true\`, \`on\`, \`yes\` and \`false\`, \`off\`, \`no\`. Text that looks like one, or like a number, stands in quotes.
- \`bootstrap.dcs\` is written into the DCS by the first member, as it is; from then on the DCS counts.
- Sections of your own are known where Patroni knows them: a bootstrap method, methods to make replicas, tags.

A small one:

\`\`\`yaml
scope: demo
name: pg1
monitor:
  uri: postgres://pgherd@10.0.0.9:5433/pgherd
restapi:
  listen: 10.0.0.1:8008
postgresql:
  listen: 10.0.0.1:5432
  data_dir: /var/lib/postgresql/15/demo
  pg_hba:
  - local all all peer
  - host all all 10.0.0.0/24 scram-sha-256
  - host replication replicator 10.0.0.0/24 scram-sha-256
  authentication:
    superuser: {username: postgres, password: ...}
    replication: {username: replicator, password: ...}
\`\`\`

## Keys

"-" in the column *effect*: known, and without effect in this version.

| key | value | default | effect | |
| --- | --- | --- | --- | --- |
`;

function row(path: string, key: Key<unknown>, effective: boolean): string {
  const cells = [
    `\`${path}\``,
    key.fields ? '' : key.allowed,
    key.doc.default === undefined ? '' : `\`${key.doc.default}\``,
    effective && !isEmptySection(key) ? 'yes' : '-',
    key.doc.help,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** A section of which no key has effect has none itself. */
function isEmptySection(key: Key<unknown>): boolean {
  return (
    key.fields !== undefined &&
    !Object.values(key.fields).some((field) => field.doc.effective && !isEmptySection(field))
  );
}

function* rows(fields: Fields, prefix: string, effective: boolean): Generator<string> {
  for (const [name, key] of Object.entries(fields)) {
    if (prefix === '' && name in refusedStores) continue;
    const here = effective && key.doc.effective;
    yield row(`${prefix}${name}`, key, here);
    // `etcd` has the keys of `etcd3`.
    if (key.fields && !(prefix === '' && name === 'etcd')) yield* rows(key.fields, `${prefix}${name}.`, here);
  }
}

function* stores(): Generator<string> {
  yield '\n## Sections that name another DCS\n';
  yield 'They are known, and an error. Exactly one section names the DCS: `monitor` or `etcd3`.\n';
  for (const [name, text] of Object.entries(refusedStores)) yield `- \`${name}\`: ${text}.`;
}

function* variables(): Generator<string> {
  yield '\n## Environment\n';
  yield 'A variable wins over the file. Lists may be `a,b` or YAML, maps YAML. `PATRONI_CONFIGURATION` holds a whole';
  yield 'configuration, and counts only where no file is named; then the others do not count.\n';
  yield '| variable | key |';
  yield '| --- | --- |';
  for (const [variable, path] of variableNames()) {
    if (!((path[0] ?? '') in refusedStores) && path[0] !== 'etcd') yield `| \`${variable}\` | \`${path.join('.')}\` |`;
  }
}

/** The text of the file. */
export function configurationReference(): string {
  return `${head}${[...rows(file, '', true), ...stores(), ...variables()].join('\n')}\n`;
}
