/** `join`: one more member of a cluster that `create` has made. Nothing is started, unless `--run` says so. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { agreedSettings } from '../create/agreed.ts';
import { configurationText, type MemberFile } from '../create/configuration.ts';
import { type Place, tokenFileOf } from '../create/place.ts';
import { type ClusterCredentials, unseal } from '../create/seal.ts';
import { writeNewFiles } from '../create/secret-files.ts';
import { readStore, type Store, withPassword } from '../create/store.ts';
import { formatToken, parseToken, type Token } from '../create/token.ts';
import { decodeView } from '../dcs/records.ts';
import { encodeSettings, rawSettingsOf } from '../dcs/settings.ts';
import { codeOf, messageOf } from '../lib/caught.ts';
import type { Dcs } from '../ports/dcs.ts';
import { withDcs } from './cluster.ts';
import type { Context } from './context.ts';
import { type Made, nothing, wrongUsage } from './create.ts';
import {
  type DcsLook,
  lookAtDcs,
  lookHere,
  mayGoOn,
  type NewMemberFlags,
  namespace,
  nothingFrom,
  placeFrom,
  printDryRun,
  tellNext,
  wrongFlag,
} from './new-member.ts';
import { type JoinFound, joinChecks } from './new-member-checks.ts';
import { failed, type Output, type Refusal, refuse } from './output.ts';
import { leaderOf } from './shown-cluster.ts';

/** As given on the command line; durations in seconds. */
export interface JoinFlags extends NewMemberFlags {
  readonly token?: string;
  readonly tokenFile?: string;
  /** How long the cluster may take to have a primary. */
  readonly timeout: number;
}

const readMs = 3000;
const lookEveryMs = 300;

/** Opens the cluster's credentials, checks, and writes the member's files. */
export async function join(dcsText: string, flags: JoinFlags, context: Context, signal: AbortSignal): Promise<Made> {
  const { output, environment } = context;
  const wrong = wrongFlag(flags);
  if (wrong) return wrongUsage(output, wrong);
  const read = readStore(dcsText);
  if (!read.ok) return wrongUsage(output, read);
  const given = await tokenFrom(flags, environment);
  if (!given.ok) return wrongUsage(output, given);
  const { token } = given;
  const store = withPassword(read.store, token.password ?? (environment['PGPASSWORD'] || undefined));
  const { scope, port } = flags;
  const look = await withPrimary(store, flags, output, signal);
  if (signal.aborted) return nothing(failed(output, refuse('interrupted; nothing was done')));
  const place = placeFrom(flags, environment);
  const { credentials, opened } = open(look, token, scope);
  const major = primaryMajor(look);
  const host = await lookHere(place, flags, store, major);
  const address = host.address.ok ? { host: host.address.host, port } : undefined;
  const member = { scope, namespace, hostname: hostname(), place, port };
  if (!mayGoOn(output, joinChecks(member, look.found, host, { opened, major, address }))) return nothing(1);
  if (place.name === undefined || !address || !host.binaries.ok || !credentials)
    throw new Error('the checks have found them');
  const file: MemberFile = {
    scope,
    name: place.name,
    store,
    host: address.host,
    port,
    apiPort: flags.apiPort,
    dataDir: place.dataDir,
    binDir: host.binaries.binaries.dir,
    socketDirectory: host.socketDirectory,
    credentials,
    founding: { by: 'join', settings: settingsOf(look) },
  };
  if (flags.dryRun) return nothing(printDryRun(output, file, place.config));
  const written = await writeNewFiles(filesOf(file, place, token));
  if (!written.ok) return nothing(failed(output, written));
  tellNext(output, { file, place, token, running: flags.run });
  return { code: 0, config: place.config };
}

function filesOf(file: MemberFile, place: Place, token: Token) {
  return [
    { path: place.config, text: configurationText(file) },
    { path: tokenFileOf(place.config), text: `${formatToken(token)}\n` },
  ];
}

/* ---------------------------------------------------------------- the token */

type TokenOutcome = { readonly ok: true; readonly token: Token } | Refusal;

/** Of the flags, else of the environment. Its text is in no message. */
async function tokenFrom(flags: JoinFlags, environment: Context['environment']): Promise<TokenOutcome> {
  const given = await tokenText(flags, environment);
  if (!given.ok) return given;
  const token = parseToken(given.text);
  if (token) return { ok: true, token };
  return refuse(`${given.source}: this is no token, or not all of one; ${howToGetOne}`);
}

const howToGetOne = '`pgherd uri --join` prints it on a member';

async function tokenText(
  { token, tokenFile }: JoinFlags,
  environment: Context['environment'],
): Promise<{ readonly ok: true; readonly text: string; readonly source: string } | Refusal> {
  if (token !== undefined) return { ok: true, text: token, source: '--token' };
  if (tokenFile !== undefined) {
    try {
      return { ok: true, text: await readFile(tokenFile, 'utf8'), source: tokenFile };
    } catch (error) {
      const why = codeOf(error) === 'ENOENT' ? 'there is no such file' : messageOf(error);
      return refuse(`--token-file: ${tokenFile} cannot be read: ${why}`);
    }
  }
  const text = environment['PGHERD_JOIN_TOKEN'];
  if (text) return { ok: true, text, source: 'PGHERD_JOIN_TOKEN' };
  return refuse(`name the token: --token TOKEN, --token-file FILE, or PGHERD_JOIN_TOKEN; ${howToGetOne}`);
}

function open(
  look: DcsLook,
  { key }: Token,
  scope: string,
): { opened: JoinFound['opened']; credentials?: ClusterCredentials } {
  if (look.unreadable !== undefined) return { opened: { error: look.unreadable } };
  if (look.record === undefined) return { opened: 'nothing to open' };
  const credentials = unseal(look.record, key, `${namespace}/${scope}/`);
  return credentials ? { opened: 'opened', credentials } : { opened: 'wrong' };
}

/* ---------------------------------------------------------------- the cluster */

/** What the DCS says once there is a primary; of a cluster that is not there, and when none comes in time, what it says then. */
async function withPrimary(store: Store, flags: JoinFlags, output: Output, signal: AbortSignal): Promise<DcsLook> {
  const { scope, timeout } = flags;
  const config = { scope, namespace, dcs: store, restapi: undefined };
  const look = await withDcs(config, scope, (dcs) =>
    lookUntil(dcs, scope, performance.now() + timeout * 1000, output, signal),
  );
  return 'found' in look ? look : nothingFrom(look.error);
}

async function lookUntil(
  dcs: Dcs,
  scope: string,
  endAt: number,
  output: Output,
  signal: AbortSignal,
): Promise<DcsLook> {
  let told = false;
  for (;;) {
    const look = await lookAtDcs(dcs, scope, AbortSignal.any([signal, AbortSignal.timeout(readMs)]));
    const { found } = look;
    if (!found.ok || signal.aborted || performance.now() > endAt) return look;
    const expected = found.cluster !== undefined || found.prepared !== undefined;
    if (!expected || (found.cluster && leaderOf(found.cluster)?.state === 'running' && found.cluster.systemId))
      return look;
    if (!told) output.note(`Waiting for the cluster ${scope} to have a primary...`);
    told = true;
    await sleep(lookEveryMs, undefined, { signal }).catch(() => {});
  }
}

function primaryMajor({ found }: DcsLook): number | undefined {
  const version = found.ok && found.cluster ? leaderOf(found.cluster)?.serverVersion : undefined;
  return version === undefined ? undefined : Math.floor(version / 10_000);
}

/** What the members have agreed on, as it stands in the DCS. */
function settingsOf({ snapshot }: DcsLook): Readonly<Record<string, unknown>> {
  const settings = snapshot && decodeView(snapshot).config?.value;
  return agreedSettings(settings === undefined ? {} : (rawSettingsOf(settings) ?? encodeSettings(settings, {})));
}
