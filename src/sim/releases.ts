/**
 * Agents of different releases in one cluster. This release plays the older one: what agents write goes through its
 * codecs as text, and agents of the `next` release write fields, words and keys in between that it does not know. It has to
 * go on all the same, and to leave in place what it does not know.
 */
import { keyOf, type Transaction } from '../core/effects.ts';
import type { Settings } from '../core/model.ts';
import type { ModelTransaction } from '../dcs/memory/model.ts';
import { encodeTransaction } from '../dcs/records.ts';
import { asNext } from './next-release.ts';
import { viewOf } from './records.ts';
import type { Member, World } from './world.ts';

/** Which pgherd an agent runs; `next` writes what this one does not know. */
export type Release = 'this' | 'next';

/** The transaction as the model takes it: records as they are, or as their texts where releases differ. */
export function written(world: World, member: Member, transaction: Transaction): ModelTransaction<unknown> {
  if (world.plan.mixed !== true) return asRecords(transaction);
  const { compare, write } = encodeTransaction(transaction, member.agent.state.view);
  if (member.agent.release === 'this') return { compare, write };
  const known = new Set(write.map(({ key }) => key));
  const more = `next/${member.name}`;
  return {
    compare,
    write: [
      ...write.map((one) => ({ ...one, value: one.value && asNext(world.store.model, one.key, one.value) })),
      ...(known.has(`members/${member.name}`) ? [{ key: more, value: '{"what":"nobody knows"}' }] : []),
    ],
  };
}

function asRecords(transaction: Transaction): ModelTransaction<unknown> {
  return {
    compare: transaction.compare,
    write: transaction.write.map((write) => ({
      key: keyOf(write),
      value: write.value,
      ...('leaseId' in write ? { leaseId: write.leaseId } : {}),
    })),
  };
}

/** The cluster's settings as an operator's program of this release writes them, over those that are there. */
export function writtenSettings(world: World, wanted: Settings): unknown {
  if (world.plan.mixed !== true) return wanted;
  const value = asAllowed(wanted);
  const transaction = { name: 'edit', compare: [], write: [{ key: 'config', value } as const] };
  return encodeTransaction(transaction, viewOf(world.store.model)).write[0]?.value;
}

/** Settings that are written as text have to be such as the text may say. */
export function asAllowed(settings: Settings): Settings {
  const failureTimeoutMs = Math.min(settings.failureTimeoutMs, settings.ttlMs / 2);
  const heartbeatIntervalMs = Math.floor(Math.min(settings.heartbeatIntervalMs, failureTimeoutMs / 3));
  return { ...settings, failureTimeoutMs, heartbeatIntervalMs };
}
