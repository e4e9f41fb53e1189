/** Where everything of a new member goes, and what it is called, where the command line does not say. Pure. */
import { join, parse, resolve } from 'node:path';
import { configurationFolder, type Surroundings } from '../config/folder.ts';
import { memberName } from '../config/values.ts';

/** As said on the command line; all of it may be absent. */
export interface PlaceFlags {
  readonly name?: string | undefined;
  readonly dataDir?: string | undefined;
  readonly config?: string | undefined;
}

/** A member's own places, all absolute. */
export interface Place {
  /** undefined: the host's name makes none, one has to be given. */
  readonly name: string | undefined;
  readonly dataDir: string;
  readonly config: string;
}

/** The defaults: of root the system's folders, of everybody else their own. */
export function placeOf(scope: string, flags: PlaceFlags, hostname: string, around: Surroundings): Place {
  const { home, isRoot, environment } = around;
  const state = isRoot ? '/var/lib/pgherd' : join(environment['XDG_DATA_HOME'] || join(home, '.local/share'), 'pgherd');
  return {
    name: flags.name ?? nameFrom(hostname),
    dataDir: resolve(flags.dataDir ?? join(state, scope, 'data')),
    config: resolve(flags.config ?? join(configurationFolder(around), `${scope}.yml`)),
  };
}

/** `db1.example.com` → `db1`; what a member's name must not have becomes a hyphen. */
function nameFrom(hostname: string): string | undefined {
  const first = (hostname.split('.')[0] ?? '').replaceAll(/[^\w-]+/g, '-').slice(0, 63);
  const found = memberName.schema.safeParse(first);
  return found.success && first !== '' ? found.data : undefined;
}

/** The join token, beside the configuration: `/etc/pgherd/orders.yml` → `/etc/pgherd/orders.join-token`. */
export function tokenFileOf(config: string): string {
  const { dir, name } = parse(config);
  return join(dir, `${name}.join-token`);
}
