import { type Lsn, parseLsn } from './lsn.ts';

/** A timeline's ancestor: the history left timeline `timeline` at `switchLsn`. */
export interface TimelineSwitch {
  readonly timeline: number;
  readonly switchLsn: Lsn;
  readonly reason: string;
}

/** Timeline numbers have 32 bits. */
const timelineMax = 0xffff_ffff;

/**
 * Reads a timeline history file (`00000003.history`): one ancestor a line, oldest first,
 * `parent timeline <tab> switch LSN <tab> reason`; `#` begins a comment.
 * PostgreSQL, src/backend/access/transam/timeline.c. Returns undefined when a line cannot be read.
 */
export function parseTimelineHistory(text: string): readonly TimelineSwitch[] | undefined {
  const switches: TimelineSwitch[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [timelineText, lsnText, ...reason] = line.split(/\s+/);
    // `Number` would also take 1e1 and 0x1F.
    const timeline = /^\d+$/.test(timelineText ?? '') ? Number(timelineText) : 0;
    const switchLsn = parseLsn(lsnText ?? '');
    if (timeline < 1 || timeline > timelineMax || switchLsn === undefined) return undefined;
    const last = switches.at(-1);
    if (last && last.timeline >= timeline) return undefined;
    switches.push({ timeline, switchLsn, reason: reason.join(' ') });
  }
  return switches;
}
