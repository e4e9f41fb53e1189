/** The machine on which was measured, as a reader of the figures wants to know it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import type { Machine } from './records.ts';
import { binDir } from './site.ts';

/** This one. */
export function thisMachine(): Machine {
  const processors = cpus();
  const system = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  const postgresql = execFileSync(`${binDir}/postgres`, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  return {
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system,
    kernel: release(),
    postgresql: postgresql.trim().replace('postgres (PostgreSQL) ', ''),
  };
}
