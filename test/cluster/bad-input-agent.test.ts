/** An agent that is killed: PostgreSQL goes on, and the next agent takes it over without a client noticing. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { createLoopback, type Loopback } from './loopback/cluster.ts';
import type { Answer, Member } from './loopback/member.ts';

/** One session, open all the time: it asks again and again, and notes every error and every long wait. */
interface Watcher {
  readonly answers: () => number;
  /** Ends it: what went wrong, and the longest time between two answers. */
  stop(): Promise<{ readonly errors: readonly string[]; readonly longestMs: number; readonly backend: number }>;
}

async function watch(member: Member, query: string): Promise<Watcher> {
  const client: Client = await member.connect();
  const errors: string[] = [];
  client.on('error', (error) => errors.push(error.message));
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  let answers = 0;
  let longestMs = 0;
  const ending = new AbortController();
  const running = (async (): Promise<void> => {
    let last = performance.now();
    while (!ending.signal.aborted && errors.length === 0) {
      await client.query(query).catch((error: unknown) => errors.push(String(error)));
      const now = performance.now();
      longestMs = Math.max(longestMs, now - last);
      last = now;
      answers += 1;
      await sleep(5);
    }
  })();
  return {
    answers: () => answers,
    stop: async () => {
      ending.abort();
      await running;
      await client.end();
      return { errors, longestMs, backend: rows[0]?.pid ?? 0 };
    },
  };
}

describe('the agent is killed and started again', () => {
  let lab: Loopback;
  let pg1: Member;
  let pg2: Member;
  before(async () => {
    lab = await createLoopback();
    await lab.monitor.start();
    pg1 = await lab.member('pg1');
    pg2 = await lab.member('pg2');
    pg1.start();
    await pg1.isLeader();
    pg2.start();
    await pg2.isStreaming();
    await pg1.sql('create table ticks (at timestamptz)');
  });
  after(() => lab.end());

  /** Kills and starts the agent of `member` under a session that runs `query`. */
  async function survives(member: Member, query: string, isBack: () => Promise<Answer>): Promise<void> {
    const ticks = async (): Promise<unknown> => (await pg1.sql('select count(*)::integer as n from ticks'))[0]?.['n'];
    const before = { one: await pg1.isLeader(), two: await pg2.isStreaming(), postmaster: member.postmaster() };
    const watcher = await watch(member, query);
    await lab.until('the session works', () => watcher.answers() > 5);
    member.agent().kill('SIGKILL');
    await member.agent().ended;
    assert.equal(await member.ask(), undefined, 'the agent is gone');
    const atDeath = watcher.answers();
    await lab.until('the session goes on without the agent', () => watcher.answers() > atDeath + 100);
    member.start();
    const back = await isBack();
    const whenBack = watcher.answers();
    await lab.until('the session goes on with the new agent', () => watcher.answers() > whenBack + 50);
    const { errors, longestMs } = await watcher.stop();
    assert.deepEqual(errors, []);
    assert.ok(longestMs < 2000, `a client waited for ${longestMs} ms`);
    assert.equal(member.postmaster(), before.postmaster);
    assert.equal(back['postmaster_start_time'], (member === pg1 ? before.one : before.two)['postmaster_start_time']);
    const [one, two] = [await pg1.isLeader(), await pg2.isStreaming()];
    assert.deepEqual([one.timeline, two.timeline], [before.one.timeline, before.two.timeline]);
    assert.notEqual(await ticks(), 0);
    assert.match(member.log(), /INFO +begin: .*INFO +begin: /s);
    assert.doesNotMatch(member.log().split(' begin: ').at(-1) ?? '', /job-begun: (start|stop|promote|fast|immediate)/);
  }

  test('of the primary, within the TTL: the same postmaster, the same term, and no client notices', async () => {
    await survives(pg1, 'insert into ticks values (now())', () => pg1.shows('the lead', ({ rule }) => rule === 'lead'));
    assert.match(pg1.log(), /reclaim-key: the agent was restarted; PostgreSQL went on, and so does its lease/);
    const history = await lab.pgherd(pg1, 'history', '--format', 'json');
    assert.equal(history.stdout, '[]\n', 'nobody else led, and no timeline was made');
  });

  test('of a replica: the same postmaster, and no client notices', async () => {
    await survives(pg2, 'select count(*) from ticks', () => pg2.shows('replicate', ({ rule }) => rule === 'replicate'));
  });
});
