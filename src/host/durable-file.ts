/** What a member must remember, as JSON in a file that a crash leaves whole. */
import { join } from 'node:path';
import { z } from 'zod';
import { formatLsn, type Lsn, parseLsn } from '../core/lsn.ts';
import type { Durable } from '../core/model.ts';
import { messageOf } from '../lib/caught.ts';
import { makeDirectory, type Owner } from '../lib/durable-write.ts';
import { newerIn } from '../lib/newer.ts';
import type { DurableStore } from '../ports/host.ts';
import { slotFile } from './slot-file.ts';

/**
 * Raised when an older pgherd would be wrong to go on with the file as it knows it: it then refuses to start. Fields that
 * it does not know are else kept, and written back.
 */
const formatVersion = 1;

const lsnText = z.string().transform((text, context): Lsn => {
  const value = parseLsn(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: `"${text}" is not an LSN such as 0/3000088` });
  return z.NEVER;
});
const term = z.int().min(0);

const durableForm = z.object({
  format: z.literal(formatVersion),
  member: z.string().min(1),
  systemId: z.string().exactOptional(),
  dirMark: z.string().exactOptional(),
  storeId: z.string().exactOptional(),
  maxTerm: term,
  maxRuleNumber: term,
  maxNonce: z.string().exactOptional(),
  originTerm: term.exactOptional(),
  lastLsn: lsnText.exactOptional(),
  promoting: z.strictObject({ term, fromTimeline: z.int().min(0) }).exactOptional(),
  takenOn: z
    .strictObject({
      term,
      ground: z.enum(['retake', 'handover', 'asynchronous', 'revoked', 'forced']),
      from: z.string(),
    })
    .exactOptional(),
  branch: z.strictObject({ term, parent: term.exactOptional(), promoted: z.boolean() }).exactOptional(),
  checkpointDue: z.boolean().default(false),
  disarmed: z.boolean().default(false),
  floor: z.union([z.literal('infinite'), z.strictObject({ originTerm: term, lsn: lsnText })]).exactOptional(),
  rewinding: z.boolean(),
  revokedTerm: term.exactOptional(),
  joining: z.strictObject({ term, parent: term, fromTimeline: z.number() }).exactOptional(),
  promise: z.strictObject({ term, bootId: z.string(), until: z.number(), ttlMs: z.number() }).exactOptional(),
  founding: z.boolean(),
});

/**
 * Keeps `Durable` in `<stateDirectory>/state.json`, in the two slots of `slot-file.ts`; a file without slots, as an
 * older pgherd wrote it, becomes one with slots. The directory is created by the first `save`.
 */
export function durableFile(stateDirectory: string, owner?: Owner): DurableStore {
  const path = join(stateDirectory, 'state.json');
  const slots = slotFile(path, owner);
  return {
    load: async () => {
      try {
        const found = await slots.read();
        if (found.kind === 'absent') return { ok: true, durable: undefined };
        if (found.kind === 'damaged') return { ok: false, error: damaged(path, found.why) };
        const parsed = parseDurable(found.text, path);
        if (parsed.ok) await slots.settle();
        return parsed;
      } catch (error) {
        return { ok: false, error: `the member's state cannot be read: ${messageOf(error)}` };
      }
    },
    save: async (durable) => {
      try {
        await makeDirectory(stateDirectory, 0o700, owner);
        await slots.write(formatDurable(durable));
        return { ok: true };
      } catch (error) {
        return { ok: false, error: `the member's state cannot be written to ${path}: ${messageOf(error)}` };
      }
    },
  };
}

/** Who begins without its state may have promised, or lost, what it then knows nothing of: a person has to say so. */
function damaged(path: string, why: string): string {
  return (
    `the member's state in ${path} is damaged: ${why}; restore the file, or move it away and let this member be cloned ` +
    'anew (without it, it knows neither how far its WAL went nor what it promised)'
  );
}

function formatDurable(durable: Durable): string {
  const { lastLsn, floor, newer, ...plain } = durable;
  const text = JSON.stringify(
    {
      format: formatVersion,
      ...plain,
      lastLsn: lastLsn === undefined ? undefined : formatLsn(lastLsn),
      floor: typeof floor === 'object' ? { ...floor, lsn: formatLsn(floor.lsn) } : floor,
      ...newer,
    },
    undefined,
    2,
  );
  return `${text}\n`;
}

function parseDurable(text: string, path: string): Awaited<ReturnType<DurableStore['load']>> {
  const refuse = (why: string) => ({ ok: false as const, error: `the member's state in ${path} ${why}` });
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    return refuse(`is not JSON: ${messageOf(error)}`);
  }
  const format = z.object({ format: z.number() }).safeParse(raw);
  if (format.success && format.data.format > formatVersion) {
    return refuse(
      `has format ${format.data.format}; this pgherd knows formats up to ${formatVersion}: use a newer pgherd`,
    );
  }
  const parsed = durableForm.safeParse(raw);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'it'}: ${issue.message}`);
    return refuse(`cannot be used: ${issues.join('; ')}`);
  }
  const { format: _format, ...durable } = parsed.data;
  return { ok: true, durable: { ...durable, ...newerIn(raw, durableForm.shape) } };
}
