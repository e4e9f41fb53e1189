/** list, topology, history, version: commands that only look. */
import type { ControlConfig } from '../config/config.ts';
import { version } from '../config/version.ts';
import { decodeView } from '../dcs/records.ts';
import { readCluster, unlistedAgent } from './cluster.ts';
import { historyOfTerms, historyTable, parseHistory } from './history.ts';
import { type ExitCode, failed, localInstant, localTime, type Output } from './output.ts';
import { type ListOptions, renderCluster, renderClusters } from './rows.ts';
import type { ShownCluster } from './shown-cluster.ts';
import { type Format, render } from './table.ts';

/** `list` and `topology`, as given on the command line. */
export interface ShowOptions extends ListOptions {
  readonly timestamp: boolean;
  /** Again and again, with this pause; undefined = once. */
  readonly everyS: number | undefined;
}

/** Prints the members of clusters. Without the DCS it prints what the agents say, and that it does. */
export async function show(
  config: ControlConfig,
  scopes: readonly string[],
  options: ShowOptions,
  output: Output,
  signal: AbortSignal,
): Promise<ExitCode> {
  for (;;) {
    const code = await showOnce(config, scopes, options, output);
    if (options.everyS === undefined) return code;
    await pause(options.everyS * 1000, signal);
    if (signal.aborted) return 0;
  }
}

async function showOnce(
  config: ControlConfig,
  scopes: readonly string[],
  options: ShowOptions,
  output: Output,
): Promise<ExitCode> {
  const clusters: ShownCluster[] = [];
  const notes: string[] = [];
  const footers: string[] = [];
  for (const scope of scopes) {
    const read = await readCluster(config, scope);
    if (!read.ok) return failed(output, read);
    clusters.push(read.cluster);
    if (read.source === 'rest') notes.push(withoutDcs(read.dcsError));
    else if (isUnknown(read.cluster)) notes.push(unknownCluster(config, scope));
    if (read.source === 'dcs' && options.format === 'pretty')
      footers.push((await unlistedAgent(config, read.cluster)) ?? '');
  }
  if (options.everyS !== undefined) output.clear();
  if (options.timestamp) output.print(localTime(output.now()));
  for (const note of notes) output.note(note);
  if (options.format === 'pretty') for (const cluster of clusters) output.print(renderCluster(cluster, options));
  else output.print(renderClusters(clusters, options));
  for (const footer of footers) if (footer !== '') output.print(` ${footer}`);
  return 0;
}

function isUnknown({ systemId, members }: ShownCluster): boolean {
  return systemId === undefined && members.length === 0;
}

/** What an empty table means. */
function unknownCluster({ namespace }: ControlConfig, scope: string): string {
  return `The DCS knows no cluster ${scope} (namespace ${namespace}).`;
}

/** That a table does not come from the DCS. */
function withoutDcs(error: string): string {
  return `The DCS is unreachable (${error}): this is what the agents say.`;
}

/** Resolves after `ms`, or when `signal` aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** Which timeline ended where, and who made the next one. */
export async function showHistory(
  config: ControlConfig,
  scope: string,
  format: Format,
  output: Output,
): Promise<ExitCode> {
  const read = await readCluster(config, scope);
  if (!read.ok) return failed(output, read);
  if (read.source === 'rest')
    return failed(output, { ok: false, error: `${read.dcsError}; the history is only there` });
  if (isUnknown(read.cluster)) output.note(unknownCluster(config, scope));
  const key = read.snapshot.keys.get('history');
  const terms = decodeView(read.snapshot).terms?.value ?? [];
  const lines = (key && parseHistory(key.value)) ?? historyOfTerms(terms);
  output.print(render(historyTable(lines, localInstant), format));
  return 0;
}

/** Of this program; and, with a cluster, of its members. */
export async function showVersion(
  config: ControlConfig | undefined,
  scope: string | undefined,
  members: readonly string[],
  output: Output,
): Promise<ExitCode> {
  output.print(`pgherd version ${version}`);
  if (!config || scope === undefined) return 0;
  const read = await readCluster(config, scope);
  if (!read.ok) return failed(output, read);
  output.print('');
  for (const member of read.cluster.members) {
    if (members.length > 0 && !members.includes(member.name)) continue;
    const postgresql =
      member.serverVersion === undefined ? '' : ` PostgreSQL ${serverVersionText(member.serverVersion)}`;
    output.print(`${member.name}: pgherd ${member.version ?? 'unknown'}${postgresql}`);
  }
  return 0;
}

/** 150018 → 15.18. */
function serverVersionText(number: number): string {
  return `${Math.floor(number / 10_000)}.${number % 10_000}`;
}
