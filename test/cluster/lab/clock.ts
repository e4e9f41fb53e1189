/** The wall clock of a single host, set through libfaketime (Debian package faketime). The monotonic clock stays true. */
import { existsSync, globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from './host.ts';

const [library] = globSync('/usr/lib/{*/,}faketime/libfaketimeMT.so.1');

/** Why clocks cannot be set here; undefined: they can. */
export const noClocks = library === undefined ? 'libfaketime is not installed (Debian package faketime)' : undefined;

function offsetFile(host: Host): string {
  return join(host.disk, 'clock');
}

/** The host's wall clock is so many seconds ahead. Programs that run with `clockWords` see it within a second. */
export function setClock(host: Host, aheadSeconds: number): void {
  writeFileSync(offsetFile(host), `${aheadSeconds < 0 ? '' : '+'}${aheadSeconds}\n`);
}

/** What goes before a program's name so that it lives by the host's own clock, if that was ever set. */
export function clockWords(host: Host): readonly string[] {
  if (library === undefined || !existsSync(offsetFile(host))) return [];
  return [
    'env',
    `LD_PRELOAD=${library}`,
    `FAKETIME_TIMESTAMP_FILE=${offsetFile(host)}`,
    'FAKETIME_CACHE_DURATION=1',
    'FAKETIME_DONT_FAKE_MONOTONIC=1',
    'DONT_FAKE_MONOTONIC=1',
  ];
}
