/** The holder's care for its sync standbys: (S, k) in PostgreSQL and in the DCS, in the order that loses nothing. */
import type { Write } from '../effects.ts';
import type { Facts } from '../facts.ts';
import { isFlushed, nextSyncChange, type SyncChange, type SyncSet, sendersBehind } from '../sync-standbys.ts';
import { setSync, settleRule } from '../transactions.ts';
import { mayTry, type Rule, wait } from './rule.ts';

/** Before PostgreSQL is started, promoted or configured: what the record says has to be known. */
export const settlingRules: readonly Rule[] = [
  {
    name: 'awaiting-rule',
    condition: 'The key is mine, and a change of the rule is under way',
    does: 'wait',
    when: (f) => f.iHold && matters(f) && f.state.ruleTransaction?.transaction.write.some(isRule) === true,
    goal: () => wait,
    because: (f) => `waiting for the outcome of: ${f.state.ruleTransaction?.transaction.name ?? ''}`,
  },
  {
    name: 'settle-rule',
    condition: 'The key is mine, and a change of the rule that I asked for was not answered (or I have just begun)',
    does: 'settle the rule',
    when: (f) => f.iHold && matters(f) && f.state.ruleUnsettled,
    goal: (f) =>
      f.view === undefined || f.rule === undefined
        ? wait
        : { kind: 'transact', transaction: settleRule(f.view, f.rule) },
    because: () => 'what was asked for may still land; it is overwritten before PostgreSQL is loosened',
  },
];

/** How long a WAL sender may take to go by a new setting before it is ended. */
const senderPatienceMs = 500;

export const synchronousRules: readonly Rule[] = [
  {
    name: 'sync-loosen',
    condition: 'The key is mine, and commits are to wait for fewer, or for more to choose from',
    does: 'loosen',
    when: (f) => serves(f) && change(f).kind === 'loosen',
    goal: (f) => {
      const next = change(f);
      if (f.view === undefined || f.rule === undefined || next.kind !== 'loosen') return wait;
      return { kind: 'transact', transaction: setSync(f.view, f.rule, next.to, 'loosen') };
    },
    because: (f) => changeText(f),
  },
  {
    name: 'sync-tighten',
    condition: 'The key is mine, and commits are to wait for more, or for others',
    does: 'tighten-postgres',
    when: (f) =>
      serves(f) && change(f).kind === 'tighten' && f.tightening?.markLsn === undefined && mayTry(f, 'configure'),
    goal: (f) => {
      const next = change(f);
      return next.kind === 'tighten' ? { kind: 'tighten-postgres', to: next.to } : wait;
    },
    because: (f) => changeText(f),
  },
  {
    name: 'sync-end-senders',
    condition: 'The key is mine, and a WAL sender still goes by the setting before',
    does: 'end-senders',
    when: (f) => behind(f).length > 0 && f.now >= (f.tightening?.beganAt ?? f.now) + senderPatienceMs,
    goal: (f) => ({ kind: 'job', job: { kind: 'end-senders', members: behind(f) } }),
    because: (f) => `the WAL sender of ${behind(f).join(', ')} has not taken the new setting; it may connect again`,
  },
  {
    name: 'sync-record',
    condition: 'The key is mine, the tighter setting is in force, and enough have flushed all that was written before',
    does: 'tighten',
    when: (f) => {
      const { tightening } = f;
      return tightening !== undefined && isFlushed(f.running, tightening);
    },
    goal: (f) => {
      const { tightening } = f;
      if (f.view === undefined || f.rule === undefined || tightening === undefined) return wait;
      return { kind: 'transact', transaction: setSync(f.view, f.rule, tightening.to, 'tighten') };
    },
    because: (f) => changeText(f),
  },
];

/** A tightening waits only for what comes by itself, so the other rules go on beside it. */
function serves(f: Facts): boolean {
  return f.iHold && f.instance === 'primary' && f.terms.some((entry) => entry.term === f.rule?.term);
}

function isRule(write: Write): boolean {
  return write.key === 'rule';
}

/** Where commits never wait for anybody, nothing can be loosened. */
function matters(f: Facts): boolean {
  const names = f.running?.synchronousStandbyNames ?? '';
  return f.rule?.mode === 'sync' || f.settings.synchronousMode !== 'off' || names !== '';
}

function change(f: Facts): SyncChange {
  return serves(f) ? nextSyncChange(f) : { kind: 'none' };
}

function behind(f: Facts): readonly string[] {
  const { tightening } = f;
  if (tightening?.markLsn === undefined || tightening.inForce || f.running === undefined) return [];
  return sendersBehind(f.running, tightening);
}

function changeText(f: Facts): string {
  const next = change(f);
  return next.kind === 'none' ? '' : `${next.because}; ${setText(next.to, f.settings.synchronousModeStrict)}`;
}

function setText({ mode, syncCount, syncStandbys }: SyncSet, strict: boolean): string {
  if (mode === 'async') return 'commits wait for nobody';
  if (syncCount === 0 && strict) return 'commits hang until a sync standby is there';
  return syncCount === 0
    ? 'degraded: commits wait for nobody, and nobody may take over'
    : `commits wait for ${syncCount} of ${syncStandbys.join(', ')}`;
}
