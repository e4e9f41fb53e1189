/** A process, told apart from a later one that has its pid. */
import { readFileSync } from 'node:fs';

/** When the process began, in clock ticks since boot; with the pid it names a process for good. Undefined: it has ended. */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
