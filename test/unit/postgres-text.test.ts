/** What the adapter writes for libpq and PostgreSQL, and reads from them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, property, string } from 'fast-check';
import { lsn } from '../../src/core/lsn.ts';
import { slotNameOf } from '../../src/core/slots.ts';
import { conninfo, parseConninfo, passfile, upstreamConninfo, upstreamOf } from '../../src/postgres/conninfo.ts';
import { parseControlData, wasShutDown } from '../../src/postgres/control-data.ts';
import { toolArguments } from '../../src/postgres/options.ts';
import { effectiveParameters, formatParameter, parseParameters, stripAutoConf } from '../../src/postgres/parameters.ts';
import { scramVerifier } from '../../src/postgres/scram.ts';

const member = { listen: { hosts: ['10.0.0.1', '127.0.0.1'], port: 5433 }, scope: 'main', parameters: {} };

test('a connection string is read as it was written', () => {
  check(
    property(string(), string({ minLength: 1 }), (password, host) => {
      const fields = parseConninfo(
        conninfo([
          ['password', password],
          ['host', host],
          ['port', undefined],
        ]),
      );
      assert.deepEqual(
        [...(fields ?? [])],
        [
          ['password', password],
          ['host', host],
        ],
      );
    }),
  );
  assert.equal(parseConninfo('postgres://x'), undefined);
});

test('primary_conninfo names the member, holds no password, and never asks for a role of the server', () => {
  const text = upstreamConninfo(
    { host: 'db2', port: 5432 },
    { username: 'repl', password: 'secret', connection: { sslmode: 'verify-full', target_session_attrs: 'any' } },
    '/var/lib/x y/pgpass',
    'pg-1',
  );
  assert.ok(!text.includes('secret') && !text.includes('target_session_attrs'));
  assert.match(text, /passfile='\/var\/lib\/x y\/pgpass'/);
  assert.match(text, /application_name=pg-1 connect_timeout=2 .*sslmode=verify-full$/);
  assert.deepEqual(upstreamOf(text), { host: 'db2', port: 5432 });
  assert.equal(upstreamOf(''), undefined);
  assert.deepEqual(upstreamOf('hostaddr=10.1.1.1'), { host: '10.1.1.1', port: 5432 });
});

test('a passfile escapes what separates its fields, and has each user once', () => {
  const user = { username: 'a:b', password: 'c\\d' };
  assert.equal(passfile([user, user, { username: 'none' }]), '*:*:*:a\\:b:c\\\\d\n');
});

test("slot names follow Patroni's rule", () => {
  assert.equal(slotNameOf('PG-1.example'), 'pg_1_example');
  assert.equal(slotNameOf('a b/ü'), 'au0032bu0047u0252');
  assert.equal(slotNameOf('x'.repeat(80)).length, 63);
});

test('what the cluster must agree on is on the command line, whatever a member configures', () => {
  const parameters = { max_connections: '300', wal_level: 'hot_standby', work_mem: '4MB', hot_standby: 'off' };
  const { commandLine, file, warnings } = effectiveParameters(
    { ...member, parameters: { max_connections: '5', work_mem: '8MB', port: '1', restart_after_crash: 'on' } },
    { parameters },
    { max_connections: '200', max_worker_processes: '16' },
  );
  assert.equal(commandLine['max_connections'], '300');
  assert.equal(commandLine['max_worker_processes'], '16');
  assert.equal(commandLine['wal_level'], 'replica');
  assert.equal(commandLine['hot_standby'], 'on');
  assert.equal(commandLine['listen_addresses'], '10.0.0.1,127.0.0.1');
  assert.equal(file['work_mem'], '8MB');
  assert.equal(file['port'], '5433');
  assert.equal(file['restart_after_crash'], 'off');
  assert.deepEqual(warnings.length, 2);
});

test('a value that would keep PostgreSQL from starting gives way to the default, with a warning', () => {
  for (const [name, value] of Object.entries({ max_connections: '3', wal_level: 'minimal', wal_log_hints: 'maybe' })) {
    const { commandLine, warnings } = effectiveParameters(member, { parameters: { [name]: value } }, {});
    assert.notEqual(commandLine[name], value);
    assert.match(warnings[0] ?? '', new RegExp(`${name} cannot be "${value}"`));
  }
});

test('parameter values are quoted for postgresql.conf', () => {
  assert.equal(formatParameter('a', `it's \\ "x"\n`), `a = 'it''s \\\\ "x"\\n'`);
});

test('our file is read as it was written', () => {
  check(
    property(string(), string(), (left, right) => {
      // PostgreSQL takes no NUL in a value.
      const values = { 'pgherd.mark': left.replaceAll('\0', ''), work_mem: right.replaceAll('\0', '') };
      const lines = Object.entries(values).map(([name, value]) => formatParameter(name, value));
      assert.deepEqual(parseParameters(`# head\n${lines.join('\n')}\n`), values);
    }),
  );
  assert.deepEqual(parseParameters("work_mem = 4MB\ninclude 'x'\na = 'b"), {});
});

test('in synchronous mode no file of ours lowers what a commit waits for', () => {
  const chosen = (value: string, synchronousMode: 'off' | 'on'): string | undefined =>
    effectiveParameters(member, { parameters: { synchronous_commit: value }, synchronousMode }, {}).file[
      'synchronous_commit'
    ];
  for (const lower of ['off', 'local', 'remote_write', 'no']) {
    assert.equal(chosen(lower, 'on'), undefined);
    assert.equal(chosen(lower, 'off'), lower);
  }
  for (const enough of ['on', 'remote_apply', 'TRUE']) assert.equal(chosen(enough, 'on'), enough);
});

test('only what is ours leaves postgresql.auto.conf', () => {
  const text = "# c\nwork_mem = '1MB'\nRecovery_Target_Time = 'x'\nport = '1'\n";
  assert.deepEqual(stripAutoConf(text), { text: "# c\nwork_mem = '1MB'\n", removed: ['Recovery_Target_Time', 'port'] });
});

test("Patroni's lists of tool options become arguments", () => {
  const list = ['data-checksums', { encoding: 'UTF8' }, { 'wal-segsize': 64 }, { debug: false }, { pgdata: '/x' }];
  assert.deepEqual(toolArguments(list, ['pgdata']), {
    arguments: ['--data-checksums', '--encoding=UTF8', '--wal-segsize=64'],
    refused: ['pgdata'],
  });
});

test('a SCRAM verifier is the one of RFC 7677', () => {
  // Example of RFC 7677, section 3: password "pencil", salt W22ZaJ0SNY7soEsUEjb6gQ==, 4096 iterations.
  assert.equal(
    scramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')),
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});

test('pg_controldata is read', () => {
  const text = `Database system identifier:           7710173580712720136
Database cluster state:               shut down in recovery
Latest checkpoint location:           0/3000060
Latest checkpoint's TimeLineID:       2
wal_log_hints setting:                on
max_connections setting:              100
max_prepared_xacts setting:           5
Data page checksum version:           1
`;
  const outcome = parseControlData(text);
  assert.ok(outcome.ok);
  assert.deepEqual(outcome.control, {
    systemId: '7710173580712720136',
    state: 'shut down in recovery',
    timeline: 2,
    checkpointLsn: lsn(0x3000060),
    walLogHints: true,
    dataChecksums: true,
    settings: { max_connections: '100', max_prepared_transactions: '5' },
  });
  assert.ok(wasShutDown(outcome.control));
  assert.equal(parseControlData('').ok, false);
});
