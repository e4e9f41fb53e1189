/**
 * `pgherd drill` on a whole cluster on loopback: every kind of fault costs no acknowledged commit and leaves the cluster
 * as it was; what cannot be drilled is refused before anything is done; a drill that is cut short leaves nothing behind.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Report } from '../../src/drill/report.ts';
import { createLoopback, type Loopback } from './loopback/cluster.ts';
import type { Member } from './loopback/member.ts';
import { type Outcome, type Program, readLog, runPgherd, startPgherd } from './loopback/processes.ts';
import { until } from './loopback/wait.ts';

const ttlS = 6;
let cluster: Loopback;
let members: readonly Member[];

before(async () => {
  cluster = await createLoopback();
  await cluster.monitor.start();
  const dcs = { synchronous_mode: 'quorum', ttl: ttlS, failure_timeout: 2 };
  members = await Promise.all(
    ['pg1', 'pg2', 'pg3'].map((name) => cluster.member(name, { settings: { bootstrap: { dcs } } })),
  );
  for (const member of members) member.start();
  await isWell();
});

after(async () => {
  await cluster?.end();
});

/** One leader, and two quorum standbys that stream. */
async function isWell(): Promise<void> {
  const [first] = members;
  assert.ok(first);
  await cluster.until('everybody is well', async () => {
    const { stdout, code } = await cluster.pgherd(first, 'list', '--format', 'tsv');
    return code === 0 && (stdout.match(/\tQuorum Standby\tstreaming\t/g) ?? []).length === 2;
  });
}

async function primary(): Promise<Member> {
  return cluster.until('there is a primary', async () => {
    for (const member of members) {
      const answer = await member.ask();
      if (answer?.role === 'primary' && answer.state === 'running') return member;
    }
    return undefined;
  });
}

async function replica(): Promise<Member> {
  const leader = await primary();
  const other = members.find((member) => member !== leader);
  assert.ok(other);
  return other;
}

/** Runs it to its end, and reads its report. */
async function drilled(member: Member, ...words: readonly string[]): Promise<Report> {
  const outcome = await drill(member, '--force', '--format', 'json', ...words);
  assert.equal(outcome.code, 0, `${outcome.stderr}\n${outcome.stdout}`);
  const report: Report = JSON.parse(outcome.stdout);
  console.log(
    `# ${report.fault}: write gap ${report.writes.gapMs} ms, back after ${report.rejoinMs} ms, as before after ${report.recoveredMs} ms, ${report.writes.acknowledged} commits`,
  );
  assert.equal(report.ok, true);
  assert.equal(report.writes.lost, 0);
  assert.ok(report.writes.acknowledged > 100);
  return report;
}

function drill(member: Member, ...words: readonly string[]): Promise<Outcome> {
  return runPgherd(['drill', member.config, ...words]);
}

async function schemas(): Promise<readonly unknown[]> {
  const leader = await primary();
  return (await leader.sql(`select nspname from pg_namespace where nspname = 'pgherd_drill'`)).map(
    (row) => row['nspname'],
  );
}

test('--dry-run tells the checks, and does nothing', async () => {
  const leader = await primary();
  const postmaster = leader.postmaster();
  const outcome = await drill(leader, '--fault', 'kill-postgres', '--dry-run');
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stdout, / ok {4} a sync standby may become primary/);
  assert.match(outcome.stdout, / ok {4} its agent and PostgreSQL run on this host/);
  assert.match(outcome.stdout, /Dry run: the drill could begin/);
  assert.equal(leader.postmaster(), postmaster);
  assert.deepEqual(await schemas(), []);
});

test('what cannot be drilled is refused with the reason, and nothing is done', async () => {
  const leader = await primary();
  const postmaster = leader.postmaster();
  const other = await replica();
  const elsewhere = await drill(other, '--fault', 'kill-postgres', '--force');
  assert.equal(elsewhere.code, 2);
  assert.match(
    elsewhere.stdout,
    new RegExp(` FAILS  the configuration is that of the primary, ${leader.name} .*run it on the host`),
  );
  const unasked = await drill(leader);
  assert.equal(unasked.code, 2);
  assert.match(unasked.stderr, /nobody is there to confirm it; add --force/);
  const stranger = await drill(leader, '--user', 'nobody', '--force');
  assert.equal(stranger.code, 2);
  assert.match(stranger.stdout, / FAILS {2}nobody can log in to postgres on pg1 \(.*password/);
  const unwritable = await drill(leader, '--html', '/nowhere/report.html', '--force');
  assert.equal(unwritable.code, 2);
  assert.match(unwritable.stderr, /\/nowhere\/report\.html cannot be written/);
  const misused = await drill(leader, '--stop-for', '3', '--force');
  assert.equal(misused.code, 2);
  assert.match(misused.stderr, /--stop-for goes with --fault stop-agent/);
  assert.equal((await cluster.pgherd(leader, 'pause', '--wait')).code, 0);
  const paused = await drill(leader, '--force');
  assert.equal((await cluster.pgherd(leader, 'resume', '--wait')).code, 0);
  assert.equal(paused.code, 2);
  assert.match(paused.stdout, / FAILS {2}automatic failover is on/);
  assert.equal(leader.postmaster(), postmaster);
  assert.equal(await primary(), leader);
  assert.deepEqual(await schemas(), []);
});

test('switchover, from any host: nothing is lost, another member is primary', async () => {
  const leader = await primary();
  const report = await drilled(await replica(), '--fault', 'switchover');
  assert.equal(report.primary.before, leader.name);
  assert.equal(report.primary.after, (await primary()).name);
  assert.notEqual(report.primary.after, leader.name);
  assert.ok(report.events.some(({ rule }) => rule === 'promote'));
  assert.deepEqual(await schemas(), []);
  await isWell();
});

test('kill-postgres: a standby takes over, the page is written', async () => {
  const leader = await primary();
  const postmaster = leader.postmaster();
  const page = join(cluster.folder, 'report.html');
  const report = await drilled(leader, '--fault', 'kill-postgres', '--html', page);
  assert.notEqual(report.primary.after, leader.name);
  assert.notEqual(leader.postmaster(), postmaster);
  assert.ok(report.writes.gapMs < 5000, `${report.writes.gapMs} ms`);
  assert.ok(report.events.some(({ member, atMs }) => member === leader.name && Math.abs(atMs) < 1000));
  assert.match(readFileSync(page, 'utf8'), /nothing is lost, and the cluster is as it was/);
  assert.deepEqual(await schemas(), []);
  await isWell();
});

test('a commit that is missing is counted as lost, and the drill says so', async () => {
  const leader = await primary();
  const under = drill(leader, '--force', '--format', 'json');
  // What nobody may do: the first acknowledged row goes.
  await until('the row went', async () => {
    const gone = await leader.sql('delete from pgherd_drill.written where number = 1 returning number').catch(() => []);
    return gone.length === 1;
  });
  const outcome = await under;
  const report: Report = JSON.parse(outcome.stdout);
  assert.equal(outcome.code, 1);
  assert.deepEqual([report.ok, report.writes.lost, report.writes.lostNumbers], [false, 1, [1]]);
  await isWell();
});

test('a cluster that is not as before in time is told', async () => {
  const outcome = await drill(await primary(), '--force', '--timeout', '0.1');
  assert.equal(outcome.code, 1);
  assert.match(outcome.stdout, /result +FAILED: .*the cluster is not as it was\n/);
  assert.match(outcome.stdout, /lost commits +none\n/);
  assert.match(outcome.stdout, /cluster as before +not in time\n/);
  assert.deepEqual(await schemas(), []);
  await isWell();
});

/** The kernel's letter for the agent's state: `T` while it stands still. */
function stateOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[0];
  } catch {
    return undefined;
  }
}

test('stop-agent: after the TTL another member takes over, and the agent goes on as a replica', async () => {
  const leader = await primary();
  const report = await drilled(leader, '--fault', 'stop-agent');
  assert.notEqual(report.primary.after, leader.name);
  assert.ok((report.stoppedForMs ?? 0) > ttlS * 500, `${report.stoppedForMs} ms`);
  assert.notEqual(stateOf(leader.agent().pid), 'T');
  assert.deepEqual(await schemas(), []);
  await isWell();
});

test('stop-agent for less than the TTL: no failover, and writes go on', async () => {
  const leader = await primary();
  const report = await drilled(leader, '--fault', 'stop-agent', '--stop-for', '2');
  assert.equal(report.primary.after, leader.name);
  assert.equal(report.timeline.after, report.timeline.before);
  assert.ok(report.writes.gapMs < 1000, `${report.writes.gapMs} ms`);
  await isWell();
});

/** A drill whose agent stands still. */
async function stopped(leader: Member): Promise<Program & { readonly log: () => string }> {
  const logFile = join(cluster.folder, `cut-short-${leader.agent().pid}.log`);
  const program = startPgherd(['drill', leader.config, '--fault', 'stop-agent', '--force'], logFile);
  const evidence = (): string => readLog(logFile);
  await until('the agent stands still', () => stateOf(leader.agent().pid) === 'T', { evidence });
  return { ...program, log: evidence };
}

test('cut short by a signal: the agent goes on, the schema is dropped', async () => {
  const leader = await primary();
  const program = await stopped(leader);
  program.kill('SIGINT');
  assert.equal(await program.ended, 1);
  assert.match(program.log(), /Error: the drill ended early: interrupted/);
  assert.notEqual(stateOf(leader.agent().pid), 'T');
  assert.deepEqual(await schemas(), []);
  await isWell();
});

test('killed: the agent goes on all the same, and the schema that is left is named by the next one', async () => {
  const leader = await primary();
  const program = await stopped(leader);
  program.kill('SIGKILL');
  await program.ended;
  await until('the agent goes on', () => stateOf(leader.agent().pid) !== 'T', { timeoutMs: 3000 });
  await isWell();
  const next = await drill(await primary(), '--force');
  assert.equal(next.code, 2);
  assert.match(next.stdout, / FAILS {2}there is no schema pgherd_drill yet .*drop schema pgherd_drill cascade/);
  await (await primary()).sql('drop schema pgherd_drill cascade');
  assert.equal(existsSync(leader.dataDir), true);
});
