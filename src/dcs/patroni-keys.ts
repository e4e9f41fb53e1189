/** Patroni's keys that say, for its readers, what `rule` says: written with it, read by nobody here. */
import type { ClusterView, Rule } from '../core/model.ts';
import type { StoreTransaction } from '../ports/dcs.ts';
import { printJson } from './json.ts';

type StoreWrite = StoreTransaction['write'][number];

/** What goes into the same transaction as `rule`. `view`: the one that it was decided on, or a later one. */
export function besideRule(rule: Rule, view: ClusterView | undefined): readonly StoreWrite[] {
  return [...syncKey(rule, view), ...failsafeKey(rule, view)];
}

/**
 * `sync`: `{leader, quorum, sync_standby}`, as Patroni 4 writes it. `quorum` is how many standbys a candidate needs besides
 * itself to be sure of every commit. In asynchronous mode all three are null; a cluster that was never synchronous has no key.
 */
function syncKey(rule: Rule, view: ClusterView | undefined): readonly StoreWrite[] {
  if (rule.mode === 'async') {
    if (view?.rule?.value.mode !== 'sync') return [];
    return [{ key: 'sync', value: printJson({ leader: null, quorum: null, sync_standby: null }) }];
  }
  const standbys = rule.syncStandbys.toSorted().join(',');
  const quorum = Math.max(0, rule.syncStandbys.length - rule.syncCount);
  const value = printJson({ leader: rule.leader, quorum, sync_standby: standbys === '' ? null : standbys });
  return [{ key: 'sync', value }];
}

/** `failsafe`: member → address of its REST API, as far as it is known. */
function failsafeKey(rule: Rule, view: ClusterView | undefined): readonly StoreWrite[] {
  if (view === undefined || view.config?.value.failsafeMode === false) return [];
  const urls = rule.failsafe.flatMap((member) => {
    const url = view.members.get(member)?.value.apiUrl;
    return url === undefined || url === '' ? [] : [[member, url] as const];
  });
  return urls.length === 0 ? [] : [{ key: 'failsafe', value: printJson(Object.fromEntries(urls)) }];
}
