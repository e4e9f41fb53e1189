/** keepalived: two hosts, a virtual address that moves when the check fails, and a promotion where it arrives. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../test/cluster/lab/host.ts';
import { initialize, ownedFolder, startPostgres, startWords } from '../postgres.ts';
import { asPostgres, asRoot, binDir, runOn, type Site } from '../site.ts';
import type { Cluster, System } from './system.ts';

interface Settings {
  /** VRRP's version: 2 knows whole seconds only. */
  readonly version: 2 | 3;
  readonly advertS: number;
  readonly checkIntervalS: number;
  readonly fall: number;
}

function keepalived(name: string, settings: string, given: Settings): System {
  return { name, settings, isSynchronous: false, packages: ['keepalived'], open: (site) => open(site, given) };
}

export const keepalivedSystems: readonly System[] = [
  keepalived(
    'keepalived',
    'two hosts, asynchronous; advert_int 1, pg_isready every 2 s (fall 2), nopreempt; notify_master promotes',
    { version: 2, advertS: 1, checkIntervalS: 2, fall: 2 },
  ),
  keepalived('keepalived-fast', 'as keepalived, with VRRP 3, advert_int 0.1, pg_isready every second (fall 1)', {
    version: 3,
    advertS: 0.1,
    checkIntervalS: 1,
    fall: 1,
  }),
];

function open(site: Site, settings: Settings): Cluster {
  const [first, second] = site.databaseHosts;
  const hosts = [first, second];
  const dataDir = (host: Host): string => join(host.disk, 'pg', 'data');
  const startAgents = (host: Host): void => {
    const files = ['-f', join(host.disk, 'keepalived.conf'), '-p', '/run/keepalived.pid', '-r', '/run/vrrp.pid'];
    host.start(asRoot(['/usr/sbin/keepalived', '-n', '-l', '-D', ...files]), 'keepalived.log');
  };
  const agents = (host: Host): readonly number[] => host.pids('/usr/sbin/keepalived');
  const holdsAddress = (host: Host): boolean => runOn(host, ['ip', '-br', 'addr']).includes(site.virtualAddress);
  return {
    hosts,
    dataDir,
    virtualAddress: site.virtualAddress,
    bringsBack: false,
    async bootstrap() {
      initialize(site, first, dataDir(first));
      startPostgres(first, dataDir(first));
      ownedFolder(second, 'pg');
      const copy = ['-h', first.address, '-U', 'postgres', '-Xs', '-c', 'fast', '-R', '-D', dataDir(second)];
      runOn(second, asPostgres([`${binDir}/pg_basebackup`, ...copy]));
      startPostgres(second, dataDir(second));
      for (const host of hosts) {
        writeConfiguration(host, site.virtualAddress, dataDir(host), settings, host === first ? 100 : 90);
        startAgents(host);
        // The second one would take the address, if its first check ended earlier.
        if (host === first) await reaches(() => holdsAddress(first));
      }
    },
    boot(host) {
      // As Debian does: the database, whatever it was before.
      host.start(startWords(host, dataDir(host)), 'pg_ctl.log');
      startAgents(host);
    },
    // There is no command for it: the primary is stopped.
    switchover: (from) =>
      void runOn(from, asPostgres([`${binDir}/pg_ctl`, '-D', dataDir(from), '-m', 'fast', '-w', 'stop'])),
    agents,
    startAgents,
    isReady: () => hosts.filter(holdsAddress).length === 1,
    processes: () => hosts.map((host) => ({ role: 'agent', host, pids: agents(host) })),
    storeTotals: () => undefined,
  };
}

async function reaches(condition: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (condition()) return;
    await sleep(100);
  }
  throw new Error('the first host has not taken the virtual address within 10 s');
}

function writeConfiguration(host: Host, address: string, dataDir: string, settings: Settings, priority: number): void {
  const promote = join(host.disk, 'promote.sh');
  writeFileSync(promote, promoteScript(dataDir));
  chmodSync(promote, 0o755);
  const check = `${binDir}/pg_isready -q -h ${host.address} -t 1`;
  // Authentication went with version 2.
  const authentication = settings.version === 2 ? 'authentication {\n    auth_type PASS\n    auth_pass bench\n  }' : '';
  writeFileSync(
    join(host.disk, 'keepalived.conf'),
    `global_defs {
  router_id ${host.name}
  vrrp_version ${settings.version}
  script_user root
}
vrrp_script postgres {
  script "${check}"
  interval ${settings.checkIntervalS}
  timeout 2
  fall ${settings.fall}
  rise 1
}
vrrp_instance bench {
  state BACKUP
  nopreempt
  interface eth0
  virtual_router_id 51
  priority ${priority}
  advert_int ${settings.advertS}
  ${authentication}
  track_script {
    postgres
  }
  virtual_ipaddress {
    ${address}
  }
  notify_master "${promote}"
}
`,
  );
}

/** The address has come here: a standby becomes the primary. */
function promoteScript(dataDir: string): string {
  const standby = `[ -e ${dataDir}/standby.signal ]`;
  const promotion = asPostgres([`${binDir}/pg_ctl`, '-D', dataDir, 'promote']).join(' ');
  return `#!/bin/sh\n${standby} || exit 0\nexec ${promotion}\n`;
}
