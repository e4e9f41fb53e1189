/** From whose WAL a new term goes on: at the member that takes the key, and at one that follows it early. */
import { type Facts, factsOf } from './facts.ts';
import type { Durable, Endpoint, Instant, Position } from './model.ts';
import { lsnOf } from './position.ts';
import type { State } from './state.ts';
import { entryOf, writerTerm } from './term-tree.ts';

/** A replica goes on from where its WAL ends; what a primary has written since is not for others to count on. */
export function baseOf({ instance, position, state }: Facts): Position | undefined {
  if (instance !== 'replica' || position === undefined) return undefined;
  return { ...position, originTerm: state.durable.originTerm ?? position.originTerm };
}

/**
 * The term of what a stopped instance offers. One that was taken again and never came on record has no row: its WAL is
 * that of the term before.
 */
export function offeredTerm({ state, terms, rule }: Facts): number {
  const { originTerm, branch } = state.durable;
  const isUnrecorded =
    originTerm !== undefined && branch?.term === originTerm && entryOf(terms, originTerm) === undefined;
  return (isUnrecorded && !branch.promoted ? branch.parent : originTerm) ?? rule?.term ?? 0;
}

/**
 * Whose WAL comes in from now on: a timeline that appears then is of that term, also when the term is not on record yet,
 * and also after a crash. A timeline that was here before is not, though its number and its beginning may be the same.
 */
export function joining(facts: Facts, upstream: Endpoint | undefined): Durable {
  // Without a source nothing new comes in, and what came in before is still to be told.
  if (upstream === undefined) return facts.state.durable;
  const { rule, running, holder, postgres } = facts;
  const { joining: _former, ...durable } = facts.state.durable;
  const directory = postgres?.directory;
  const fromTimeline = running?.timeline ?? (directory?.kind === 'present' ? directory.control.timeline : undefined);
  if (rule === undefined || fromTimeline === undefined || upstream.member !== holder) return durable;
  const parent = rule.base?.originTerm ?? durable.originTerm;
  if (parent === undefined || durable.originTerm === rule.term) return durable;
  return { ...durable, joining: { term: rule.term, parent, fromTimeline } };
}

/** What the new term goes on from. An own term that never came on record is passed over. */
export function parentOf(facts: Facts): { parent?: number } {
  const { originTerm, branch } = facts.state.durable;
  const { terms } = facts;
  const isUnrecorded = terms.length > 0 && branch?.term === originTerm && entryOf(terms, originTerm) === undefined;
  const parent = isUnrecorded ? branch?.parent : newestOfWriter(facts, originTerm);
  return parent === undefined ? {} : { parent };
}

/**
 * A holder that re-takes its key goes on with its WAL: what is here up to there is of the later term too, whichever of
 * them this member has noted.
 */
function newestOfWriter({ terms, running }: Facts, originTerm: number | undefined): number | undefined {
  const lsn = running && lsnOf(running);
  if (originTerm === undefined || lsn === undefined) return originTerm;
  const writer = writerTerm(terms, originTerm);
  const own = terms.filter((entry) => writerTerm(terms, entry.term) === writer && entry.switchLsn <= lsn);
  return Math.max(originTerm, ...own.map(({ term }) => term));
}

/** WAL of a term that was joined may be here, unseen: it is told by looking, before anything else comes in. */
export function hasUnseenWal({ state, rule }: Facts): boolean {
  const { joining: known, originTerm } = state.durable;
  return known !== undefined && known.term !== rule?.term && known.term !== originTerm;
}

/** The holder whom the instance follows already takes a term: nothing is configured anew, and its WAL is told all the same. */
export function joinTerm(state: State, now: Instant): State {
  const facts = factsOf(state, now);
  const { rule, running, upstream, terms, position } = facts;
  const { joining: known } = state.durable;
  if (rule?.base === undefined || running === undefined || upstream === undefined || known?.term === rule.term)
    return state;
  if (entryOf(terms, rule.term) !== undefined || !running.inRecovery || position === undefined) return state;
  if (running.upstream?.host !== upstream.host || running.upstream.port !== upstream.port) return state;
  const durable = joining(facts, upstream);
  return durable.joining === undefined ? state : { ...state, durable };
}
