/**
 * The core's view of the DCS, made of the model's keys, which hold records as they are; where agents of different releases
 * take part, their texts.
 */
import type {
  ClusterView,
  FailoverRequest,
  MemberRecord,
  Revocation,
  Rule,
  Settings,
  StatusRecord,
  TermEntry,
  Versioned,
} from '../core/model.ts';
import type { Model } from '../dcs/memory/model.ts';
import { decodeView } from '../dcs/records.ts';

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

/** All keys, as they are now. Every value is what a transaction of the core wrote under that key. */
export function viewOf(model: Model<unknown>): ClusterView {
  const members = new Map<string, Versioned<MemberRecord>>();
  const revocations = new Map<string, Versioned<Revocation>>();
  const view: Mutable<ClusterView> = {
    storeId: model.storeId,
    revision: model.revision,
    members,
    revocations,
    unreadable: [],
  };
  for (const [key, stored] of model.keys) {
    if (isText(key, stored)) addText(view, members, revocations, textOf(key, stored));
    else if (key.startsWith('members/')) members.set(key.slice(8), as<MemberRecord>(stored));
    else if (key.startsWith('revoke/')) revocations.set(key.slice(7), as<Revocation>(stored));
    else if (key === 'initialize') view.initialize = as<string>(stored);
    else if (key === 'config') view.config = as<Settings>(stored);
    else if (key === 'rule') view.rule = as<Rule>(stored);
    else if (key === 'leader') view.leader = as<string>(stored);
    else if (key === 'terms') view.terms = as<readonly TermEntry[]>(stored);
    else if (key === 'status') view.status = as<StatusRecord>(stored);
    else if (key === 'failover') view.failover = as<FailoverRequest>(stored);
  }
  return view;
}

function as<Value>(stored: Versioned<unknown>): Versioned<Value> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only the core's own writes are in the model
  return stored as Versioned<Value>;
}

/** The record of elections as the store has it now. */
export function ruleIn(model: Model<unknown>): Rule | undefined {
  return recordIn(model, 'rule');
}

/** What the cluster agreed on, as the store has it now. */
export function settingsIn(model: Model<unknown>): Settings | undefined {
  return recordIn(model, 'config');
}

/** The primary's position, as the store has it now. */
export function statusIn(model: Model<unknown>): StatusRecord | undefined {
  return recordIn(model, 'status');
}

/** Who holds the leader key, as the store has it now. */
export function holderIn(model: Model<unknown>): string | undefined {
  const stored = model.keys.get('leader');
  return stored === undefined ? undefined : as<string>(stored).value;
}

function recordIn<Key extends 'rule' | 'config' | 'status'>(
  model: Model<unknown>,
  key: Key,
): NonNullable<ClusterView[Key]>['value'] | undefined {
  const stored = model.keys.get(key);
  if (stored === undefined) return undefined;
  if (isText(key, stored)) return textOf(key, stored)[key]?.value;
  return as<NonNullable<ClusterView[Key]>['value']>(stored).value;
}

/* ---------------------------------------------------------------- texts */

type StoredText = Versioned<string>;

/** These two are texts either way. */
function isText(key: string, stored: Versioned<unknown>): stored is StoredText {
  return typeof stored.value === 'string' && key !== 'leader' && key !== 'initialize';
}

/** A stored text never changes: it is read once. */
const readTexts = new WeakMap<StoredText, ClusterView>();

/** A view of this one key. */
function textOf(key: string, stored: StoredText): ClusterView {
  let found = readTexts.get(stored);
  if (found === undefined) {
    found = decodeView({ storeId: '', revision: 0, keys: new Map([[key, stored]]) });
    readTexts.set(stored, found);
  }
  return found;
}

function addText(
  view: Mutable<ClusterView>,
  members: Map<string, Versioned<MemberRecord>>,
  revocations: Map<string, Versioned<Revocation>>,
  part: ClusterView,
): void {
  for (const [name, member] of part.members) members.set(name, member);
  for (const [name, revocation] of part.revocations) revocations.set(name, revocation);
  const { storeId: _no, revision: _yes, members: _all, revocations: _both, unreadable, ...rest } = part;
  Object.assign(view, rest);
  if (unreadable.length > 0) view.unreadable = [...view.unreadable, ...unreadable];
}
