/**
 * The decision table: what a member does is the goal of the first rule that matches.
 * Single shot, first match, no fall-through. Nothing else in pgherd decides about roles.
 */
import type { Facts } from './facts.ts';
import { abilityRules } from './rules/ability.ts';
import { directoryRules } from './rules/directory.ts';
import { followerRules, mayStream } from './rules/follower.ts';
import { foundingRules } from './rules/founding.ts';
import { holderRules } from './rules/holder.ts';
import { startAlone, startFollowing } from './rules/instance.ts';
import { operatorRules } from './rules/operator.ts';
import { revocationRules } from './rules/revocation.ts';
import { type Rule, wait } from './rules/rule.ts';
import { readinessRules, safetyRules } from './rules/safety.ts';
import { shutdownRules } from './rules/shutdown.ts';
import { vacancyRules } from './rules/vacancy.ts';

/** Without a DCS a member that may not write still serves reads. */
const withoutDcsRules: readonly Rule[] = [
  {
    name: 'serve-reads-without-dcs',
    condition: 'The DCS is away, the instance is down, and its data is of this cluster',
    does: 'start as replica',
    when: (f) =>
      dcsIsLost(f) &&
      f.instance === 'stopped' &&
      !f.iHold &&
      !f.paused &&
      !f.state.durable.rewinding &&
      !f.state.durable.founding,
    goal: (f) => ({ kind: 'job', job: mayStream(f) ? startFollowing(f) : startAlone(f, 'replica') }),
    because: () => 'the DCS is away; as a replica the instance can at least be read',
  },
  {
    name: 'dcs-away',
    condition: 'The DCS is away',
    does: 'wait',
    when: (f) => dcsIsLost(f) && !f.iHold,
    goal: () => wait,
    because: (f) =>
      `the DCS does not answer${f.state.dcs.kind === 'lost' ? `: ${f.state.dcs.error}` : ''}; nothing is changed without it`,
  },
];

/** A witness has nothing to decide. */
const witnessRules: readonly Rule[] = [
  {
    name: 'witness',
    condition: 'This member is a witness',
    does: 'wait',
    when: (f) => f.state.self.tags.witness,
    goal: () => wait,
    because: () => 'it has no PostgreSQL: it listens, and tells the others whom it hears',
  },
];

/** The sections in their order, for the documentation. */
export const ruleSections: readonly { readonly title: string; readonly rules: readonly Rule[] }[] = [
  { title: 'Safety', rules: safetyRules },
  { title: 'PostgreSQL lives and cannot serve', rules: abilityRules },
  { title: 'The agent is to end', rules: shutdownRules },
  { title: 'Not ready to decide', rules: readinessRules },
  { title: 'A witness', rules: witnessRules },
  { title: 'Data directories that do not fit', rules: directoryRules },
  { title: 'Without the DCS', rules: withoutDcsRules },
  { title: 'What operators ask for', rules: operatorRules },
  { title: 'Founding a cluster', rules: foundingRules },
  { title: 'The key is mine', rules: holderRules },
  { title: 'The key is free', rules: vacancyRules },
  { title: 'Revoking, in synchronous mode', rules: revocationRules },
  { title: 'Another holds the key', rules: followerRules },
];

export const rules: readonly Rule[] = ruleSections.flatMap((section) => section.rules);

/** The first rule that matches. The table is total: the last rule always does. */
export function decide(facts: Facts): Rule {
  for (const rule of rules) if (rule.when(facts)) return rule;
  throw new Error('the decision table is not total');
}

function dcsIsLost(f: Facts): boolean {
  return f.state.dcs.kind === 'lost';
}
