/**
 * The monitor's schema, as numbered migrations. A migration that was released is never edited; a change is a new one.
 *
 * SQL stands in a module, not in files of its own, so that the program stays one file when it is bundled.
 */

import { version2 } from './schema-version-2.ts';

/** One step of the schema. */
export interface Migration {
  /** 1, 2, 3, ...: without gaps. */
  readonly version: number;
  /** Agents that know at least this version go on working with the schema as this migration leaves it. */
  readonly compatibleSince: number;
  readonly sql: string;
}

/**
 * Version 1.
 *
 * What is durable (`cluster`, `key`, `lease`) raises the cluster's revision under the cluster's row lock and is
 * flushed before anyone sees it: a revision that was seen once never means other contents.
 *
 * Time. A lease's end is in `lease_clock`, on the machine's boot-time clock (/proc/uptime): no step of the wall
 * clock ends or prolongs it. /proc/uptime is floored to 10 ms, so each end is put 10 ms later: never too early.
 * A clock counts only in the run of the server that wrote it (`run`: when the postmaster started), and the table is
 * unlogged: PostgreSQL empties it after every crash, also one that the postmaster survives. A lease without a clock
 * of this run gets a full TTL from the moment somebody looks. So a restart prolongs leases and never shortens one,
 * and that is why renewals wait for no fsync (PostgreSQL waits for none after a change of unlogged tables only):
 * what a crash can lose of them, it replaces by more.
 *
 * A granted lease is not flushed either (synchronous_commit off): alone it means nothing, and the flush of the first
 * key put on it covers it, being later in the WAL. Its name is a uuid, so that a lost one is never given out again.
 *
 * No foreign keys: each insert would lock the cluster's row for every other writer's benefit of nothing, since
 * only these functions write, and clusters are never deleted.
 */
const version1 = `
create table pgherd.store (
  id uuid not null default gen_random_uuid(),
  singleton boolean primary key default true check (singleton)
);
insert into pgherd.store default values;

create table pgherd.cluster (
  id integer generated always as identity primary key,
  prefix text not null unique,
  revision bigint not null default 0
) with (fillfactor = 50);

create table pgherd.key (
  cluster_id integer not null,
  name text not null,
  value text not null,
  create_revision bigint not null,
  mod_revision bigint not null,
  lease_id text,
  primary key (cluster_id, name)
) with (fillfactor = 50);
create index on pgherd.key (lease_id) where lease_id is not null;

create table pgherd.lease (
  id text primary key default gen_random_uuid()::text,
  cluster_id integer not null,
  ttl_ms bigint not null check (ttl_ms between 1 and 86400000)
);
create index on pgherd.lease (cluster_id);

create unlogged table pgherd.lease_clock (
  lease_id text primary key,
  ttl_ms bigint not null,
  run timestamptz not null,
  ends_ms bigint not null
) with (fillfactor = 50);

create function pgherd.boot_time_ms() returns bigint
language sql volatile set search_path = pg_catalog, pg_temp
as $$ select (split_part(pg_read_file('/proc/uptime', 0, 100), ' ', 1)::numeric * 1000)::bigint $$;

create function pgherd.end_of(now_ms bigint, ttl_ms bigint) returns bigint
language sql immutable
as $$ select now_ms + ttl_ms + 10 $$;

-- Takes the cluster's lock, which every change of its keys holds; makes the cluster when it is new.
create function pgherd.lock_cluster(cluster_prefix text) returns integer
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  found_id integer;
begin
  loop
    select id into found_id from pgherd.cluster where prefix = cluster_prefix for no key update;
    if found then
      return found_id;
    end if;
    insert into pgherd.cluster (prefix) values (cluster_prefix) on conflict do nothing;
  end loop;
end $$;

-- The caller changed keys, or is about to: the next revision, told to those who listen once this commits.
create function pgherd.next_revision(of_cluster integer) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  new_revision bigint;
  its_prefix text;
begin
  update pgherd.cluster set revision = revision + 1 where id = of_cluster
  returning revision, prefix into new_revision, its_prefix;
  perform pg_notify('pgherd_' || md5(its_prefix), new_revision::text);
  return new_revision;
end $$;

-- Under the cluster's lock.
create function pgherd.end_leases(of_cluster integer, ended text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  delete from pgherd.lease_clock where lease_id = any (ended);
  delete from pgherd.lease where id = any (ended);
  delete from pgherd.key where cluster_id = of_cluster and lease_id = any (ended);
  if found then
    perform pgherd.next_revision(of_cluster);
  end if;
end $$;

-- Under the cluster's lock: starts the clocks that do not run, ends the leases that are due. Afterwards a lease of
-- the cluster lives if and only if it has a row. A renewal that crosses this wins or loses on the clock's row lock.
create function pgherd.settle(of_cluster integer) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  now_ms constant bigint := pgherd.boot_time_ms();
  ended text[];
begin
  insert into pgherd.lease_clock as clock (lease_id, ttl_ms, run, ends_ms)
    select lease.id, lease.ttl_ms, pg_postmaster_start_time(), pgherd.end_of(now_ms, lease.ttl_ms)
      from pgherd.lease
     where lease.cluster_id = of_cluster
       and not exists (select from pgherd.lease_clock running
                        where running.lease_id = lease.id and running.run = pg_postmaster_start_time())
    on conflict (lease_id) do update set run = excluded.run, ends_ms = excluded.ends_ms;
  with due as (
    delete from pgherd.lease_clock clock using pgherd.lease
     where lease.cluster_id = of_cluster and clock.lease_id = lease.id and clock.ends_ms <= now_ms
    returning clock.lease_id
  )
  select array_agg(lease_id) into ended from due;
  if ended is not null then
    perform pgherd.end_leases(of_cluster, ended);
  end if;
end $$;

-- For agents: which schema this is.
create function pgherd.schema_version() returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select json_build_object('version', version, 'compatibleSince', compatible_since)
    from pgherd.migration order by version desc limit 1
$$;

-- For agents: all keys of a cluster as JSON, and in how many milliseconds the next lease may end. Without the keys
-- when the cluster is still at revision \`known\`.
create function pgherd.read(cluster_prefix text, known bigint) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  of_cluster integer;
  now_ms bigint := pgherd.boot_time_ms();
begin
  select id into of_cluster from pgherd.cluster where prefix = cluster_prefix;
  if exists (select from pgherd.lease left join pgherd.lease_clock clock
                 on clock.lease_id = lease.id and clock.run = pg_postmaster_start_time()
              where lease.cluster_id = of_cluster and (clock.lease_id is null or clock.ends_ms <= now_ms)) then
    perform from pgherd.cluster where id = of_cluster for no key update;
    perform pgherd.settle(of_cluster);
    now_ms := pgherd.boot_time_ms();
  end if;
  -- One statement: the revision, the keys and the clocks of one moment.
  return (
    select json_build_object(
      'storeId', store.id,
      'revision', coalesce(cluster.revision, 0),
      'endsInMs', (select min(clock.ends_ms) - now_ms from pgherd.lease join pgherd.lease_clock clock
                     on clock.lease_id = lease.id where lease.cluster_id = of_cluster),
      'keys', case when cluster.revision = known then null else
        (select coalesce(json_agg(json_build_array(name, value, create_revision, mod_revision, lease_id)), '[]')
           from pgherd.key where cluster_id = of_cluster) end)::text
      from pgherd.store left join pgherd.cluster on cluster.id = of_cluster);
end $$;

-- For agents: the new revision; null: refused, nothing was written. Revision 0 compares "absent", a null value deletes.
create function pgherd.transact(
  cluster_prefix text, compare_keys text[], compare_revisions bigint[],
  write_keys text[], write_values text[], write_leases text[]
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  of_cluster constant integer := pgherd.lock_cluster(cluster_prefix);
  new_revision bigint;
begin
  perform pgherd.settle(of_cluster);
  if exists (select from unnest(compare_keys, compare_revisions) as wanted (name, revision)
               left join pgherd.key on key.cluster_id = of_cluster and key.name = wanted.name
              where coalesce(key.mod_revision, 0) <> wanted.revision)
  or exists (select from unnest(write_leases) as wanted (id)
              where wanted.id is not null
                and not exists (select from pgherd.lease where lease.id = wanted.id and lease.cluster_id = of_cluster))
  then
    return null;
  end if;
  if cardinality(write_keys) = 0 then
    return (select revision from pgherd.cluster where id = of_cluster);
  end if;
  if (select count(distinct name) from unnest(write_keys) as wanted (name)) < cardinality(write_keys) then
    raise 'a transaction may write each key once';
  end if;
  new_revision := pgherd.next_revision(of_cluster);
  delete from pgherd.key using unnest(write_keys, write_values) as wanted (name, value)
   where key.cluster_id = of_cluster and key.name = wanted.name and wanted.value is null;
  insert into pgherd.key (cluster_id, name, value, create_revision, mod_revision, lease_id)
    select of_cluster, wanted.name, wanted.value, new_revision, new_revision, wanted.lease_id
      from unnest(write_keys, write_values, write_leases) as wanted (name, value, lease_id)
     where wanted.value is not null
    on conflict (cluster_id, name) do update
      set value = excluded.value, mod_revision = excluded.mod_revision, lease_id = excluded.lease_id;
  return new_revision;
end $$;

-- For agents: a new lease's id.
create function pgherd.grant_lease(cluster_prefix text, ttl_ms bigint) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  granted text;
begin
  insert into pgherd.cluster (prefix)
    select cluster_prefix where not exists (select from pgherd.cluster where prefix = cluster_prefix)
    on conflict do nothing;
  insert into pgherd.lease (cluster_id, ttl_ms)
    select id, grant_lease.ttl_ms from pgherd.cluster where prefix = cluster_prefix
    returning id into strict granted;
  insert into pgherd.lease_clock (lease_id, ttl_ms, run, ends_ms)
    values (granted, ttl_ms, pg_postmaster_start_time(), pgherd.end_of(pgherd.boot_time_ms(), ttl_ms));
  perform set_config('synchronous_commit', 'off', true);
  return granted;
end $$;

-- For agents: the lease's TTL; null: it is gone. The first statement is the usual case: no lock but the clock's own
-- row, nothing logged.
create function pgherd.renew_lease(renewed text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  now_ms bigint := pgherd.boot_time_ms();
  its_ttl_ms bigint;
  of_cluster integer;
begin
  update pgherd.lease_clock set ends_ms = greatest(ends_ms, pgherd.end_of(now_ms, ttl_ms))
   where lease_id = renewed and run = pg_postmaster_start_time() and ends_ms > now_ms
  returning ttl_ms into its_ttl_ms;
  if found then
    return its_ttl_ms;
  end if;
  select cluster_id into of_cluster from pgherd.lease where id = renewed;
  if not found then
    return null;
  end if;
  perform from pgherd.cluster where id = of_cluster for no key update;
  perform pgherd.settle(of_cluster);
  now_ms := pgherd.boot_time_ms();
  update pgherd.lease_clock set ends_ms = greatest(ends_ms, pgherd.end_of(now_ms, ttl_ms))
   where lease_id = renewed
  returning ttl_ms into its_ttl_ms;
  return its_ttl_ms;
end $$;

-- For agents: ends a lease and deletes its keys.
create function pgherd.revoke_lease(revoked text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  of_cluster integer;
begin
  select cluster_id into of_cluster from pgherd.lease where id = revoked;
  if found then
    perform from pgherd.cluster where id = of_cluster for no key update;
    perform pgherd.end_leases(of_cluster, array[revoked]);
  end if;
end $$;
`;

export const migrations: readonly Migration[] = [
  { version: 1, compatibleSince: 1, sql: version1 },
  { version: 2, compatibleSince: 1, sql: version2 },
];

/** The newest schema that this program knows. */
export const schemaVersion = migrations.length;

/** What the role of the agents may do: these functions, and nothing else. */
export const agentFunctions = [
  'schema_version()',
  'read(text, bigint)',
  'transact(text, text[], bigint[], text[], text[], text[])',
  'grant_lease(text, bigint)',
  'renew_lease(text)',
  'revoke_lease(text)',
  'beat(text, text)',
  'read_events(text)',
] as const;

/** Of the notifications of a cluster's changes and of its signs of life, as the schema computes them too. */
export const channelPrefixes = { changes: 'pgherd_', alive: 'pgherd_alive_' } as const;
