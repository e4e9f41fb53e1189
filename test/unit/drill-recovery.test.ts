/** When a cluster is as it was, and what of its course is kept. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { MemberAnswer } from '../../src/api/answers.ts';
import { isAsBefore, isVictimBack, primaryOf, type SeenCluster } from '../../src/drill/recovery.ts';
import { changesOf } from '../../src/drill/watch.ts';

/** `a leader running`, one line a member. */
function seen(...lines: readonly string[]): SeenCluster {
  const members = lines.map((line) => {
    const [name = '', role = '', state = ''] = line.split(' ');
    return { name, role, state };
  });
  return { members };
}

const before = seen(
  'a leader running',
  'b quorum_standby streaming',
  'c quorum_standby streaming',
  'w witness running',
);

describe('the cluster is as it was', () => {
  for (const [what, lines, expected] of [
    ['nothing changed', before.members.map(({ name, role, state }) => `${name} ${role} ${state}`), true],
    [
      'another one is primary',
      ['a quorum_standby streaming', 'b leader running', 'c quorum_standby streaming', 'w witness running'],
      true,
    ],
    [
      'a member more is no harm',
      [
        'a quorum_standby streaming',
        'b leader running',
        'c quorum_standby streaming',
        'w witness running',
        'd replica stopped',
      ],
      true,
    ],
    [
      'the old primary is no sync standby yet',
      ['a replica streaming', 'b leader running', 'c quorum_standby streaming', 'w witness running'],
      false,
    ],
    [
      'the old primary does not stream',
      ['a replica starting', 'b leader running', 'c quorum_standby streaming', 'w witness running'],
      false,
    ],
    ['the old primary is away', ['b leader running', 'c quorum_standby streaming', 'w witness running'], false],
    [
      'nobody is primary',
      ['a replica streaming', 'b quorum_standby streaming', 'c quorum_standby streaming', 'w witness running'],
      false,
    ],
    [
      'the primary does not run',
      ['a leader crashed', 'b quorum_standby streaming', 'c quorum_standby streaming', 'w witness running'],
      false,
    ],
    [
      'the witness is away',
      ['a leader running', 'b quorum_standby streaming', 'c quorum_standby streaming', 'w witness unreachable'],
      false,
    ],
  ] as const) {
    test(`${what}: ${expected}`, () => assert.equal(isAsBefore(before, seen(...lines)), expected));
  }

  test('who was not well before is not waited for', () => {
    const lame = seen('a leader running', 'b quorum_standby streaming', 'c replica stopped');
    assert.equal(isAsBefore(lame, seen('a quorum_standby streaming', 'b leader running')), true);
  });

  test('the primary is the leader that runs', () => {
    assert.equal(primaryOf(before)?.name, 'a');
    assert.equal(primaryOf(seen('a leader starting')), undefined);
  });
});

describe('the victim does its part again', () => {
  const answer = (start: string, state: string = 'running'): MemberAnswer => ({
    state,
    role: 'replica',
    patroni: { version: '1', scope: 's', name: 'a' },
    postmaster_start_time: start,
  });
  const [streaming] = seen('a quorum_standby streaming').members;
  const [starting] = seen('a replica starting').members;
  const old = answer('noon');
  for (const [what, now, member, restarted, expected] of [
    ['another postmaster runs', answer('later'), streaming, true, true],
    ['what its agent tells may be of before', old, streaming, true, false],
    ['where its postmaster was not to end, the same one will do', old, streaming, false, true],
    ['its agent does not answer', undefined, streaming, false, false],
    ['its PostgreSQL does not run', answer('later', 'starting'), streaming, true, false],
    ['it does not stream', answer('later'), starting, true, false],
    ['nobody lists it', answer('later'), undefined, true, false],
  ] as const) {
    test(`${what}: ${expected}`, () => assert.equal(isVictimBack(old, now, member, restarted), expected));
  }
});

test('of what is looked at all the time, changes are kept; who is listed no more is away', () => {
  const first = changesOf([], seen('a leader running', 'b replica streaming').members, 1);
  assert.equal(first.length, 2);
  assert.deepEqual(changesOf(first, seen('a leader running', 'b replica streaming').members, 2), []);
  const gone = changesOf(first, seen('b leader running').members, 3);
  assert.deepEqual(gone, [
    { atMs: 3, member: 'b', role: 'leader', state: 'running' },
    { atMs: 3, member: 'a', role: 'replica', state: 'unreachable' },
  ]);
  assert.deepEqual(changesOf([...first, ...gone], seen('b leader running').members, 4), []);
});
