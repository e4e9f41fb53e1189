/**
 * Draws what a terminal shows as an SVG: the picture in the README is a recording, not a drawing.
 *
 *   script -qefc "bin/pgherd demo --once" recording
 *   node build/terminal-picture.ts recording docs/demo.svg
 *
 * Understands what the demo uses: colours, bold, dim, cursor up, erase below.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface Cell {
  readonly text: string;
  readonly style: string;
}

const colors: Readonly<Record<string, string>> = { 31: '#f47067', 32: '#57ab5a', 33: '#c69026', 36: '#39c5cf' };
const cellWidth = 8.4;
const lineHeight = 19;
const padding = 16;

/** The screen at the end of the recording, one list of cells a line. */
function finalScreen(recording: string): readonly (readonly Cell[])[] {
  const lines: Cell[][] = [[]];
  let row = 0;
  let style = '';
  // oxlint-disable-next-line no-control-regex -- escape sequences are what this reads
  const pattern = /\u001b\[([0-9;]*)([A-Za-z])|\r?\n|\r|[^\u001b\r\n]/gu;
  for (const [token, numbers, letter] of recording.matchAll(pattern)) {
    if (letter === 'A') row = Math.max(0, row - Number(numbers || 1));
    else if (letter === 'J') lines.splice(row, lines.length - row, []);
    else if (letter === 'm') style = styled(style, numbers ?? '');
    else if (token.endsWith('\n')) {
      row += 1;
      lines[row] ??= [];
    } else if (!token.startsWith('\u001b') && token !== '\r') lines[row]?.push({ text: token, style });
  }
  while (lines.at(-1)?.length === 0) lines.pop();
  return lines;
}

function styled(before: string, code: string): string {
  if (code === '' || code === '0') return '';
  if (code === '39' || code === '22') return '';
  if (code === '1') return 'font-weight="bold"';
  if (code === '2') return 'opacity="0.6"';
  return colors[code] === undefined ? before : `fill="${colors[code]}"`;
}

function svgLine(cells: readonly Cell[], row: number): string {
  const runs: { style: string; text: string }[] = [];
  for (const cell of cells) {
    const last = runs.at(-1);
    if (last !== undefined && last.style === cell.style) last.text += cell.text;
    else runs.push({ style: cell.style, text: cell.text });
  }
  const spans = runs.map(({ style, text }) => `<tspan ${style}>${escaped(text)}</tspan>`).join('');
  return `<text x="${padding}" y="${padding + (row + 1) * lineHeight}" xml:space="preserve">${spans}</text>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const [from = '', to = ''] = process.argv.slice(2);
const recording = readFileSync(from, 'utf8')
  .replace(/^Script started[^\n]*\n/, '')
  .replace(/\r?\nScript done[^\n]*\n?$/, '');
const screen = finalScreen(recording);
const width = Math.ceil(Math.max(...screen.map((line) => line.length)) * cellWidth + 2 * padding);
const height = screen.length * lineHeight + 2 * padding;
writeFileSync(
  to,
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="The end of a run of pgherd demo in a terminal">
<rect width="100%" height="100%" rx="8" fill="#1c2128"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="#cdd9e5">
${screen.map(svgLine).join('\n')}
</g>
</svg>
`,
);
