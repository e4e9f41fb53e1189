/**
 * `config`: Patroni's dynamic configuration, and what we read from it.
 *
 * Invariant: what we do not know survives a rewrite. The object as it was found is kept beside its `Settings`, and
 * only fields whose meaning changed are written into a copy of it.
 */
import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import type { Settings } from '../core/model.ts';
import {
  defaultFailureTimeoutMs,
  defaultHeartbeatIntervalMs,
  defaultStorageTimeoutMs,
  defaultTtlMs,
  failureTimeoutMinS,
  heartbeatIntervalMinS,
  storageTimeoutMinS,
  timingProblems,
} from '../lib/timing.ts';
import { decodeValue, type Issue, optional } from './decode.ts';
import { isMapping } from './json.ts';

/** The object under `config` (or `bootstrap.dcs`) as it was found. */
export type RawSettings = Readonly<Record<string, unknown>>;

/** The cluster's settings, or all that is wrong with them. */
export type DecodedSettings =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly error: string; readonly issues: readonly Issue[] };

const rawOf = new WeakMap<Settings, RawSettings>();

/** Reads a dynamic configuration, defaults filled in. The result remembers `raw`: see `encodeSettings`. */
export function decodeSettings(raw: unknown): DecodedSettings {
  const decoded = decodeValue(raw, settingsSchema);
  if (!decoded.ok) return decoded;
  if (isMapping(raw)) rawOf.set(decoded.value, raw);
  return { ok: true, settings: decoded.value };
}

/** The object that `settings` were read from; undefined for settings that were made otherwise. */
export function rawSettingsOf(settings: Settings): RawSettings | undefined {
  return rawOf.get(settings);
}

/** `raw` with the fields changed whose meaning differs from `settings`; a field at its default is not added. */
export function encodeSettings(settings: Settings, raw: RawSettings): RawSettings {
  const before = settingsSchema.safeParse(raw);
  const result: Record<string, unknown> = structuredClone(raw);
  putChanged(result, before.success ? before.data : undefined, settings, raw);
  // A default that follows from another field may have moved with it.
  const after = settingsSchema.safeParse(result);
  putChanged(result, after.success ? after.data : settings, settings, raw);
  return result;
}

/** Writes the fields in which `settings` differ from `before`; all of them when that could not be read. */
function putChanged(
  result: Record<string, unknown>,
  before: Settings | undefined,
  settings: Settings,
  raw: RawSettings,
): void {
  for (const field of fields) {
    if (before !== undefined && isDeepStrictEqual(before[field.name], settings[field.name])) continue;
    put(result, field.path, field.encode(settings, raw));
    if (field.alias) put(result, field.alias, undefined);
  }
}

/* ---------------------------------------------------------------- values */

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const unitBytes: Readonly<Record<string, bigint>> = {
  B: 1n,
  kB: 1n << 10n,
  MB: 1n << 20n,
  GB: 1n << 30n,
  TB: 1n << 40n,
};

/** Seconds, or a text with a unit; in milliseconds. */
function duration<Default extends number | undefined>(defaultMs: Default, minS: number) {
  const allowed = `allowed: ${minS} to 31536000 seconds (fractions too), or a text like 500ms, 30s, 5min`;
  return z
    .union([z.number(), z.string()], { error: allowed })
    .nullish()
    .transform((value, context): number | Default => {
      if (value === null || value === undefined) return defaultMs;
      const match = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)?\s*$/.exec(String(value));
      const ms = match ? Math.round(Number(match[1]) * (unitMs[match[2] ?? 's'] ?? Number.NaN)) : Number.NaN;
      if (ms >= minS * 1000 && ms <= 31_536_000_000) return ms;
      context.issues.push({ code: 'custom', message: allowed, input: value });
      return z.NEVER;
    });
}

function bytes(defaultBytes: bigint) {
  const allowed = 'allowed: a whole number of bytes, or a text like 16MB';
  return z
    .union([z.number(), z.bigint(), z.string()], { error: allowed })
    .nullish()
    .transform((value, context): bigint => {
      if (value === null || value === undefined) return defaultBytes;
      const match = /^\s*(\d+)\s*(B|kB|MB|GB|TB)?\s*$/.exec(String(value));
      if (match?.[1] !== undefined) return BigInt(match[1]) * (unitBytes[match[2] ?? 'B'] ?? 1n);
      context.issues.push({ code: 'custom', message: allowed, input: value });
      return z.NEVER;
    });
}

const words: Readonly<Record<string, boolean>> = {
  true: true,
  on: true,
  yes: true,
  '1': true,
  false: false,
  off: false,
  no: false,
  '0': false,
};

function flag(defaultValue: boolean) {
  const allowed = 'allowed: true, false, on, off, yes, no';
  return z
    .union([z.boolean(), z.string(), z.number()], { error: allowed })
    .nullish()
    .transform((value, context): boolean => {
      if (value === null || value === undefined) return defaultValue;
      const known = words[String(value).toLowerCase()];
      if (known !== undefined) return known;
      context.issues.push({ code: 'custom', message: allowed, input: value });
      return z.NEVER;
    });
}

/** Patroni: 0 and below say "no limit". */
const lagLimit = z
  .union([z.literal([-1, '-1']).transform((): undefined => undefined), bytes(0n)], {
    error: 'allowed: -1 (no limit), a whole number of bytes, or a text like 16MB',
  })
  .transform((found) => (found === 0n ? undefined : found));

const nodeCount = z
  .int({ error: 'allowed: a whole number of 1 or more' })
  .min(1, { error: 'allowed: a whole number of 1 or more' })
  .nullish()
  .transform((found) => found ?? 1);

const synchronousMode = z
  .union([z.boolean(), z.string(), z.number()], { error: 'allowed: off, on, quorum' })
  .nullish()
  .transform((value, context): Settings['synchronousMode'] => {
    if (value === null || value === undefined) return 'off';
    const word = String(value).toLowerCase();
    if (word === 'quorum') return 'quorum';
    if (words[word] !== undefined) return words[word] ? 'on' : 'off';
    context.issues.push({ code: 'custom', message: 'allowed: off, on, quorum', input: value });
    return z.NEVER;
  });

const parameterValue = z.union([z.string(), z.number(), z.bigint(), z.boolean(), z.null()], {
  error: 'allowed: a text, a number, true or false',
});

/** A PostgreSQL parameter's value as text; null (Patroni: "remove it") is no value. */
function parameterText(value: z.infer<typeof parameterValue>): string | undefined {
  if (value === null) return undefined;
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return String(value);
}

const parameters = optional(z.record(z.string(), parameterValue)).transform(
  (found): Readonly<Record<string, string>> => {
    const result: Record<string, string> = {};
    for (const [name, value] of Object.entries(found ?? {})) {
      const text = parameterText(value);
      if (text !== undefined) result[name] = text;
    }
    return result;
  },
);

/* ---------------------------------------------------------------- the record */

const postgresqlSchema = z.looseObject(
  {
    use_pg_rewind: flag(true),
    use_slots: flag(true),
    remove_data_directory_on_rewind_failure: flag(true),
    remove_data_directory_on_diverged_timelines: flag(true),
    parameters,
    pg_hba: optional(z.array(z.string(), { error: 'allowed: a list of pg_hba lines' })),
  },
  { error: 'allowed: a mapping' },
);

const settingsSchema = z
  .looseObject(
    {
      ttl: duration(defaultTtlMs, 1),
      loop_wait: duration(10_000, 0.1),
      retry_timeout: duration(10_000, 0.1),
      failure_timeout: duration(undefined, failureTimeoutMinS),
      heartbeat_interval: duration(undefined, heartbeatIntervalMinS),
      catchup_timeout: duration(0, 0),
      maximum_lag_on_failover: bytes(1_048_576n),
      primary_start_timeout: duration(undefined, 0),
      // Patroni's name of it before version 3.
      master_start_timeout: duration(undefined, 0),
      storage_timeout: duration(defaultStorageTimeoutMs, storageTimeoutMinS),
      member_slots_ttl: duration(1_800_000, 0),
      synchronous_mode: synchronousMode,
      synchronous_mode_strict: flag(false),
      synchronous_node_count: nodeCount,
      maximum_lag_on_syncnode: lagLimit,
      failsafe_mode: flag(true),
      pause: flag(false),
      postgresql: postgresqlSchema.nullish().transform((found) => found ?? postgresqlSchema.parse({})),
    },
    { error: 'allowed: a mapping of settings' },
  )
  .transform((found, context): Settings => {
    const { postgresql } = found;
    const failureTimeoutMs = found.failure_timeout ?? defaultFailureTimeoutMs(found.ttl);
    const heartbeatIntervalMs = found.heartbeat_interval ?? defaultHeartbeatIntervalMs(failureTimeoutMs);
    for (const { key, text } of timingProblems({ ttlMs: found.ttl, failureTimeoutMs, heartbeatIntervalMs })) {
      context.issues.push({ code: 'custom', message: `allowed: ${text}`, path: [key], input: found });
    }
    return {
      ttlMs: found.ttl,
      loopWaitMs: found.loop_wait,
      retryTimeoutMs: found.retry_timeout,
      failureTimeoutMs,
      heartbeatIntervalMs,
      maximumLagOnFailoverBytes: found.maximum_lag_on_failover,
      primaryStartTimeoutMs: found.primary_start_timeout ?? found.master_start_timeout ?? 300_000,
      storageTimeoutMs: found.storage_timeout,
      pause: found.pause,
      synchronousMode: found.synchronous_mode,
      synchronousModeStrict: found.synchronous_mode_strict,
      synchronousNodeCount: found.synchronous_node_count,
      maximumLagOnSyncnodeBytes: found.maximum_lag_on_syncnode,
      failsafeMode: found.failsafe_mode,
      catchupTimeoutMs: found.catchup_timeout,
      usePgRewind: postgresql.use_pg_rewind,
      useSlots: postgresql.use_slots,
      cloneWhenRewindFails: postgresql.remove_data_directory_on_rewind_failure,
      cloneWhenDiverged: postgresql.remove_data_directory_on_diverged_timelines,
      memberSlotsTtlMs: found.member_slots_ttl,
      parameters: postgresql.parameters,
      ...(postgresql.pg_hba === undefined ? {} : { pgHba: postgresql.pg_hba }),
    };
  });

type Path = readonly [string] | readonly ['postgresql', string];

interface Field {
  readonly name: keyof Settings;
  readonly path: Path;
  /** An older name of the same, which must not contradict the newer one. */
  readonly alias?: Path;
  /** What stands in the JSON; undefined removes the field. */
  readonly encode: (settings: Settings, raw: RawSettings) => unknown;
}

const fields: readonly Field[] = [
  { name: 'ttlMs', path: ['ttl'], encode: (to) => to.ttlMs / 1000 },
  { name: 'loopWaitMs', path: ['loop_wait'], encode: (to) => to.loopWaitMs / 1000 },
  { name: 'retryTimeoutMs', path: ['retry_timeout'], encode: (to) => to.retryTimeoutMs / 1000 },
  { name: 'failureTimeoutMs', path: ['failure_timeout'], encode: (to) => to.failureTimeoutMs / 1000 },
  { name: 'heartbeatIntervalMs', path: ['heartbeat_interval'], encode: (to) => to.heartbeatIntervalMs / 1000 },
  { name: 'catchupTimeoutMs', path: ['catchup_timeout'], encode: (to) => to.catchupTimeoutMs / 1000 },
  {
    name: 'maximumLagOnFailoverBytes',
    path: ['maximum_lag_on_failover'],
    encode: (to) => to.maximumLagOnFailoverBytes,
  },
  {
    name: 'primaryStartTimeoutMs',
    path: ['primary_start_timeout'],
    alias: ['master_start_timeout'],
    encode: (to) => to.primaryStartTimeoutMs / 1000,
  },
  { name: 'storageTimeoutMs', path: ['storage_timeout'], encode: (to) => to.storageTimeoutMs / 1000 },
  { name: 'memberSlotsTtlMs', path: ['member_slots_ttl'], encode: (to) => to.memberSlotsTtlMs / 1000 },
  // Patroni says "not paused" by leaving it out.
  { name: 'pause', path: ['pause'], encode: (to) => (to.pause ? true : undefined) },
  {
    name: 'synchronousMode',
    path: ['synchronous_mode'],
    encode: ({ synchronousMode: to }) => (to === 'quorum' ? to : to === 'on'),
  },
  { name: 'synchronousModeStrict', path: ['synchronous_mode_strict'], encode: (to) => to.synchronousModeStrict },
  { name: 'synchronousNodeCount', path: ['synchronous_node_count'], encode: (to) => to.synchronousNodeCount },
  {
    name: 'maximumLagOnSyncnodeBytes',
    path: ['maximum_lag_on_syncnode'],
    encode: (to) => to.maximumLagOnSyncnodeBytes ?? -1,
  },
  { name: 'failsafeMode', path: ['failsafe_mode'], encode: (to) => to.failsafeMode },
  { name: 'usePgRewind', path: ['postgresql', 'use_pg_rewind'], encode: (to) => to.usePgRewind },
  { name: 'useSlots', path: ['postgresql', 'use_slots'], encode: (to) => to.useSlots },
  {
    name: 'cloneWhenRewindFails',
    path: ['postgresql', 'remove_data_directory_on_rewind_failure'],
    encode: (to) => to.cloneWhenRewindFails,
  },
  {
    name: 'cloneWhenDiverged',
    path: ['postgresql', 'remove_data_directory_on_diverged_timelines'],
    encode: (to) => to.cloneWhenDiverged,
  },
  { name: 'parameters', path: ['postgresql', 'parameters'], encode: encodeParameters },
  { name: 'pgHba', path: ['postgresql', 'pg_hba'], encode: (to) => to.pgHba },
];

/** A parameter that means the same as before keeps its form (a number stays a number). */
function encodeParameters(settings: Settings, raw: RawSettings): unknown {
  const before = mapping(mapping(raw['postgresql'])['parameters']);
  const result: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(settings.parameters)) {
    const found = parameterValue.safeParse(before[name]);
    result[name] = found.success && parameterText(found.data) === text ? before[name] : text;
  }
  return result;
}

function put(target: Record<string, unknown>, path: Path, value: unknown): void {
  const [first, second] = path;
  if (second === undefined) {
    if (value === undefined) delete target[first];
    else target[first] = value;
    return;
  }
  const inner = { ...mapping(target[first]) };
  if (value === undefined) delete inner[second];
  else inner[second] = value;
  target[first] = inner;
}

function mapping(value: unknown): Readonly<Record<string, unknown>> {
  return isMapping(value) ? value : {};
}
