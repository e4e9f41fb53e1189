/** `guard.events`: what a guard did, a JSON line each, for the agent to report. */
import * as z from 'zod';
import type { GuardAct } from '../core/events.ts';

const actForm = z.object({ at: z.string(), text: z.string() });

/** The acts in the file's text; a line that was cut off by a crash is left out. */
export function guardActsOf(text: string): readonly GuardAct[] {
  return text.split('\n').flatMap((line) => {
    try {
      const act = actForm.safeParse(JSON.parse(line));
      return act.success ? [act.data] : [];
    } catch {
      return [];
    }
  });
}
