/** The course of a drill as an SVG: who acknowledged commits, what each member was, what it decided, and when. Pure. */
import { escaped } from './escaped.ts';
import type { Report } from './report.ts';
import { duration, sinceFault } from './text.ts';

/** What part of the drill is drawn, in milliseconds since the fault. */
export interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

const width = 1000;
const labels = 110;
const right = 14;
const top = 34;
const ratesHeight = 60;
const laneHeight = 26;
const laneStep = 38;
const axisHeight = 26;
/** Colours that the page's style sheet has. */
const colors = 6;
const ticksMost = 11;
/** A word needs so much room to be read. */
const characterWidth = 6.6;

/** All of it. */
export function wholeRange({ beganMs, endedMs }: Report): Range {
  return { fromMs: beganMs, toMs: Math.max(endedMs, beganMs + 1) };
}

/** The longest standstill with what is near it; undefined where the whole shows it well enough. */
export function closeRange(report: Report): Range | undefined {
  const longest = longestStandstill(report);
  const whole = wholeRange(report);
  if (longest === undefined) return undefined;
  const room = Math.max(100, longest.toMs - longest.fromMs);
  const close = {
    fromMs: Math.max(whole.fromMs, longest.fromMs - room / 2),
    toMs: Math.min(whole.toMs, longest.toMs + room),
  };
  return close.toMs - close.fromMs < 0.5 * (whole.toMs - whole.fromMs) ? close : undefined;
}

type Standstill = Report['writes']['standstills'][number];

function longestStandstill({ writes }: Report): Standstill | undefined {
  return writes.standstills.toSorted((a, b) => b.toMs - b.fromMs - (a.toMs - a.fromMs))[0];
}

/** Instants between ticks that people like to read: at most eleven of them. */
export function ticksOf({ fromMs, toMs }: Range): { readonly stepMs: number; readonly atMs: readonly number[] } {
  const steps = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000];
  const stepMs = steps.find((step) => (toMs - fromMs) / step <= ticksMost) ?? 600_000;
  const first = Math.ceil(fromMs / stepMs);
  const count = Math.floor(toMs / stepMs) - first + 1;
  return { stepMs, atMs: Array.from({ length: Math.max(0, count) }, (_, index) => (first + index) * stepMs) };
}

interface Canvas {
  readonly range: Range;
  readonly members: readonly string[];
  readonly x: (ms: number) => number;
  readonly laneTop: (member: string) => number;
  readonly bottom: number;
}

/** The picture; its classes are those of the page. */
export function timelineSvg(report: Report, range: Range, label: string): string {
  const members = [...new Set(report.observed.map(({ member }) => member))].sort();
  const plot = width - labels - right;
  const lanesTop = top + ratesHeight + 12;
  const bottom = lanesTop + members.length * laneStep;
  const canvas: Canvas = {
    range,
    members,
    x: (ms) => round(labels + (plot * (ms - range.fromMs)) / (range.toMs - range.fromMs)),
    laneTop: (member) => lanesTop + members.indexOf(member) * laneStep,
    bottom,
  };
  const height = bottom + axisHeight;
  return [
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">`,
    ...bands(report, canvas),
    ...axis(canvas),
    ...rates(report, canvas),
    ...members.flatMap((member) => lane(report, canvas, member)),
    ...marks(report, canvas),
    '</svg>',
  ].join('\n');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** The part of an interval that is in the picture; undefined: nothing of it. */
function clipped({ range }: Canvas, fromMs: number, toMs: number): Range | undefined {
  const part = { fromMs: Math.max(range.fromMs, fromMs), toMs: Math.min(range.toMs, toMs) };
  return part.toMs > part.fromMs ? part : undefined;
}

function bands(report: Report, canvas: Canvas): readonly string[] {
  const longest = longestStandstill(report);
  return report.writes.standstills.flatMap((one) => {
    const part = clipped(canvas, one.fromMs, one.toMs);
    if (part === undefined) return [];
    const [from, to] = [canvas.x(part.fromMs), canvas.x(part.toMs)];
    const text = duration(one.toMs - one.fromMs);
    const band = `<rect class="standstill" x="${from}" y="${top}" width="${round(Math.max(1, to - from))}" height="${canvas.bottom - top}"><title>writes stand still for ${text}</title></rect>`;
    if (one !== longest) return [band];
    const middle = Math.min(width - 40, Math.max(labels + 40, (from + to) / 2));
    return [band, `<text class="strong" x="${round(middle)}" y="${top - 4}" text-anchor="middle">${text}</text>`];
  });
}

function axis({ range, x, bottom }: Canvas): readonly string[] {
  const { stepMs, atMs } = ticksOf(range);
  const digits = stepMs >= 1000 ? 0 : stepMs >= 100 ? 1 : 2;
  return atMs.flatMap((ms) => [
    `<line class="grid" x1="${x(ms)}" y1="${top}" x2="${x(ms)}" y2="${bottom}"/>`,
    `<text class="axis" x="${x(ms)}" y="${bottom + 16}" text-anchor="middle">${(ms / 1000).toFixed(digits)} s</text>`,
  ]);
}

/** Bars, those of several members on top of each other. */
function rates({ writes }: Report, canvas: Canvas): readonly string[] {
  const { fromMs, stepMs, members } = writes.rate;
  const names = Object.keys(members);
  const steps = Math.max(0, ...Object.values(members).map((counts) => counts.length));
  const sums = Array.from({ length: steps }, (_, at) =>
    names.reduce((sum, name) => sum + (members[name]?.[at] ?? 0), 0),
  );
  const most = Math.max(1, ...sums);
  const bars: string[] = [];
  for (let at = 0; at < steps; at += 1) {
    const part = clipped(canvas, fromMs + at * stepMs, fromMs + (at + 1) * stepMs);
    if (part === undefined) continue;
    const barWidth = round(Math.max(0.5, canvas.x(part.toMs) - canvas.x(part.fromMs) - 0.3));
    let base = top + ratesHeight;
    for (const name of names) {
      const count = members[name]?.[at] ?? 0;
      if (count === 0) continue;
      const barHeight = round((ratesHeight * count) / most);
      base = round(base - barHeight);
      bars.push(
        `<rect class="${colorOf(canvas, name)}" x="${canvas.x(part.fromMs)}" y="${base}" width="${barWidth}" height="${barHeight}"/>`,
      );
    }
  }
  const middle = top + ratesHeight / 2;
  return [
    `<text class="label" x="${labels - 8}" y="${middle}" text-anchor="end">commits</text>`,
    `<text class="axis" x="${labels - 8}" y="${middle + 14}" text-anchor="end">in ${stepMs} ms, to ${most}</text>`,
    ...bars,
  ];
}

function colorOf({ members }: Canvas, member: string): string {
  return `m${Math.max(0, members.indexOf(member)) % colors}`;
}

function lane(report: Report, canvas: Canvas, member: string): readonly string[] {
  const y = canvas.laneTop(member);
  const changes = report.observed.filter((one) => one.member === member);
  const parts = changes.flatMap(({ atMs, role, state }, index) => {
    const part = clipped(canvas, atMs, changes[index + 1]?.atMs ?? report.endedMs);
    if (part === undefined) return [];
    const [from, to] = [canvas.x(part.fromMs), canvas.x(part.toMs)];
    const text = role === 'leader' ? `primary, ${state}` : state;
    const box = `<rect class="${stateClass(canvas, member, role, state)}" x="${from}" y="${y}" width="${round(Math.max(0.8, to - from))}" height="${laneHeight}"><title>${escaped(`${member}: ${role}, ${state}, from ${sinceFault(atMs)} s on`)}</title></rect>`;
    const fits = to - from > text.length * characterWidth + 8;
    const ground = role === 'leader' && state === 'running' ? 'state full' : 'state';
    return fits ? [box, `<text class="${ground}" x="${from + 5}" y="${y + 17}">${escaped(text)}</text>`] : [box];
  });
  const events = report.events.flatMap(({ atMs, member: of, rule, because }) => {
    if (of !== member || clipped(canvas, atMs, atMs + 1) === undefined) return [];
    const title = escaped(`${sinceFault(atMs)} s, ${member}: ${rule}: ${because}`);
    return [
      `<circle class="event" cx="${canvas.x(atMs)}" cy="${y + laneHeight + 4}" r="3"><title>${title}</title></circle>`,
    ];
  });
  const name = `<text class="label" x="${labels - 8}" y="${y + 17}" text-anchor="end">${escaped(member)}</text>`;
  const ground = `<rect class="ground" x="${labels}" y="${y}" width="${width - labels - right}" height="${laneHeight}"/>`;
  return [name, ground, ...parts, ...events];
}

function stateClass(canvas: Canvas, member: string, role: string, state: string): string {
  if (role === 'leader' && state === 'running') return colorOf(canvas, member);
  const isWell = state === 'streaming' || (role === 'witness' && state === 'running');
  return isWell ? `${colorOf(canvas, member)} follows` : 'away';
}

/** The fault; and where an agent that stood still goes on. */
function marks({ stoppedForMs }: Report, canvas: Canvas): readonly string[] {
  const mark = (ms: number, text: string): readonly string[] => {
    if (clipped(canvas, ms, ms + 1) === undefined) return [];
    const at = canvas.x(ms);
    return [
      `<line class="fault" x1="${at}" y1="${top - 16}" x2="${at}" y2="${canvas.bottom}"/>`,
      `<text class="strong" x="${at + 4}" y="${top - 20}">${text}</text>`,
    ];
  };
  return [...mark(0, 'fault'), ...(stoppedForMs === null ? [] : mark(stoppedForMs, 'the agent goes on'))];
}
