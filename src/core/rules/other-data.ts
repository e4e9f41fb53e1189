/**
 * The key is mine, and the data is not what I took it with: somebody has put a copy of their own in the place of the data
 * directory. Whatever was acknowledged since that copy was made is not in it, so it is not served but by an operator's word.
 */
import type { Facts } from '../facts.ts';
import { mayRelease } from './instance.ts';
import { type Rule, wait } from './rule.ts';

export const otherDataRules: readonly Rule[] = [
  {
    name: 'data-replaced-stop',
    condition:
      'The key is mine, and the instance runs as a replica on another data directory than the one that I had it with',
    does: 'immediate stop',
    when: (f) => holds(f) && f.instance === 'replica' && isOtherData(f),
    goal: () => ({ kind: 'job', job: { kind: 'stop', mode: 'immediate' } }),
    because: () => replaced,
  },
  {
    name: 'data-replaced',
    condition: 'The key is mine, and another data directory is here than the one that I had it with',
    does: 'release',
    when: (f) => holds(f) && mayRelease(f) && f.instance === 'stopped' && isOtherData(f),
    goal: () => ({ kind: 'release', candidate: undefined, clean: false, abstain: true }),
    because: (f) => `${replaced}; ${wayOut(f)}`,
  },
  {
    name: 'data-replaced-without-dcs',
    condition: 'The same, and the DCS is not there to give the key back to',
    does: 'wait',
    when: (f) => holds(f) && f.instance === 'stopped' && isOtherData(f),
    goal: () => wait,
    because: (f) => `${replaced}; the key is given back when the DCS is there again; ${wayOut(f)}`,
  },
];

const replaced = 'the data directory was replaced: commits may be missing in it';

/** In a pause people do as they like, and start it themselves. */
function holds(f: Facts): boolean {
  return f.iHold && !f.paused;
}

/** Nobody takes the key with data that counts for nothing, and an operator's force says that it counts. */
export function isOtherData(f: Facts): boolean {
  return f.state.durable.floor !== undefined;
}

function wayOut(f: Facts): string {
  const flag = f.rule?.mode === 'sync' ? '--allow-data-loss' : '--force';
  return `to go on with it all the same: pgherd failover --candidate ${f.self} ${flag}`;
}
