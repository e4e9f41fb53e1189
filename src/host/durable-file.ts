/** What a member must remember, as one JSON file that a crash leaves whole. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { formatLsn, type Lsn, parseLsn } from '../core/lsn.ts';
import type { Durable } from '../core/model.ts';
import { codeOf, messageOf } from '../lib/caught.ts';
import { makeDirectory, type Owner, writeDurably } from '../lib/durable-write.ts';
import type { DurableStore } from '../ports/host.ts';

/** Raised when an older pgherd could misread the file. */
const formatVersion = 1;

const lsnText = z.string().transform((text, context): Lsn => {
  const value = parseLsn(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: `"${text}" is not an LSN such as 0/3000088` });
  return z.NEVER;
});
const term = z.int().min(0);

const durableForm = z.strictObject({
  format: z.literal(formatVersion),
  member: z.string().min(1),
  systemId: z.string().optional(),
  dirMark: z.string().optional(),
  storeId: z.string().optional(),
  maxTerm: term,
  maxRuleNumber: term,
  originTerm: term.optional(),
  lastLsn: lsnText.optional(),
  promoting: z.strictObject({ term, fromTimeline: z.int().min(0) }).optional(),
  takenOn: z
    .strictObject({ term, ground: z.enum(['retake', 'handover', 'asynchronous', 'forced']), from: z.string() })
    .optional(),
  branch: z.strictObject({ term, parent: term.optional(), promoted: z.boolean() }).optional(),
  checkpointDue: z.boolean().default(false),
  disarmed: z.boolean().default(false),
  floor: z.union([z.literal('infinite'), z.strictObject({ originTerm: term, lsn: lsnText })]).optional(),
  rewinding: z.boolean(),
  founding: z.boolean(),
});

/** Keeps `Durable` in `<stateDirectory>/state.json`. The directory is created by the first `save`. */
export function durableFile(stateDirectory: string, owner?: Owner): DurableStore {
  const path = join(stateDirectory, 'state.json');
  return {
    load: async () => {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return { ok: true, durable: undefined };
        return { ok: false, error: `the member's state cannot be read: ${messageOf(error)}` };
      }
      return parseDurable(text, path);
    },
    save: async (durable) => {
      try {
        await makeDirectory(stateDirectory, 0o700, owner);
        await writeDurably(path, formatDurable(durable), 0o600, owner);
        return { ok: true };
      } catch (error) {
        return { ok: false, error: `the member's state cannot be written to ${path}: ${messageOf(error)}` };
      }
    },
  };
}

function formatDurable(durable: Durable): string {
  const { lastLsn, floor, ...plain } = durable;
  const text = JSON.stringify(
    {
      format: formatVersion,
      ...plain,
      lastLsn: lastLsn === undefined ? undefined : formatLsn(lastLsn),
      floor: typeof floor === 'object' ? { ...floor, lsn: formatLsn(floor.lsn) } : floor,
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
  return { ok: true, durable: withoutUndefined(parsed.data) };
}

/** zod types an absent key as `| undefined`; the model wants it absent. */
function withoutUndefined(data: z.infer<typeof durableForm>): Durable {
  const { systemId, dirMark, storeId, originTerm, lastLsn, promoting, takenOn, branch, floor } = data;
  return {
    member: data.member,
    maxTerm: data.maxTerm,
    maxRuleNumber: data.maxRuleNumber,
    rewinding: data.rewinding,
    founding: data.founding,
    checkpointDue: data.checkpointDue,
    disarmed: data.disarmed,
    ...(systemId === undefined ? {} : { systemId }),
    ...(dirMark === undefined ? {} : { dirMark }),
    ...(storeId === undefined ? {} : { storeId }),
    ...(originTerm === undefined ? {} : { originTerm }),
    ...(lastLsn === undefined ? {} : { lastLsn }),
    ...(promoting === undefined ? {} : { promoting }),
    ...(takenOn === undefined ? {} : { takenOn }),
    ...(branch === undefined ? {} : { branch: branchOf(branch) }),
    ...(floor === undefined ? {} : { floor }),
  };
}

function branchOf({
  parent,
  ...rest
}: NonNullable<z.infer<typeof durableForm>['branch']>): NonNullable<Durable['branch']> {
  return parent === undefined ? rest : { ...rest, parent };
}
