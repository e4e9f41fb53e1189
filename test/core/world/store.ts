/** The DCS of the small world: the view itself is the store, with leases beside it. */
import { type Compare, type Transaction } from '../../../src/core/effects.ts';
import type { TransactionOutcome } from '../../../src/core/events.ts';
import type { ClusterView, Versioned } from '../../../src/core/model.ts';
import { applyTransaction } from '../../../src/core/view.ts';

interface LeaseRow {
  ttlMs: number;
  renewedAt: number;
}

export class Store {
  view: ClusterView;
  readonly leases = new Map<string, LeaseRow>();
  #nextLease = 1;

  constructor(storeId = 'store-1') {
    this.view = { storeId, revision: 1, members: new Map(), revocations: new Map(), unreadable: [] };
  }

  transact(transaction: Transaction, now: number): TransactionOutcome {
    this.expire(now);
    if (!transaction.compare.every((compare) => this.#holds(compare))) return { kind: 'refused' };
    for (const write of transaction.write) {
      if ('leaseId' in write && !this.leases.has(write.leaseId)) return { kind: 'refused' };
    }
    const { readAt: _itself, ...view } = applyTransaction(this.view, transaction, this.view.revision + 1);
    this.view = view;
    return { kind: 'applied', revision: this.view.revision };
  }

  grant(ttlMs: number, now: number): string {
    const leaseId = `lease-${this.#nextLease++}`;
    this.leases.set(leaseId, { ttlMs, renewedAt: now });
    return leaseId;
  }

  renew(leaseId: string, now: number): number | undefined {
    this.expire(now);
    const lease = this.leases.get(leaseId);
    if (lease === undefined) return undefined;
    lease.renewedAt = now;
    return lease.ttlMs;
  }

  revoke(leaseId: string): boolean {
    if (!this.leases.delete(leaseId)) return false;
    this.#removeKeysOf(leaseId);
    return true;
  }

  /** Ends what is over at `now`; true when a key went. */
  expire(now: number): boolean {
    const before = this.view.revision;
    for (const [leaseId, lease] of this.leases) {
      if (now >= lease.renewedAt + lease.ttlMs) {
        this.leases.delete(leaseId);
        this.#removeKeysOf(leaseId);
      }
    }
    return this.view.revision !== before;
  }

  nextExpiry(): number {
    return Math.min(...[...this.leases.values()].map((lease) => lease.renewedAt + lease.ttlMs));
  }

  #removeKeysOf(leaseId: string): void {
    const members = new Map([...this.view.members].filter(([, row]) => row.leaseId !== leaseId));
    const { leader, ...rest } = this.view;
    const keep = leader !== undefined && leader.leaseId !== leaseId;
    if (keep && members.size === this.view.members.size) return;
    this.view = { ...rest, ...(keep ? { leader } : {}), members, revision: this.view.revision + 1 };
  }

  #holds(compare: Compare): boolean {
    return (this.#row(compare.key)?.modRevision ?? 0) === compare.modRevision;
  }

  #row(key: string): Versioned<unknown> | undefined {
    if (key.startsWith('revoke/')) return this.view.revocations.get(key.slice(7));
    if (key.startsWith('members/')) return this.view.members.get(key.slice(8));
    const rows: Readonly<Record<string, Versioned<unknown> | undefined>> = {
      initialize: this.view.initialize,
      config: this.view.config,
      rule: this.view.rule,
      leader: this.view.leader,
      terms: this.view.terms,
      failover: this.view.failover,
    };
    return rows[key];
  }
}
