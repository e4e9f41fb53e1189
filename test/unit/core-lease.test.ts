/** The arithmetic of leases: what the holder believes ends before what the DCS keeps, however late its answers are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Arbitrary, array, boolean, assert as check, integer, property, record } from 'fast-check';
import {
  deadlineOf,
  type Lease,
  marginMs,
  renewalDueAt,
  renewalEveryMs,
  renewed,
  retryLeaseAfterMs,
} from '../../src/core/lease.ts';
import { createModel, grantLease, nextEnd, renewLease } from '../../src/dcs/memory/model.ts';

const ttl = integer({ min: 1000, max: 120_000 });
const instant = integer({ min: 0, max: 2 ** 40 });
const lease: Arbitrary<Lease> = record({ validFrom: instant, ttlMs: ttl }).map((some) => ({
  purpose: 'leader',
  leaseId: '1',
  askedTtlMs: some.ttlMs,
  ...some,
}));

test('the deadline leaves time to fence before the TTL is over', () => {
  check(
    property(lease, (one) => {
      assert.ok(deadlineOf(one) < one.validFrom + one.ttlMs);
      assert.ok(deadlineOf(one) > one.validFrom);
      assert.ok(marginMs(one.ttlMs) > 0);
      assert.ok(Math.abs(deadlineOf(one) + marginMs(one.ttlMs) - (one.validFrom + one.ttlMs)) < 0.001);
    }),
  );
});

test('three renewals may fail before the deadline, and a failed one is soon tried again', () => {
  check(
    property(lease, (one) => {
      assert.ok(renewalDueAt(one) + 2 * renewalEveryMs(one.ttlMs) < deadlineOf(one));
      assert.ok(retryLeaseAfterMs(one.ttlMs) >= 100);
      assert.ok(retryLeaseAfterMs(one.ttlMs) <= Math.max(100, renewalEveryMs(one.ttlMs)));
    }),
  );
});

test('answers may overtake each other: no renewal moves a deadline back, and the order does not matter', () => {
  check(
    property(lease, array(record({ sentAt: instant, ttlMs: ttl })), (one, renewals) => {
      let after = one;
      for (const { sentAt, ttlMs } of renewals) {
        const next = renewed(after, sentAt, ttlMs);
        assert.ok(deadlineOf(next) >= deadlineOf(after));
        assert.ok(deadlineOf(next) >= deadlineOf({ ...one, validFrom: sentAt, ttlMs }));
        after = next;
      }
      const otherwise = renewals.toReversed().reduce((known, { sentAt, ttlMs }) => renewed(known, sentAt, ttlMs), one);
      assert.equal(deadlineOf(otherwise), deadlineOf(after));
    }),
  );
});

test('the holder’s count ends before the DCS’s, whatever is late or lost', () => {
  const request = record({
    pauseMs: integer({ min: 0, max: 4000 }),
    /** From the sending to the DCS, and back. */
    thereMs: integer({ min: 0, max: 15_000 }),
    backMs: integer({ min: 0, max: 15_000 }),
    arrives: boolean(),
    isAnswered: boolean(),
  });
  check(
    property(
      integer({ min: 1000, max: 20_000 }),
      request,
      array(request, { maxLength: 30 }),
      (ttlMs, grant, requests) => {
        const store = createModel<string>('store');
        let clock = 1_000_000;
        const granted = clock;
        const leaseId = grantLease(store, ttlMs, clock + grant.thereMs);
        clock += grant.thereMs + grant.backMs;
        const sent = requests.map(({ pauseMs, ...rest }) => {
          clock += pauseMs;
          return { ...rest, sentAt: clock };
        });
        const answers: { readonly sentAt: number; readonly answeredAt: number }[] = [];
        const ends: { readonly at: number; readonly end: number }[] = [
          { at: granted + grant.thereMs, end: nextEnd(store) ?? 0 },
        ];
        for (const one of sent.toSorted((a, b) => a.sentAt + a.thereMs - (b.sentAt + b.thereMs))) {
          const arrivesAt = one.sentAt + one.thereMs;
          if (!one.arrives || renewLease(store, leaseId, arrivesAt) === undefined) continue;
          ends.push({ at: arrivesAt, end: nextEnd(store) ?? 0 });
          if (one.isAnswered) answers.push({ sentAt: one.sentAt, answeredAt: arrivesAt + one.backMs });
        }
        let held: Lease = { purpose: 'leader', leaseId, ttlMs, askedTtlMs: ttlMs, validFrom: granted };
        const isBefore = (now: number): void => {
          // What the DCS has at this moment; later renewals only prolong it.
          const end = Math.max(...ends.filter(({ at }) => at <= now).map((one) => one.end));
          assert.ok(deadlineOf(held) + marginMs(ttlMs) <= end + 0.001, `${deadlineOf(held)} is not before ${end}`);
        };
        isBefore(granted + grant.thereMs + grant.backMs);
        for (const { sentAt, answeredAt } of answers.toSorted((a, b) => a.answeredAt - b.answeredAt)) {
          held = renewed(held, sentAt, ttlMs);
          isBefore(answeredAt);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
