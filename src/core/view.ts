/** The view of the DCS after an answered transaction of my own: known at once, without waiting for the watch. */
import { keyOf, type Transaction, type Write } from './effects.ts';
import type { ClusterView, Versioned } from './model.ts';

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

/**
 * `transaction` was applied at `revision`. Answers may overtake each other: that a later one of my own is folded in says
 * nothing of an earlier one, only what was read does. (Two that are under way at a time write different keys.)
 */
export function applyTransaction(view: ClusterView, transaction: Transaction, revision: number): ClusterView {
  const readAt = view.readAt ?? view.revision;
  if (revision <= readAt) return view;
  const next: Mutable<ClusterView> = { ...view, revision: Math.max(revision, view.revision), readAt };
  for (const write of transaction.write) applyWrite(next, write, revision);
  return next;
}

function applyWrite(view: Mutable<ClusterView>, write: Write, revision: number): void {
  switch (write.key) {
    case 'member':
      view.members = mapWith(
        view.members,
        write.member,
        stamped(view.members.get(write.member), write.value, revision, write.leaseId),
      );
      return;
    case 'revoke':
      view.revocations = mapWith(
        view.revocations,
        write.member,
        stamped(view.revocations.get(write.member), write.value, revision),
      );
      return;
    case 'leader':
      if (write.value === undefined) delete view.leader;
      else view.leader = stamped(view.leader, write.value, revision, write.leaseId);
      return;
    case 'failover':
      if (write.value === undefined) delete view.failover;
      else view.failover = stamped(view.failover, write.value, revision);
      return;
    case 'initialize':
      view.initialize = stamped(view.initialize, write.value, revision);
      return;
    case 'config':
      view.config = stamped(view.config, write.value, revision);
      return;
    case 'rule':
      view.rule = stamped(view.rule, write.value, revision);
      return;
    case 'terms':
      view.terms = stamped(view.terms, write.value, revision);
      return;
    case 'status':
      view.status = stamped(view.status, write.value, revision);
      return;
    case 'history':
    case 'events':
      return;
    default:
      throw new Error(`no such key: ${keyOf(write)}`);
  }
}

function stamped<Value>(
  old: Versioned<Value> | undefined,
  value: Value,
  revision: number,
  leaseId?: string,
): Versioned<Value> {
  return {
    value,
    createRevision: old?.createRevision ?? revision,
    modRevision: revision,
    ...(leaseId === undefined ? {} : { leaseId }),
  };
}

function mapWith<Value>(map: ReadonlyMap<string, Value>, key: string, value: Value): ReadonlyMap<string, Value> {
  return new Map(map).set(key, value);
}
