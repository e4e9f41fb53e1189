/** What a member tells the others about itself, and when. */
import { isCrowded, storageTrouble } from './ability.ts';
import { type Facts, holdsKey } from './facts.ts';
import type { MemberRecord, MemberRole, MemberState, StatusRecord } from './model.ts';
import { lsnOf } from './position.ts';

/** Positions alone are worth a write no more often than this. */
export const positionsEveryMs = 2000;

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

/** The record under `members/<name>`, as of now. */
export function memberRecord(facts: Facts): MemberRecord {
  const { state, running } = facts;
  const { self } = state;
  const lsn = running && lsnOf(running);
  const record: Mutable<MemberRecord> = {
    connUrl: self.connUrl,
    apiUrl: self.apiUrl,
    state: memberState(facts),
    role: memberRole(facts),
    version: self.version,
    tags: self.tags,
    pause: facts.paused,
    pendingRestart: running?.pendingRestart ?? [],
    checkpointed: !state.durable.checkpointDue,
    unfit: isUnfit(facts),
    rule: state.lastRule.name,
    because: state.lastRule.because,
  };
  if (running !== undefined) {
    record.timeline = running.timeline;
    record.serverVersion = running.serverVersion;
    if (lsn !== undefined) record.lsn = lsn;
    if (running.receivedLsn !== undefined) record.receivedLsn = running.receivedLsn;
    if (running.replayedLsn !== undefined) record.replayedLsn = running.replayedLsn;
    if (running.replicationState !== undefined) record.replicationState = running.replicationState;
  }
  if (state.durable.originTerm !== undefined) record.originTerm = state.durable.originTerm;
  if (state.job?.progress !== undefined) record.progress = state.job.progress;
  return record;
}

function isUnfit(facts: Facts): boolean {
  const { durable, reinit } = facts.state;
  return (
    durable.floor !== undefined || durable.rewinding || reinit !== undefined || storageTrouble(facts) !== undefined
  );
}

function memberRole(facts: Facts): MemberRole {
  if (facts.state.self.tags.witness) return 'witness';
  if (facts.instance === 'empty' || facts.instance === 'unusable' || facts.instance === 'unknown')
    return 'uninitialized';
  return facts.instance === 'primary' && facts.iHold ? 'primary' : 'replica';
}

function memberState(facts: Facts): MemberState {
  // Of a witness its agent is all that can run.
  if (facts.state.self.tags.witness) return 'running';
  const { job, failures } = facts.state;
  switch (job?.job.kind) {
    case 'initdb':
      return 'initializing new cluster';
    case 'clone':
      return 'creating replica';
    case 'stop':
      return facts.state.restart === undefined ? 'stopping' : 'restarting';
    case 'start':
      return facts.state.restart === undefined ? 'starting' : 'restarting';
    default:
      break;
  }
  switch (facts.instance) {
    case 'primary':
    case 'replica':
      return 'running';
    case 'starting':
      return 'starting';
    case 'silent':
      return isCrowded(facts) ? 'running' : 'crashed';
    case 'dying':
      return 'crashed';
    case 'empty':
      return failures.has('initdb') ? 'initdb failed' : 'stopped';
    default:
      return stoppedState(facts);
  }
}

function stoppedState(facts: Facts): MemberState {
  if ((facts.state.failures.get('start')?.count ?? 0) >= 2) return 'start failed';
  const instance = facts.postgres?.instance;
  return instance?.kind === 'stopped' && instance.exit?.kind === 'crashed' ? 'crashed' : 'stopped';
}

/** The holder's `status`; undefined at everybody else. */
export function statusRecord(facts: Facts): StatusRecord | undefined {
  const { running, state, now } = facts;
  if (running?.writtenLsn === undefined || !holdsKey(state, now)) return undefined;
  const slots = running.slots.flatMap((slot) =>
    slot.restartLsn === undefined ? [] : [[slot.name, slot.restartLsn] as const],
  );
  return { lsn: running.writtenLsn, slots };
}

/** How a field is compared; those that move all the time may wait for their turn. */
const fields: Readonly<Record<keyof MemberRecord, 'plain' | 'deep' | 'moving'>> = {
  connUrl: 'plain',
  apiUrl: 'plain',
  state: 'plain',
  role: 'plain',
  version: 'plain',
  tags: 'deep',
  timeline: 'plain',
  lsn: 'moving',
  receivedLsn: 'moving',
  replayedLsn: 'moving',
  replicationState: 'plain',
  pause: 'plain',
  pendingRestart: 'deep',
  checkpointed: 'plain',
  serverVersion: 'plain',
  originTerm: 'plain',
  unfit: 'plain',
  rule: 'plain',
  because: 'plain',
  progress: 'moving',
};
const plainFields = fieldsOf('plain');
const deepFields = fieldsOf('deep');

function fieldsOf(kind: 'plain' | 'deep'): readonly (keyof MemberRecord)[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of the table above
  const names = Object.keys(fields) as (keyof MemberRecord)[];
  return names.filter((name) => fields[name] === kind);
}

/** Whether anything but positions differs: that is told at once. */
export function differsInKind(a: MemberRecord, b: MemberRecord): boolean {
  for (const name of plainFields) if (a[name] !== b[name]) return true;
  return a.progress?.doing !== b.progress?.doing || deepFields.some((name) => !isSame(a[name], b[name]));
}

/** In what changes all the time: such a change may wait for its turn. */
export function differsInPosition(a: MemberRecord, b: MemberRecord): boolean {
  return (
    a.lsn !== b.lsn ||
    a.replayedLsn !== b.replayedLsn ||
    a.receivedLsn !== b.receivedLsn ||
    a.progress?.doneBytes !== b.progress?.doneBytes
  );
}

function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && isSame(Reflect.get(a, key), Reflect.get(b, key)));
}
