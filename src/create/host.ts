/** What a new member would find on this host. Looks, and changes nothing. */
import { lookup } from 'node:dns/promises';
import { access, constants, readFile, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { whyNotFree } from '../host/free-port.ts';
import { decodeSlots } from '../host/slot-file.ts';
import { agentOf } from '../host/state-directory.ts';
import { codeOf, messageOf } from '../lib/caught.ts';
import { type BinariesOutcome, findBinaries } from '../postgres/binaries.ts';
import { readControlData } from '../postgres/control-data.ts';
import { examineDataDirectory } from '../postgres/data-directory.ts';
import { defaultTimings } from '../postgres/options.ts';
import { chooseOsUser, type OsUser, type OsUserOutcome } from '../postgres/os-user.ts';
import { isLoopback } from './configuration.ts';
import { tokenFileOf } from './place.ts';

/** What is to be looked at. */
export interface HostQuestion {
  readonly dataDir: string;
  readonly config: string;
  /** As given; undefined: the address of this host's own end of a connection to the DCS. */
  readonly address: string | undefined;
  readonly port: number;
  readonly apiPort: number;
  readonly binDir: string | undefined;
  /** Where the DCS is. */
  readonly store: { readonly host: string; readonly port: number };
  /** The major version that PostgreSQL must have; undefined: the newest that is here. */
  readonly major: number | undefined;
}

/** What was found. */
export interface HostFound {
  readonly address: AddressFound;
  readonly directory: DirectoryFound;
  /** What a former member left in the state directory; undefined: nothing. */
  readonly remembered: Remembered | undefined;
  /** The process of an agent that works on this data directory. */
  readonly agentPid: number | undefined;
  /** Files that are there and must not be. */
  readonly configExists: boolean;
  readonly tokenExists: boolean;
  /** Folders that cannot be made, or not be written in, and why. */
  readonly unwritable: readonly string[];
  /** Why ports cannot be had. */
  readonly taken: readonly string[];
  readonly user: OsUserOutcome;
  readonly binaries: BinariesOutcome;
  /** Where PostgreSQL's sockets go, where the customary folder is not for its user; '': nowhere. */
  readonly socketDirectory: string | undefined;
}

/** By which address the others reach this host. */
export type AddressFound =
  | { readonly ok: true; readonly host: string; readonly loopback: boolean }
  | { readonly ok: false; readonly error: string };

/** What the data directory is. */
export type DirectoryFound =
  | { readonly kind: 'free' }
  | { readonly kind: 'data'; readonly systemId: string }
  | { readonly kind: 'other'; readonly error: string };

/** Of `state.json`. */
export interface Remembered {
  readonly path: string;
  readonly member: string | undefined;
  readonly systemId: string | undefined;
}

const connectMs = 3000;

/** Looks at everything, whatever is wrong with one of it. */
export async function lookAtHost(question: HostQuestion): Promise<HostFound> {
  const { dataDir, config, binDir, major } = question;
  const stateDir = `${dataDir}.pgherd`;
  const user = chooseOsUser(dataDir);
  const binaries = await programsOf(binDir, major);
  const address = await addressOf(question);
  const agent = await agentOf(stateDir);
  const unwritable = await Promise.all([dirname(config), dirname(dataDir)].map(whyNotWritable));
  return {
    address,
    directory: await directoryOf(dataDir, user, binaries),
    remembered: await rememberedIn(stateDir),
    agentPid: agent.ok ? agent.pid : undefined,
    configExists: await exists(config),
    tokenExists: await exists(tokenFileOf(config)),
    unwritable: unwritable.filter((text) => text !== undefined),
    taken: address.ok ? await takenPorts(address.host, question) : [],
    user,
    binaries,
    socketDirectory: user.ok && !(await mayUse('/var/run/postgresql', user.user)) ? socketsBeside(stateDir) : undefined,
  };
}

/** Of that version where one is asked for: a replica of another one cannot follow. */
async function programsOf(binDir: string | undefined, major: number | undefined): Promise<BinariesOutcome> {
  const newest = await findBinaries(binDir, undefined);
  if (!newest.ok || major === undefined || newest.binaries.major === major) return newest;
  const wanted = await findBinaries(binDir, major);
  if (wanted.ok) return wanted;
  const error = `here is version ${newest.binaries.major}, in ${newest.binaries.dir}: install version ${major}, or name its folder with --bin-dir`;
  return { ok: false, error };
}

/* ---------------------------------------------------------------- the address */

async function addressOf({ address, store }: HostQuestion): Promise<AddressFound> {
  const towards = await ownEnd(store.host, store.port);
  if (address === undefined) {
    if ('error' in towards) return { ok: false, error: `${towards.error}; name it: --address HOST` };
    return { ok: true, host: towards.host, loopback: isLoopback(towards.host) };
  }
  try {
    const { address: numeric } = await lookup(address);
    const loopback = isLoopback(numeric);
    if (loopback && !isLoopback(address) && !('error' in towards) && !isLoopback(towards.host)) {
      const error = `${address} is ${numeric} on this host (see /etc/hosts), where the others would not find it; give the address, as --address ${towards.host}`;
      return { ok: false, error };
    }
    return { ok: true, host: address, loopback };
  } catch (error) {
    return { ok: false, error: `the name ${address} is not known here (${codeOf(error) ?? messageOf(error)})` };
  }
}

/** This host's own end of a connection there. */
function ownEnd(host: string, port: number): Promise<{ readonly host: string } | { readonly error: string }> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (outcome: { readonly host: string } | { readonly error: string }): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(() => end({ error: `no answer from ${host}:${port} within ${connectMs} ms` }), connectMs);
    socket.once('connect', () => end({ host: (socket.localAddress ?? '').replace(/^::ffff:(?=[\d.]+$)/, '') }));
    socket.once('error', (error) =>
      end({ error: `no connection to ${host}:${port} (${codeOf(error) ?? error.message})` }),
    );
  });
}

async function takenPorts(host: string, { port, apiPort }: HostQuestion): Promise<readonly string[]> {
  const hosts = isLoopback(host) ? [host] : [host, '127.0.0.1'];
  const reasons: (string | undefined)[] = [];
  for (const each of hosts) reasons.push(await whyNotFree({ host: each, port }, '--port'));
  reasons.push(await whyNotFree({ host, port: apiPort }, '--api-port'));
  if (port === apiPort)
    reasons.push(`PostgreSQL and the REST API cannot both have port ${port}: choose another --api-port`);
  const found = reasons.filter((text) => text !== undefined);
  // An address that is not this host's is one mistake, not two.
  return [
    ...new Set(
      found.map((text) =>
        text.replace(/(is not an address of this host: choose another) --(?:api-)?port/, '$1 --address'),
      ),
    ),
  ];
}

/* ---------------------------------------------------------------- files */

async function directoryOf(dataDir: string, user: OsUserOutcome, binaries: BinariesOutcome): Promise<DirectoryFound> {
  const found = await examineDataDirectory(dataDir, async () => {
    if (!user.ok) return user;
    if (!binaries.ok) return binaries;
    const pgpass = join(`${dataDir}.pgherd`, 'pgpass');
    const setup = { osUser: user.user, binDir: binaries.binaries.dir, pgpass, dataDir, timings: defaultTimings };
    return readControlData(setup);
  });
  if (found.kind === 'empty') return { kind: 'free' };
  if (found.kind === 'present') return { kind: 'data', systemId: found.control.systemId };
  return { kind: 'other', error: found.error };
}

const rememberedForm = z.object({ member: z.string().optional(), systemId: z.string().optional() });

async function rememberedIn(stateDir: string): Promise<Remembered | undefined> {
  const path = join(stateDir, 'state.json');
  const nothing = { path, member: undefined, systemId: undefined };
  try {
    const found = decodeSlots(await readFile(path));
    if (found.kind !== 'text') return nothing;
    const parsed = rememberedForm.safeParse(JSON.parse(found.text));
    return parsed.success ? { path, member: parsed.data.member, systemId: parsed.data.systemId } : nothing;
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? undefined : nothing;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ENOENT';
  }
}

/** Of a folder that need not be there: the nearest one above that is. */
async function whyNotWritable(folder: string): Promise<string | undefined> {
  try {
    if (!(await stat(folder)).isDirectory()) return `${folder} is not a folder`;
    await access(folder, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' && dirname(folder) !== folder) return whyNotWritable(dirname(folder));
    return codeOf(error) === 'EACCES' ? `this user may not write in ${folder}` : `${folder}: ${messageOf(error)}`;
  }
}

/** A socket's path has 107 bytes at most, and in a list of folders a comma ends one: then there is no socket. */
function socketsBeside(stateDir: string): string {
  const fits = Buffer.byteLength(join(stateDir, '.s.PGSQL.65535')) <= 107;
  return fits && !stateDir.includes(',') ? stateDir : '';
}

/** Whether that user, whom we may be able to become, may make files there. */
async function mayUse(folder: string, { uid, gid }: OsUser): Promise<boolean> {
  try {
    const facts = await stat(folder);
    if (!facts.isDirectory()) return false;
    const shift = facts.uid === uid ? 6 : facts.gid === gid ? 3 : 0;
    return uid === 0 || ((facts.mode >> shift) & 0o3) === 0o3;
  } catch {
    return false;
  }
}
