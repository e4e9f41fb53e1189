/**
 * One text in two slots of one file, each with its sequence number, length and checksum. A save overwrites the older
 * slot in place and syncs the data alone: no block is allocated and no name changes, so it does not wait for the file
 * system's journal, which PostgreSQL keeps busy. What a crash tears is one slot; the other still has the text before.
 *
 * Each slot is JSON, padded with spaces: people (and `jq`) can read the file as it is.
 */
import { createHash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from '../lib/caught.ts';
import { type Owner, replaceDurably, syncDirectory } from '../lib/durable-write.ts';

/** What the file holds. */
export type DecodedSlots =
  | { readonly kind: 'absent' }
  /** `place` is undefined for a file that is one plain text, without slots. */
  | { readonly kind: 'text'; readonly text: string; readonly place: Place | undefined }
  /** Neither slot is whole. */
  | { readonly kind: 'damaged'; readonly why: string };

/** Where a text lies, and how many were written before it. */
export interface Place {
  readonly slotBytes: number;
  readonly slot: 0 | 1;
  readonly sequence: number;
}

/** One reader and writer; calls must not overlap. They throw the file system's error. */
export interface SlotFile {
  read(): Promise<DecodedSlots>;
  /**
   * Writes what `read` gave once more, where it stands: whoever wrote it may have been killed before it was synced, and
   * from now on it is relied upon. A plain text becomes one in slots.
   */
  settle(): Promise<void>;
  /** The text is on disk when this resolves. Creates the file; its directory must be there. */
  write(text: string): Promise<void>;
}

/** Enough for any state of today. Also what a disk writes, and memory pages hold, as a whole, mostly. */
const smallestSlotBytes = 4096;
const mode = 0o600;

/** Keeps a text in the slots of the file at `path`. */
export function slotFile(path: string, owner?: Owner): SlotFile {
  /** Where the text is that is on disk for sure. */
  let known: Place | undefined;
  /** An error left in doubt which file has the name after a crash: the next one is made anew. */
  let nameInDoubt = false;

  /** Another slot size, or no slots yet: a new file beside the old one takes its place. */
  async function renew(text: string, sequence: number): Promise<void> {
    const slotBytes = slotBytesFor(text, sequence);
    const bytes = Buffer.concat([encodeSlot(text, sequence, slotBytes) ?? Buffer.alloc(0), emptySlot(slotBytes)]);
    nameInDoubt = true;
    await replaceDurably(path, bytes, mode, owner);
    known = { slotBytes, slot: 0, sequence };
    nameInDoubt = false;
  }

  /** False when the text does not go in there. */
  async function overwrite(text: string, place: Place): Promise<boolean> {
    const bytes = encodeSlot(text, place.sequence, place.slotBytes);
    if (bytes === undefined) return false;
    const done = await withFile(path, async (file, facts) => {
      if (!isOurs(facts, place.slotBytes, owner)) return false;
      const { bytesWritten } = await file.write(bytes, 0, bytes.length, place.slot * place.slotBytes);
      if (bytesWritten !== bytes.length) throw new Error(`only ${bytesWritten} of ${bytes.length} bytes were written`);
      await file.datasync();
      // Not before: after an error the same slot is written again. The other one has the only text that is surely on disk.
      known = place;
      return true;
    });
    return done ?? false;
  }

  async function look(): Promise<DecodedSlots> {
    return (await withFile(path, async (file) => decodeSlots(await file.readFile()))) ?? { kind: 'absent' };
  }

  async function settle(): Promise<void> {
    const found = await look();
    if (found.kind !== 'text') return;
    // Also the renaming of a file that is new.
    await syncDirectory(dirname(path));
    const { text, place } = found;
    if (place === undefined || !(await overwrite(text, place))) await renew(text, (place?.sequence ?? 0) + 1);
  }

  async function write(text: string): Promise<void> {
    if (known === undefined && !nameInDoubt) await settle();
    const sequence = (known?.sequence ?? 0) + 1;
    const isDone =
      known !== undefined &&
      !nameInDoubt &&
      (await overwrite(text, { ...known, slot: known.slot === 0 ? 1 : 0, sequence }));
    if (!isDone) await renew(text, sequence);
  }

  return {
    read: look,
    settle,
    write: async (text) => {
      const found = known === undefined ? undefined : await look();
      const isThere = found?.kind === 'text' && found.text === text && found.place?.sequence === known?.sequence;
      if (!isThere) await write(text);
    },
  };
}

/** Undefined when there is no file. The directory may belong to somebody else: no link that was put there is followed. */
async function withFile<Value>(
  path: string,
  work: (file: FileHandle, facts: Stats) => Promise<Value>,
): Promise<Value | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const facts = await file.stat();
    if (!facts.isFile()) throw new Error(`${path} is not a file`);
    return await work(file, facts);
  } finally {
    await file.close();
  }
}

/** Of the right size, and nobody else's too, under this name or another. */
function isOurs(facts: Stats, slotBytes: number, owner: Owner | undefined): boolean {
  return (
    facts.size === 2 * slotBytes &&
    facts.nlink === 1 &&
    (facts.mode & 0o777) === mode &&
    (owner === undefined || facts.uid === owner.uid)
  );
}

/** The newest whole text of such a file, as its bytes are after whatever happened to them. */
export function decodeSlots(bytes: Buffer): DecodedSlots {
  const slotBytes = bytes.length / 2;
  if (slotBytes === 0 || slotBytes % smallestSlotBytes !== 0)
    return { kind: 'text', text: bytes.toString('utf8'), place: undefined };
  const slots = ([0, 1] as const).map((slot) => ({ slot, ...decodeSlot(bytes, slot * slotBytes, slotBytes) }));
  const newest = slots.toSorted((a, b) => (b.sequence ?? -1) - (a.sequence ?? -1))[0];
  if (newest?.sequence === undefined || newest.text === undefined) {
    const why = slots.map(({ slot, problem }) => `copy ${slot + 1} ${problem ?? ''}`).join(', ');
    return { kind: 'damaged', why };
  }
  const { slot, sequence, text } = newest;
  return { kind: 'text', text, place: { slotBytes, slot, sequence } };
}

interface DecodedSlot {
  readonly sequence?: number;
  readonly text?: string;
  readonly problem?: string;
}

const header = /^\{"sequence":(\d{1,15}),"bytes":(\d{1,9}),"sha256":"([0-9a-f]{64})"\}\n/;

function decodeSlot(bytes: Buffer, start: number, slotBytes: number): DecodedSlot {
  const slot = bytes.subarray(start, start + slotBytes);
  const match = header.exec(slot.toString('latin1', 0, 160));
  if (match === null) return { problem: slot.equals(emptySlot(slotBytes)) ? 'is empty' : 'has no beginning' };
  const [line, sequence = '', length = '', checksum = ''] = match;
  const text = slot.subarray(line.length, line.length + Number(length));
  if (checksumOf(Number(sequence), text) !== checksum) return { problem: 'differs from its checksum' };
  return { sequence: Number(sequence), text: text.toString('utf8') };
}

/** A slot of `slotBytes` with the text in it; undefined when it does not go in. */
export function encodeSlot(text: string, sequence: number, slotBytes: number): Buffer | undefined {
  const content = Buffer.from(text);
  const line = `{"sequence":${sequence},"bytes":${content.length},"sha256":"${checksumOf(sequence, content)}"}\n`;
  if (line.length + content.length > slotBytes - 1) return undefined;
  const slot = emptySlot(slotBytes);
  slot.write(line, 'latin1');
  content.copy(slot, line.length);
  return slot;
}

/** Real blanks: blocks that were only reserved would have to be allocated by the first save into them. */
function emptySlot(slotBytes: number): Buffer {
  const slot = Buffer.alloc(slotBytes, ' ');
  slot.write('\n', slotBytes - 1);
  return slot;
}

function slotBytesFor(text: string, sequence: number): number {
  let slotBytes = smallestSlotBytes;
  while (encodeSlot(text, sequence, slotBytes) === undefined) slotBytes *= 2;
  return slotBytes;
}

function checksumOf(sequence: number, content: Buffer): string {
  return createHash('sha256').update(`${sequence}\n`).update(content).digest('hex');
}
