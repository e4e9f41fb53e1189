/** The goals of synchronous mode as effects: taking a revocation back, tightening, catching up. */
import { type Acted, beginJob, mayBegin, send } from './act.ts';
import type { Facts } from './facts.ts';
import { lsnZero } from './lsn.ts';
import type { Endpoint, Position } from './model.ts';
import { namesUnder } from './quorum.ts';
import { type SyncSet, wantedNames } from './sync-standbys.ts';
import { takeBack } from './transactions.ts';

const catchUpMs = 10_000;

/** WAL may be streamed again when it is answered, and not before: `observe.ts` sees to that. */
export function takeRevocationBack(facts: Facts): Acted {
  const { state, view, self, position } = facts;
  if (view === undefined) return { state, effects: [] };
  const known = view.revocations.get(self)?.value;
  const at = position ?? known ?? { originTerm: state.durable.originTerm ?? 0, lsn: state.durable.lastLsn ?? lsnZero };
  return send(facts, takeBack(view, self, { originTerm: at.originTerm, lsn: at.lsn }));
}

/** PostgreSQL first. Where commits waited for nobody so far, that they wait now has to be proven as well. */
export function tighten(facts: Facts, to: SyncSet): Acted {
  const { state, rule, now, settings, running } = facts;
  if (rule === undefined || running === undefined) return { state, effects: [] };
  const tightening = { to, ruleNumber: rule.number, beganAt: now, inForce: false };
  const names = namesUnder(to, facts.self, true, settings);
  // By the record: that PostgreSQL shows some names proves nothing where an earlier attempt got only half-way.
  const prove = rule.mode === 'async' || rule.syncCount === 0 ? 'from-none' : 'in-force';
  const job = { kind: 'configure', upstream: undefined, settings, synchronousStandbyNames: names, prove } as const;
  return mayBegin(state, job) ? beginJob({ ...facts, state: { ...state, tightening } }, job) : { state, effects: [] };
}

/** A member that has more is streamed from, until all of it is here or it took too long. */
export function catchUp(facts: Facts, upstream: Endpoint, target: Position): Acted {
  const { state, now, settings } = facts;
  if (state.job !== undefined) return { state, effects: [] };
  const until = now + Math.max(catchUpMs, settings.catchupTimeoutMs);
  return beginJob(
    { ...facts, state: { ...state, catchingUp: { target, until } } },
    { kind: 'configure', upstream, settings, synchronousStandbyNames: wantedNames(facts), prove: 'nothing' },
  );
}
