/** What agent and guard say to each other, and the device behind the guard. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { array, assert as check, constant, double, integer, nat, oneof, option, property, record } from 'fast-check';
import { guardActsOf } from '../../src/host/guard-acts.ts';
import {
  type AgentWord,
  agentLine,
  type GuardWord,
  guardLine,
  lineReader,
  readAgentLine,
  readGuardLine,
} from '../../src/host/guard-line.ts';
import { deviceTimeoutS, watchdog, watchdogTrouble } from '../../src/host/watchdog.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgherd-guard-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const instants = option(double({ min: 0, max: 1e12, noNaN: true }), { nil: undefined });

test('what is said is understood, in whatever pieces it comes', () => {
  const words = array(
    oneof(
      record(
        { kind: constant('arm' as const), until: instants, ttlMs: integer({ min: 1, max: 1e7 }) },
        { noNullPrototype: true },
      ),
      constant<AgentWord>({ kind: 'end' }),
    ),
  );
  check(
    property(words, integer({ min: 1, max: 9 }), (said, size) => {
      const heard: (AgentWord | undefined)[] = [];
      const hear = lineReader((line) => heard.push(readAgentLine(line)));
      const text = said.map(agentLine).join('');
      for (let from = 0; from < text.length; from += size) hear(text.slice(from, from + size));
      assert.deepEqual(heard, said);
    }),
  );
  const answers = oneof(
    record({ kind: constant('armed' as const), until: instants }, { noNullPrototype: true }),
    record(
      { kind: constant('hello' as const), version: constant('1'), pid: nat(), until: instants },
      { noNullPrototype: true },
    ),
  );
  check(property(answers, (word: GuardWord) => assert.deepEqual(readGuardLine(guardLine(word).trimEnd()), word)));
});

test('anything else is no word', () => {
  for (const line of ['', 'arm', 'arm x 1', 'arm 5', 'arm 5 0', 'armed', 'arm 5 -1', 'arm Infinity 1']) {
    assert.equal(readAgentLine(line), undefined, line);
  }
  for (const line of ['', 'armed', 'armed x', 'pgherd-guard', 'pgherd-guard 1 x -', 'HTTP/1.1 200 OK']) {
    assert.equal(readGuardLine(line), undefined, line);
  }
});

test('acts are read line by line, and one that was cut off is left out', () => {
  assert.deepEqual(guardActsOf('{"at":"t","text":"a"}\n{"at":"u","te'), [{ at: 't', text: 'a' }]);
  assert.deepEqual(guardActsOf(''), []);
});

test('the device fires a margin before the TTL has run out, or at its half', () => {
  assert.equal(deviceTimeoutS(30_000, 5000), 25);
  assert.equal(deviceTimeoutS(30_000, -1), 15);
  assert.equal(deviceTimeoutS(5000, 5000), 1);
});

test('the device is fed with each deadline, and told to stop when there is none', () => {
  const device = join(folder, 'device');
  writeFileSync(device, '');
  const told: string[] = [];
  const dog = watchdog({ device, safetyMarginMs: 5000, tell: (text) => told.push(text) });
  dog.letGo();
  assert.equal(readFileSync(device, 'utf8'), '');
  dog.feed(30_000);
  dog.feed(30_000);
  assert.equal(readFileSync(device, 'utf8'), '11');
  dog.feed(20_000);
  assert.equal(readFileSync(device, 'utf8'), '11V1', 'another TTL is another time of the device');
  dog.letGo();
  dog.letGo();
  assert.equal(readFileSync(device, 'utf8'), '11V1V');
  assert.match(told.join('\n'), /resets this machine 25 s after the last renewal/);
  assert.match(told.join('\n'), /resets this machine 15 s after the last renewal/);
});

test('a device that cannot be used is said once, not with every deadline', () => {
  const told: string[] = [];
  const dog = watchdog({
    device: join(folder, 'gone', 'device'),
    safetyMarginMs: 5000,
    tell: (text) => told.push(text),
  });
  dog.feed(30_000);
  dog.feed(30_000);
  assert.equal(told.length, 1);
  assert.match(told[0] ?? '', /ENOENT/);
});

test('trouble with a device is found before it is relied on', () => {
  assert.match(watchdogTrouble(join(folder, 'none')) ?? '', /none cannot be used: ENOENT/);
  assert.match(watchdogTrouble(folder) ?? '', /is a directory/);
  const device = join(folder, 'fine');
  appendFileSync(device, '');
  assert.equal(watchdogTrouble(device), undefined);
});
