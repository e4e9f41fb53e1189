/** Holds data against the schema: problems (the agent does not start) and warnings, each with its place in the file. */
import type * as z from 'zod';
import { defaultFailureTimeoutMs, defaultHeartbeatIntervalMs, defaultTtlMs, timingProblems } from '../lib/timing.ts';
import { aboutStores, checkStores } from './check-stores.ts';
import type { Values } from './config.ts';
import type { YamlFile } from './document.ts';
import { type Fields, keyAt, keysOf, strict, valueAt } from './key.ts';
import { nearest } from './nearest.ts';
import { ownParameters } from './parameters.ts';
import { knownTags, ownTag, file as schema } from './schema.ts';
import { refusedStores } from './schema-stores.ts';
import { type Data, describeFound, isData } from './values.ts';

/** Where the data came from, for the messages. */
export interface Origin {
  /** The file's name as the user gave it. */
  readonly name: string;
  readonly file: YamlFile;
  /** Dotted path to the environment variable that gave it. */
  readonly variables: ReadonlyMap<string, string>;
}

/** `place: path: text`, where place is `file:line:column` or the environment variable. */
export function message(
  origin: Origin,
  path: readonly PropertyKey[],
  text: string,
  of: 'key' | 'value' = 'value',
): string {
  const dotted = path.map(String).join('.');
  const variable = origin.variables.get(dotted);
  const { line, column } = origin.file.placeOf(path, of);
  return `${variable ?? `${origin.name}:${line}:${column}`}: ${dotted === '' ? '' : `${dotted}: `}${text}`;
}

/** Something to be said of a place in the data. */
export interface Finding {
  readonly path: readonly PropertyKey[];
  readonly text: string;
  readonly of: 'key' | 'value';
}

const whole = strict(schema);

/**
 * Every problem and warning of the data. With none of the former, the values are read.
 * `needsStore`: that no section names the DCS is a problem.
 */
export function check(
  data: Data,
  origin: Origin,
  needsStore: boolean,
): { readonly problems: readonly string[]; readonly warnings: readonly string[]; readonly values: Values | undefined } {
  const result = whole.safeParse(withoutOwn(data));
  const findings = result.success ? [] : result.error.issues.flatMap((issue) => fromIssue(issue, data));
  findings.push(...checkStores(data, needsStore), ...checkTags(data));
  if (result.success) findings.push(...checkTiming(result.data.bootstrap?.dcs ?? {}));
  const warnings = [
    ...ineffective(schema, data, []),
    ...aboutStores(data),
    ...aboutParameters(data),
    ...aboutTags(data),
  ];
  const say = ({ path, text, of }: Finding): string => message(origin, path, text, of);
  return {
    problems: inOrder(findings, origin).map(say),
    warnings: inOrder(warnings, origin).map(say),
    values: result.success ? result.data : undefined,
  };
}

/** In the order of the file. */
function inOrder(findings: readonly Finding[], origin: Origin): readonly Finding[] {
  const place = (finding: Finding): number => {
    const { line, column } = origin.file.placeOf(finding.path, finding.of);
    return line * 10_000 + column;
  };
  return findings.toSorted((a, b) => place(a) - place(b));
}

function fromIssue(issue: z.core.$ZodIssue, data: Data): readonly Finding[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((name) => unknownKey(issue.path, name));
  const found = valueAt(data, issue.path);
  const key = keyAt(schema, issue.path);
  const params = issue.code === 'custom' ? issue.params : undefined;
  const secret = key?.secret === true || params?.['secret'] === true;
  const allowed = issue.code === 'custom' ? issue.message : (key?.allowed ?? 'a map of keys');
  // Where a map or a list belongs, a text may be anything, a password too.
  const scalarWanted = issue.code === 'custom' && !/^a (map|list)/.test(allowed);
  const shown = secret || !scalarWanted ? kindOf(found) : describeFound(found);
  const remedy = allowed.includes('did you mean') ? '' : '; correct it or remove the key';
  return [{ path: issue.path, text: `found ${shown}; allowed: ${allowed}${remedy}`, of: 'value' }];
}

/** What was found, without saying it. */
function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'string') return value === '' ? 'an empty text' : 'a text (not shown)';
  if (typeof value === 'number' || typeof value === 'boolean') return `a ${typeof value} (not shown)`;
  return Array.isArray(value) ? 'a list' : 'a map of keys';
}

/** Methods that the user names himself, and describes in a section of that name beside the key. */
function methodSections(data: Data): readonly (readonly string[])[] {
  const shared = ['bootstrap', 'dcs', 'postgresql'];
  const methodsAt = (path: readonly string[]): readonly string[] => {
    const methods = valueAt(data, path);
    return (Array.isArray(methods) ? methods : [methods]).filter((method) => typeof method === 'string');
  };
  const replicaMethods = [
    ['postgresql', 'create_replica_methods'],
    ['postgresql', 'create_replica_method'],
    [...shared, 'create_replica_methods'],
    ['bootstrap', 'dcs', 'standby_cluster', 'create_replica_methods'],
  ].flatMap(methodsAt);
  return [
    ...methodsAt(['bootstrap', 'method']).map((method) => ['bootstrap', method]),
    ...replicaMethods.flatMap((method) => [
      ['postgresql', method],
      [...shared, method],
    ]),
  ].filter((path) => keyAt(schema, path) === undefined);
}

function without(data: unknown, path: readonly string[]): unknown {
  const [first, ...rest] = path;
  if (!isData(data) || first === undefined || !Object.hasOwn(data, first)) return data;
  if (rest.length > 0) return { ...data, [first]: without(data[first], rest) };
  return Object.fromEntries(Object.entries(data).filter(([name]) => name !== first));
}

/** The data without what only the user knows: his methods and his tags. */
function withoutOwn(data: Data): unknown {
  const own = [...methodSections(data), ...ownTags(data).map(([name]) => ['tags', name])];
  return own.reduce<unknown>(without, data);
}

function unknownKey(path: readonly PropertyKey[], name: string): Finding {
  const fields: Fields = path.length === 0 ? schema : (keyAt(schema, path)?.fields ?? {});
  const here = Object.keys(fields);
  const meant = nearest(name, here);
  const elsewhere = [...keysOf(schema)]
    .map(([known]) => known)
    .find((known) => (known.endsWith(`.${name}`) || known === name) && !isRefused(known));
  let hint = `allowed here: ${here.join(', ')}`;
  // Within a section a slip of the pen is likelier than a key in the wrong place.
  if (elsewhere !== undefined && (meant === undefined || path.length === 0))
    hint = `did you mean ${elsewhere}? Then move it there (${hint})`;
  else if (meant !== undefined) hint = `did you mean ${meant}?`;
  return { path: [...path, name], text: `unknown key; ${hint}; correct it or remove it`, of: 'key' };
}

/** A place that would itself be refused is no advice. */
function isRefused(path: string): boolean {
  return Object.hasOwn(refusedStores, path.split('.')[0] ?? '');
}

/** Durations of the cluster that do not go together. */
function checkTiming(dcs: NonNullable<NonNullable<Values['bootstrap']>['dcs']>): readonly Finding[] {
  const ttlMs = dcs.ttl ?? defaultTtlMs;
  const failureTimeoutMs = dcs.failure_timeout ?? defaultFailureTimeoutMs(ttlMs);
  const heartbeatIntervalMs = dcs.heartbeat_interval ?? defaultHeartbeatIntervalMs(failureTimeoutMs);
  return timingProblems({ ttlMs, failureTimeoutMs, heartbeatIntervalMs }).map(({ key, foundMs, text }) => ({
    path: ['bootstrap', 'dcs', key],
    text: `found ${foundMs / 1000} s; allowed: ${text}`,
    of: 'value',
  }));
}

function ownTags(data: Data): readonly (readonly [string, unknown])[] {
  const tags = data['tags'];
  return isData(tags) ? Object.entries(tags).filter(([name]) => !Object.hasOwn(knownTags, name)) : [];
}

function checkTags(data: Data): readonly Finding[] {
  return ownTags(data)
    .filter(([, value]) => value !== null && !ownTag.schema.safeParse(value).success)
    .map(([name, value]) => ({
      path: ['tags', name],
      text: `found ${describeFound(value)}; allowed: ${ownTag.allowed}; correct it or remove the tag`,
      of: 'value',
    }));
}

function aboutTags(data: Data): readonly Finding[] {
  return ownTags(data).flatMap(([name]) => {
    const meant = nearest(name, Object.keys(knownTags));
    if (meant === undefined) return [];
    return [{ path: ['tags', name], text: `taken as a tag of your own; did you mean ${meant}?`, of: 'key' as const }];
  });
}

const withoutEffect = 'known, but without effect in this version';

const openApi = `${withoutEffect}: who reaches the REST API may use it; keep it within a network that you trust`;

/** Where doing nothing may surprise: what it means. */
const consequences: Readonly<Record<string, string>> = {
  'bootstrap.dcs.standby_cluster': `${withoutEffect}: the cluster takes writes`,
  'bootstrap.method': `${withoutEffect}: the cluster is made by initdb`,
  'restapi.certfile': openApi,
  'restapi.verify_client': openApi,
  'restapi.authentication': openApi,
  'restapi.allowlist': openApi,
};

/** Keys that Patroni acts on and this version does not. */
function ineffective(fields: Fields, data: unknown, path: readonly string[]): readonly Finding[] {
  if (!isData(data)) return [];
  const findings: Finding[] = [];
  for (const [name, value] of Object.entries(data)) {
    const key = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!key || value === null || (path.length === 0 && name in refusedStores)) continue;
    const here = [...path, name];
    if (!key.doc.effective) {
      const text = consequences[here.join('.')] ?? withoutEffect;
      if (!key.doc.harmless?.(value) && !isDefaultFolder(here, value, data))
        findings.push({ path: here, text, of: 'key' });
    } else if (key.fields) findings.push(...ineffective(key.fields, value, here));
  }
  return findings;
}

/** `config_dir` that is the data directory, as it is without saying it. */
function isDefaultFolder(path: readonly string[], value: unknown, section: Data): boolean {
  return path.join('.') === 'postgresql.config_dir' && bareFolder(value) === bareFolder(section['data_dir']);
}

function bareFolder(folder: unknown): string {
  return String(folder).replace(/\/+$/, '');
}

const parameterMaps = [
  ['postgresql', 'parameters'],
  ['bootstrap', 'dcs', 'postgresql', 'parameters'],
];

function aboutParameters(data: Data): readonly Finding[] {
  return parameterMaps.flatMap((path) => {
    const parameters = valueAt(data, path);
    if (!isData(parameters)) return [];
    return Object.entries(parameters).flatMap(([name, value]) => {
      const text = aboutParameter(name.toLowerCase(), value);
      return text === undefined ? [] : [{ path: [...path, name], text, of: 'key' as const }];
    });
  });
}

function aboutParameter(name: string, value: unknown): string | undefined {
  const reason = ownParameters[name];
  if (reason !== undefined) return `left out: ${reason}`;
  if (name !== 'wal_keep_segments') return undefined;
  const megabytes = Number(value) * 16;
  return `gone since PostgreSQL 13; wal_keep_size: ${Number.isFinite(megabytes) ? `${megabytes}MB` : '...'} says the same`;
}
