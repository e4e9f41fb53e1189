/** The results as a page of Markdown. */
import { behindLines } from './behind.ts';
import type { Spread } from './evaluate.ts';
import type { Fault } from './faults.ts';
import type { Machine, RunRecord } from './records.ts';
import { type FaultSummary, type SystemSummary, summarize } from './summary.ts';

type ShownFault = Pick<Fault, 'name' | 'title' | 'about'>;

/** The whole page. `names` gives the order of systems. */
export function page(records: readonly RunRecord[], names: readonly string[], faults: readonly ShownFault[]): string {
  const systems = summarize(records, names);
  const shown = faults.filter(({ name }) => systems.some(({ byFault }) => byFault.has(name)));
  const behind = behindLines(systems, shown);
  return (
    [
      '# What a failover costs, measured',
      provenance(records),
      'Made by `npm run bench`; [the method](../README.md). Seconds: one number, or least / median / greatest of all runs.',
      '## Write gap, median',
      overview(systems, shown),
      '*Dual*: two hosts acknowledged commits at the same time, at most so long. *Lost*: acknowledged commits that are not on the primary after the run, at most so many. `>`: no commit until the end of the run.',
      ...shown.flatMap((fault) => faultSection(systems, fault)),
      '## While nothing happens',
      costs(systems),
      'Agent: everything that runs beside one database because of the system, without PostgreSQL. Store: what the agents agree on, all hosts together (etcd on the three database hosts; a monitor or witness with its PostgreSQL). Bootstrap: from empty hosts to a primary and all replicas streaming.',
      '## Where pgherd is behind',
      behind.length > 0 ? behind.join('\n') : 'Nowhere, in what was measured.',
      '## Settings',
      systems.map(settingsLine).join('\n'),
      '',
    ]
      .join('\n\n')
      .trimEnd() + '\n'
  );
}

function provenance(records: readonly RunRecord[]): string {
  const days = records.map(({ at }) => at.slice(0, 10)).sort();
  const loads = records.map(({ load }) => load);
  const machines = new Set(records.map(({ machine }) => describe(machine)));
  const when = days[0] === days.at(-1) ? days[0] : `${days[0]} to ${days.at(-1)}`;
  const runs = records.filter(({ kind }) => kind === 'fault').length;
  const greatest = Math.max(0, ...loads).toFixed(1);
  return `${when}; ${runs} runs; ${[...machines].join(' and ')}; load at most ${greatest}.`;
}

function describe({ cpu, cores, memoryGiB, system, kernel, postgresql }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system} (Linux ${kernel}), PostgreSQL ${postgresql}`;
}

function overview(systems: readonly SystemSummary[], faults: readonly ShownFault[]): string {
  const rows = systems.map(({ name, byFault }) => [
    nameCell(name),
    ...faults.map(({ name: fault }) => {
      const found = byFault.get(fault);
      return found ? overviewCell(found) : '';
    }),
  ]);
  return markdown(['system', ...faults.map(({ title }) => title)], rows);
}

function overviewCell(found: FaultSummary): string {
  const gap = `${found.neverServed > 0 ? '> ' : ''}${seconds(found.gapMs.median)}`;
  const dual = found.dualPrimaryMs.max > noticeableMs ? [`dual ${seconds(found.dualPrimaryMs.max)}`] : [];
  const lost = found.lost !== undefined && found.lost.max > 0 ? [`lost ${found.lost.max}`] : [];
  const notes = [...dual, ...lost].join(', ');
  return notes === '' ? gap : `${gap} (${notes})`;
}

/** What happened at the same time within that is the order in which clients heard of it. */
const noticeableMs = 100;

function faultSection(systems: readonly SystemSummary[], { name, title, about }: ShownFault): readonly string[] {
  const hasAddress = systems.some(({ byFault }) => byFault.get(name)?.virtualAddressGapMs);
  const header = ['system', 'runs', 'write gap', 'dual primary', 'lost', 'rejoin'];
  const rows = systems.flatMap((system) => {
    const found = system.byFault.get(name);
    if (found === undefined) return [];
    const gap = `${found.neverServed > 0 ? '> ' : ''}${spread(found.gapMs, seconds)}`;
    const cells = [
      nameCell(system.name),
      String(found.runs),
      found.refused > 0 ? `${gap} (${found.refused} refused)` : gap,
      spread(found.dualPrimaryMs, seconds),
      found.lost === undefined ? '?' : spread(found.lost, String),
      rejoin(found),
    ];
    return [hasAddress ? [...cells, throughAddress(found)] : cells];
  });
  const table = markdown(hasAddress ? [...header, 'through its virtual address'] : header, rows);
  return [`### ${title}`, about, table];
}

/** What clients see that know the virtual address alone. */
function throughAddress({ virtualAddressGapMs, virtualAddressLost }: FaultSummary): string {
  const lost = virtualAddressLost !== undefined && virtualAddressLost.max > 0 ? `, lost ${virtualAddressLost.max}` : '';
  return `${spread(virtualAddressGapMs, seconds)}${lost}`;
}

function rejoin({ runs, rejoined, rejoinMs }: FaultSummary): string {
  if (rejoined === 0) return 'no';
  const shown = spread(rejoinMs, seconds);
  return rejoined === runs ? shown : `${shown} (${rejoined} of ${runs})`;
}

function costs(systems: readonly SystemSummary[]): string {
  const header = [
    'system',
    'agent RSS (PSS), MiB',
    'agent CPU s/min',
    'store RSS (PSS), MiB',
    'store CPU s/min',
    'store writes/min',
    'bootstrap',
  ];
  const rows = systems.map(({ name, cost, bootstrapMs }) => {
    const bootstrap = spread(bootstrapMs, seconds);
    if (cost === undefined) return [nameCell(name), '', '', '', '', '', bootstrap];
    const memory = (rss: number, pss: number): string => `${rss.toFixed(0)} (${pss.toFixed(0)})`;
    const store = cost.stores > 0;
    return [
      nameCell(name),
      memory(cost.agentRssMiB, cost.agentPssMiB),
      cost.agentCpu.toFixed(2),
      store ? memory(cost.storeRssMiB, cost.storePssMiB) : '',
      store ? cost.storeCpu.toFixed(2) : '',
      cost.storeWritesPerMinute?.toFixed(0) ?? '',
      bootstrap,
    ];
  });
  return markdown(header, rows);
}

function settingsLine({ name, settings, versions, failures }: SystemSummary): string {
  const failed = failures > 0 ? ` ${failures} runs could not be made.` : '';
  return `- **${name}**: ${settings.join(' / ')}. ${versions.join(' / ')}.${failed}`;
}

function nameCell(name: string): string {
  return name.startsWith('pgherd') ? `**${name}**` : name;
}

function spread(values: Spread | undefined, show: (value: number) => string): string {
  if (values === undefined) return '';
  const { min, median, max } = values;
  return min === max ? show(median) : `${show(min)} / ${show(median)} / ${show(max)}`;
}

/** Two digits that count, where there are. */
function seconds(milliseconds: number): string {
  const value = milliseconds / 1000;
  return value.toFixed(value < 9.995 ? 2 : 1);
}

function markdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
