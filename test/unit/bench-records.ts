/** Records of runs that nobody made. */
import type { FaultRecord, Machine } from '../../bench/records.ts';

export const machine: Machine = {
  cpu: 'A <fast> CPU',
  cores: 2,
  memoryGiB: 24,
  system: 'Debian 12',
  kernel: '6.1',
  postgresql: '15.18',
};

/** What every record has. */
export function someRun(
  system: string,
  round: number,
): Pick<FaultRecord, 'system' | 'version' | 'settings' | 'round' | 'at' | 'machine' | 'load'> {
  const at = `2031-01-0${round}T00:00:00.000Z`;
  return { system, version: `${system} 1.0`, settings: `as ${system} is`, round, at, machine, load: 0.5 };
}

/** A fault after which all was well, but for what is named. */
export function faultRun({
  system,
  round,
  ...named
}: Partial<FaultRecord> & Pick<FaultRecord, 'system' | 'fault' | 'round'>): FaultRecord {
  return {
    ...someRun(system, round),
    kind: 'fault',
    primaryBefore: 'n1',
    primaryAfter: 'n2',
    gapMs: 400,
    gapFromMs: 0,
    gapEnded: true,
    gapBeforeMs: 12,
    dualPrimaryMs: 0,
    acknowledged: 1000,
    lost: 0,
    lostBy: {},
    mendedMs: 0,
    rejoinMs: 1500,
    intervals: {},
    ...named,
  };
}
