/** Where configurations are, where nobody names another place. No schema is loaded for it. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Of the process that asks. */
export interface Surroundings {
  readonly home: string;
  readonly isRoot: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Of root the system's folder, of everybody else their own. */
export function configurationFolder({ home, isRoot, environment }: Surroundings): string {
  return isRoot ? '/etc/pgherd' : join(environment['XDG_CONFIG_HOME'] || join(home, '.config'), 'pgherd');
}

/** The one configuration (`*.yml`) in that folder; undefined: there is none, or nobody knows which one is meant. */
export function onlyConfiguration(around: Surroundings): string | undefined {
  const folder = configurationFolder(around);
  try {
    const files = readdirSync(folder).filter((name) => name.endsWith('.yml'));
    return files.length === 1 && files[0] !== undefined ? join(folder, files[0]) : undefined;
  } catch {
    return undefined;
  }
}
