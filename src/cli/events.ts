/** `history --events`: what the members decided of late, and why. */
import type { ControlConfig } from '../config/config.ts';
import type { DecisionEvent } from '../core/signs.ts';
import { decodeDecisions } from '../dcs/decisions.ts';
import { withDcs } from './cluster.ts';
import { type ExitCode, failed, localInstant, type Output } from './output.ts';
import { type Format, render, type Table } from './table.ts';

/** Prints the decisions of all members by their time; hosts whose clocks differ are not put right. */
export async function showEvents(
  config: ControlConfig,
  scope: string,
  format: Format,
  output: Output,
): Promise<ExitCode> {
  const read = await withDcs(config, scope, (dcs, signal) => dcs.readEvents(signal));
  if ('ok' in read) return failed(output, read);
  if (read.kind === 'failed') return failed(output, { ok: false, error: read.error });
  const { decisions, unreadable } = decodeDecisions(read.events);
  for (const { error } of unreadable) output.note(`unreadable in the DCS: ${error}`);
  output.print(render(eventsTable(decisions, localInstant), format));
  return 0;
}

/** A row for each decision; `time` writes a moment for people. */
export function eventsTable(decisions: readonly DecisionEvent[], time: (text: string) => string): Table {
  return {
    columns: [
      { name: 'Time' },
      { name: 'Member' },
      { name: 'Term', align: 'right' },
      { name: 'Rule' },
      { name: 'Because' },
    ],
    rows: decisions.map(({ at, member, term, rule, because }) => [time(at), member, term, rule, because]),
  };
}
