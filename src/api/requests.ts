/**
 * The bodies of POST requests: checked, with Patroni's texts and codes, and made into operator requests.
 * What is checked here is the request itself. Whether it can be done is for the core, which answers it.
 */
import { z } from 'zod';
import type { OperatorRequest } from '../core/events.ts';

/** A request for the core, or the answer that refuses it. */
export type Parsed =
  | { readonly ok: true; readonly request: OperatorRequest }
  | { readonly ok: false; readonly status: number; readonly text: string };

/** A JSON object: what a body must be. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** What a request is checked against before the core sees it. */
export interface RequestFacts {
  readonly paused: boolean;
  /** Wall clock, epoch milliseconds: what "in the past" means to an operator. */
  readonly nowEpochMs: number;
  /** Of the running instance, e.g. 150018. */
  readonly serverVersion: number | undefined;
}

function refuse(status: number, text: string): Parsed {
  return { ok: false, status, text };
}

/* ---------------------------------------------------------------- switchover and failover */

/** '' and null count as absent, as at Patroni. */
function memberName(field: string) {
  return z
    .string({ error: `${field} must be a text: the name of a member` })
    .nullish()
    .transform((name) => name || undefined);
}

const changeSchema = z.object({
  leader: memberName('leader'),
  candidate: memberName('candidate'),
  /** Patroni's older name of `candidate`. */
  member: memberName('member'),
  scheduled_at: z.unknown().optional(),
  /** Ours: the operator knows that commits may be lost. */
  allow_data_loss: flag('allow_data_loss').nullish(),
});

type Action = 'switchover' | 'failover';

/** `POST /switchover` and `POST /failover`. A failover that names the leader is a switchover. */
export function parseChange(action: Action, body: JsonObject, facts: RequestFacts): Parsed {
  const checked = changeSchema.safeParse(body);
  if (!checked.success) return refuse(400, firstIssue(checked.error));
  const { leader, scheduled_at: scheduledAt } = checked.data;
  const candidate = checked.data.candidate ?? checked.data.member;
  if (action === 'failover' && candidate === undefined) {
    return refuse(400, 'Failover could be performed only to a specific candidate');
  }
  if (action === 'switchover' && leader === undefined) {
    return refuse(400, 'Switchover could be performed only from a specific leader');
  }
  if (scheduledAt) return refuseSchedule(action, scheduledAt, facts);
  if (facts.paused && candidate === undefined) {
    return refuse(400, 'Switchover is possible only to a specific candidate in a paused state');
  }
  if (leader === candidate) return refuse(400, 'Switchover target and source are the same');
  if (action === 'failover' && leader === undefined && candidate !== undefined) {
    const allowDataLoss = checked.data.allow_data_loss ?? false;
    return { ok: true, request: { kind: 'failover', candidate, allowDataLoss } };
  }
  // Taken for granted by its asker, it would be left out silently.
  if (checked.data.allow_data_loss) return refuse(400, 'Only a failover can allow the loss of data');
  return { ok: true, request: { kind: 'switchover', leader, candidate } };
}

function refuseSchedule(action: Action, scheduledAt: unknown, facts: RequestFacts): Parsed {
  if (action === 'failover') return refuse(400, "Failover can't be scheduled");
  if (facts.paused) return refuse(400, "Can't schedule switchover in the paused state");
  return scheduleError('switchover', scheduledAt, facts) ?? refuse(400, notAvailable('A scheduled switchover'));
}

function notAvailable(what: string): string {
  return `${what} is not available in this version; nothing was done`;
}

/* ---------------------------------------------------------------- restart */

const roleText = 'PostgreSQL role should be either primary, standby_leader, or replica';
const timeoutText = 'Timeout should be a positive number of seconds';

const restartFields = {
  role: z.enum(['primary', 'standby_leader', 'replica'], { error: roleText }),
  postgres_version: z.string({ error: 'Invalid PostgreSQL version: a text like 15.4 is expected' }).check((context) => {
    const error = versionError(context.value);
    if (error !== undefined) context.issues.push({ code: 'custom', message: error, input: context.value });
  }),
  timeout: z.union([z.number(), z.string()], { error: timeoutText }).refine(isPositiveSeconds, { error: timeoutText }),
  restart_pending: flag('restart_pending'),
} as const;

/** `POST /restart`: the fields are conditions; without any the instance is restarted. Checked in the order of the body. */
export function parseRestart(body: JsonObject, facts: RequestFacts): Parsed {
  for (const [field, value] of Object.entries(body)) {
    if (field === 'schedule') {
      const error = scheduleError('restart', value, facts);
      if (error) return error;
      continue;
    }
    if (!isRestartField(field)) return refuse(400, `Unknown filter for the scheduled restart: ${field}`);
    const checked = restartFields[field].safeParse(value);
    if (!checked.success) return refuse(400, firstIssue(checked.error));
  }
  if ('schedule' in body) {
    if (facts.paused) return refuse(500, "Can't schedule restart in the paused state");
    return refuse(400, notAvailable('A scheduled restart'));
  }
  // Left out silently, it would promise a failover that does not come.
  if ('timeout' in body) return refuse(400, notAvailable('A timeout of a single restart'));
  return restartRequest(body, facts);
}

function restartRequest(body: JsonObject, facts: RequestFacts): Parsed {
  const role = restartFields.role.optional().parse(body['role']);
  const version = restartFields.postgres_version.optional().parse(body['postgres_version']);
  const pendingOnly = restartFields.restart_pending.parse(body['restart_pending'] ?? false);
  // There is no standby cluster, so nobody is its leader. `postgres_version`: only an older server is restarted.
  const isUpToDate =
    version !== undefined && (facts.serverVersion === undefined || facts.serverVersion >= versionNumber(version));
  if (role === 'standby_leader' || isUpToDate) return refuse(503, 'restart conditions are not satisfied');
  return { ok: true, request: { kind: 'restart', role, pendingOnly } };
}

function isRestartField(name: string): name is keyof typeof restartFields {
  return Object.hasOwn(restartFields, name);
}

/** `30`, `"30"`, `"30s"`, `"1min"`: PostgreSQL's units of time. */
function isPositiveSeconds(value: number | string): boolean {
  const match = /^\s*\+?(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)?\s*$/.exec(String(value));
  return match !== null && Number(match[1]) > 0;
}

function versionError(version: string): string | undefined {
  if (!/^\d+(\.\d+)*$/.test(version)) return `Invalid PostgreSQL version: ${version}`;
  const parts = version.split('.').map(Number);
  const needed = (parts[0] ?? 0) < 10 ? 3 : 2;
  if (parts.length >= needed && parts.length <= 3) return undefined;
  return `Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: ${version}`;
}

/** As PostgreSQL counts: 15.4 is 150004, 9.6.24 is 90624. */
function versionNumber(version: string): number {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  return major >= 10 ? major * 10_000 + minor : major * 10_000 + minor * 100 + patch;
}

/* ---------------------------------------------------------------- reinitialize */

/** `from_leader` asks for what is done anyway: members are cloned from the leader. */
const reinitializeSchema = z.object({
  force: flag('force').nullish(),
  from_leader: flag('from_leader').nullish(),
  'from-leader': flag('from-leader').nullish(),
});

/** `POST /reinitialize`. `force` also ends what the member is doing. */
export function parseReinitialize(body: JsonObject): Parsed {
  const checked = reinitializeSchema.safeParse(body);
  if (!checked.success) return refuse(400, firstIssue(checked.error));
  return { ok: true, request: { kind: 'reinitialize', force: checked.data.force ?? false } };
}

/* ---------------------------------------------------------------- parts */

const words: Readonly<Record<string, boolean>> = {
  on: true,
  true: true,
  yes: true,
  '1': true,
  off: false,
  false: false,
  no: false,
  '0': false,
};

/** Unlike Patroni, a value that is neither is an error: it may be a `force` that was meant. */
function flag(field: string) {
  const error = `${field} must be true or false`;
  return z.union([z.boolean(), z.number(), z.string()], { error }).transform((value, context): boolean => {
    const known = words[String(value).toLowerCase()];
    if (known !== undefined) return known;
    context.issues.push({ code: 'custom', message: error, input: value });
    return z.NEVER;
  });
}

function firstIssue(error: z.ZodError): string {
  return error.issues[0]?.message ?? 'the request cannot be read';
}

const isoForm = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?$/i;

/** What is wrong with the time of a schedule; undefined when it lies ahead. */
function scheduleError(action: 'switchover' | 'restart', value: unknown, facts: RequestFacts): Parsed | undefined {
  const match = typeof value === 'string' ? isoForm.exec(value.trim()) : null;
  const unreadable = 'Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601';
  if (match === null) return refuse(422, unreadable);
  const zone = match[1];
  if (zone === undefined) return refuse(400, `Timezone information is mandatory for the scheduled ${action}`);
  const local = match[0]
    .slice(0, match[0].length - zone.length)
    .trim()
    .replace(' ', 'T')
    .replace(',', '.');
  const offset = zone.replace(
    /^([+-]\d{2}):?(\d{2})?$/,
    (_all, hours: string, minutes = '00') => `${hours}:${minutes}`,
  );
  const atEpochMs = Date.parse(local + offset.toUpperCase());
  if (Number.isNaN(atEpochMs)) return refuse(422, unreadable);
  return atEpochMs < facts.nowEpochMs ? refuse(422, `Cannot schedule ${action} in the past`) : undefined;
}
