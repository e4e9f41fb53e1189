/** `members/<name>`: Patroni's fields, and ours in one object `pgherd` that its readers pass over. */
import * as z from 'zod';
import { maxLsnOf } from '../core/lsn.ts';
import type { MemberRecord, MemberRole, MemberState, Progress, Tags } from '../core/model.ts';
import { lsnNumber, optional } from './decode.ts';

/** Patroni's states; those that say the same to us are folded. */
const states: Readonly<Record<string, MemberState>> = {
  'initializing new cluster': 'initializing new cluster',
  'running custom bootstrap script': 'initializing new cluster',
  'initdb failed': 'initdb failed',
  'custom bootstrap failed': 'initdb failed',
  'creating replica': 'creating replica',
  running: 'running',
  starting: 'starting',
  'start failed': 'start failed',
  restarting: 'restarting',
  'restart failed': 'start failed',
  stopping: 'stopping',
  'stop failed': 'stopping',
  stopped: 'stopped',
  crashed: 'crashed',
};

/** Patroni's roles. A standby leader is a replica to its cluster's readers; `master` is its name of old. */
const roles: Readonly<Record<string, MemberRole>> = {
  primary: 'primary',
  master: 'primary',
  replica: 'replica',
  standby_leader: 'replica',
  uninitialized: 'uninitialized',
  demoted: 'demoted',
  promoted: 'promoted',
  witness: 'witness',
};

/** A word that only a newer release knows stops nobody: such a member is there, and nothing is expected of it. */
function wordOf<Value extends string>(table: Readonly<Record<string, Value>>, otherwise: Value) {
  return z
    .string({ error: `allowed: ${Object.keys(table).join(', ')}` })
    .transform((text): Value => (Object.hasOwn(table, text) ? table[text] : undefined) ?? otherwise);
}

const byteCount = z
  .union([z.int().nonnegative(), z.bigint().nonnegative()], { error: 'allowed: a whole number of bytes' })
  .transform((value) => BigInt(value));

const tagsSchema = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).catch('?'), {
  error: 'allowed: a mapping of tags',
});

const progressSchema = z
  .object({
    doing: z.enum(['clone', 'rewind', 'initdb'], { error: 'allowed: clone, rewind, initdb' }),
    done_bytes: optional(byteCount),
    total_bytes: optional(byteCount),
  })
  .transform(
    (found): Progress => ({
      doing: found.doing,
      ...defined({ doneBytes: found.done_bytes, totalBytes: found.total_bytes }),
    }),
  );

const text = z.string({ error: 'allowed: a text' });
const count = z.int({ error: 'allowed: a whole number' }).nonnegative({ error: 'allowed: 0 or more' });

const oursSchema = z.object(
  {
    origin_term: optional(count),
    rule: optional(text),
    because: optional(text),
    progress: optional(progressSchema).catch(undefined),
    server_version: optional(count),
    pending_restart: optional(z.array(text, { error: 'allowed: a list of parameter names' })),
    unfit: optional(z.boolean({ error: 'allowed: true, false' })),
  },
  { error: 'allowed: a mapping' },
);

export const memberSchema = z
  .object(
    {
      conn_url: text,
      api_url: optional(text),
      state: wordOf(states, 'unknown'),
      role: wordOf(roles, 'uninitialized'),
      version: optional(text),
      tags: optional(tagsSchema),
      xlog_location: optional(lsnNumber),
      receive_lsn: optional(lsnNumber),
      replay_lsn: optional(lsnNumber),
      replication_state: optional(text),
      timeline: optional(count),
      pause: optional(z.boolean({ error: 'allowed: true, false' })),
      pending_restart: optional(z.boolean({ error: 'allowed: true, false' })),
      pending_restart_reason: optional(z.record(text, z.unknown(), { error: 'allowed: a mapping' })),
      checkpoint_after_promote: optional(z.boolean({ error: 'allowed: true, false' })),
      pgherd: optional(oursSchema),
    },
    { error: 'allowed: a mapping' },
  )
  .transform((found): MemberRecord => {
    const ours = found.pgherd;
    return {
      connUrl: found.conn_url,
      apiUrl: found.api_url ?? '',
      state: found.state,
      role: found.role,
      version: found.version ?? '',
      tags: decodeTags(found.tags ?? {}),
      pause: found.pause ?? false,
      // Patroni names the parameters only in newer versions; that something waits must not get lost.
      pendingRestart: found.pending_restart
        ? (ours?.pending_restart ?? Object.keys(found.pending_restart_reason ?? { unknown: true }))
        : [],
      checkpointed: found.checkpoint_after_promote ?? true,
      unfit: ours?.unfit ?? false,
      ...defined({
        timeline: found.timeline,
        lsn: found.xlog_location ?? maxLsnOf(found.receive_lsn, found.replay_lsn),
        receivedLsn: found.receive_lsn,
        replayedLsn: found.replay_lsn,
        replicationState: found.replication_state,
        serverVersion: ours?.server_version,
        originTerm: ours?.origin_term,
        rule: ours?.rule,
        because: ours?.because,
        progress: ours?.progress,
      }),
    };
  });

/**
 * Patroni's meaning of the tags: `nofailover` wins, else `failover_priority` below 1 says the same; `nosync` wins, else
 * `sync_priority` below 1 says the same.
 */
function decodeTags(all: Tags['all']): Tags {
  return {
    noFailover: isSet(all, 'nofailover'),
    failoverPriority: priorityOf(all, 'failover_priority'),
    noSync: isSet(all, 'nosync'),
    syncPriority: priorityOf(all, 'sync_priority'),
    witness: isSet(all, 'witness'),
    all,
  };
}

function isSet(all: Tags['all'], tag: string): boolean {
  return /^(true|on|yes|1)$/i.test(String(all[tag] ?? ''));
}

function priorityOf(all: Tags['all'], tag: string): number {
  const priority = Number(all[tag] ?? 1);
  return Number.isInteger(priority) ? Math.max(0, priority) : 1;
}

/** The JSON of a member; `undefined` fields are left out on printing. */
export function encodeMember(record: MemberRecord): object {
  return {
    conn_url: record.connUrl,
    api_url: record.apiUrl,
    state: record.state,
    role: record.role,
    version: record.version,
    tags: Object.keys(record.tags.all).length > 0 ? record.tags.all : undefined,
    checkpoint_after_promote: record.checkpointed ? undefined : false,
    pending_restart: record.pendingRestart.length > 0 ? true : undefined,
    xlog_location: record.lsn,
    replay_lsn: record.replayedLsn,
    receive_lsn: record.receivedLsn,
    replication_state: record.replicationState,
    timeline: record.timeline,
    pause: record.pause ? true : undefined,
    pgherd: {
      origin_term: record.originTerm,
      rule: record.rule,
      because: record.because,
      server_version: record.serverVersion,
      pending_restart: record.pendingRestart.length > 0 ? record.pendingRestart : undefined,
      unfit: record.unfit ? true : undefined,
      progress: record.progress && {
        doing: record.progress.doing,
        done_bytes: record.progress.doneBytes,
        total_bytes: record.progress.totalBytes,
      },
    },
  };
}

type Defined<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };

/** The fields that have a value: an absent field and one that is undefined are not the same to the core's types. */
export function defined<Fields extends object>(fields: Fields): Defined<Fields>;
export function defined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
