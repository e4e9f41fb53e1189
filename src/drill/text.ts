/** A report as text. Pure. */
import type { FaultKind } from './fault.ts';
import type { Report } from './report.ts';

/** Names and values, the values below each other. */
export function alignedRows(rows: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n');
}

/** `0.41 s`; below 100 ms in milliseconds. */
export function duration(ms: number): string {
  return ms < 100 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** What the fault is, for people: `PostgreSQL of db1 is killed`. */
export function faultText(fault: FaultKind, victim: string): string {
  switch (fault) {
    case 'switchover':
      return `switchover from ${victim}`;
    case 'kill-postgres':
      return `PostgreSQL of ${victim} is killed`;
    case 'stop-agent':
      return `the agent of ${victim} is stopped`;
  }
}

/** The result in one sentence. */
export function verdict({ ok, faultError, writes, recoveredMs }: Report): string {
  if (ok) return 'nothing is lost, and the cluster is as it was';
  const parts: string[] = [];
  if (faultError !== null) parts.push(faultError);
  if (writes.lost === null) parts.push('what was written could not be read back');
  else if (writes.lost > 0) parts.push(`${writes.lost} acknowledged commits are lost`);
  if (!writes.resumed) parts.push('nobody takes writes');
  if (recoveredMs === null) parts.push('the cluster is not as it was');
  return `FAILED: ${parts.join('; ')}`;
}

/** The figures, for text and page alike. */
export function figures(report: Report): readonly (readonly [name: string, value: string])[] {
  const { writes, primary, timeline, rejoinMs, recoveredMs, stoppedForMs } = report;
  const usually = `usually ${writes.usualIntervalMs} ms from commit to commit`;
  const known = (value: string | number | null): string => String(value ?? 'none');
  const lost =
    writes.lost === null ? 'not counted' : writes.lost === 0 ? 'none' : lostText(writes.lost, writes.lostNumbers);
  const shorter = writes.standstills
    .map(({ fromMs, toMs }) => toMs - fromMs)
    .toSorted((a, b) => b - a)
    .slice(1);
  return [
    ['writes stood still', `${duration(writes.gapMs)}${writes.resumed ? '' : ' and longer'} (${usually})`],
    ...(shorter.length > 0 ? [['shorter standstills', shorter.map(duration).join(', ')] as const] : []),
    ['acknowledged commits', String(writes.acknowledged)],
    ['lost commits', lost],
    ...(writes.unanswered > 0
      ? [['not acknowledged', `${writes.unanswered} (found: ${known(writes.unansweredPresent)})`] as const]
      : []),
    ['primary', primary.before === primary.after ? known(primary.after) : `${primary.before} → ${primary.after}`],
    ['timeline', timeline.before === timeline.after ? known(timeline.after) : `${timeline.before} → ${timeline.after}`],
    ...(stoppedForMs === null ? [] : [['the agent stood still', duration(stoppedForMs)] as const]),
    ['former primary is back', rejoinMs === null ? 'not in time' : `after ${duration(rejoinMs)}`],
    ['cluster as before', recoveredMs === null ? 'not in time' : `after ${duration(recoveredMs)}`],
    ['members', report.members.map(({ name, role, state }) => `${name} ${role}, ${state}`).join('; ') || 'unknown'],
  ];
}

function lostText(count: number, numbers: readonly number[]): string {
  return `${count}: ${numbers.slice(0, 10).join(', ')}${count > 10 ? ', ...' : ''}`;
}

/** `+0.412`: seconds since the fault. */
export function sinceFault(ms: number): string {
  return `${ms < 0 ? '-' : '+'}${(Math.abs(ms) / 1000).toFixed(3)}`;
}

/** The whole report. */
export function reportText(report: Report): string {
  const width = (of: (event: Report['events'][number]) => string): number =>
    Math.max(0, ...report.events.map((event) => of(event).length));
  const members = width(({ member }) => member);
  const rules = width(({ rule }) => rule);
  const events = report.events.map(
    ({ atMs, member, term, rule, because }) =>
      `  ${sinceFault(atMs).padStart(9)}  ${member.padEnd(members)}  term ${term}  ${rule.padEnd(rules)}  ${because}`,
  );
  return [
    `Drill of ${report.cluster}, ${report.faultAt}: ${faultText(report.fault, report.victim)}`,
    '',
    alignedRows([['result', verdict(report)], ...figures(report)]),
    ...(events.length === 0 ? [] : ['', 'What the members decided, in seconds since the fault:', ...events]),
    ...report.notes.flatMap((note) => ['', `Note: ${note}`]),
  ].join('\n');
}
