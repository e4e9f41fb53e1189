import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { apply, put, read, until } from '../dcs/contract.ts';
import { accessTo, freePort, type MonitorProgram, makeFolder, processesOf, spawnMonitor } from '../dcs/monitor.ts';

/** Runs the program to its end; what it said. */
async function refused(pgdata: string, listen: string): Promise<string> {
  const program = spawnMonitor(pgdata, listen);
  assert.equal(await program.exitCode, 1, program.output());
  return program.output();
}

async function ready(program: MonitorProgram): Promise<void> {
  await until(
    'the monitor is ready',
    () => program.output().includes('the monitor is ready') || program.child.exitCode !== null,
    60_000,
  );
  assert.equal(program.child.exitCode, null, program.output());
}

/** The postmaster that comes after `pid`. */
function successor(postmaster: () => number, pid: number): Promise<number> {
  return until('another postmaster', () => {
    try {
      const now = postmaster();
      return now > 0 && now !== pid && now;
    } catch {
      return undefined;
    }
  });
}

describe('what stops the monitor from starting is said, and nothing is changed', () => {
  test('addresses', async () => {
    const folder = makeFolder();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    assert.ok(typeof address === 'object' && address);
    assert.match(
      await refused(folder.pgdata, `127.0.0.1:${address.port}`),
      /port \d+ on 127\.0\.0\.1 is in use by another program/,
    );
    server.close();
    assert.match(await refused(folder.pgdata, '127.0.0.1'), /--listen: found "127\.0\.0\.1"; allowed: HOST:PORT/);
    assert.match(await refused(folder.pgdata, '127.0.0.1:99999'), /port from 1 to 65535/);
    assert.match(await refused(folder.pgdata, `203.0.113.9:${await freePort()}`), /is not an address of this host/);
    assert.deepEqual(readdirSync(folder.path), []);
    folder.remove();
  });

  test('a folder of somebody else, a directory of another version', async () => {
    const folder = makeFolder();
    const listen = `127.0.0.1:${await freePort()}`;
    mkdirSync(folder.pgdata);
    writeFileSync(join(folder.pgdata, 'letter.txt'), 'dear');
    assert.match(
      await refused(folder.pgdata, listen),
      /is not empty and not a monitor's data directory: nothing was changed/,
    );
    writeFileSync(join(folder.pgdata, 'PG_VERSION'), '15\n');
    assert.match(await refused(folder.pgdata, listen), /not a monitor's data directory/);
    writeFileSync(join(folder.pgdata, 'PG_VERSION'), '9\n');
    writeFileSync(
      join(folder.pgdata, 'pgherd.conf'),
      '# A pgherd monitor. Written at each start: changes here are lost.\n',
    );
    const said = await refused(folder.pgdata, listen);
    assert.match(said, /belongs to root|was made by PostgreSQL 9; here is version/);
    assert.deepEqual(readdirSync(folder.pgdata).sort(), ['PG_VERSION', 'letter.txt', 'pgherd.conf']);
    assert.deepEqual(readdirSync(folder.path), ['data']);
    folder.remove();
  });
});

test('a life: created, killed in every way, taken over, moved, stopped', async () => {
  const folder = makeFolder();
  const port = await freePort();
  const listen = `127.0.0.1:${port}`;
  const monitor = accessTo(folder.pgdata, port);
  let program = spawnMonitor(folder.pgdata, listen);
  try {
    await ready(program);
    assert.match(program.output(), new RegExp(`members use postgres://pgherd@127\\.0\\.0\\.1:${port}/pgherd`));
    const dcs = monitor.connect('life');
    await apply(dcs, put('x', '1'));
    const { storeId } = await read(dcs);

    assert.match(await refused(folder.pgdata, listen), /a monitor runs on .* already \(process \d+\)/);

    // PostgreSQL killed: the program starts it again.
    const first = monitor.postmaster();
    process.kill(first, 'SIGKILL');
    const second = await successor(monitor.postmaster, first);
    await until('it serves again', async () => (await dcs.read(AbortSignal.timeout(1000))).kind === 'read', 15_000);
    assert.match(program.output(), /PostgreSQL ended \(SIGKILL\).*starting it again in 100 ms/);

    // The program killed: the next one takes PostgreSQL over, clients notice nothing.
    program.child.kill('SIGKILL');
    await program.exitCode;
    await read(dcs);
    program = spawnMonitor(folder.pgdata, listen);
    await ready(program);
    assert.match(program.output(), new RegExp(`process ${second}\\): taking it over`));
    assert.equal(monitor.postmaster(), second);

    // Taken over, and killed: it is not a child, and is started again all the same.
    process.kill(second, 'SIGKILL');
    await successor(monitor.postmaster, second);
    await until('it serves again', async () => (await dcs.read(AbortSignal.timeout(1000))).kind === 'read', 15_000);

    // Everything killed at once.
    const everything = processesOf(monitor.postmaster());
    program.child.kill('SIGKILL');
    for (const pid of everything) process.kill(pid, 'SIGKILL');
    await program.exitCode;
    program = spawnMonitor(folder.pgdata, listen);
    await ready(program);
    const after = await read(dcs);
    assert.deepEqual([after.storeId, after.keys.get('x')?.value], [storeId, '1']);
    await dcs.close();

    // Another address, while an orphan runs on the old one.
    program.child.kill('SIGKILL');
    await program.exitCode;
    const moved = await freePort();
    program = spawnMonitor(folder.pgdata, `127.0.0.1:${moved}`);
    await ready(program);
    const there = accessTo(folder.pgdata, moved).connect('life');
    assert.equal((await read(there)).keys.get('x')?.value, '1');
    await there.close();

    // A newer schema is left alone.
    await accessTo(folder.pgdata, moved).sql('insert into pgherd.migration (version, compatible_since) values (9, 9)');
    program.child.kill('SIGTERM');
    assert.equal(await program.exitCode, 0, program.output());
    assert.match(await refused(folder.pgdata, listen), /schema has version 9; this pgherd knows versions up to \d+/);
    assert.equal(existsSync(join(folder.pgdata, 'postmaster.pid')), false, 'PostgreSQL was stopped');
    assert.match(readFileSync(join(folder.pgdata, 'pgherd.conf'), 'utf8'), /A pgherd monitor/);
  } finally {
    if (program.child.exitCode === null) program.child.kill('SIGTERM');
    await program.exitCode;
    folder.remove();
  }
});

test('an initdb that was killed leaves nothing that is in the way', async () => {
  const folder = makeFolder();
  const listen = `127.0.0.1:${await freePort()}`;
  let program = spawnMonitor(folder.pgdata, listen);
  await until('initdb is under way', () => existsSync(join(`${folder.pgdata}.new`, 'PG_VERSION')), 20_000);
  program.child.kill('SIGKILL');
  await program.exitCode;
  assert.equal(existsSync(folder.pgdata), false);
  program = spawnMonitor(folder.pgdata, listen);
  await ready(program);
  program.child.kill('SIGTERM');
  assert.equal(await program.exitCode, 0);
  assert.equal(existsSync(`${folder.pgdata}.new`), false);
  folder.remove();
});
