/** The second migration of the monitor's schema: see `schema.ts`. */

/**
 * Version 2: signs of life, and decisions for people apart from the keys that everybody reads all the time.
 *
 * A sign of life is a notification and nothing else: no table, and nobody waits for the flush of its commit record.
 * A transaction that writes only under `events/` leaves the revision as it is, wakes nobody and waits for no flush
 * either: `pgherd.read` never gives those keys, so that what was seen at a revision stays the same.
 */
export const version2 = `
create function pgherd.beat(cluster_prefix text, payload text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  perform pg_notify('pgherd_alive_' || md5(cluster_prefix), payload);
end $$;

create function pgherd.read_events(cluster_prefix text) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
  select coalesce(json_object_agg(key.name, key.value), '{}')
    from pgherd.key join pgherd.cluster on cluster.id = key.cluster_id
   where cluster.prefix = cluster_prefix and starts_with(key.name, 'events/')
$$;

create or replace function pgherd.read(cluster_prefix text, known bigint) returns text
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
           from pgherd.key where cluster_id = of_cluster and not starts_with(name, 'events/')) end)::text
      from pgherd.store left join pgherd.cluster on cluster.id = of_cluster);
end $$;

create or replace function pgherd.transact(
  cluster_prefix text, compare_keys text[], compare_revisions bigint[],
  write_keys text[], write_values text[], write_leases text[]
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  of_cluster constant integer := pgherd.lock_cluster(cluster_prefix);
  only_events constant boolean := (select bool_and(starts_with(name, 'events/')) from unnest(write_keys) as wanted (name));
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
  if (select count(distinct name) from unnest(write_keys) as wanted (name)) < cardinality(write_keys) then
    raise 'a transaction may write each key once';
  end if;
  if cardinality(write_keys) = 0 or only_events then
    select revision into new_revision from pgherd.cluster where id = of_cluster;
  else
    new_revision := pgherd.next_revision(of_cluster);
  end if;
  if only_events and compare_keys = '{}' then
    perform set_config('synchronous_commit', 'off', true);
  end if;
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
`;
