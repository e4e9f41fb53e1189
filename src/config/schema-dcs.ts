/** `bootstrap.dcs`: what the founder writes into the DCS, where the whole cluster reads it. */
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

const zero = (value: unknown) => value === 0;
const none = (value: unknown) => typeof value === 'object' && value !== null && Object.keys(value).length === 0;
const notSet = (value: unknown) => readBoolean(value) === false;

export const dcs = section('What the first member writes into the DCS; later changes of this section do nothing.', {
  ttl: key(duration(2, 86_400), "The leader key's lease: how long a lost primary keeps its right.", { default: '10' }),
  loop_wait: key(duration(0.1, 3600), 'The longest pause between two looks; events are acted on at once.', {
    default: '10',
  }),
  retry_timeout: key(duration(0.1, 3600), 'How long a call to the DCS or to PostgreSQL is tried.', { default: '10' }),
  failure_timeout: key(duration(0.3, 3600), 'Silence after which a member counts as lost.', { default: '2' }),
  primary_race_backoff: later(number(0), 'Patroni waits this long before a race.', { default: '0', harmless: zero }),
  maximum_lag_on_failover: key(bytes, 'Bytes that a candidate may be behind.', { default: '1048576' }),
  maximum_lag_on_syncnode: later(integer(-1), 'Bytes that a sync standby may be behind.', {
    default: '-1',
    harmless: (value) => typeof value === 'number' && value <= 0,
  }),
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
  master_start_timeout: key(duration(0), 'The old name of primary_start_timeout.'),
  primary_stop_timeout: later(duration(0), 'How long a primary may take to stop.', { default: '0', harmless: zero }),
  master_stop_timeout: later(duration(0), 'The old name of primary_stop_timeout.', { harmless: zero }),
  synchronous_mode: later(synchronousMode, 'off, on (named standbys) or quorum. This version knows off only.', {
    default: 'off',
    harmless: notSet,
  }),
  synchronous_mode_strict: later(boolean, 'No commit without a sync standby.', { default: 'false', harmless: notSet }),
  synchronous_node_count: later(integer(1), 'How many standbys must have a commit.', {
    default: '1',
    harmless: (value) => value === 1,
  }),
  failsafe_mode: later(boolean, 'Go on without the DCS while all members agree.', { harmless: notSet }),
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
