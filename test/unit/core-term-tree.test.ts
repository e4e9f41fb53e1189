/** Where WAL leaves the cluster's history, against trees of terms that are made up together with who wrote which byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Arbitrary, array, boolean, assert as check, integer, nat, property, record } from 'fast-check';
import { lsn } from '../../src/core/lsn.ts';
import type { TermEntry } from '../../src/core/model.ts';
import { forkOf, hasTwin, isOnLine, lineOf, newestOf } from '../../src/core/term-tree.ts';

interface Tree {
  readonly terms: readonly TermEntry[];
  /** Who wrote each unit of WAL that a member of this term has, from 0 on. */
  readonly wal: ReadonlyMap<number, readonly string[]>;
}

const step = record({ from: nat(9), wrote: integer({ min: 1, max: 5 }), keeps: nat(6), continues: boolean() });

const tree: Arbitrary<Tree> = array(step, { minLength: 1, maxLength: 7 }).map((steps) => {
  const terms: TermEntry[] = [];
  const wal = new Map<number, readonly string[]>();
  for (const [index, { from, wrote, keeps, continues }] of steps.entries()) {
    const term = index + 1;
    const parent = terms[terms.length - 1 - (from % Math.max(1, terms.length))];
    if (parent === undefined) {
      terms.push({ term, timeline: 1, switchLsn: lsn(0), member: 'pg0', reason: '', at: '' });
      wal.set(
        term,
        Array.from({ length: wrote }, () => 'pg0/1'),
      );
      continue;
    }
    const before = wal.get(parent.term) ?? [];
    // Nobody else has written since a holder that goes on: it is the newest, and all of its WAL is there.
    const goesOn = continues && parent === terms.at(-1);
    // A successor may lack the last of what its parent wrote, never what came before the parent's term.
    const fork = goesOn ? before.length : Math.max(Number(parent.switchLsn), before.length - keeps);
    const timeline = goesOn ? parent.timeline : term;
    const member = goesOn ? parent.member : `pg${index}`;
    terms.push({ term, timeline, switchLsn: lsn(fork), parent: parent.term, member, reason: '', at: '' });
    wal.set(term, [...before.slice(0, fork), ...Array.from({ length: wrote }, () => `${member}/${timeline}`)]);
  }
  return { terms, wal };
});

function agreement(a: readonly string[], b: readonly string[]): number {
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same += 1;
  return same;
}

test('up to the fork all WAL is the same, and beyond it none is', () => {
  check(
    property(tree, nat(9), ({ terms, wal }, pick) => {
      const origin = terms[pick % terms.length];
      const newest = newestOf(terms);
      assert.ok(origin && newest);
      const own = wal.get(origin.term) ?? [];
      const history = wal.get(newest.term) ?? [];
      const fork = forkOf(terms, origin.term);
      const same = agreement(own, history);
      if (fork === undefined) assert.equal(same, own.length, 'nothing is beside the history');
      else {
        assert.ok(fork.at !== undefined, 'every term is on record, so the fork is known');
        assert.ok(same >= Math.min(Number(fork.at), own.length), 'below the fork all is the same');
        assert.ok(same <= Number(fork.at), 'beyond the fork nothing is the history');
      }
    }),
    { numRuns: 5000 },
  );
});

test('the newest term has no fork, and what is not on record is not trusted', () => {
  check(
    property(tree, ({ terms }) => {
      const newest = newestOf(terms);
      assert.ok(newest);
      assert.equal(forkOf(terms, newest.term), undefined);
      const gap = terms.filter((entry) => entry.term !== newest.term - 1);
      if (newest.term < 3 || newest.parent === newest.term - 1) return;
      assert.equal(forkOf(gap, newest.term - 1)?.at, undefined);
    }),
  );
});

test('a line goes from a term to the first one, and terms on it have no twin there', () => {
  check(
    property(tree, ({ terms }) => {
      const line = lineOf(terms, newestOf(terms));
      assert.equal(line.at(-1)?.term, 1);
      for (const entry of line) {
        assert.ok(isOnLine(line, entry.term));
        assert.ok(!hasTwin(terms, entry.term, entry.timeline));
      }
    }),
  );
});
