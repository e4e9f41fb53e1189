/** Reads a configuration: file (or PATRONI_CONFIGURATION), environment, check. Nothing is started and nothing is written. */
import { readFile, stat } from 'node:fs/promises';
import { check, message, type Origin } from './check.ts';
import { agentConfig, type Config, type ControlConfig, controlConfig, missingKeys, type Values } from './config.ts';
import { readYaml, type YamlFile } from './document.ts';
import { applyEnvironment, type Environment, variableNames } from './environment.ts';
import { nearest } from './nearest.ts';
import { refusedStores } from './schema-stores.ts';
import { type Data, describeFound, isData, readBoolean } from './values.ts';

/** The configuration, or everything that is wrong with it. */
export type Loaded<Of> =
  | { readonly ok: true; readonly config: Of; readonly warnings: readonly string[] }
  /** Each: `file:line:column: path: what was found; what is allowed; what to do`. */
  | { readonly ok: false; readonly problems: readonly string[] };

interface Source {
  readonly data: Data;
  readonly origin: Origin;
  readonly unknownVariables: readonly string[];
}

type Read<Of> =
  | { readonly ok: true; readonly value: Of }
  | { readonly ok: false; readonly problems: readonly string[] };

const failures: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file; allowed: a configuration in YAML; check the path',
  EACCES: 'this user may not read the file; allow it, or start as another user',
  EISDIR: 'this is a directory; allowed: one file; name the file in it',
};

async function readSource(path: string, environment: Environment): Promise<Read<{ name: string; text: string }>> {
  try {
    if ((await stat(path)).isDirectory()) return { ok: false, problems: [`${path}: ${failures['EISDIR']}`] };
    const bytes = await readFile(path);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return { ok: true, value: { name: path, text } };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      return { ok: false, problems: [`${path}: this is not UTF-8 text; allowed: YAML in UTF-8; convert the file`] };
    }
    const hint =
      environment['PATRONI_CONFIGURATION'] === undefined ? '' : ' (PATRONI_CONFIGURATION counts only without a file)';
    return { ok: false, problems: [`${path}: ${failures[code] ?? `it cannot be read (${code})`}${hint}`] };
  }
}

function parse(name: string, text: string, environment: Environment): Read<Source> {
  const yaml = readYaml(text);
  if (!yaml.ok) {
    return { ok: false, problems: yaml.problems.map((at) => `${name}:${at.line}:${at.column}: ${at.text}`) };
  }
  const empty = yaml.file.data === undefined || yaml.file.data === null;
  if (!empty && !isData(yaml.file.data)) {
    const problem = `${name}:1:1: found ${describeKind(yaml.file.data)}; allowed: a map of keys (scope: ...)`;
    return { ok: false, problems: [problem] };
  }
  const { data, origins, unknown } = applyEnvironment(yaml.file.data, environment);
  if (empty && origins.size === 0) {
    return { ok: false, problems: [`${name}:1:1: the file is empty; allowed: a configuration in YAML; fill it`] };
  }
  const origin = { name, file: yaml.file, variables: origins };
  return { ok: true, value: { data: isData(data) ? data : {}, origin, unknownVariables: unknown } };
}

function describeKind(value: unknown): string {
  return Array.isArray(value) ? describeFound(value) : 'a single text';
}

async function load(path: string | undefined, environment: Environment): Promise<Read<Source>> {
  if (path !== undefined) {
    const file = await readSource(path, environment);
    return file.ok ? parse(file.value.name, file.value.text, environment) : file;
  }
  const text = environment['PATRONI_CONFIGURATION'];
  // As in Patroni: the whole configuration in one variable, and then no other variable counts.
  if (text !== undefined && text !== '') return parse('PATRONI_CONFIGURATION', text, {});
  return parse('environment', '', environment);
}

function variableWarnings(unknown: readonly string[]): readonly string[] {
  const names = [...variableNames().keys()];
  return unknown.map((variable) => {
    const meant = nearest(variable, names);
    return `${variable}: an environment variable that is not known; it has no effect${meant === undefined ? '' : `; did you mean ${meant}?`}`;
  });
}

/**
 * The configuration of an agent. `path` undefined: PATRONI_CONFIGURATION, else the PATRONI_* variables alone.
 * Warnings name what is known and has no effect in this version.
 */
export async function loadConfig(
  path: string | undefined,
  environment: Environment = process.env,
): Promise<Loaded<Config>> {
  const source = await load(path, environment);
  if (!source.ok) return source;
  const { data, origin, unknownVariables } = source.value;
  const checked = check(data, origin, true);
  const { values } = checked;
  const missing = missingOf(values, data, origin);
  if (checked.problems.length > 0 || !values || missing.length > 0) {
    return { ok: false, problems: [...checked.problems, ...missing] };
  }
  const config = agentConfig(values, data, rawDcs(origin.file, data));
  return { ok: true, config, warnings: [...checked.warnings, ...variableWarnings(unknownVariables)] };
}

/** What is missing can be told beside what is wrong: a key that is wrong is there. */
function missingOf(values: Values | undefined, data: Data, origin: Origin): readonly string[] {
  const reported = values ?? present(data);
  return missingKeys(reported).map(({ path, text }) => message(origin, path, text, 'key'));
}

function given<Value>(value: unknown, stand: Value): Value | undefined {
  return value === undefined || value === null ? undefined : stand;
}

/** Of data with problems: every key that is there counts as given. */
function present(data: Data): Values {
  const listen = { hosts: ['-'], port: 1 };
  const address = { host: '-', port: 1 };
  const section = (name: string): Data => (isData(data[name]) ? data[name] : {});
  const postgresql = section('postgresql');
  const wrongSection = (name: string): boolean =>
    data[name] !== undefined && data[name] !== null && !isData(data[name]);
  return {
    scope: given(data['scope'], '-'),
    name: given(data['name'], '-'),
    postgresql: wrongSection('postgresql')
      ? { data_dir: '-', listen, connect_address: address, name: '-' }
      : {
          data_dir: given(postgresql['data_dir'], '-'),
          listen: given(postgresql['listen'], listen),
          connect_address: given(postgresql['connect_address'] ?? postgresql['listen'], address),
          name: given(postgresql['name'], '-'),
        },
    restapi: { connect_address: address },
    tags: { witness: readBoolean(section('tags')['witness']) },
  };
}

/** `bootstrap.dcs` as it is in the file, numbers as numbers. */
function rawDcs(file: YamlFile, data: Data): unknown {
  const bootstrap = data['bootstrap'];
  return isData(bootstrap) && isData(bootstrap['dcs']) ? file.json(['bootstrap', 'dcs']) : {};
}

/** Sections that the command line reads: problems elsewhere are the agent's business. */
const controlKeys: ReadonlySet<string> = new Set([
  'scope',
  'namespace',
  'monitor',
  'etcd3',
  'etcd',
  'restapi',
  ...Object.keys(refusedStores),
]);

/** What the command line needs. A missing file is fine where `optional` says so: then everything comes from the environment. */
export async function loadControlConfig(
  path: string | undefined,
  optional: boolean,
  environment: Environment = process.env,
): Promise<Loaded<ControlConfig>> {
  const there = path === undefined || !optional || (await exists(path));
  const source = await load(there ? path : undefined, environment);
  if (!source.ok) {
    const nothing = !there || path === undefined;
    if (!nothing || environment['PATRONI_CONFIGURATION']) return source;
    return { ok: true, config: controlConfig({}), warnings: [] };
  }
  const { data, origin } = source.value;
  const part = Object.fromEntries(Object.entries(data).filter(([name]) => controlKeys.has(name)));
  const { problems } = check(part, origin, false);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, config: controlConfig(data), warnings: [] };
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
