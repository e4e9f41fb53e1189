/** What the records in the DCS, and people's words, allow a member to do: takings, promotions, what is done in a pause. */
import type { Job, Transaction } from '../core/effects.ts';
import type { Rule } from '../core/model.ts';
import { awakeMs, namesSet, violated } from './checks.ts';
import { localNow } from './clock.ts';
import { holderIn, settingsIn, statusIn } from './records.ts';
import { isWritable, type Member, type World } from './world.ts';

/** The latest that a request lands after it was sent. */
const landsWithinMs = 35_000;

/** A transaction was applied. */
export function applied(world: World, member: Member, transaction: Transaction): void {
  const { checks } = world;
  const written = transaction.write.find((write) => write.key === 'rule')?.value;
  if (written !== undefined && transaction.name.startsWith('take')) taken(world, transaction.name, written);
  noteConsent(world, transaction);
  if (written === undefined) return;
  checks.rules.set(written.leader, written);
  const leader = written.leader === member.name ? member : world.members.find((one) => one.name === written.leader);
  if (leader !== undefined) namesSet(world, leader);
}

function taken(world: World, name: string, rule: Rule): void {
  const { checks, store } = world;
  const { leader, term } = rule;
  if (checks.brokenLease === leader) checks.brokenLease = undefined;
  const settings = settingsIn(store.model);
  const status = statusIn(store.model)?.lsn;
  const isConsented = store.wasRestored || world.now <= (checks.consents.get(leader) ?? -1);
  const isForced = name === 'take (forced)' && (rule.mode === 'async' || isConsented);
  checks.lastTake = {
    name,
    term,
    status: status === undefined ? undefined : Number(status),
    lag: Number(settings?.maximumLagOnFailoverBytes ?? 0n),
    isForced,
  };
  const isAutomatic = name === 'take (asynchronous)' || name === 'take (revoked)';
  if (isAutomatic && settings?.pause === true && !isConsented)
    violated(world, 'taken-in-a-pause', `${leader} took the key by itself (${name}) while the cluster was paused`);
  if (!isForced) return;
  // Who runs without a guard in a pause is not ended by an operator's force elsewhere.
  checks.isForced = true;
  for (const line of checks.lines) line.excused = true;
}

/** A wish that is gone from the DCS may have been seen by somebody whose taking is still under way. */
function noteConsent({ checks, now }: World, { write }: Transaction): void {
  const change = write.find(({ key }) => key === 'failover');
  if (change?.key !== 'failover') return;
  for (const [member, until] of checks.consents)
    if (until === Infinity) checks.consents.set(member, now + landsWithinMs);
  const { value: wish } = change;
  if (wish !== undefined) checks.wishedAt = now;
  if (wish?.candidate !== undefined && wish.allowDataLoss === true && wish.refused === undefined)
    checks.consents.set(wish.candidate, Infinity);
}

/** An agent began a job on its instance. */
export function began(world: World, member: Member, job: Job): void {
  const { view } = member.agent.state;
  // One whose lease ended, or whose DCS went back, while its effects waited for the disk, or for it to wake up, is ended by
  // the guard, which was armed before.
  const { host, agent } = member;
  const isJustAwake = world.now < Math.max(host.frozenUntil, agent.frozenUntil) + awakeMs;
  const isGuarded =
    host.guard.until !== undefined && (view?.leader === undefined || world.store.wasRestored || isJustAwake);
  if (job.kind === 'promote' && view?.leader?.value !== member.name && !isGuarded)
    violated(
      world,
      'promoted-without-the-key',
      `${member.name} promotes, and ${view?.leader?.value ?? 'nobody'} holds the key`,
    );
  const { state } = agent;
  const isAsked =
    state.restart !== undefined ||
    state.switchover !== undefined ||
    state.shutdown !== undefined ||
    state.reinit !== undefined;
  const isHolder = holderIn(world.store.model) === member.name && view?.leader?.value === member.name;
  // Only a record that was answered switches the guard off, and nobody writes one to a DCS that is not believed.
  const { disarmed, storeId, maxTerm } = state.durable;
  const isBelieved = view?.storeId === storeId && (view?.rule?.value.term ?? 0) >= maxTerm;
  // Without that record it has to end at the deadline: the pause may be over elsewhere, or came when no agent was there.
  const hasToEnd = !disarmed && (member.host.guard.until ?? Infinity) <= localNow(world, member);
  const isLeftAlone = (disarmed || isBelieved) && !isAsked && !hasToEnd;
  if (job.kind === 'stop' && view?.config?.value.pause === true && isHolder && isWritable(member) && isLeftAlone)
    violated(world, 'paused-cluster-touched', `${member.name} stops its primary in a pause: ${state.lastRule.name}`);
}
