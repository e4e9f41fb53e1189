/** Bugs in what rests on time: leases, the guard, releases, pauses. */
import type { Mutant } from './mutant.ts';
import {
  forgottenSwitchover,
  frozenRenewal,
  hangingPromotion,
  slowToRecover,
  stuckReceivers,
  unansweredRelease,
  unheardPause,
} from './scenes.ts';

const act = 'src/core/act.ts';
const async = { settings: { synchronousMode: 'off' } } as const;
const cutOff = { ...async, faults: ['cut-dcs', 'cut-dcs', 'cut-all', 'cut-dcs-one-way'] } as const;
const noFailsafe = { ...cutOff, settings: { synchronousMode: 'off', failsafeMode: false } } as const;

export const leaseMutants: readonly Mutant[] = [
  {
    name: 'lease-counted-from-the-answer',
    what: 'A renewal counts from its answer instead of its sending: the DCS ends the lease while its holder still writes.',
    edits: [
      {
        file: 'src/sim/store.ts',
        find: "{ kind: 'lease-renewed', purpose, sentAt,",
        replace: "{ kind: 'lease-renewed', purpose, sentAt: localNow(world, member),",
      },
    ],
    harm: 'safety',
    arena: frozenRenewal,
    fromSeed: 2,
  },
  {
    name: 'no-margin',
    what: 'Fencing begins when the lease ends: the next holder writes before the old one is stopped.',
    edits: [
      {
        file: 'src/core/lease.ts',
        find: 'return ttlMs / 5;\n}\n\n/** From here on',
        replace: 'return 0;\n}\n\n/** From here on',
      },
    ],
    harm: 'safety',
    arena: { ...noFailsafe, settings: { ...noFailsafe.settings, ttlMs: 10_000 } },
    fromSeed: 65,
  },
  {
    name: 'deadline-after-the-lease',
    what: 'The holder stops writing one margin after its lease has ended.',
    edits: [
      {
        file: 'src/core/lease.ts',
        find: 'return lease.validFrom + lease.ttlMs - marginMs(lease.ttlMs);',
        replace: 'return lease.validFrom + lease.ttlMs + marginMs(lease.ttlMs);',
      },
    ],
    harm: 'safety',
    arena: noFailsafe,
  },
  {
    name: 'no-guard',
    what: 'Nobody ends PostgreSQL when the deadline passes while the agent is dead or frozen.',
    edits: [
      {
        file: act,
        find: 'const { state, now } = facts;\n  // An agent that has just begun knows less than the one before it.\n',
        replace: 'const { state, now } = facts;\n  if (now > 0) return undefined;\n',
      },
    ],
    harm: 'safety',
    arena: { ...async, faults: ['agent-freeze', 'agent-kill', 'cut-all'] },
  },
  {
    name: 'guard-off-while-a-promotion-is-pending',
    what: 'A promotion that was asked for is not guarded: it happens when the lease has long ended, and nobody watches.',
    edits: [
      {
        file: 'src/core/facts.ts',
        find: 'if (durable.promoting !== undefined) return true;',
        replace: '',
      },
    ],
    harm: 'safety',
    arena: hangingPromotion,
  },
  {
    name: 'fence-forgotten-by-the-agent',
    what: 'The agent does not stop PostgreSQL when its lease runs out.',
    edits: [
      {
        file: 'src/core/rules/safety.ts',
        find: 'when: (f) => f.mayWrite && !guardIsOff(f) && !isStopping(f) && leaseRanOut(f),',
        replace: 'when: (f) => f.now < 0 && !guardIsOff(f) && !isStopping(f) && leaseRanOut(f),',
      },
    ],
    harm: 'safety',
    redundant: 'the guard has the same deadline; the rule stops PostgreSQL with a reason that people can read',
    arena: cutOff,
  },
  {
    name: 'deposed-holder-stays',
    what: 'A writable instance is not stopped when another member holds the key: an old primary stays beside the new one.',
    edits: [
      {
        file: 'src/core/rules/safety.ts',
        find: '(!f.paused || wroteInAnEarlierTerm(f)),',
        replace: '!f.paused && f.now < 0 && wroteInAnEarlierTerm(f),',
      },
    ],
    harm: 'safety',
    arena: { settings: { synchronousMode: 'quorum' }, members: 3, faults: ['cut-all', 'cut-all', 'host-freeze'] },
    redundant:
      'its lease cannot be renewed for a key that hangs on another one, so the guard ends the instance at the deadline; the rule does it at once, and shortens the time in which old data is read',
  },
  {
    name: 'holder-after-a-release',
    what: 'Whoever sent a release and got no answer goes on as the holder: the release lands later, and somebody else takes the key.',
    edits: [
      {
        file: act,
        find: 'leaderLease: undefined,\n      abandonedLeases: abandon(acted.state, leaseId),\n      abstainTerm',
        replace: 'abstainTerm',
      },
    ],
    harm: 'safety',
    arena: unansweredRelease,
  },
  {
    name: 'unanswered-taking-keeps-its-lease',
    what: 'A taking that was not answered is not given up with its lease: it may land later, for somebody who has gone on.',
    edits: [
      {
        file: 'src/core/observe.ts',
        find: ': { abandonedLeases: abandon(state, pending.leaseId), leasesToEnd: [...state.leasesToEnd, pending.leaseId] }),',
        replace: ': {}),',
      },
    ],
    harm: 'safety',
    arena: { faults: ['dcs-land-late', 'dcs-land-late', 'dcs-lose-replies', 'host-off', 'switchover'] },
    redundant:
      'a taking compares the rule, the leader key, the configuration and the revocations that it counted: where it lands late nobody has led since it was sent, and what its sender claimed then still holds; its sender promises nothing to anybody meanwhile, counts the lease from its grant, and nobody renews a lease that carries no key, so it is gone after one TTL. Ending it is kept so that the key does not fall to a member that has gone on',
  },
  {
    name: 'released-while-it-runs',
    what: 'The key is released as soon as the shutdown was asked for, while processes of the instance are left.',
    edits: [
      {
        file: 'src/core/observe-jobs.ts',
        find: "switchover: state.switchover && { ...state.switchover, phase: 'stop' },",
        replace: "switchover: state.switchover && { ...state.switchover, phase: 'release' },",
      },
      {
        file: 'src/core/rules/operator.ts',
        find: "f.state.switchover?.phase === 'release' && stoppedCleanly(f),",
        replace: "f.state.switchover?.phase === 'release',",
      },
    ],
    harm: 'safety',
    arena: { ...async, faults: ['switchover', 'switchover', 'switchover'] },
  },
  {
    name: 'pause-ignored',
    what: 'A paused cluster is acted on: its primary is stopped when the DCS is away.',
    edits: [{ file: 'src/core/facts.ts', find: 'paused: settings.pause,', replace: 'paused: false,' }],
    harm: 'safety',
    arena: { ...noFailsafe, faults: ['pause', 'pause', 'cut-dcs', 'dcs-outage'] },
  },
  {
    name: 'disarmed-before-it-is-answered',
    what: 'The guard is switched off for a pause before the record says so: the pause is over elsewhere, and another takes the key.',
    edits: [
      {
        file: act,
        find: 'state: says?.value.disarmed === false ? rearmed(sent) : sent,',
        replace:
          'state: says?.value.disarmed === false ? rearmed(sent) : says?.value.disarmed === true ? { ...sent, durable: { ...sent.durable, disarmed: true } } : sent,',
      },
    ],
    harm: 'safety',
    arena: unheardPause,
  },
  {
    name: 'unguarded-primary-replaced',
    what: 'A key whose last holder runs without a guard is taken automatically.',
    edits: [
      {
        file: 'src/core/rules/vacancy.ts',
        find: 'if (f.rule?.disarmed === true)\n',
        replace: 'if (f.rule?.disarmed === true && f.now < 0)\n',
      },
    ],
    harm: 'safety',
    arena: { ...noFailsafe, faults: ['pause', 'pause', 'cut-dcs', 'cut-all'] },
    fromSeed: 37,
  },
  {
    name: 'restored-dcs-believed',
    what: 'A DCS that went back in time, or another one, is believed, whatever this member and the others have seen: a member takes a key that somebody holds by what was forgotten.',
    edits: [
      {
        file: 'src/core/facts.ts',
        find: 'doubt: view === undefined ? undefined : doubtOf(state, view),',
        replace: 'doubt: view === undefined || now > 0 ? undefined : doubtOf(state, view),',
      },
      {
        file: 'src/core/facts.ts',
        find: 'hearsay: view === undefined ? undefined : hearsayOf(state, view),',
        replace: 'hearsay: view === undefined || now > 0 ? undefined : hearsayOf(state, view),',
      },
    ],
    harm: 'safety',
    arena: forgottenSwitchover,
  },
  {
    name: 'older-view-accepted',
    what: 'A view that was on its way while something newer was learnt takes its place.',
    edits: [
      { file: 'src/core/observe.ts', find: 'if (older && askedAt < state.viewKnownAt) return connected;', replace: '' },
    ],
    harm: 'safety',
    arena: { faults: ['dcs-late-reads', 'dcs-late-reads', 'watch-late', 'host-off', 'dcs-lose-replies'] },
    fromSeed: 35,
  },
  {
    name: 'crash-handed-over-and-retaken',
    what: 'Whoever gives the key up after a crash takes it again at once, and starts in place what it handed over.',
    edits: [
      {
        file: 'src/core/rules/vacancy.ts',
        find: 'return f.keyAbsentMs < patienceMs;',
        replace: 'return f.keyAbsentMs < patienceMs && f.now < 0;',
      },
    ],
    harm: 'liveness',
    arena: slowToRecover,
  },
  {
    name: 'crash-offered-for-ever',
    what: 'A crash that nobody took over is offered again after every retaking, and PostgreSQL is never started.',
    edits: [
      {
        file: 'src/core/rules/holder.ts',
        find: 'if (f.state.downSince === f.state.offeredDownSince) return false;',
        replace: '',
      },
    ],
    harm: 'liveness',
    arena: stuckReceivers,
  },
];
