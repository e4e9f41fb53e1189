/** What a member says of itself and of its cluster: the one source of the REST API and of `list`. */
import { factsOf, holdsKey } from './facts.ts';
import { isGateOpen } from './gate.ts';
import type { ClusterView, Instant, MemberRecord, PostgresStatus, Self } from './model.ts';
import { memberRecord } from './publish.ts';
import type { State } from './state.ts';

/** A member's account of itself, as of one moment. */
export interface Report {
  readonly self: Self;
  /** What this member publishes under `members/<name>`. */
  readonly record: MemberRecord;
  /** The last view of the DCS; it may be old (see `dcs`). */
  readonly view: ClusterView | undefined;
  readonly dcs:
    | { readonly kind: 'never'; readonly error?: string }
    | { readonly kind: 'connected' }
    | { readonly kind: 'lost'; readonly error: string };
  readonly status: PostgresStatus | undefined;
  /** The leader key is mine, and by my own count its lease has not run out. */
  readonly holdsKey: boolean;
  /** `holdsKey`, the instance is writable and its gate open: what a load balancer may send writes to. */
  readonly servesWrites: boolean;
  readonly paused: boolean;
  /** Nobody holds the leader key, as far as this member knows. */
  readonly unlocked: boolean;
  /** The rule of the table that holds now, and the facts. */
  readonly rule: string;
  readonly because: string;
}

/** The report of a member in `state`, as of `now`. */
export function reportOf(state: State, now: Instant): Report {
  const facts = factsOf(state, now);
  const holds = holdsKey(state, now);
  return {
    self: state.self,
    record: memberRecord(facts),
    view: state.view,
    dcs: state.dcs,
    status: state.postgres,
    holdsKey: holds,
    servesWrites: holds && facts.instance === 'primary' && facts.foreignSystemId === undefined && isGateOpen(facts),
    paused: facts.paused,
    unlocked: facts.holder === undefined,
    rule: state.lastRule.name,
    because: state.lastRule.because,
  };
}
