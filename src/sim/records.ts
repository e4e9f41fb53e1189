/** The core's view of the DCS, made of the model's keys, which hold records as they are. */
import { keyOf, type Transaction } from '../core/effects.ts';
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
import type { Model, ModelTransaction } from '../dcs/memory/model.ts';

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
    if (key.startsWith('members/')) members.set(key.slice(8), as<MemberRecord>(stored));
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
  const stored = model.keys.get('rule');
  return stored === undefined ? undefined : as<Rule>(stored).value;
}

/** What the cluster agreed on, as the store has it now. */
export function settingsIn(model: Model<unknown>): Settings | undefined {
  const stored = model.keys.get('config');
  return stored === undefined ? undefined : as<Settings>(stored).value;
}

/** The primary's position, as the store has it now. */
export function statusIn(model: Model<unknown>): StatusRecord | undefined {
  const stored = model.keys.get('status');
  return stored === undefined ? undefined : as<StatusRecord>(stored).value;
}

/** Who holds the leader key, as the store has it now. */
export function holderIn(model: Model<unknown>): string | undefined {
  const stored = model.keys.get('leader');
  return stored === undefined ? undefined : as<string>(stored).value;
}

/** As the model takes it. */
export function stored(transaction: Transaction): ModelTransaction<unknown> {
  return {
    compare: transaction.compare,
    write: transaction.write.map((write) => ({
      key: keyOf(write),
      value: write.value,
      ...('leaseId' in write ? { leaseId: write.leaseId } : {}),
    })),
  };
}
