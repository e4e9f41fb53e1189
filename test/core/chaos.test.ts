/**
 * Random faults at random times, from a seed: never two writable members, never foreign WAL; when the faults end there
 * is one leader, everybody streams from it, and then there is rest. CHAOS_SEEDS=FROM-TO runs others; a seed that fails
 * is told as a story that can be saved as a scenario.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Member } from './world/member.ts';
import { scenario } from './world/script.ts';
import type { World } from './world/world.ts';

const [from = 1, to = 100] = (process.env['CHAOS_SEEDS'] ?? '1-100').split('-').map(Number);

/** Mulberry32: small, and the same everywhere. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Fault = (world: World, one: Member, next: () => number) => readonly string[];

const faults: readonly Fault[] = [
  (_world, one) => [`crash ${one.name}`],
  (_world, one) => (one.postgres.process === 'running' ? [`stop-by-hand ${one.name}`] : []),
  (_world, one, next) =>
    one.alive ? [`kill-agent ${one.name}`, `run ${Math.floor(next() * 3000)}ms`, `start ${one.name}`] : [],
  (_world, one) => (one.alive ? [`kill-host ${one.name}`] : []),
  (_world, one) => [`cut ${one.name}`],
  (world) => [world.storeUp ? 'dcs-down' : 'dcs-up'],
  (_world, one) => [`lose-reply ${one.name}`],
  (_world, one) => [`lose-request ${one.name}`],
  (world, one) => {
    const leader = world.store.view.leader?.value;
    return leader === undefined || leader === one.name || !one.alive
      ? []
      : [`switchover ${one.name} ${leader} ${one.name}`];
  },
  (_world, one) => (one.alive ? [`restart ${one.name}`] : []),
  (_world, one, next) => (one.alive ? [`freeze ${one.name} ${Math.floor(next() * 1500)}ms`] : []),
  (_world, one) => (one.alive ? [`reinit ${one.name}`] : []),
  (world) => [`configure pause=${String(!(world.store.view.config?.value.pause ?? false))}`],
  (world) => [...world.members.values()].flatMap((other) => (other.connected ? [] : [`heal ${other.name}`])),
  (world) => [...world.members.values()].flatMap((other) => (other.alive ? [] : [`start ${other.name}`])),
];

/** Everything that happened, and what is wrong with it. */
function story(seed: number): { readonly told: readonly string[]; readonly problems: readonly string[] } {
  const next = random(seed);
  const { run, world } = scenario();
  const told: string[] = [];
  const play = (line: string): void => {
    const output = run(line);
    told.push(line, ...(output === '' ? [] : ['----', output]));
  };
  const names = next() < 0.2 ? 'a b' : 'a b c';
  [`members ${names}`, `start ${names}`, 'run 8s'].forEach(play);
  for (let step = 0; step < 8; step += 1) {
    const members = [...world.members.values()];
    const one = members[Math.floor(next() * members.length)];
    const fault = faults[Math.floor(next() * faults.length)];
    if (one !== undefined) fault?.(world, one, next).forEach(play);
    const pace = next();
    play(`run ${Math.floor(next() * (pace < 0.4 ? 60 : pace < 0.7 ? 1500 : 14_000))}ms`);
  }
  healAll(world, play);
  return { told, problems: [...broken(told), ...unhealthy(world), ...restless(world, play)] };
}

function healAll(world: World, play: (line: string) => void): void {
  if (!world.storeUp) play('dcs-up');
  if (world.store.view.config?.value.pause === true) play('configure pause=false');
  for (const one of world.members.values()) {
    one.nextTransaction = 'ok';
    if (!one.connected) play(`heal ${one.name}`);
    if (!one.alive) play(`start ${one.name}`);
  }
  play('run 90s');
}

function broken(told: readonly string[]): readonly string[] {
  return told
    .filter((text) => text.includes('!!!'))
    .map((text) => text.slice(text.indexOf('!!!'), text.indexOf('!!!') + 60));
}

function unhealthy(world: World): readonly string[] {
  const members = [...world.members.values()];
  const [leader, ...others] = members.filter((one) => one.postgres.isPrimary);
  if (leader === undefined || others.length > 0)
    return [`primaries at the end: ${members.filter((one) => one.postgres.isPrimary).length}`];
  if (world.store.view.leader?.value !== leader.name) return [`${leader.name} serves without the key`];
  return members
    .filter((one) => one !== leader && !one.postgres.isStreamingFrom(leader.postgres))
    .map((one) => `${one.name} does not stream: ${one.rule}: ${one.state.lastRule.because}`);
}

/** At rest a member renews two leases and tells its position now and then. */
function restless(world: World, play: (line: string) => void): readonly string[] {
  const before = world.store.view.leader?.value;
  for (const one of world.members.values()) one.effects = 0;
  play('run 20s');
  const busy = [...world.members.values()]
    .filter((one) => one.effects > 80)
    .map((one) => `${one.name} carried out ${one.effects} effects in 20 s of rest`);
  return before === world.store.view.leader?.value ? busy : [...busy, 'the leader changed at rest'];
}

test(`chaos: seeds ${from} to ${to}`, () => {
  for (let seed = from; seed <= to; seed += 1) {
    const { told, problems } = story(seed);
    assert.deepEqual(problems, [], `seed ${seed}:\n${told.join('\n')}`);
  }
});
