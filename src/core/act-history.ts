/** The history of the terms, as the holder writes it. */
import { type Acted, send } from './act.ts';
import type { Facts } from './facts.ts';
import { formatLsn, type Lsn, lagBytes, lsnZero } from './lsn.ts';
import type { TermEntry } from './model.ts';
import { commonLsn } from './position.ts';
import { entryOf } from './term-tree.ts';
import { recordTerm } from './transactions.ts';

/** The present term's row, as it shows on the running primary; before it one of mine that the DCS has lost. */
export function recordCurrentTerm(facts: Facts, at: string): Acted {
  const { view, rule, running } = facts;
  if (view === undefined || rule === undefined || running?.writtenLsn === undefined)
    return { state: facts.state, effects: [] };
  const { branch, originTerm } = facts.state.durable;
  const own =
    branch?.term === rule.term ? branch : { promoted: false, parent: before(rule.term, originTerm, branch?.term) };
  const from = entryOf(facts.terms, own.parent);
  // A promotion began a timeline: it left its parent's where its own history says. A holder that goes on with its
  // timeline (or with the directory that it brought) begins the term here: everything before is its own.
  const left = running.history.findLast((one) => one.timeline === from?.timeline) ?? running.history.at(-1);
  const switchLsn =
    own.promoted || (from !== undefined && from.timeline !== running.timeline)
      ? (left?.switchLsn ?? lsnZero)
      : running.writtenLsn;
  const entry: TermEntry = {
    term: rule.term,
    timeline: running.timeline,
    switchLsn,
    member: facts.self,
    reason: reasonOf(facts, switchLsn, own),
    ...(own.parent === undefined ? {} : { parent: own.parent }),
    at,
  };
  return send(facts, recordTerm(view, [...lostEntry(facts, own.parent, at), entry]));
}

/** The first of these that is an earlier term: a term never goes on from itself. */
function before(term: number, ...candidates: readonly (number | undefined)[]): number | undefined {
  return candidates.find((candidate) => candidate !== undefined && candidate < term);
}

/** What this term goes on from was mine too, and is not on record: a DCS that went back has forgotten it. */
function lostEntry(
  { terms, self, running, state }: Facts,
  parent: number | undefined,
  at: string,
): readonly TermEntry[] {
  const { branch } = state.durable;
  if (running === undefined || branch === undefined || branch.term !== parent || terms.length === 0) return [];
  if (entryOf(terms, parent) !== undefined) return [];
  const { timeline, history } = running;
  const entry = { term: branch.term, timeline, switchLsn: history.at(-1)?.switchLsn ?? lsnZero, member: self, at };
  const reason = 'recorded again: the DCS had lost it';
  return [{ ...entry, reason, ...(branch.parent === undefined ? {} : { parent: branch.parent }) }];
}

function reasonOf(
  facts: Facts,
  switchLsn: Lsn,
  { promoted: switched, parent }: { readonly promoted: boolean; readonly parent?: number | undefined },
): string {
  const before = facts.terms.at(-1);
  if (before === undefined) return facts.state.durable.maxTerm > 1 ? 'cluster founded anew' : 'cluster founded';
  const { takenOn } = facts.state.takenOn === undefined ? facts.state.durable : facts.state;
  const isNoted = takenOn?.term === facts.rule?.term;
  const { ground, from } =
    isNoted && takenOn !== undefined ? takenOn : { ground: 'retake' as const, from: before.member };
  const last = facts.view?.status?.value.lsn;
  const base = parent === undefined ? undefined : { originTerm: parent, lsn: switchLsn };
  const common = (base && commonLsn(facts.terms, base)) ?? switchLsn;
  const lost = last === undefined || !switched ? 0n : lagBytes(last, common);
  const loss =
    lost > 0n ? `; the last primary had written up to ${formatLsn(last ?? lsnZero)}, ${lost} bytes more` : '';
  switch (ground) {
    case 'retake':
      return `${facts.self} took its key again`;
    case 'handover':
      return `handed over by ${from} after a clean shutdown`;
    case 'asynchronous':
      return `failover: ${from} lost the leader key${loss}`;
    case 'revoked':
      return `failover: ${from} was silent or gone, and its sync standbys were cut from it`;
    case 'forced':
      return `failover forced by an operator${loss}`;
  }
}
