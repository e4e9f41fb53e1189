/** What the command line asks for. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { faults } from './faults.ts';
import { idleTask } from './plan.ts';
import { systems } from './systems/all.ts';
import type { System } from './systems/system.ts';

/** What is to be done. */
export interface Options {
  readonly systems: readonly System[];
  /** Faults by name, and `idle`. */
  readonly tasks: readonly string[];
  readonly runs: number;
  /** Nothing new is begun after that. */
  readonly minutes: number;
  readonly folder: string;
  readonly action: 'run' | 'install' | 'report' | 'plan';
}

const taskNames = [...faults.map(({ name }) => name), idleTask];

export const usage = `usage: npm run bench -- [options]

Measures failover under several systems, in network namespaces on this machine; needs root. Results are added to those
that are there: what has been run is not run again.

  --systems LIST   comma-separated, or the beginning of names; default: all
                   (${systems.map(({ name }) => name).join(', ')})
  --faults LIST    default: all (${taskNames.join(', ')})
  --runs N         of each fault under each system; default 3
  --minutes N      begin nothing new after N minutes; run the same command again to go on
  --out FOLDER     default bench/results
  --plan           only say what would be run
  --report         only write the table and the chart anew
  --install        only install the Debian packages of the chosen systems; their services are neither started nor enabled
`;

type Parsed = { readonly ok: true; readonly options: Options } | { readonly ok: false; readonly error: string };

/** Names that are not known, or numbers that are none, are refused with what is allowed. */
export function parseOptions(words: readonly string[]): Parsed {
  try {
    return { ok: true, options: read(words) };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

function read(words: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...words],
    options: {
      systems: { type: 'string' },
      faults: { type: 'string' },
      runs: { type: 'string', default: '3' },
      minutes: { type: 'string' },
      out: { type: 'string', default: resolve(import.meta.dirname, 'results') },
      plan: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      install: { type: 'boolean', default: false },
    },
  });
  const actions = (['plan', 'report', 'install'] as const).filter((name) => values[name]);
  if (actions.length > 1) throw new Error(`--${actions.join(' and --')} are not for the same time; choose one`);
  const tasks = values.faults === undefined ? taskNames : chosen('--faults', values.faults, taskNames, false);
  const known = systems.map(({ name }) => name);
  const names = values.systems === undefined ? known : chosen('--systems', values.systems, known, true);
  return {
    systems: systems.filter(({ name }) => names.includes(name)),
    tasks: taskNames.filter((name) => tasks.includes(name)),
    runs: positive('--runs', values.runs),
    minutes: values.minutes === undefined ? Number.POSITIVE_INFINITY : positive('--minutes', values.minutes),
    folder: resolve(values.out),
    action: actions[0] ?? 'run',
  };
}

/** An exact name, or, where that is allowed and no name is exactly so, all names that begin with it. */
function chosen(option: string, list: string, known: readonly string[], beginnings: boolean): readonly string[] {
  return list.split(',').flatMap((word) => {
    const name = word.trim();
    if (known.includes(name)) return [name];
    const found = beginnings && name !== '' ? known.filter((one) => one.startsWith(name)) : [];
    if (found.length === 0) throw new Error(`${option}: '${name}' is not known; allowed: ${known.join(', ')}`);
    return found;
  });
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`${option}: '${text}' is not allowed; allowed: a whole number from 1`);
}
