/** The folder of what a member must remember, and the lock that keeps a second agent out of it. */

import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf, messageOf } from '../lib/caught.ts';
import { makeDirectory, type Owner } from '../lib/durable-write.ts';
import { bootId } from './clock.ts';
import { startTicksOf } from './process-identity.ts';

/** The directory is ours until `release`, or why it is not. */
export type StateDirectoryOutcome =
  | { readonly ok: true; readonly release: () => Promise<void> }
  | { readonly ok: false; readonly error: string };

const holderForm = z.object({ pid: z.int().min(1), startTicks: z.string(), bootId: z.string() });
type Holder = z.infer<typeof holderForm>;

/**
 * Creates the directory (mode 0700) and takes its lock, `agent.lock`. The lock of a process that is no longer there
 * is taken over. Two agents must not share it: both would start and stop the same PostgreSQL.
 */
export async function openStateDirectory(path: string, owner?: Owner): Promise<StateDirectoryOutcome> {
  const lock = join(path, 'agent.lock');
  const me: Holder = { pid: process.pid, startTicks: startTicksOf(process.pid) ?? '', bootId: bootId() };
  const text = JSON.stringify(me);
  const mine = `${lock}.${me.pid}`;
  try {
    await makeDirectory(path, 0o700, owner);
    await writeFile(mine, text, { mode: 0o600 });
    try {
      for (let attempt = 0; attempt < 10; attempt += 1) {
        if (await linkIfAbsent(mine, lock)) return { ok: true, release: () => release(lock, text) };
        const holder = await readHolder(lock);
        if (holder !== undefined && isAlive(holder)) {
          return {
            ok: false,
            error: `another agent (process ${holder.pid}) holds ${lock}: one member, one agent; stop that one first`,
          };
        }
        await removeStale(lock, mine);
      }
      return { ok: false, error: `${lock} cannot be taken: other agents try at the same time` };
    } finally {
      await rm(mine, { force: true });
    }
  } catch (error) {
    return { ok: false, error: `the state directory ${path} cannot be used: ${messageOf(error)}` };
  }
}

/** A link is created as a whole or not at all, with its content: nobody sees an empty lock. */
async function linkIfAbsent(mine: string, lock: string): Promise<boolean> {
  try {
    await link(mine, lock);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** The agent that works on this directory now: its process, or why it is not known. */
export async function agentOf(
  path: string,
): Promise<{ readonly ok: true; readonly pid: number } | { readonly ok: false; readonly error: string }> {
  const lock = join(path, 'agent.lock');
  let text: string;
  try {
    text = await readFile(lock, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { ok: false, error: `no agent runs here: ${lock} is not there` };
    return { ok: false, error: `${lock} cannot be read: ${messageOf(error)}` };
  }
  const holder = parseHolder(text);
  if (holder !== undefined && isAlive(holder)) return { ok: true, pid: holder.pid };
  return { ok: false, error: `no agent runs here: the one that ${lock} names has ended` };
}

async function readHolder(lock: string): Promise<Holder | undefined> {
  try {
    return parseHolder(await readFile(lock, 'utf8'));
  } catch {
    return undefined;
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const parsed = holderForm.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Moved aside and looked at again: another agent may have replaced the stale lock by its own meanwhile. */
async function removeStale(lock: string, mine: string): Promise<void> {
  const aside = `${mine}.stale`;
  try {
    await rename(lock, aside);
  } catch {
    return;
  }
  const moved = await readHolder(aside);
  if (moved !== undefined && isAlive(moved)) await linkIfAbsent(aside, lock);
  await rm(aside, { force: true });
}

async function release(lock: string, text: string): Promise<void> {
  try {
    if ((await readFile(lock, 'utf8')) === text) await rm(lock, { force: true });
  } catch {
    // It is gone: there is nothing to release.
  }
}

function isAlive(holder: Holder): boolean {
  return holder.bootId === bootId() && startTicksOf(holder.pid) === holder.startTicks;
}
