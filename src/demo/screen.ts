/** What the demo shows: on a terminal a live picture, elsewhere one line an event. */
import { styleText } from 'node:util';
import type { ClusterAnswer, ClusterMemberAnswer } from '../api/answers.ts';

/** Where the story is told. */
export interface Screen {
  /** A step of the story. */
  tell(text: string): void;
  /** A fact that belongs to the last step. */
  detail(text: string): void;
  /** `written`: how far the leader has written. */
  show(
    seen: ClusterAnswer | undefined,
    written: string | undefined,
    target: string | undefined,
    acknowledged: number,
  ): void;
  /** The final picture stays. */
  end(): void;
}

interface Line {
  readonly atMs: number;
  readonly text: string;
  readonly isStep: boolean;
}

const storyLines = 16;
const widths = { member: 8, role: 15, state: 18, timeline: 4, lsn: 12, lag: 8 } as const;

/** `live`: a terminal, on which the cluster is drawn again and again below the story. */
export function createScreen(live: boolean, write: (text: string) => void): Screen {
  const began = performance.now();
  const story: Line[] = [];
  let picture = '';
  let drawnLines = 0;

  const stamp = (line: Line): string =>
    `${(line.atMs / 1000).toFixed(1).padStart(6)} s  ${line.isStep ? line.text : `  ${line.text}`}`;
  const add = (text: string, isStep: boolean): void => {
    const line = { atMs: performance.now() - began, text, isStep };
    story.push(line);
    if (live) draw();
    else write(`${stamp(line)}\n`);
  };

  function draw(): void {
    const lines = [
      ...picture.split('\n'),
      '',
      ...story.slice(-storyLines).map((line) => (line.isStep ? styleText('bold', stamp(line)) : stamp(line))),
    ];
    const up = drawnLines > 0 ? `\u001b[${drawnLines}A` : '';
    write(`${up}\u001b[J${lines.join('\n')}\n`);
    drawnLines = lines.length;
  }

  return {
    tell: (text) => add(text, true),
    detail: (text) => add(text, false),
    show(seen, written, target, acknowledged) {
      if (!live) return;
      picture = render(seen, written, target, acknowledged);
      draw();
    },
    end() {
      drawnLines = 0;
    },
  };
}

function render(
  seen: ClusterAnswer | undefined,
  written: string | undefined,
  target: string | undefined,
  acknowledged: number,
): string {
  const head = row({ member: 'Member', role: 'Role', state: 'State', timeline: 'TL', lsn: 'LSN', lag: 'Lag' });
  const rows = (seen?.members ?? []).map((member) => {
    const line = row({
      member: member.name,
      role: member.role,
      state: member.state,
      timeline: String(member.timeline ?? ''),
      lsn: member.lsn ?? (member.role === 'leader' ? (written ?? '') : ''),
      lag: member.lag === undefined ? '' : String(member.lag),
    });
    const marked = `${line}${member.name === target ? ' ◀ writes' : ''}`;
    return styleText(colorOf(member), marked);
  });
  const title = styleText('bold', `pgherd demo: cluster ${seen?.scope ?? 'demo'}`);
  return [
    title,
    '',
    styleText('dim', head),
    ...rows,
    '',
    `${acknowledged} commits acknowledged${target === undefined ? ', nobody takes writes now' : ''}`,
  ].join('\n');
}

function row(cells: Readonly<Record<keyof typeof widths, string>>): string {
  return [
    cells.member.padEnd(widths.member),
    cells.role.padEnd(widths.role),
    cells.state.padEnd(widths.state),
    cells.timeline.padStart(widths.timeline),
    cells.lsn.padStart(widths.lsn),
    cells.lag.padStart(widths.lag),
  ].join(' ');
}

function colorOf(member: ClusterMemberAnswer): 'green' | 'cyan' | 'yellow' | 'red' {
  if (member.role === 'leader' && member.state === 'running') return 'green';
  if (member.state === 'streaming') return 'cyan';
  return member.state === 'unreachable' || member.state === 'crashed' ? 'red' : 'yellow';
}
