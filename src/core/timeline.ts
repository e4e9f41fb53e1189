import { type Lsn, parseLsn } from './lsn.ts';

/** A timeline's ancestor: the history left timeline `timeline` at `switchLsn`. */
export interface TimelineSwitch {
  readonly timeline: number;
  readonly switchLsn: Lsn;
  readonly reason: string;
}

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
    const timeline = Number(timelineText);
    const switchLsn = parseLsn(lsnText ?? '');
    if (!Number.isInteger(timeline) || timeline < 1 || switchLsn === undefined) return undefined;
    const last = switches.at(-1);
    if (last && last.timeline >= timeline) return undefined;
    switches.push({ timeline, switchLsn, reason: reason.join(' ') });
  }
  return switches;
}
