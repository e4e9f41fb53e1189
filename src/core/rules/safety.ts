/** What comes before anything else: nobody writes without the key, and nothing is done on what is not known. */
import type { Facts } from '../facts.ts';
import { writeDeadline } from '../failsafe.ts';
import type { ClusterView } from '../model.ts';
import { likeNamed } from '../names.ts';
import { slotNameOf } from '../slots.ts';
import { nextSyncChange } from '../sync-standbys.ts';
import { type Rule, wait } from './rule.ts';

export const safetyRules: readonly Rule[] = [
  {
    name: 'lease-ran-out',
    condition:
      'The instance may write, and by my own count the lease has run out (or the deadline that an earlier agent left)',
    does: 'fence',
    when: (f) => f.mayWrite && !guardIsOff(f) && !isStopping(f) && leaseRanOut(f),
    goal: () => ({ kind: 'fence' }),
    because: (f) =>
      `the leader key's lease could not be renewed in time${f.state.dcs.kind === 'lost' ? `: ${f.state.dcs.error}` : ''}`,
  },
  {
    name: 'another-holds-the-key',
    condition: 'The instance may write, but another member holds the leader key',
    does: 'fence',
    when: (f) =>
      f.mayWrite &&
      !isStopping(f) &&
      f.holder !== undefined &&
      f.holder !== f.self &&
      f.foreignSystemId === undefined &&
      f.doubt === undefined &&
      (!f.paused || wroteInAnEarlierTerm(f)),
    goal: () => ({ kind: 'fence' }),
    because: (f) => `${f.holder} holds the leader key in term ${f.rule?.term ?? '?'}`,
  },
  {
    name: 'inspecting',
    condition: 'The instance has not been looked at yet',
    does: 'wait',
    when: (f) => f.instance === 'unknown',
    goal: () => wait,
    because: () => 'looking at the instance for the first time',
  },
];

/** What has to be known, or over, before anything is decided. */
export const readinessRules: readonly Rule[] = [
  {
    name: 'busy',
    condition: 'A job is under way on the instance',
    does: 'wait',
    when: (f) => f.state.job !== undefined && !mayPreempt(f),
    goal: () => wait,
    because: (f) => `${jobText(f)} is under way`,
  },
  {
    name: 'waiting-for-the-dcs',
    condition: 'The DCS has never answered since the agent began',
    does: 'wait',
    when: (f) => f.view === undefined,
    goal: () => wait,
    because: (f) =>
      `the DCS has not answered yet${f.state.dcs.kind === 'never' && f.state.dcs.error !== undefined ? `: ${f.state.dcs.error}` : ''}; nothing is started or changed without it`,
  },
  {
    name: 'unreadable-dcs',
    condition: "A key that decisions turn on (not an operator's wish) holds something that cannot be read",
    does: 'wait',
    when: (f) => unreadable(f).length > 0,
    goal: () => wait,
    because: (f) =>
      unreadable(f)
        .map(({ key, error }) => `${key}: ${error}`)
        .join('; '),
  },
  {
    name: 'name-in-use',
    condition: 'Another agent is registered under this name',
    does: 'wait',
    when: (f) => otherAddress(f) !== undefined,
    goal: () => wait,
    because: (f) =>
      `a member named ${f.self} is alive at ${otherAddress(f)}; give this one another name, or stop that one`,
  },
  {
    name: 'name-too-like',
    condition: 'A member that came before has nearly this name: PostgreSQL would take one for the other',
    does: 'wait',
    when: (f) => likeNamed(f, f.self) !== undefined,
    goal: () => wait,
    because: (f) => {
      const other = likeNamed(f, f.self) ?? '?';
      const shared =
        other.toLowerCase() === f.self.toLowerCase()
          ? 'PostgreSQL compares the names of standbys without case'
          : `both would use the replication slot ${slotNameOf(f.self)}`;
      return `there is a member ${other}: ${shared}; give this one another name`;
    },
  },
];

/** A wish that this member cannot read is not its to carry out, and stops nothing else. */
function unreadable({ view }: Facts): ClusterView['unreadable'] {
  return (view?.unreadable ?? []).filter(({ key }) => key !== 'failover');
}

/** A long checkpoint does not hold up commits that wait for a change of the sync standbys. */
function mayPreempt(f: Facts): boolean {
  if (f.state.job?.job.kind !== 'checkpoint' || f.state.switchover !== undefined) return false;
  return f.iHold && f.instance === 'primary' && nextSyncChange(f).kind !== 'none';
}

function guardIsOff(f: Facts): boolean {
  return f.state.durable.disarmed;
}

/** Paused or not: whoever wrote before the present term began may not go on. */
function wroteInAnEarlierTerm(f: Facts): boolean {
  return (f.rule?.term ?? 0) > (f.state.durable.originTerm ?? 0);
}

/** A job that already ends the instance need not be begun again. */
function isStopping(f: Facts): boolean {
  return f.state.job?.job.kind === 'stop' && f.state.job.job.mode === 'immediate';
}

function leaseRanOut(f: Facts): boolean {
  const { leaderLease, armedUntil } = f.state;
  if (leaderLease !== undefined) return f.now >= (writeDeadline(f.state) ?? 0);
  return armedUntil !== undefined && f.now >= armedUntil;
}

function jobText(f: Facts): string {
  const running = f.state.job;
  if (running === undefined) return 'nothing';
  const { job } = running;
  if (job.kind === 'start') return `start as ${job.as}`;
  if (job.kind === 'stop') return `${job.mode} stop`;
  if (job.kind === 'clone' || job.kind === 'rewind') return `${job.kind} from ${job.source.member}`;
  return job.kind;
}

function otherAddress(f: Facts): string | undefined {
  const registered = f.view?.members.get(f.self);
  if (registered === undefined || registered.leaseId === f.state.memberLease?.leaseId) return undefined;
  return registered.value.apiUrl === f.state.self.apiUrl ? undefined : registered.value.apiUrl;
}
