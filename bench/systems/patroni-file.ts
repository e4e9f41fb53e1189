/** A member's file in Patroni's form, which pgherd reads too. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Host } from '../../test/cluster/lab/host.ts';
import { accessRules, ownedFolder, sameParameters } from '../postgres.ts';
import { binDir, type Site } from '../site.ts';

type Section = Readonly<Record<string, unknown>>;

/** What one member needs. */
export interface MemberFile {
  readonly path: string;
  /** How the file names the store. */
  readonly store: Section;
  /** The dynamic configuration. */
  readonly dcs: Section;
}

/** The member's data directory. */
export function dataDirOf(host: Host): string {
  return join(host.disk, 'pg', 'data');
}

/** Writes the file, and makes the folder of the data directory. */
export function writeMemberFile(site: Site, host: Host, { path, store, dcs }: MemberFile): void {
  const folder = ownedFolder(host, 'pg');
  const account = (username: string): Section => ({ username, password: 'x' });
  const config = {
    scope: 'bench',
    name: host.name,
    restapi: { listen: `${host.address}:8008`, connect_address: `${host.address}:8008` },
    ...store,
    bootstrap: {
      dcs: { ...dcs, postgresql: { use_pg_rewind: true, use_slots: true, parameters: sameParameters } },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }],
    },
    postgresql: {
      listen: `${host.address}:5432`,
      connect_address: `${host.address}:5432`,
      data_dir: dataDirOf(host),
      bin_dir: binDir,
      pgpass: join(folder, 'pgpass'),
      authentication: {
        superuser: account('postgres'),
        replication: account('replicator'),
        rewind: account('rewinder'),
      },
      pg_hba: accessRules(site),
      // Patroni takes these from here only.
      parameters: { unix_socket_directories: '/run/postgresql', shared_buffers: sameParameters['shared_buffers'] },
    },
    watchdog: { mode: 'off' },
  };
  writeFileSync(path, stringify(config, { version: '1.1' }));
}
