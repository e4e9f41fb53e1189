/**
 * The gate of a new primary: it counts as serving only when a commit of its own has waited for its sync standbys and
 * returned. Before that nobody is sent to it, so nothing is acknowledged that a quorum does not have.
 */
import type { Facts } from './facts.ts';

/** Names the term and the life of the instance that the gate is for; undefined when there is none to pass. */
export function gateMark(f: Facts): string | undefined {
  const { rule, running } = f;
  if (!f.iHold || rule?.mode !== 'sync' || running === undefined || running.inRecovery) return undefined;
  return f.running?.synchronousStandbyNames === '' ? undefined : `${rule.term} ${running.startTime}`;
}

/** Whether clients may be sent here. */
export function isGateOpen(f: Facts): boolean {
  const mark = gateMark(f);
  if (mark === undefined) return true;
  return f.state.gate?.mark === mark && f.state.gate.passed;
}
