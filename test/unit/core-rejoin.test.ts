/**
 * The way back to a primary, against histories that are made up together with their truth: which term wrote what, and
 * where the next writer left it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Arbitrary,
  array,
  boolean,
  assert as check,
  constantFrom,
  integer,
  nat,
  property,
  record,
} from 'fast-check';
import { type Lsn, lsn } from '../../src/core/lsn.ts';
import type {
  ControlData,
  DataDirectory,
  Durable,
  PostgresStatus,
  RunningInstance,
  Settings,
  TermEntry,
} from '../../src/core/model.ts';
import { type RejoinInput, rejoinPath, rewindsMax } from '../../src/core/rejoin.ts';
import { emptyDurable } from '../../src/core/state.ts';
import { defaultSettings } from '../core/world/settings.ts';

/** A history, one of its terms, and how far that term's WAL is in the history: up to where another writer began. */
interface Truth {
  readonly terms: readonly TermEntry[];
  readonly origin: TermEntry;
  /** The first term after `origin` of another writer; undefined when its WAL is all in the history. */
  readonly fork: TermEntry | undefined;
}

const truth: Arbitrary<Truth> = record({
  /** Each term: who writes it, how much the one before wrote, whether it is the next term or a later one. */
  writers: array(record({ isRetake: boolean(), wroteBytes: integer({ min: 1, max: 9 }), skipped: nat(2) }), {
    minLength: 1,
    maxLength: 6,
  }),
  pick: nat(5),
}).map(({ writers, pick }) => {
  const terms: TermEntry[] = [];
  for (const [index, { isRetake, wroteBytes, skipped }] of writers.entries()) {
    const before = terms.at(-1);
    const goesOn = isRetake && before !== undefined;
    terms.push({
      term: (before?.term ?? 0) + 1 + skipped,
      timeline: goesOn ? before.timeline : (before?.timeline ?? 0) + 1,
      switchLsn: lsn((before?.switchLsn ?? 0n) + BigInt(wroteBytes * 1000)),
      member: goesOn ? before.member : `pg${index}`,
      reason: '',
      at: '',
      ...(before === undefined ? {} : { parent: before.term }),
    });
  }
  const origin = terms[pick % terms.length];
  assert.ok(origin);
  return { terms, origin, fork: terms.find(({ timeline }) => timeline > origin.timeline) };
});

const settings: Arbitrary<Settings> = record({
  usePgRewind: boolean(),
  cloneWhenDiverged: boolean(),
  cloneWhenRewindFails: boolean(),
}).map((some) => ({ ...defaultSettings, ...some }));

const control: Arbitrary<Pick<ControlData, 'walLogHints' | 'dataChecksums'>> = record({
  walLogHints: boolean(),
  dataChecksums: boolean(),
});
const rewindFailures = integer({ min: 0, max: rewindsMax + 2 });

/** How the end of the WAL is known. */
type Known = 'runs' | 'shut down' | 'crashed, and remembered';
const known = constantFrom<Known>('runs', 'shut down', 'crashed, and remembered');

interface Case {
  readonly truth: Truth;
  readonly known: Known;
  readonly settings: Settings;
  readonly control: Pick<ControlData, 'walLogHints' | 'dataChecksums'>;
  readonly rewindFailures: number;
}
const anyCase: Arbitrary<Case> = record({ truth, known, settings, control, rewindFailures });

/** A member whose newest WAL is of `origin` and ends at `end` (where a shutdown is all that is known: just behind it). */
function memberAt(
  { truth: { origin }, known: how, settings: agreed, control: flags, ...rest }: Case,
  end: Lsn,
): RejoinInput {
  const directory: DataDirectory = {
    kind: 'present',
    mark: 'mark',
    standbySignal: false,
    control: {
      systemId: '1',
      state: how === 'shut down' ? 'shut down' : 'in production',
      timeline: origin.timeline,
      checkpointLsn: how === 'shut down' ? lsn(end - 1n) : lsn(0),
      ...flags,
    },
  };
  const durable: Durable = {
    ...emptyDurable('me'),
    originTerm: origin.term,
    ...(how === 'crashed, and remembered' && { lastLsn: end }),
  };
  return {
    durable,
    postgres: { directory, instance: instanceAt(how, origin, end) },
    settings: agreed,
    ...rest,
    terms: [],
  };
}

function instanceAt(how: Known, origin: TermEntry, end: Lsn): PostgresStatus['instance'] {
  if (how !== 'runs') return { kind: 'stopped' };
  const running: RunningInstance = {
    kind: 'running',
    inRecovery: true,
    timeline: origin.timeline,
    serverVersion: 150_018,
    startTime: 'start',
    writtenLsn: undefined,
    flushedLsn: undefined,
    awaitsWal: false,
    isCrowded: false,
    receivedLsn: end,
    replayedLsn: end,
    replayedAt: undefined,
    replayPaused: false,
    localWalUsedUp: true,
    sourceAgeMs: undefined,
    synchronousStandbyNames: '',
    replicationState: undefined,
    upstream: undefined,
    walSenders: [],
    slots: [],
    pendingRestart: [],
    history: [],
  };
  return running;
}

test('WAL beyond the fork is never followed over', () => {
  check(
    property(anyCase, integer({ min: 1, max: 5000 }), (one, beyondBytes) => {
      const { terms, fork } = one.truth;
      if (fork === undefined) return;
      const input = { ...memberAt(one, lsn(fork.switchLsn + BigInt(beyondBytes))), terms };
      assert.notEqual(rejoinPath(input).kind, 'follow');
    }),
    { numRuns: 3000 },
  );
});

test('WAL that is all in the history is followed, whatever the settings', () => {
  check(
    property(anyCase, integer({ min: 0, max: 5000 }), (one, missingBytes) => {
      const { terms, origin, fork } = one.truth;
      const end = (fork?.switchLsn ?? lsn(origin.switchLsn + 9000n)) - BigInt(missingBytes);
      if (end <= origin.switchLsn) return;
      assert.deepEqual(rejoinPath({ ...memberAt(one, lsn(end)), terms }), { kind: 'follow' });
    }),
    { numRuns: 3000 },
  );
});

test('what cannot be trusted, or is not there, is cloned', () => {
  const missing = constantFrom<DataDirectory>({ kind: 'empty' }, { kind: 'unusable', error: 'no PG_VERSION' });
  check(
    property(anyCase, missing, boolean(), (one, directory, isMissing) => {
      const { terms, origin } = one.truth;
      const input = { ...memberAt(one, lsn(origin.switchLsn + 500n)), terms };
      const changed: RejoinInput = isMissing
        ? { ...input, postgres: { ...input.postgres, directory } }
        : { ...input, durable: { ...input.durable, rewinding: true } };
      assert.equal(rejoinPath(changed).kind, 'clone');
    }),
  );
});

test('a diverged member goes the cheapest way that is possible and allowed', () => {
  check(
    property(anyCase, integer({ min: 1, max: 5000 }), (one, beyondBytes) => {
      const { terms, fork } = one.truth;
      if (fork === undefined) return;
      const { usePgRewind, cloneWhenDiverged, cloneWhenRewindFails } = one.settings;
      const path = rejoinPath({ ...memberAt(one, lsn(fork.switchLsn + BigInt(beyondBytes))), terms });
      const canRewind = usePgRewind && (one.control.walLogHints || one.control.dataChecksums);
      const mayClone = canRewind ? cloneWhenRewindFails : cloneWhenDiverged;
      const isSpent = one.rewindFailures >= rewindsMax;
      if (canRewind && !isSpent) assert.equal(path.kind, 'rewind');
      else assert.equal(path.kind, mayClone ? 'clone' : 'stuck');
      assert.ok('because' in path && path.because.length > 0);
      // What an operator reads names the way out.
      if (path.kind === 'stuck') assert.match(path.because, /remove_data_directory_on_\w+\): run "pgherd reinit"$/);
    }),
    { numRuns: 3000 },
  );
});

test('two histories with the same timeline number: pg_rewind could not tell them apart, so it is not asked', () => {
  check(
    property(anyCase, (one) => {
      const { origin } = one.truth;
      const other: TermEntry = {
        ...origin,
        term: origin.term + 1,
        member: 'another',
        switchLsn: lsn(origin.switchLsn + 100n),
      };
      const path = rejoinPath({ ...memberAt(one, lsn(other.switchLsn + 1n)), terms: [origin, other] });
      assert.equal(path.kind, one.settings.cloneWhenDiverged ? 'clone' : 'stuck');
    }),
  );
});

test('the same of a term that never came on record: the control file of a stopped standby still names the timeline before', () => {
  check(
    property(anyCase, constantFrom('shut down in recovery', 'in archive recovery'), (one, state) => {
      const { origin } = one.truth;
      // Two promotions went out from `origin`: mine, and one on record by a member that did not know what its WAL was.
      const mine = origin.term + 1;
      const other: TermEntry = {
        term: origin.term + 2,
        timeline: origin.timeline + 1,
        member: 'another',
        switchLsn: lsn(origin.switchLsn + 100n),
        reason: '',
        at: '',
      };
      const input = memberAt({ ...one, known: 'crashed, and remembered' }, lsn(other.switchLsn + 40n));
      assert.ok(input.postgres.directory.kind === 'present');
      const { directory } = input.postgres;
      const path = rejoinPath({
        ...input,
        terms: [origin, other],
        durable: {
          ...input.durable,
          originTerm: mine,
          branch: { term: mine, parent: origin.term, promoted: true },
        },
        postgres: {
          instance: { kind: 'stopped' },
          directory: { ...directory, standbySignal: true, control: { ...directory.control, state } },
        },
      });
      assert.equal(path.kind, one.settings.cloneWhenDiverged ? 'clone' : 'stuck');
    }),
  );
});

test('nor where a timeline in between has the number of another one, whether its term is on record or not', () => {
  check(
    property(anyCase, boolean(), (one, isRecorded) => {
      const { origin } = one.truth;
      const after = (term: number, parent: number, timeline: number, switchBytes: number): TermEntry => ({
        ...origin,
        term,
        parent,
        timeline,
        member: `pg${term}`,
        switchLsn: lsn(origin.switchLsn + BigInt(switchBytes)),
      });
      const { term, timeline } = origin;
      const between = after(term + 1, term, timeline + 1, 100);
      const mine = after(term + 2, isRecorded ? between.term : term, timeline + 2, isRecorded ? 200 : 100);
      const other = after(term + 3, term, timeline + 1, 100);
      const at = { ...one, truth: { ...one.truth, origin: mine } };
      const path = rejoinPath({
        ...memberAt(at, lsn(mine.switchLsn + 50n)),
        terms: [origin, ...(isRecorded ? [between] : []), mine, other],
      });
      assert.equal(path.kind, one.settings.cloneWhenDiverged ? 'clone' : 'stuck');
    }),
  );
});

test('a member that does not know where its WAL ends, or of which term it is, looks before it is changed', () => {
  check(
    property(anyCase, constantFrom('starting', 'silent', 'dying'), (one, kind) => {
      const { terms, origin } = one.truth;
      const input = { ...memberAt(one, lsn(origin.switchLsn + 500n)), terms };
      const instance = { kind, why: 'unanswered', because: 'recovery' } as const;
      assert.equal(rejoinPath({ ...input, postgres: { ...input.postgres, instance } }).kind, 'follow');
      assert.equal(rejoinPath({ ...input, terms: [] }).kind, 'follow');
    }),
  );
});
