/** The write gaps as a picture: a panel for each fault, a line for each system, on a logarithmic scale of seconds. */
import type { Fault } from './faults.ts';
import type { FaultSummary, SystemSummary } from './summary.ts';

const panelWidth = 460;
const labelWidth = 158;
const noteWidth = 112;
const rowHeight = 19;
const titleHeight = 30;
const axisHeight = 26;
const margin = 16;
const columns = 2;
const least = 0.01;
const greatest = 200;

/** An SVG document that follows the reader's light or dark scheme. `caption` says where and when. */
export function chart(
  systems: readonly SystemSummary[],
  faults: readonly Pick<Fault, 'name' | 'title'>[],
  caption: string,
): string {
  const shown = faults.filter(({ name }) => systems.some(({ byFault }) => byFault.has(name)));
  const height = titleHeight + systems.length * rowHeight + axisHeight;
  const panels = shown.map(({ name, title }, index) => {
    const x = margin + (index % columns) * (panelWidth + margin);
    const y = margin + 24 + Math.floor(index / columns) * (height + margin);
    return `<g transform="translate(${x} ${y})">\n${panel(systems, name, title)}\n</g>`;
  });
  const totalWidth = margin + Math.min(columns, Math.max(1, shown.length)) * (panelWidth + margin);
  const totalHeight = margin + 24 + Math.ceil(shown.length / columns) * (height + margin) + 20;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${totalWidth}" height="${totalHeight}" viewBox="0 0 ${totalWidth} ${totalHeight}" role="img" aria-label="How long writes stand still, by fault and system">
<style>${style}</style>
<rect class="ground" width="100%" height="100%" rx="8"/>
<text class="head" x="${margin}" y="${margin + 10}">Seconds without an acknowledged commit (median; the line goes from least to greatest)</text>
${panels.join('\n')}
<text class="note" x="${margin}" y="${totalHeight - margin + 2}">${escaped(caption)}</text>
</svg>
`;
}

const style = `
text { font: 12px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #24292f; }
.ground { fill: #ffffff; } .head { font-weight: 600; font-size: 14px; } .title { font-weight: 600; }
.tick, .note { fill: #57606a; font-size: 11px; } .grid { stroke: #d0d7de; stroke-width: 1; }
.range { stroke: #8c959f; stroke-width: 2; } .dot { fill: #57606a; }
.own { font-weight: 600; } .range.own { stroke: #54aeff; } .dot.own { fill: #0969da; } .bad { fill: #cf222e; font-size: 11px; }
@media (prefers-color-scheme: dark) {
  text { fill: #d1d7e0; } .ground { fill: #1c2128; } .tick, .note { fill: #9198a1; } .grid { stroke: #3d444d; }
  .range { stroke: #656c76; } .dot { fill: #b1bac4; } .range.own { stroke: #316dca; } .dot.own { fill: #539bf5; } .bad { fill: #f47067; }
}`;

function panel(systems: readonly SystemSummary[], fault: string, title: string): string {
  const bottom = titleHeight + systems.length * rowHeight;
  const grid = [0.01, 0.1, 1, 10, 100].map((value) => {
    const x = xOf(value * 1000);
    const tick = `<text class="tick" x="${x}" y="${bottom + 14}" text-anchor="middle">${value}</text>`;
    return `<path class="grid" d="M${x} ${titleHeight - 6}V${bottom}"/>${tick}`;
  });
  const rows = systems.map((system, index) => row(system, fault, titleHeight + (index + 0.5) * rowHeight));
  return [`<text class="title" x="0" y="14">${escaped(title)}</text>`, ...grid, ...rows].join('\n');
}

function row({ name, isPgherd, byFault }: SystemSummary, fault: string, y: number): string {
  const own = isPgherd ? ' own' : '';
  const label = `<text class="name${own}" x="${labelWidth - 10}" y="${y + 4}" text-anchor="end">${escaped(name)}</text>`;
  const found = byFault.get(fault);
  if (found === undefined) return label;
  const { min, median, max } = found.gapMs;
  const range = `<path class="range${own}" d="M${xOf(min)} ${y}H${xOf(max)}"/>`;
  const dot = `<circle class="dot${own}" cx="${xOf(median)}" cy="${y}" r="4"/>`;
  const value = `${found.neverServed > 0 ? '> ' : ''}${short(median)}`;
  const x = panelWidth - noteWidth + 8;
  const notes = notesOf(found);
  const bad = notes === '' ? '' : ` <tspan class="bad">${escaped(notes)}</tspan>`;
  return `${label}${range}${dot}<text class="value" x="${x}" y="${y + 4}">${value}${bad}</text>`;
}

function notesOf({ lost, dualPrimaryMs }: FaultSummary): string {
  if (lost !== undefined && lost.max > 0) return `${lost.max} lost`;
  return dualPrimaryMs.max > 100 ? `dual ${short(dualPrimaryMs.max)}` : '';
}

function xOf(milliseconds: number): number {
  const seconds = Math.min(greatest, Math.max(least, milliseconds / 1000));
  const part = Math.log10(seconds / least) / Math.log10(greatest / least);
  return Math.round((labelWidth + part * (panelWidth - labelWidth - noteWidth)) * 10) / 10;
}

function short(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  return seconds.toFixed(seconds < 9.995 ? 2 : 1);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
