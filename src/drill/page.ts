/** A report as one HTML page that needs nothing else: no script, no font, no network. Pure. */
import { escaped } from './escaped.ts';
import type { Report } from './report.ts';
import { faultText, figures, sinceFault, verdict } from './text.ts';
import { closeRange, timelineSvg, wholeRange } from './timeline.ts';

/** One colour for each member, readable on both grounds. */
const style = `
:root { color-scheme: light dark; --ground: #fff; --text: #1f2328; --dim: #59636e; --line: #d9dee3; --away: #c9ced6;
  --bad: #c4231c; --good: #1a7f37; --m0: #3574c6; --m1: #c2710c; --m2: #2b8a62; --m3: #8a56c2; --m4: #b23a6e; --m5: #6b7a1f; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #15191e; --text: #dde3ea; --dim: #98a2ad; --line: #313841; --away: #4a525c;
    --bad: #ff7b72; --good: #56c271; --m0: #6ba3ee; --m1: #e69a45; --m2: #5cbf93; --m3: #b48be6; --m4: #e07aa5; --m5: #aebb55; }
}
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.verdict { font-weight: 600; font-size: 1.1rem; }
table { border-collapse: collapse; width: 100%; } td, th { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); } th { color: var(--dim); font-weight: 500; }
.figures { width: auto; } .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: 13px ui-monospace, monospace; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: var(--text); }
.m0 { fill: var(--m0); } .m1 { fill: var(--m1); } .m2 { fill: var(--m2); } .m3 { fill: var(--m3); } .m4 { fill: var(--m4); } .m5 { fill: var(--m5); }
.follows { opacity: .35; } .away { fill: var(--away); } .standstill { fill: var(--bad); opacity: .16; }
.grid { stroke: var(--line); } .fault { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 4 3; }
.axis { fill: var(--dim); font-size: 11px; } .strong { fill: var(--bad); font-weight: 600; } .state { font-size: 11px; }
.full { fill: var(--ground); } .ground { fill: var(--ground); } td code { white-space: nowrap; }
.event { fill: var(--text); stroke: var(--ground); }
`;

/** Nothing of the page may load anything, whatever a member's name or a rule's reason contains. */
const policy = "default-src 'none'; style-src 'unsafe-inline'";

/** The whole file. */
export function reportPage(report: Report): string {
  const close = closeRange(report);
  const heading = `Failover drill of ${report.cluster}`;
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escaped(heading)}</title>`,
    `<style>${style}</style>`,
    '</head>',
    '<body>',
    `<h1>${escaped(heading)}</h1>`,
    `<p class="dim">${escaped(report.faultAt)}: ${escaped(faultText(report.fault, report.victim))}</p>`,
    `<p class="verdict ${report.ok ? 'good' : 'bad'}">${escaped(verdict(report))}</p>`,
    figuresTable(report),
    '<h2>The whole drill</h2>',
    timelineSvg(report, wholeRange(report), 'The whole drill, in seconds since the fault'),
    ...(close ? ['<h2>Around the standstill</h2>', timelineSvg(report, close, 'The time around the standstill')] : []),
    '<p class="dim">A full bar: primary; a pale one: streams from it; grey: neither. A dot: a decision, with its reason when pointed at.</p>',
    ...eventsTable(report),
    ...report.notes.map((note) => `<p class="dim">Note: ${escaped(note)}</p>`),
    '</body>',
    '</html>',
    '',
  ].join('\n');
}

function figuresTable(report: Report): string {
  const rows = figures(report).map(([name, value]) => `<tr><th>${escaped(name)}</th><td>${escaped(value)}</td></tr>`);
  return `<table class="figures">\n${rows.join('\n')}\n</table>`;
}

function eventsTable({ events }: Report): readonly string[] {
  if (events.length === 0) return [];
  const rows = events.map(
    ({ atMs, member, term, rule, because }) =>
      `<tr><td class="number">${sinceFault(atMs)}</td><td>${escaped(member)}</td><td class="number">${term}</td><td><code>${escaped(rule)}</code></td><td>${escaped(because)}</td></tr>`,
  );
  return [
    '<h2>What the members decided</h2>',
    '<table>',
    '<tr><th class="number">seconds</th><th>member</th><th class="number">term</th><th>rule</th><th>because</th></tr>',
    ...rows,
    '</table>',
  ];
}
