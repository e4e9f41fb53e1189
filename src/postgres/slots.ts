/** Physical replication slots. */
import type { SlotWish } from '../core/effects.ts';
import type { JobOutcome } from '../core/events.ts';
import { quoteLiteral } from './connection.ts';
import { withSession } from './job-session.ts';
import type { Setup } from './options.ts';

const duplicateObject = '42710';
const undefinedObject = '42704';

/** Creates and drops; what is so already is fine. Everything is tried, the errors are told together. */
export function changeSlots(setup: Setup, create: readonly SlotWish[], drop: readonly string[]): Promise<JobOutcome> {
  return withSession(setup, setup.timings.toolMs, async (session) => {
    const errors: string[] = [];
    for (const name of drop) {
      const outcome = await session.query(`SELECT pg_drop_replication_slot(${quoteLiteral(name)})`);
      if (!outcome.ok && outcome.code !== undefinedObject) errors.push(`dropping slot ${name}: ${outcome.error}`);
    }
    for (const wish of create) {
      const name = quoteLiteral(wish.name);
      const outcome = await session.query(
        `SELECT pg_create_physical_replication_slot(${name}, ${wish.reserve ? 'true' : 'false'})`,
      );
      if (outcome.ok) continue;
      if (outcome.code !== duplicateObject) {
        errors.push(`creating slot ${wish.name}: ${outcome.error}`);
        continue;
      }
      const kind = await session.query(
        `SELECT 1 FROM pg_replication_slots WHERE slot_name = ${name} AND slot_type = 'physical'`,
      );
      if (kind.ok && kind.rows.length === 0) errors.push(`slot ${wish.name} exists, and is a logical one`);
    }
    return errors.length === 0 ? { ok: true } : { ok: false, error: errors.join('; ') };
  });
}
