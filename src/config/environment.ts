/** PATRONI_* variables: each stands for a key of the file, and wins over it. The names follow from the schema. */

import { readYaml } from './document.ts';
import { type Fields, type Key, keysOf } from './key.ts';
import { file } from './schema.ts';
import { type Data, isData } from './values.ts';

/** Variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that are read elsewhere. */
const elsewhere: ReadonlySet<string> = new Set(['PATRONI_CONFIGURATION']);

const sections = ['log', 'restapi', 'ctl', 'postgresql', 'monitor', 'watchdog'] as const;
const otherStores = ['etcd', 'etcd3', 'consul', 'zookeeper', 'exhibitor', 'raft', 'kubernetes', 'citus'] as const;

function addSection(
  names: Map<string, readonly string[]>,
  prefix: string,
  path: readonly string[],
  fields: Fields,
): void {
  for (const [name, field] of Object.entries(fields)) {
    if (!field.fields) names.set(`${prefix}_${name}`.toUpperCase(), [...path, name]);
  }
}

/** Variable to the path of the key that it stands for. */
export function variableNames(): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, readonly string[]>();
  for (const name of ['scope', 'namespace', 'name', 'thread_pool_size', 'thread_stack_size']) {
    names.set(`PATRONI_${name.toUpperCase()}`, [name]);
  }
  for (const name of [...sections, ...otherStores]) addSection(names, `PATRONI_${name}`, [name], file[name].fields);
  addSection(names, 'PATRONI_POSTGRESQL_BIN', ['postgresql', 'bin_name'], file.postgresql.fields.bin_name.fields);
  for (const name of ['superuser', 'replication', 'rewind'] as const) {
    const user = file.postgresql.fields.authentication.fields[name];
    addSection(names, `PATRONI_${name}`, ['postgresql', 'authentication', name], user.fields);
  }
  for (const name of ['restapi', 'ctl'] as const) {
    addSection(names, `PATRONI_${name}`, [name, 'authentication'], file[name].fields.authentication.fields);
  }
  names.set('PATRONI_LOGLEVEL', ['log', 'level']);
  names.set('PATRONI_LOGFORMAT', ['log', 'format']);
  names.set('PATRONI_LOG_DATEFMT', ['log', 'dateformat']);
  return names;
}

const structured = /a list|a map|any value/;

/** A variable's text as the key takes it: lists and maps may be YAML (`[a, b]`, `{k: v}`, `k: v`). */
function readValue(text: string, field: Key<unknown> | undefined): unknown {
  if (!field || !structured.test(field.allowed)) return text;
  const yaml = readYaml(text);
  return yaml.ok && (Array.isArray(yaml.file.data) || isData(yaml.file.data)) ? yaml.file.data : text;
}

/** The configuration after `PATRONI_*` variables. */
export interface EnvironmentKeys {
  /** The file's data with the variables' values in their places. */
  readonly data: unknown;
  /** Dotted path to the variable that gave it. */
  readonly origins: ReadonlyMap<string, string>;
  /** Variables of the family whose name means nothing. */
  readonly unknown: readonly string[];
}

/** Lays the variables over the file's data. */
export function applyEnvironment(data: unknown, environment: Environment): EnvironmentKeys {
  const names = variableNames();
  const fields = new Map(keysOf(file));
  const origins = new Map<string, string>();
  const unknown: string[] = [];
  let merged: unknown = data;
  for (const [variable, value] of Object.entries(environment)) {
    if (value === undefined || value === '' || !variable.startsWith('PATRONI_') || elsewhere.has(variable)) continue;
    const path = names.get(variable);
    if (!path) {
      unknown.push(variable);
      continue;
    }
    merged = withValue(merged, path, readValue(value, fields.get(path.join('.'))));
    origins.set(path.join('.'), variable);
  }
  return { data: merged, origins, unknown };
}

function withValue(data: unknown, path: readonly string[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  const map: Data = isData(data) ? data : {};
  return { ...map, [first]: withValue(map[first], rest, value) };
}
