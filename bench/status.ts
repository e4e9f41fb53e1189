/** What the databases of a cluster say of themselves, asked from outside, the same for every system. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../test/cluster/lab/host.ts';
import type { Site } from './site.ts';
import type { Cluster } from './systems/system.ts';

/** One instance that answers. */
interface Status {
  readonly host: Host;
  readonly isPrimary: boolean;
  readonly timeline: number;
  /** Replicas that stream from it. */
  readonly streamsTo: number;
  /** Does it stream from another one? */
  readonly streams: boolean;
}

const statement = `
select not pg_is_in_recovery(),
  case when pg_is_in_recovery() then (select max(received_tli) from pg_stat_wal_receiver)
       else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end,
  (select count(*) from pg_stat_replication
   where state = 'streaming' and application_name not like 'pg_basebackup%'),
  (select count(*) from pg_stat_wal_receiver where status = 'streaming')`;

function statusOf(site: Site, host: Host): Status | undefined {
  const row = site.sql(host, statement)?.[0];
  if (row === undefined) return undefined;
  const [isPrimary, timeline, streamsTo, streams] = row;
  return {
    host,
    isPrimary: isPrimary === 't',
    timeline: Number(timeline),
    streamsTo: Number(streamsTo),
    streams: streams !== '0',
  };
}

/** Instances that are not in recovery, the one on the highest timeline first. */
export function primariesOf(site: Site, cluster: Cluster): readonly Host[] {
  return cluster.hosts
    .map((host) => statusOf(site, host))
    .filter((status) => status?.isPrimary === true)
    .sort((a, b) => (b?.timeline ?? 0) - (a?.timeline ?? 0))
    .flatMap((status) => status?.host ?? []);
}

/** The one primary to which all others stream; undefined while that is not so. `victim` streams, or is it. */
export function wholePrimary(site: Site, cluster: Cluster, victim?: Host): Host | undefined {
  const seen = cluster.hosts.map((host) => statusOf(site, host));
  const primaries = seen.filter((status) => status?.isPrimary === true);
  const [primary] = primaries;
  if (primary === undefined || primaries.length > 1) return undefined;
  if (primary.streamsTo < cluster.hosts.length - 1) return undefined;
  const isBack = seen.some((status) => status?.host === victim && (status?.isPrimary || status?.streams));
  return victim === undefined || isBack ? primary.host : undefined;
}

/**
 * Waits until all stream and the system is in its ordinary state, and that has been so for `stableMs`; the primary.
 * Undefined: not within `withinMs`.
 */
export async function awaitHealth(
  site: Site,
  cluster: Cluster,
  withinMs: number,
  stableMs: number,
): Promise<Host | undefined> {
  const began = performance.now();
  let sinceMs: number | undefined;
  while (performance.now() - began < withinMs) {
    const primary = wholePrimary(site, cluster);
    if (primary === undefined || !cluster.isReady()) sinceMs = undefined;
    else {
      sinceMs ??= performance.now();
      if (performance.now() - sinceMs >= stableMs) return primary;
    }
    await sleep(200);
  }
  return undefined;
}

/** The sync standby that comes first by name; undefined: commits wait for nobody. */
export function syncStandbyOf(site: Site, cluster: Cluster, primary: Host): Host | undefined {
  const question = "select host(client_addr) from pg_stat_replication where sync_state in ('sync', 'quorum')";
  const addresses = site.sql(primary, question)?.flat() ?? [];
  return cluster.hosts.find((host) => addresses.includes(host.address));
}
