import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Transaction, Write } from '../../src/core/effects.ts';
import type { ClusterView, Settings } from '../../src/core/model.ts';
import { decodeView, encodeTransaction } from '../../src/dcs/records.ts';
import { decodeSettings } from '../../src/dcs/settings.ts';

function view(values: Readonly<Record<string, string>>): ClusterView {
  const keys = Object.entries(values).map(
    ([key, value]) => [key, { value, createRevision: 1, modRevision: 1 }] as const,
  );
  return decodeView({ storeId: 'store', revision: 1, keys: new Map(keys) });
}

function transaction(...write: Write[]): Transaction {
  return { name: 'test', compare: [], write };
}

function settings(raw: unknown): Settings {
  const decoded = decodeSettings(raw);
  assert.ok(decoded.ok, decoded.ok ? '' : decoded.error);
  return decoded.settings;
}
const written = (value: Settings, before?: ClusterView): unknown => {
  const [config] = encodeTransaction(transaction({ key: 'config', value }), before).write;
  return JSON.parse(config?.value ?? '');
};

describe('config', () => {
  test('has defaults', () => {
    assert.deepEqual(settings({}), {
      ttlMs: 10_000,
      loopWaitMs: 10_000,
      retryTimeoutMs: 10_000,
      failureTimeoutMs: 2000,
      heartbeatIntervalMs: 333,
      maximumLagOnFailoverBytes: 1_048_576n,
      primaryStartTimeoutMs: 300_000,
      storageTimeoutMs: 5000,
      pause: false,
      synchronousMode: 'off',
      synchronousModeStrict: false,
      synchronousNodeCount: 1,
      maximumLagOnSyncnodeBytes: undefined,
      failsafeMode: true,
      catchupTimeoutMs: 0,
      usePgRewind: true,
      useSlots: true,
      cloneWhenRewindFails: true,
      cloneWhenDiverged: true,
      memberSlotsTtlMs: 1_800_000,
      parameters: {},
    });
  });

  test('takes fractions, units, words and aliases', () => {
    const found = settings({
      ttl: 3.5,
      failure_timeout: '500ms',
      member_slots_ttl: '2h',
      master_start_timeout: 0,
      maximum_lag_on_failover: '16MB',
      synchronous_mode: 'quorum',
      pause: 'on',
      postgresql: {
        use_pg_rewind: false,
        remove_data_directory_on_rewind_failure: 'off',
        parameters: { max_connections: 100, hot_standby: true, work_mem: '4MB', gone: null },
        pg_hba: ['local all all trust'],
      },
    });
    assert.deepEqual(
      [found.ttlMs, found.failureTimeoutMs, found.memberSlotsTtlMs, found.primaryStartTimeoutMs],
      [3500, 500, 7_200_000, 0],
    );
    assert.equal(found.maximumLagOnFailoverBytes, 16n << 20n);
    assert.deepEqual([found.synchronousMode, found.pause, found.usePgRewind], ['quorum', true, false]);
    assert.deepEqual([found.cloneWhenRewindFails, found.cloneWhenDiverged], [false, true]);
    assert.deepEqual(found.parameters, { max_connections: '100', hot_standby: 'on', work_mem: '4MB' });
    assert.deepEqual(found.pgHba, ['local all all trust']);
  });

  test('errors name the place', () => {
    const found = decodeSettings({ loop_wait: -1, storage_timeout: 0.9, postgresql: { parameters: { a: [] } } });
    assert.ok(!found.ok);
    assert.deepEqual(
      found.issues.map(({ path }) => path),
      [['loop_wait'], ['storage_timeout'], ['postgresql', 'parameters', 'a']],
    );
    assert.match(found.error, /storage_timeout.*allowed: 1 to 31536000 seconds/);
    assert.ok(!decodeSettings([]).ok);
    assert.ok(!decodeSettings('x').ok);
  });

  test('what we do not know survives a rewrite; what did not change keeps its form', () => {
    const raw = {
      ttl: '30',
      slots: { a: { type: 'physical', big: 1 } },
      check_timeline: true,
      postgresql: { callbacks: { on_start: 'x' }, parameters: { max_connections: 100, work_mem: '4MB' } },
    };
    const before = view({ config: JSON.stringify(raw).replace('"big":1', '"big":12345678901234567890') });
    assert.ok(before.config);
    const paused = { ...before.config.value, pause: true, parameters: { max_connections: '100', x: '1' } };
    const [config] = encodeTransaction(transaction({ key: 'config', value: paused }), before).write;
    assert.equal(
      config?.value,
      '{"ttl":"30","slots":{"a":{"type":"physical","big":12345678901234567890}},"check_timeline":true,' +
        '"postgresql":{"callbacks":{"on_start":"x"},"parameters":{"max_connections":100,"x":"1"}},"pause":true}',
    );
    const resumed = view({ config: config?.value ?? '' });
    assert.ok(resumed.config);
    const text = JSON.stringify(written({ ...resumed.config.value, pause: false }, resumed));
    assert.ok(!text.includes('pause'), text);
  });

  test("the founder's first write is the configured section as it is", () => {
    const raw = { ttl: 5, my: { own: [1, 2] }, postgresql: { parameters: { max_connections: 50 } } };
    assert.deepEqual(written(settings(raw)), raw);
  });

  test('settings that were made otherwise are written in full', () => {
    const made = {
      ...settings({}),
      ttlMs: 1500,
      failureTimeoutMs: 700,
      heartbeatIntervalMs: 100,
      synchronousMode: 'quorum' as const,
      synchronousModeStrict: true,
      synchronousNodeCount: 2,
      maximumLagOnSyncnodeBytes: 16n << 20n,
      failsafeMode: false,
      catchupTimeoutMs: 500,
      primaryStartTimeoutMs: 1000,
      storageTimeoutMs: 12_500,
    };
    assert.deepEqual(written(made), {
      ttl: 1.5,
      failure_timeout: 0.7,
      heartbeat_interval: 0.1,
      catchup_timeout: 0.5,
      primary_start_timeout: 1,
      storage_timeout: 12.5,
      synchronous_mode: 'quorum',
      synchronous_mode_strict: true,
      synchronous_node_count: 2,
      maximum_lag_on_syncnode: 16_777_216,
      failsafe_mode: false,
    });
    assert.deepEqual(settings(written(made)), made);
  });

  test('a default that follows from another field is written when that field moves away from it', () => {
    const read = settings({ ttl: 20 });
    const shorter = { ...read, ttlMs: 4200 };
    assert.deepEqual(written(shorter), { ttl: 4.2 });
    const still = { ...read, failureTimeoutMs: 3000 };
    assert.deepEqual(written(still), { ttl: 20, failure_timeout: 3, heartbeat_interval: 0.333 });
    assert.deepEqual(settings(written(still)), still);
  });

  test('synchronous_mode in all its forms', () => {
    const modeOf = (value: unknown): string => settings({ synchronous_mode: value }).synchronousMode;
    assert.deepEqual([true, 'on', 'ON', 'yes', 1].map(modeOf), ['on', 'on', 'on', 'on', 'on']);
    assert.deepEqual([false, 'off', null, 0].map(modeOf), ['off', 'off', 'off', 'off']);
    assert.deepEqual(['quorum', 'Quorum'].map(modeOf), ['quorum', 'quorum']);
    const wrong = decodeSettings({ synchronous_mode: 'all' });
    assert.ok(!wrong.ok);
    assert.equal(wrong.error, 'synchronous_mode: found "all": allowed: off, on, quorum');
  });

  test('maximum_lag_on_syncnode: 0 and below say "no limit"', () => {
    const lagOf = (value: unknown): unknown => settings({ maximum_lag_on_syncnode: value }).maximumLagOnSyncnodeBytes;
    assert.deepEqual([-1, '-1', 0, null].map(lagOf), [undefined, undefined, undefined, undefined]);
    assert.deepEqual([1, '1kB'].map(lagOf), [1n, 1024n]);
    assert.ok(!decodeSettings({ maximum_lag_on_syncnode: 'much' }).ok);
  });

  test('durations that cannot go together: both keys and what to do', () => {
    const errorOf = (raw: unknown): string => {
      const found = decodeSettings(raw);
      return found.ok ? '' : found.error;
    };
    assert.equal(
      errorOf({ ttl: 5, failure_timeout: 3 }),
      'ttl: found 5: allowed: at least twice failure_timeout, 6 s; raise ttl, or lower failure_timeout',
    );
    assert.equal(
      errorOf({ failure_timeout: 1, heartbeat_interval: 0.5 }),
      'heartbeat_interval: found 0.5: allowed: at most a third of failure_timeout, 0.333 s; lower heartbeat_interval, or raise failure_timeout',
    );
    assert.match(errorOf({ synchronous_node_count: 0 }), /^synchronous_node_count: found 0: allowed: .* 1 or more$/);
    assert.equal(errorOf({ ttl: 1 }), '', 'a default gives way');
    assert.equal(settings({ ttl: 1 }).failureTimeoutMs, 500);
    for (const failureTimeoutS of [0.3, 0.5, 1, 2, 7.77]) {
      assert.equal(errorOf({ ttl: 20, failure_timeout: failureTimeoutS }), '');
      assert.equal(errorOf({ ttl: 20, failure_timeout: failureTimeoutS, heartbeat_interval: failureTimeoutS / 3 }), '');
    }
  });
});
