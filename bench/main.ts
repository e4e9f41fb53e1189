/** `npm run bench`: see README.md beside this file. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Bench, runBatch } from './batch.ts';
import { chart } from './chart.ts';
import { faults } from './faults.ts';
import { thisMachine } from './machine.ts';
import { type Options, parseOptions, usage } from './options.ts';
import { installPackages, missingPackages } from './packages.ts';
import { planBatches } from './plan.ts';
import { readRecords } from './records.ts';
import { postgresVersion, removeLeftovers } from './site.ts';
import { summarize } from './summary.ts';
import { systems } from './systems/all.ts';
import type { System } from './systems/system.ts';
import { page } from './table.ts';

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(text: string): never {
  process.stderr.write(`bench: ${text}\n`);
  process.exit(2);
}

/** Systems that can be run here; the others are named, with what they lack. */
function runnable(chosen: readonly System[]): readonly System[] {
  return chosen.filter((system) => {
    const lacking = missingPackages(system);
    if (lacking.length > 0)
      say(`${system.name} is left out: ${lacking.join(' ')} not installed; npm run bench -- --install`);
    return lacking.length === 0;
  });
}

/** Writes the page and the picture from all records that are there. */
function report(folder: string): void {
  const records = readRecords(join(folder, 'runs.jsonl'));
  const names = systems.map(({ name }) => name);
  if (records.length === 0) return;
  const { at, machine } = records.at(-1) ?? fail('no records');
  const caption = `${machine.cpu}, ${machine.cores} cores, ${machine.system}, PostgreSQL ${machine.postgresql}; ${at.slice(0, 10)}`;
  writeFileSync(join(folder, 'README.md'), page(records, names, faults));
  writeFileSync(join(folder, 'chart.svg'), chart(summarize(records, names), faults, caption));
}

async function run(options: Options): Promise<void> {
  if (process.getuid?.() !== 0) fail('run it as root: it makes network namespaces');
  if (postgresVersion === 0) fail('no PostgreSQL in /usr/lib/postgresql; run script/bootstrap');
  mkdirSync(options.folder, { recursive: true });
  const file = join(options.folder, 'runs.jsonl');
  const usable = runnable(options.systems);
  const wanted = { systems: usable.map(({ name }) => name), tasks: options.tasks, runs: options.runs };
  const batches = planBatches(wanted, readRecords(file));
  const total = batches.reduce((sum, { tasks }) => sum + tasks.length, 0);
  say(
    `${total} runs in ${batches.length} clusters, about ${Math.ceil((total * 65 + batches.length * 25) / 60)} minutes`,
  );
  if (options.action === 'plan') {
    for (const { round, system, tasks } of batches) say(`${round}. ${system}: ${tasks.join(', ')}`);
    return;
  }
  removeLeftovers();
  // What is measured are the sources.
  execFileSync(process.execPath, [resolve(import.meta.dirname, '../build/bundle.ts'), '--if-changed'], {
    stdio: 'inherit',
  });
  const stopAtMs = performance.now() + options.minutes * 60_000;
  const bench: Bench = {
    file,
    machine: thisMachine(),
    say,
    isOver: () => performance.now() > stopAtMs,
    done: 0,
    total,
  };
  for (const batch of batches) {
    const system = usable.find(({ name }) => name === batch.system);
    if (system === undefined || bench.isOver()) continue;
    await runBatch(bench, system, batch);
    report(options.folder);
  }
  say(
    bench.done < total
      ? 'time is up; run the same command again to go on'
      : `done: ${options.folder}/README.md, chart.svg, runs.jsonl`,
  );
}

const words = process.argv.slice(2);
if (words.includes('--help') || words.includes('-h')) {
  say(usage);
  process.exit(0);
}
const parsed = parseOptions(words);
if (!parsed.ok) fail(`${parsed.error}\n\n${usage}`);
const { options } = parsed;
if (options.action === 'report') report(options.folder);
else if (options.action === 'install') {
  const lacking = [...new Set(options.systems.flatMap(missingPackages))];
  if (lacking.length > 0) installPackages(lacking);
  say(lacking.length > 0 ? `installed: ${lacking.join(' ')}` : 'nothing is missing');
} else await run(options);
