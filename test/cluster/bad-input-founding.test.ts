/** Two members found a cluster at the same instant, again and again: there is always one cluster, and both are in it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createLoopback, type Loopback } from './loopback/cluster.ts';
import type { Member } from './loopback/member.ts';
import { freePort } from './loopback/processes.ts';

const rounds = 20;

/** A way to the monitor that opens only when both agents stand before it: their first questions arrive together. */
interface Gate {
  readonly port: number;
  readonly agents: () => number;
  open(): void;
  close(): void;
}

async function createGate(monitorPort: number): Promise<Gate> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let held: (() => void)[] | undefined = [];
  const server: Server = createServer({ pauseOnConnect: true }, (client) => {
    sockets.add(client);
    client.on('error', () => {});
    const pass = (): void => {
      const onward = connect(monitorPort, '127.0.0.1');
      sockets.add(onward);
      onward.on('error', () => client.destroy());
      onward.on('close', () => client.destroy());
      client.on('close', () => onward.destroy());
      client.pipe(onward).pipe(client);
      client.resume();
    };
    if (held) held.push(pass);
    else pass();
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port,
    // Each agent comes with two connections: one for its questions, one for the watch.
    agents: () => (held?.length ?? 0) / 2,
    open: () => {
      const waiting = held ?? [];
      held = undefined;
      for (const pass of waiting) pass();
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

describe(`two members begin at the same instant, ${rounds} times`, () => {
  let lab: Loopback;
  before(async () => {
    lab = await createLoopback();
    await lab.monitor.start();
  });
  after(() => lab.end());
  /** Rounds in which both asked for it, and one was refused. */
  let collisions = 0;

  for (let round = 1; round <= rounds; round += 1) {
    // By turns: as the processes come, and with their first questions at the same instant.
    const gated = round % 2 === 0;
    test(`round ${round}${gated ? ', let in together' : ''}`, async () => {
      const gate = gated ? await createGate(lab.monitor.port) : undefined;
      const uri = `postgres://pgherd@127.0.0.1:${gate?.port ?? lab.monitor.port}/pgherd`;
      const settings = { scope: `round${round}`, monitor: { uri } };
      const members = await Promise.all(
        ['a', 'b'].map((name) => lab.member(name, { settings, directory: `round${round}${name}` })),
      );
      for (const member of members) member.start();
      if (gate) {
        await lab.until('both stand before the gate', () => gate.agents() >= 2, { everyMs: 5 });
        gate.open();
      }
      await settled(members);
      await Promise.all(members.map((member) => member.kill()));
      gate?.close();
    });
  }

  test('they really met: in some rounds one was refused', () => {
    assert.ok(collisions >= 3, `in ${collisions} of ${rounds} rounds`);
  });

  /** Waits for one leader and one that streams from it, and proves that they are one cluster. */
  async function settled(members: readonly Member[]): Promise<void> {
    const answers = await lab.until('a leader and a streaming replica', async () => {
      const seen = await Promise.all(members.map((member) => member.ask()));
      const leaders = seen.filter((answer) => answer?.role === 'primary' && answer.state === 'running');
      const streaming = seen.filter((answer) => answer?.replication_state === 'streaming');
      return leaders.length === 1 && streaming.length === 1 ? seen : undefined;
    });
    const identifiers = new Set(answers.map((answer) => answer?.database_system_identifier));
    assert.equal(identifiers.size, 1, `system identifiers: ${[...identifiers].join(', ')}`);
    assert.deepEqual(
      answers.map((answer) => answer?.timeline),
      [1, 1],
    );
    const leader = members[answers.findIndex((answer) => answer?.role === 'primary')];
    const replica = members.find((member) => member !== leader);
    assert.ok(leader && replica);
    const listed = await lab.rows(replica);
    assert.deepEqual(
      listed.map((row) => [row['Member'], row['Role']]),
      members.map((member) => [member.name, member === leader ? 'Leader' : 'Replica']),
    );
    if (/transaction: found: refused/.test(replica.log())) collisions += 1;
    // Nobody initialised in vain: nothing was set aside, and only the leader ran initdb.
    for (const member of members) assert.deepEqual(readdirSync(member.folder), ['data', 'data.pgherd']);
    assert.match(leader.log(), /job-done: initdb/);
    assert.doesNotMatch(replica.log(), /job-begun: initdb/);
  }
});
