/** What the health checks and the bodies both read out of a report. */
import type { Lsn } from '../core/lsn.ts';
import type { ClusterView, MemberRole, MemberState, RunningInstance, Settings, Tags } from '../core/model.ts';
import type { Report } from '../core/report.ts';

type ShownState = MemberState | 'unknown';

/** A member as the REST API shows it. */
export interface MemberFacts {
  /** Patroni's `state`; `unknown`: said to run, and does not answer. */
  readonly state: ShownState;
  readonly role: MemberRole;
  /** What the instance answers; absent while it answers nothing, or while it is being stopped. */
  readonly running: RunningInstance | undefined;
  readonly syncRole: SyncRole | undefined;
}

/** Patroni's words for a standby that commits wait for. */
export type SyncRole = 'sync_standby' | 'quorum_standby';

/** In these states Patroni asks the instance; in all others state and role are all that it tells. */
const answeringStates: readonly MemberState[] = ['running', 'restarting', 'starting'];

/**
 * A member that said it runs and whose instance does not answer is `unknown`, and no health check takes it for well.
 */
export function memberFacts(report: Report): MemberFacts {
  const { record, status } = report;
  const instance = status?.instance;
  if (instance?.kind === 'running' && answeringStates.includes(record.state)) {
    const role = instance.inRecovery ? 'replica' : 'primary';
    const syncRole = role === 'replica' ? syncRoleOf(report.view, report.self.name) : undefined;
    return { state: record.state, role, running: instance, syncRole };
  }
  const state = record.state === 'running' && record.role !== 'witness' ? 'unknown' : record.state;
  return { state, role: record.role, running: undefined, syncRole: undefined };
}

/**
 * What `member` is to the commits of the leader, in Patroni's words: by the mode, since in quorum mode it calls every
 * voter a `quorum_standby`, however many of them must have a commit.
 */
export function syncRoleOf(view: ClusterView | undefined, member: string): SyncRole | undefined {
  const rule = view?.rule?.value;
  if (rule?.mode !== 'sync' || !rule.syncStandbys.includes(member)) return undefined;
  return view?.config?.value.synchronousMode === 'quorum' ? 'quorum_standby' : 'sync_standby';
}

/** The cluster's settings; before there are any, those that this member would found it with. */
export function settingsOf(report: Report): Settings {
  return report.view?.config?.value ?? report.self.bootstrapSettings;
}

/** Received WAL; after a restart nothing was received yet, and what is replayed was received once (Patroni does the same). */
export function receivedLsnOf(running: RunningInstance): Lsn | undefined {
  return running.receivedLsn ?? running.replayedLsn;
}

/** Tags that Patroni itself understands: it keeps and shows them only when they are set. */
const switchTags = ['clonefrom', 'nofailover', 'noloadbalance', 'nosync', 'nostream'];

/** The tags as Patroni shows and compares them. */
export function shownTags(tags: Tags): Readonly<Record<string, string | number | boolean>> {
  const shown = Object.entries(tags.all).filter(([name, value]) => !switchTags.includes(name) || isOn(value));
  return Object.fromEntries(shown);
}

function isOn(value: string | number | boolean): boolean {
  return !['false', 'off', 'no', '0', ''].includes(String(value).toLowerCase());
}
