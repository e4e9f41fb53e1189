/**
 * The only schema of the shared truth: between the core's types and the texts that are stored.
 * Keys and values are laid out as Patroni's, so that its readers understand ours and we theirs; `rule`, `terms`,
 * `revoke/` and `events/` are our own.
 */
import * as z from 'zod';
import { type Compare, type HistoryRow, keyOf, type Transaction, type Write } from '../core/effects.ts';
import { formatLsn } from '../core/lsn.ts';
import type {
  ClusterView,
  FailoverRequest,
  Handover,
  MemberRecord,
  Revocation,
  Rule,
  StatusRecord,
  TermEntry,
  Versioned,
} from '../core/model.ts';
import type { Snapshot, StoredKey, StoreTransaction } from '../ports/dcs.ts';
import { encodeDecisions } from './decisions.ts';
import { type Decoded, decodeJson, keepingNewer, lsnNumber, lsnText, optional } from './decode.ts';
import { excerpt, isMapping, printJson } from './json.ts';
import { defined, encodeMember, memberSchema } from './member-record.ts';
import { besideRule } from './patroni-keys.ts';
import { decodeSettings, encodeSettings, rawSettingsOf } from './settings.ts';

/** Keys that exist with an empty content, which counts as absent: their revisions, for compares that say "absent". */
const emptyKeys = new WeakMap<ClusterView, ReadonlyMap<string, number>>();

/**
 * What the keys say. A key that cannot be read is listed in `unreadable` (with what was found and what is allowed)
 * and is else as if it were absent; keys that we do not know, and `events/`, are passed over.
 */
export function decodeView(snapshot: Snapshot): ClusterView {
  const unreadable: { key: string; error: string }[] = [];
  const empty = new Map<string, number>();
  const members = new Map<string, Versioned<MemberRecord>>();
  const revocations = new Map<string, Versioned<Revocation>>();

  const read = <Value>(key: string, decode: (text: string) => Decoded<Value>): Versioned<Value> | undefined => {
    const stored = snapshot.keys.get(key);
    if (stored === undefined) return undefined;
    const decoded = decode(stored.value);
    if (decoded.ok) return versioned(stored, decoded.value);
    unreadable.push({ key, error: `${key}: ${decoded.error}` });
    return undefined;
  };
  for (const key of snapshot.keys.keys()) {
    const [folder, name] = split(key);
    if (folder === 'members') {
      const member = read(key, (text) => decodeJson(text, memberSchema));
      if (member) members.set(name, member);
    } else if (folder === 'revoke') {
      const revocation = read(key, (text) => decodeJson(text, revocationSchema));
      if (revocation) revocations.set(name, revocation);
    }
  }
  const failover = read('failover', decodeFailover);
  if (failover && failover.value === undefined) empty.set('failover', failover.modRevision);

  const view: ClusterView = {
    storeId: snapshot.storeId,
    revision: snapshot.revision,
    members,
    revocations,
    unreadable,
    ...defined({
      initialize: read('initialize', (text) => ({ ok: true, value: text })),
      config: read('config', decodeConfig),
      rule: read('rule', (text) => decodeJson(text, ruleSchema)),
      leader: read('leader', decodeLeader),
      terms: read('terms', (text) => decodeJson(text, termsSchema)),
      status: read('status', (text) => decodeJson(text, statusSchema)),
      failover: failover && hasValue(failover) ? failover : undefined,
    }),
  };
  emptyKeys.set(view, empty);
  return view;
}

/**
 * The transaction as the store takes it. `view` is the view that it was decided on, or a later one: it gives the
 * fields of `config` that we do not know, and which keys exist with a content that counts as absent.
 */
export function encodeTransaction(transaction: Transaction, view?: ClusterView): StoreTransaction {
  const empty = view && emptyKeys.get(view);
  const asStored = ({ key, modRevision }: Compare): Compare => ({
    key,
    modRevision: modRevision === 0 ? (empty?.get(key) ?? 0) : modRevision,
  });
  return {
    compare: transaction.compare.map(asStored),
    write: transaction.write.flatMap((write) => [
      {
        key: keyOf(write),
        value: encodeWrite(write, view),
        ...('leaseId' in write ? { leaseId: write.leaseId } : {}),
      },
      ...(write.key === 'rule' ? besideRule(write.value, view) : []),
    ]),
  };
}

function encodeWrite(write: Write, view: ClusterView | undefined): string | undefined {
  switch (write.key) {
    case 'initialize':
    case 'leader':
      return write.value;
    case 'config': {
      const before = rawSettingsOf(write.value) ?? (view?.config && rawSettingsOf(view.config.value)) ?? {};
      return printJson(encodeSettings(write.value, before));
    }
    case 'rule':
      return printJson(encodeRule(write.value));
    case 'terms':
      return printJson(
        write.value.map(({ newer, ...entry }) => ({ ...entry, switchLsn: formatLsn(entry.switchLsn), ...newer })),
      );
    case 'history':
      return printJson(write.value.map((row: HistoryRow) => [row.timeline, row.lsn, row.reason, row.at, row.leader]));
    case 'status':
      return printJson(encodeStatus(write.value));
    case 'failover':
      return write.value && printJson(encodeFailover(write.value));
    case 'member':
      return printJson(encodeMember(write.value));
    case 'events':
      return encodeDecisions(write.value);
    case 'revoke':
      return printJson(encodeRevocation(write.value));
  }
}

function versioned<Value>(stored: StoredKey, value: Value): Versioned<Value> {
  const { createRevision, modRevision, leaseId } = stored;
  return { value, createRevision, modRevision, ...(leaseId === undefined ? {} : { leaseId }) };
}

function hasValue<Value>(found: Versioned<Value | undefined>): found is Versioned<Value> {
  return found.value !== undefined;
}

/** `members/pg1` → ['members', 'pg1']. */
function split(key: string): readonly [folder: string, name: string] {
  const slash = key.indexOf('/');
  return slash < 0 ? ['', key] : [key.slice(0, slash), key.slice(slash + 1)];
}

/* ---------------------------------------------------------------- parts */

const name = z.string({ error: 'allowed: a name' }).min(1, { error: 'allowed: a name that is not empty' });
const names = z.array(name, { error: 'allowed: a list of names' });
const anyText = z.string({ error: 'allowed: a text' });
const whole = z.int({ error: 'allowed: a whole number' });
const count = whole.nonnegative({ error: 'allowed: 0 or more' });
const ordinal = whole.positive({ error: 'allowed: 1 or more' });
const anObject = { error: 'allowed: a mapping' };

/* ---------------------------------------------------------------- rule */

const handoverSchema = z
  .object({ originTerm: count, timeline: ordinal, lsn: lsnText, to: optional(name) }, anObject)
  .transform(({ to, ...same }): Handover => ({ ...same, ...defined({ to }) }));

const ruleSchema = keepingNewer(
  {
    term: ordinal,
    leader: name,
    nonce: anyText,
    mode: z.enum(['async', 'sync'], { error: 'allowed: async, sync' }),
    S: names,
    k: count,
    n: count,
    disarmed: z.boolean({ error: 'allowed: true, false' }).default(false),
    handover: optional(handoverSchema),
    base: optional(z.object({ originTerm: count, lsn: lsnText }, anObject)),
    failsafe: names,
    released: z.boolean({ error: 'allowed: true, false' }).default(false),
    storeId: anyText,
  },
  anObject,
).transform(
  ({ S, k, n, handover, base, ...same }): Rule => ({
    ...same,
    syncStandbys: S,
    syncCount: k,
    number: n,
    ...defined({ handover, base }),
  }),
);

function encodeRule(rule: Rule): object {
  const { syncStandbys, syncCount, number, handover, base, newer, ...same } = rule;
  return {
    ...same,
    S: syncStandbys,
    k: syncCount,
    n: number,
    handover: handover && { ...handover, lsn: formatLsn(handover.lsn) },
    base: base && { ...base, lsn: formatLsn(base.lsn) },
    ...newer,
  };
}

/* ---------------------------------------------------------------- revoke/<member>, terms */

const revocationSchema = z
  .object(
    {
      term: z.union([ordinal, z.literal('free')], { error: 'allowed: a term, or "free"' }),
      originTerm: count,
      lsn: lsnText,
      seq: count,
    },
    anObject,
  )
  .transform(({ seq, ...same }): Revocation => ({ ...same, sequence: seq }));

function encodeRevocation({ term, originTerm, lsn, sequence }: Revocation): object {
  return { term, originTerm, lsn: formatLsn(lsn), seq: sequence };
}

const termsSchema: z.ZodType<readonly TermEntry[]> = z.array(
  keepingNewer(
    {
      term: ordinal,
      timeline: ordinal,
      switchLsn: lsnText,
      parent: ordinal.optional(),
      member: name,
      reason: anyText,
      at: anyText,
    },
    anObject,
  )
    .refine(({ term, parent }) => parent === undefined || parent < term, {
      error: 'allowed: a parent that is an earlier term',
    })
    .transform(({ parent, ...entry }): TermEntry => (parent === undefined ? entry : { ...entry, parent })),
  { error: 'allowed: a list of terms' },
);

/* ---------------------------------------------------------------- Patroni's */

function decodeLeader(text: string): Decoded<string> {
  if (text !== '') return { ok: true, value: text };
  const message = 'found "": allowed: the name of a member';
  return { ok: false, error: message, issues: [{ path: [], message }] };
}

const anyJson = z.unknown();

function decodeConfig(text: string): Decoded<NonNullable<ClusterView['config']>['value']> {
  const json = decodeJson(text, anyJson);
  if (!json.ok) return json;
  const decoded = decodeSettings(json.value);
  return decoded.ok ? { ok: true, value: decoded.settings } : decoded;
}

const statusSchema = z
  .object({ optime: lsnNumber, slots: optional(z.record(anyText, lsnNumber, anObject)) }, anObject)
  .transform(({ optime, slots }): StatusRecord => ({ lsn: optime, slots: Object.entries(slots ?? {}) }));

function encodeStatus(status: StatusRecord): object {
  return {
    optime: status.lsn,
    slots: Object.fromEntries(status.slots),
    retain_slots: status.slots.map(([slot]) => slot),
  };
}

const failoverSchema = keepingNewer(
  {
    leader: optional(anyText),
    member: optional(anyText),
    scheduled_at: optional(anyText),
    pgherd: optional(
      keepingNewer(
        {
          kind: optional(z.enum(['switchover', 'failover'], { error: 'allowed: switchover, failover' })),
          request_id: optional(anyText),
          refused: optional(anyText),
          allow_data_loss: optional(z.boolean({ error: 'allowed: true, false' })),
        },
        anObject,
      ),
    ),
  },
  anObject,
);

/** Patroni empties the key instead of deleting it: a wish without content is none. */
function decodeFailover(text: string): Decoded<FailoverRequest | undefined> {
  const decoded = decodeJson(text === '' ? '{}' : text, failoverSchema);
  if (!decoded.ok) return decoded;
  const { scheduled_at: scheduledAt, pgherd: ours, newer: beside } = decoded.value;
  if (scheduledAt) {
    // Taken for an ordinary wish it would be carried out at once.
    const message = `found ${excerpt(scheduledAt)}: allowed: nothing, since no plan for later can be kept yet`;
    return { ok: false, error: `scheduled_at: ${message}`, issues: [{ path: ['scheduled_at'], message }] };
  }
  const leader = decoded.value.leader || undefined;
  const candidate = decoded.value.member || undefined;
  const kind = ours?.kind ?? (leader === undefined ? 'failover' : 'switchover');
  const refused = ours?.refused;
  const requestId = ours?.request_id;
  if (leader === undefined && candidate === undefined && refused === undefined && ours?.kind === undefined) {
    return { ok: true, value: undefined };
  }
  const allowDataLoss = ours?.allow_data_loss;
  const newer = ours?.newer === undefined ? beside : { ...beside, pgherd: ours.newer };
  return { ok: true, value: { kind, ...defined({ leader, candidate, allowDataLoss, refused, requestId, newer }) } };
}

function encodeFailover(request: FailoverRequest): object {
  const { kind, leader, candidate, allowDataLoss, refused, requestId } = request;
  const { pgherd: newer, ...beside } = request.newer ?? {};
  const ours = { kind, request_id: requestId, refused, allow_data_loss: allowDataLoss };
  return { leader, member: candidate, ...beside, pgherd: { ...ours, ...(isMapping(newer) ? newer : {}) } };
}
