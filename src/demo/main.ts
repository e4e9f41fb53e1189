/** `pgherd demo`: a cluster on this machine that loses its primary, fails over, takes it back, and is counted. */
import { rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeGapMs } from '../drill/measure.ts';
import { createSchema, readBack, tableIn } from '../drill/own-schema.ts';
import { startWriter, type Writer } from '../drill/writer.ts';
import {
  type DemoCluster,
  type DemoMember,
  isHealthy,
  layOut,
  leaderOf,
  look,
  psqlUri,
  startMember,
  startMonitor,
  switchOver,
  targetsOf,
  waitFor,
  writtenBy,
} from './cluster.ts';
import { killAll, killMember } from './processes.ts';
import { createScreen, type Screen } from './screen.ts';
import { judge, type Summary, summaryText } from './summary.ts';

/** `demo`, as given on the command line. */
export interface DemoOptions {
  /** Clean up and end after the story, also on a terminal. */
  readonly once: boolean;
  readonly format: 'text' | 'json';
  /** Default: a folder of this user below the system's one for temporary files. */
  readonly directory: string | undefined;
}

/** Failing to reach a step of the story. */
class StoryEnded extends Error {}

const application = 'pgherd demo';
const schema = 'pgherd_demo';
const bootstrapMs = 120_000;
const failoverMs = 60_000;
const rejoinMs = 120_000;
const killAllMs = 15_000;

/** Exit codes: 0 all members stream and no acknowledged commit is lost, 1 otherwise. */
export async function runDemo(options: DemoOptions, signal: AbortSignal): Promise<number> {
  const folder = resolve(options.directory ?? join(tmpdir(), `pgherd-demo-${userInfo().username}`));
  const terminal = process.stdout.isTTY && options.format === 'text';
  const stays = terminal && !options.once;
  const out = (text: string): void => void (options.format === 'json' ? process.stderr : process.stdout).write(text);
  const screen = createScreen(terminal, out);
  let code = 1;
  try {
    if (!(await killAll(folder, killAllMs))) throw new StoryEnded(`an earlier demo in ${folder} cannot be ended`);
    rmSync(folder, { recursive: true, force: true });
    const cluster = await layOut(folder);
    const summary = await tellStory(cluster, screen, signal);
    screen.end();
    out(`\n${summaryText(summary)}\n`);
    if (options.format === 'json') process.stdout.write(`${JSON.stringify(summary.json)}\n`);
    code = summary.ok ? 0 : 1;
    if (stays) await stayUp(cluster, out, signal);
  } catch (error) {
    if (!(error instanceof StoryEnded)) throw error;
    screen.end();
    out(`\nThe demo ended early: ${error.message}\n`);
    if (!signal.aborted) out(`What the members said is in ${folder}/*.log\n`);
  } finally {
    const ended = await killAll(folder, killAllMs);
    if (!ended) out(`Some processes of ${folder} do not end; look for them with: ps aux | grep ${folder}\n`);
    else if (code === 0 || signal.aborted) rmSync(folder, { recursive: true, force: true });
  }
  return code;
}

async function tellStory(cluster: DemoCluster, screen: Screen, signal: AbortSignal): Promise<Summary> {
  const must = (done: boolean, what: string): void => {
    if (signal.aborted) throw new StoryEnded('interrupted');
    if (!done) throw new StoryEnded(what);
  };
  const picture = keepDrawing(cluster, screen);
  let writer: Writer | undefined;
  try {
    screen.tell('Starting a monitor and three members, all at the same time');
    const began = performance.now();
    startMonitor(cluster);
    for (const member of cluster.members) startMember(cluster, member);
    must(await waitFor(cluster, isHealthy, bootstrapMs, signal), 'the cluster did not come up');
    const bootstrap = performance.now() - began;
    const first = await primary(cluster);
    screen.detail(`${first.name} is primary; each commit waits for one of the others, after ${seconds(bootstrap)}`);

    screen.tell('A writer inserts one row after the other and notes each acknowledged commit');
    const targets = targetsOf(cluster);
    const made = await createSchema(targets, schema, application, signal);
    must(made.ok, `no table was made: ${made.ok || made.error}`);
    writer = startWriter(targets, tableIn(schema), application);
    picture.writer = writer;
    must(await enough(writer, 200, signal), 'nobody took writes');

    screen.tell(`${first.name} is lost: agent and PostgreSQL are killed, nobody says goodbye`);
    const lostAt = performance.now();
    killMember(cluster.folder, first.name);
    const isReplaced: Parameters<typeof waitFor>[1] = (seen) => ![undefined, first.name].includes(leaderOf(seen));
    must(await waitFor(cluster, isReplaced, failoverMs, signal), 'no other member took over');
    must(await enough(writer, writer.acknowledged.length + 100, signal), 'writes did not go on');
    const failoverGap = writeGapMs(writer.acknowledged, lostAt);
    const second = await primary(cluster);
    screen.detail(`${second.name} took over; writes stood still for ${seconds(failoverGap)}`);

    screen.tell(`${first.name} comes back`);
    const backAt = performance.now();
    startMember(cluster, first);
    must(await waitFor(cluster, isHealthy, rejoinMs, signal), `${first.name} did not rejoin`);
    const rejoin = performance.now() - backAt;
    screen.detail(`it found that its history had gone on without it, rejoined, and streams after ${seconds(rejoin)}`);

    screen.tell(`A planned switchover from ${second.name} to ${first.name}`);
    const switchAt = performance.now();
    const failure = await switchOver(second, first);
    must(failure === undefined, `the switchover failed: ${failure}`);
    must(await enough(writer, writer.acknowledged.length + 100, signal), 'writes did not go on after the switchover');
    const switchoverGap = writeGapMs(writer.acknowledged, switchAt);
    screen.detail(`done; writes stood still for ${seconds(switchoverGap)}`);
    must(await waitFor(cluster, isHealthy, rejoinMs, signal), 'not every member streams');

    screen.tell('Reading back every acknowledged commit');
    await writer.stop();
    const read = await readBack(targets, schema, application, signal);
    if (!read.ok) throw new StoryEnded(`what was written cannot be read: ${read.error}`);
    const seen = await look(cluster);
    return judge({
      acknowledged: writer.acknowledged,
      present: read.numbers,
      writeGapMs: { failover: failoverGap, switchover: switchoverGap },
      rejoinMs: rejoin,
      bootstrapMs: bootstrap,
      members: (seen?.members ?? []).map(({ name, role, state }) => ({ name, role, state })),
    });
  } finally {
    await writer?.stop();
    picture.stop();
  }
}

/** Waits until the writer has `count` acknowledgements. */
async function enough(writer: Writer, count: number, signal: AbortSignal): Promise<boolean> {
  const endAt = performance.now() + failoverMs;
  while (writer.acknowledged.length < count && performance.now() < endAt && !signal.aborted) await sleep(20);
  return writer.acknowledged.length >= count;
}

async function primary(cluster: DemoCluster): Promise<DemoMember> {
  const seen = await look(cluster);
  const name = seen && leaderOf(seen);
  const found = cluster.members.find((member) => member.name === name);
  if (found === undefined) throw new StoryEnded('the cluster has no primary');
  return found;
}

/** Draws what the agents say, a few times a second, until it is stopped. */
function keepDrawing(cluster: DemoCluster, screen: Screen): { writer: Writer | undefined; stop: () => void } {
  const state: { writer: Writer | undefined; stop: () => void } = {
    writer: undefined,
    stop: () => clearInterval(timer),
  };
  let asking = false;
  const timer = setInterval(() => {
    if (asking) return;
    asking = true;
    void look(cluster).then(async (seen) => {
      const written = await writtenBy(cluster, seen);
      asking = false;
      screen.show(seen, written, state.writer?.target(), state.writer?.acknowledged.length ?? 0);
    });
  }, 250);
  return state;
}

async function stayUp(cluster: DemoCluster, out: (text: string) => void, signal: AbortSignal): Promise<void> {
  const [first] = cluster.members;
  out(
    [
      '',
      'The cluster stays up until you press ^C. Things to try in another terminal:',
      `  psql "${psqlUri(cluster)}"`,
      `  pgherd -c ${first?.config} list`,
      `  pgherd -c ${first?.config} topology`,
      `  pgherd -c ${first?.config} switchover`,
      `  pgherd -c ${first?.config} history`,
      `  kill -9 $(head -1 ${cluster.folder}/pg1/data/postmaster.pid)`,
      '',
    ].join('\n'),
  );
  while (!signal.aborted) await sleep(200);
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(2)} s`;
}
