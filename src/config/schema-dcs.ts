/** `bootstrap.dcs`: what the founder writes into the DCS, where the whole cluster reads it. */

import { failureTimeoutMinS, heartbeatIntervalMinS, storageTimeoutMinS } from '../lib/timing.ts';
import { key, later, laterSection, section } from './key.ts';
import { sharedPostgresql } from './schema-postgresql.ts';
import {
  anyList,
  anyMap,
  boolean,
  bytes,
  command,
  duration,
  integer,
  kind,
  number,
  readBoolean,
  text,
  textList,
} from './values.ts';

const synchronousMode = kind('off, on or quorum', (value): 'off' | 'on' | 'quorum' | undefined => {
  const flag = readBoolean(value);
  if (flag !== undefined) return flag ? 'on' : 'off';
  return typeof value === 'string' && value.toLowerCase() === 'quorum' ? 'quorum' : undefined;
});

const lagLimit = kind('-1, or a whole number of bytes (or with a unit: 16MB)', (value): string | number | undefined => {
  if (value === -1 || value === '-1') return -1;
  const found = bytes.schema.safeParse(value);
  return found.success ? found.data : undefined;
});

const zero = (value: unknown) => value === 0;
const none = (value: unknown) => typeof value === 'object' && value !== null && Object.keys(value).length === 0;

export const dcs = section('What the first member writes into the DCS; later changes of this section do nothing.', {
  ttl: key(duration(2, 86_400), "The leader key's lease: how long a lost primary keeps its right.", { default: '10' }),
  loop_wait: key(duration(0.1, 3600), 'The longest pause between two looks; events are acted on at once.', {
    default: '10',
  }),
  retry_timeout: key(duration(0.1, 3600), 'How long a call to the DCS or to PostgreSQL is tried.', { default: '10' }),
  failure_timeout: key(
    duration(failureTimeoutMinS, 3600),
    'Silence after which a member counts as lost; at most ttl / 2.',
    { default: '2, or ttl / 2 where that is less' },
  ),
  heartbeat_interval: key(
    duration(heartbeatIntervalMinS, 1200),
    'How often members tell each other that they live; at most failure_timeout / 3.',
    { default: 'failure_timeout / 6' },
  ),
  catchup_timeout: key(
    duration(0, 3600),
    'How long a candidate of higher priority may take to fetch what another one has more; 0 = the most WAL wins.',
    { default: '0' },
  ),
  primary_race_backoff: later(number(0), 'Patroni waits this long before a race.', { default: '0', harmless: zero }),
  maximum_lag_on_failover: key(bytes, 'Bytes that a candidate may be behind.', { default: '1048576' }),
  maximum_lag_on_syncnode: key(
    lagLimit,
    'Bytes that a replica may be behind to become a sync standby; -1 and 0 = no limit.',
    { default: '-1' },
  ),
  max_timelines_history: later(integer(0), 'How many rows of the history are kept; 0 = all.', {
    default: '0',
    harmless: zero,
  }),
  primary_start_timeout: key(
    duration(0),
    'How long a crashed primary may take to start before another one takes over.',
    {
      default: '300',
    },
  ),
  storage_timeout: key(
    duration(storageTimeoutMinS, 86_400),
    'How long storage may hang, or be full, before another one takes over.',
    { default: '5' },
  ),
  master_start_timeout: key(duration(0), 'The old name of primary_start_timeout.'),
  primary_stop_timeout: later(duration(0), 'How long a primary may take to stop.', { default: '0', harmless: zero }),
  master_stop_timeout: later(duration(0), 'The old name of primary_stop_timeout.', { harmless: zero }),
  synchronous_mode: key(
    synchronousMode,
    'Do commits wait for standbys? off: for none; on: for synchronous_node_count named ones; quorum: for so many of all.',
    { default: 'off' },
  ),
  synchronous_mode_strict: key(
    boolean,
    'Where no standby is left, commits hang; else the primary goes on alone, and says so.',
    { default: 'false' },
  ),
  synchronous_node_count: key(integer(1), 'How many standbys must have a commit.', { default: '1' }),
  failsafe_mode: key(boolean, 'While the DCS is away the primary goes on if the members agree.', { default: 'true' }),
  check_timeline: later(boolean, 'A candidate must have the newest timeline. It always must.', {
    harmless: () => true,
  }),
  pause: key(boolean, 'No automatic failover.', { default: 'false' }),
  member_slots_ttl: key(duration(0), "How long a lost member's slot is kept.", { default: '30min' }),
  slots: later(anyMap, 'Permanent replication slots.', { harmless: none }),
  permanent_slots: later(anyMap, 'The old name of slots.', { harmless: none }),
  permanent_replication_slots: later(anyMap, 'The old name of slots.', { harmless: none }),
  ignore_slots: later(anyList, 'Slots that are left alone.', { harmless: none }),
  standby_cluster: laterSection('Follow another cluster instead of taking writes.', {
    host: later(text, 'Its hosts.'),
    port: later(integer(1, 65_535), 'Its port.'),
    primary_slot_name: later(text, 'The slot to use there.'),
    create_replica_methods: later(textList, 'How the standby leader is made.'),
    restore_command: later(command, 'Where archived WAL comes from.'),
    archive_cleanup_command: later(command, "PostgreSQL's archive_cleanup_command."),
    recovery_min_apply_delay: later(text, "PostgreSQL's recovery_min_apply_delay."),
  }),
  postgresql: sharedPostgresql,
});
