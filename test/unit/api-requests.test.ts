import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type JsonObject,
  type Parsed,
  parseChange,
  parseReinitialize,
  parseRestart,
  type RequestFacts,
} from '../../src/api/requests.ts';

const now = Date.parse('2026-11-20T08:51:25Z');
const facts: RequestFacts = { paused: false, nowEpochMs: now, serverVersion: 150_018 };
const paused = { ...facts, paused: true };

function refused(parsed: Parsed, status: number, text: string | RegExp): void {
  assert.ok(!parsed.ok, 'refused');
  assert.equal(parsed.status, status);
  if (typeof text === 'string') assert.equal(parsed.text, text);
  else assert.match(parsed.text, text);
}

function accepted(parsed: Parsed, request: unknown): void {
  assert.ok(parsed.ok, `accepted: ${JSON.stringify(parsed)}`);
  assert.deepEqual(parsed.request, request);
}

const switchover = (body: JsonObject, given = facts): Parsed => parseChange('switchover', body, given);
const failover = (body: JsonObject, given = facts): Parsed => parseChange('failover', body, given);

test('switchover', () => {
  const request = { kind: 'switchover', leader: 'pg-0', candidate: 'pg-1' };
  accepted(switchover({ leader: 'pg-0', candidate: 'pg-1' }), request);
  accepted(switchover({ leader: 'pg-0', member: 'pg-1' }), request);
  accepted(switchover({ leader: 'pg-0', candidate: '', member: 'pg-1', scheduled_at: null }), request);
  accepted(switchover({ leader: 'pg-0', candidate: null }), { ...request, candidate: undefined });
  refused(switchover({ candidate: 'pg-1' }), 400, 'Switchover could be performed only from a specific leader');
  refused(switchover({ leader: 'a', candidate: 'a' }), 400, 'Switchover target and source are the same');
  refused(switchover({ leader: 5 }), 400, 'leader must be a text: the name of a member');
  refused(switchover({ leader: 'a', candidate: ['b'] }), 400, /^candidate must be a text/);
  const inPause = 'Switchover is possible only to a specific candidate in a paused state';
  refused(switchover({ leader: 'a' }, paused), 400, inPause);
  accepted(switchover({ leader: 'pg-0', candidate: 'pg-1' }, paused), request);
});

test('failover, which is a switchover when it names the leader', () => {
  const request = { kind: 'failover', candidate: 'pg-1', allowDataLoss: false };
  accepted(failover({ candidate: 'pg-1' }), request);
  accepted(failover({ candidate: 'pg-1', allow_data_loss: 'yes' }), { ...request, allowDataLoss: true });
  refused(failover({ candidate: 'a', allow_data_loss: 'maybe' }), 400, 'allow_data_loss must be true or false');
  const onlyFailover = 'Only a failover can allow the loss of data';
  refused(switchover({ leader: 'a', candidate: 'b', allow_data_loss: true }), 400, onlyFailover);
  accepted(failover({ candidate: 'b', leader: 'a' }), { kind: 'switchover', leader: 'a', candidate: 'b' });
  refused(failover({ leader: 'a' }), 400, 'Failover could be performed only to a specific candidate');
  refused(failover({ candidate: 'a', leader: 'a' }), 400, 'Switchover target and source are the same');
  refused(failover({ candidate: 'a', scheduled_at: '2031-01-01T00:00:00Z' }), 400, "Failover can't be scheduled");
});

function at(scheduledAt: unknown, given = facts): Parsed {
  return switchover({ leader: 'a', scheduled_at: scheduledAt }, given);
}

test('a schedule is checked as Patroni does, then said not to be available', () => {
  const unreadable = 'Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601';
  refused(at('2031-01-01T00:00:00'), 400, 'Timezone information is mandatory for the scheduled switchover');
  refused(at('2016-09-01T00:00:00+00:00'), 422, 'Cannot schedule switchover in the past');
  for (const text of ['tomorrow', '2031-13-01T00:00:00Z', '2031-01-01', 5, true, {}])
    refused(at(text), 422, unreadable);
  const ahead = [
    '2031-01-01T00:00:00+00:00',
    '2031-01-01 00:00Z',
    '2031-01-01T00:00:00.5+01',
    '2031-01-01T00:00:00-0130',
    '2026-11-20T09:51:25.001+01:00',
  ];
  for (const text of ahead) refused(at(text), 400, /^A scheduled switchover is not available in this version/);
  // One hour east of now, one second ago.
  refused(at('2026-11-20T09:51:24+01:00'), 422, 'Cannot schedule switchover in the past');
  refused(at('2031-01-01T00:00:00Z', paused), 400, "Can't schedule switchover in the paused state");
});

test('restart: conditions, in the order of the body', () => {
  accepted(parseRestart({}, facts), { kind: 'restart', role: undefined, pendingOnly: false });
  accepted(parseRestart({ role: 'replica', restart_pending: true }, facts), {
    kind: 'restart',
    role: 'replica',
    pendingOnly: true,
  });
  accepted(parseRestart({ restart_pending: 'off' }, facts), { kind: 'restart', role: undefined, pendingOnly: false });
  const roleText = 'PostgreSQL role should be either primary, standby_leader, or replica';
  refused(parseRestart({ role: 'unknown' }, facts), 400, roleText);
  refused(parseRestart({ role: 'unknown', foo: 1 }, facts), 400, roleText);
  refused(parseRestart({ foo: 1, role: 'unknown' }, facts), 400, 'Unknown filter for the scheduled restart: foo');
  refused(parseRestart({ toString: 1 }, facts), 400, 'Unknown filter for the scheduled restart: toString');
  refused(parseRestart({ restart_pending: 'maybe' }, facts), 400, 'restart_pending must be true or false');
  refused(parseRestart({ role: 'standby_leader' }, facts), 503, 'restart conditions are not satisfied');
});

test('restart of servers that are older than a version', () => {
  const restart = { kind: 'restart', role: undefined, pendingOnly: false };
  accepted(parseRestart({ postgres_version: '15.19' }, facts), restart);
  accepted(parseRestart({ postgres_version: '16.0' }, facts), restart);
  for (const version of ['15.18', '15.4', '9.6.24']) {
    refused(parseRestart({ postgres_version: version }, facts), 503, 'restart conditions are not satisfied');
  }
  const unknownServer = { ...facts, serverVersion: undefined };
  refused(parseRestart({ postgres_version: '16.1' }, unknownServer), 503, 'restart conditions are not satisfied');
  refused(parseRestart({ postgres_version: 'new' }, facts), 400, 'Invalid PostgreSQL version: new');
  const form = 'Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: ';
  refused(parseRestart({ postgres_version: '15' }, facts), 400, `${form}15`);
  refused(parseRestart({ postgres_version: '9.6' }, facts), 400, `${form}9.6`);
  refused(parseRestart({ postgres_version: 15.4 }, facts), 400, /^Invalid PostgreSQL version/);
});

test('restart: time-outs and schedules', () => {
  const positive = 'Timeout should be a positive number of seconds';
  for (const timeout of [0, -1, 'soon', true, '0min']) refused(parseRestart({ timeout }, facts), 400, positive);
  for (const timeout of [5, '5', '1min'])
    refused(parseRestart({ timeout }, facts), 400, /not available in this version/);
  const schedule = '2031-01-01T00:00:00Z';
  refused(parseRestart({ schedule }, facts), 400, /^A scheduled restart is not available in this version/);
  refused(parseRestart({ schedule }, paused), 500, "Can't schedule restart in the paused state");
  refused(parseRestart({ schedule: '2016-01-01T00:00:00Z' }, facts), 422, 'Cannot schedule restart in the past');
  const zone = 'Timezone information is mandatory for the scheduled restart';
  refused(parseRestart({ schedule: '2031-01-01T00:00' }, facts), 400, zone);
  refused(parseRestart({ schedule, foo: 1 }, facts), 400, 'Unknown filter for the scheduled restart: foo');
});

test('reinitialize', () => {
  accepted(parseReinitialize({}), { kind: 'reinitialize', force: false });
  accepted(parseReinitialize({ force: true, from_leader: true }), { kind: 'reinitialize', force: true });
  accepted(parseReinitialize({ force: 'yes', 'from-leader': 'no' }), { kind: 'reinitialize', force: true });
  // Not taken for a no: it may have been meant as a yes.
  refused(parseReinitialize({ force: 'sure' }), 400, 'force must be true or false');
  refused(parseReinitialize({ force: {} }), 400, 'force must be true or false');
});
