/** What a member says of itself and of its cluster: the one source of the REST API and of `list`. */
import type { ClusterView, MemberRecord, PostgresStatus, Self } from './model.ts';

export interface Report {
  readonly self: Self;
  /** What this member publishes under `members/<name>`. */
  readonly record: MemberRecord;
  /** The last view of the DCS; it may be old (see `dcs`). */
  readonly view: ClusterView | undefined;
  readonly dcs:
    | { readonly kind: 'never' }
    | { readonly kind: 'connected' }
    | { readonly kind: 'lost'; readonly error: string };
  readonly status: PostgresStatus | undefined;
  /** The leader key is mine, and by my own count its lease has not run out. */
  readonly holdsKey: boolean;
  /** `holdsKey`, and the instance is writable: what a load balancer may send writes to. */
  readonly servesWrites: boolean;
  readonly paused: boolean;
  /** Nobody holds the leader key, as far as this member knows. */
  readonly unlocked: boolean;
  /** The rule of the table that holds now, and the facts. */
  readonly rule: string;
  readonly because: string;
}
