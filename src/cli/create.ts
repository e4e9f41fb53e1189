/** `create`: the first member of a new cluster. Nothing is started, unless `--run` says so. */
import { hostname } from 'node:os';
import { configurationText, isLoopback, type MemberFile } from '../create/configuration.ts';
import { type Place, tokenFileOf } from '../create/place.ts';
import { makeCredentials, seal } from '../create/seal.ts';
import { writeNewFiles } from '../create/secret-files.ts';
import { passwordIn, readStore, type Store, startMonitor, withPassword } from '../create/store.ts';
import { formatToken, makeToken, type Token } from '../create/token.ts';
import { encodeJoinRecord, joinKey } from '../dcs/join-record.ts';
import { withDcs } from './cluster.ts';
import type { Context } from './context.ts';
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
import { createChecks } from './new-member-checks.ts';
import { type ExitCode, failed, type Output, type Refusal, refuse } from './output.ts';

/** As given on the command line. */
export interface CreateFlags extends NewMemberFlags {
  /** Required. */
  readonly monitor?: string;
  readonly synchronousMode: 'quorum' | 'on' | 'off';
  /** Take the place of a preparation whose agent never made the cluster. */
  readonly replace: boolean;
}

/** The outcome, and the configuration that the agent is to be started with. */
export interface Made {
  readonly code: ExitCode;
  /** undefined: nothing was made. */
  readonly config: string | undefined;
}

/** Nothing was made. */
export function nothing(code: ExitCode): Made {
  return { code, config: undefined };
}

/** An argument that can mean nothing. */
export function wrongUsage(output: Output, refusal: Refusal): Made {
  failed(output, refusal);
  return nothing(2);
}

/** Checks, writes the member's files, and registers in the DCS what later members need. */
export async function create(flags: CreateFlags, { output, environment }: Context): Promise<Made> {
  const wrong = wrongFlag(flags);
  if (wrong) return wrongUsage(output, wrong);
  if (flags.monitor === undefined) {
    return wrongUsage(
      output,
      refuse(`name the DCS: --monitor postgres://pgherd@HOST:PORT/pgherd; without a monitor yet, ${startMonitor}`),
    );
  }
  const read = readStore(flags.monitor);
  if (!read.ok) return wrongUsage(output, refuse(`--monitor: ${read.error}`));
  const store = withPassword(read.store, environment['PGPASSWORD'] || undefined);
  const { scope, port } = flags;
  const place = placeFrom(flags, environment);
  const [look, host] = await Promise.all([readDcs(store, scope), lookHere(place, flags, store, undefined)]);
  const member = { scope, namespace, hostname: hostname(), place, port };
  const checks = createChecks(member, look.found, host, flags.replace);
  if (!mayGoOn(output, checks)) return nothing(1);
  if (place.name === undefined || !host.address.ok || !host.binaries.ok) throw new Error('the checks have found them');
  const file: MemberFile = {
    scope,
    name: place.name,
    store,
    host: host.address.host,
    port,
    apiPort: flags.apiPort,
    dataDir: place.dataDir,
    binDir: host.binaries.binaries.dir,
    socketDirectory: host.socketDirectory,
    credentials: makeCredentials(),
    founding: { by: 'create', synchronousMode: flags.synchronousMode },
  };
  if (isLoopback(file.host)) {
    output.note(
      `Note: ${file.host} reaches nothing but this host: for members on others name the monitor, or --address, by an address of the network`,
    );
  }
  if (flags.dryRun) return nothing(printDryRun(output, file, place.config));
  const token = makeToken(passwordIn(store));
  const made = await make(file, place, token, look);
  if (!made.ok) return nothing(failed(output, made));
  tellNext(output, { file, place, token, running: flags.run });
  return { code: 0, config: place.config };
}

function controlOf(store: Store, scope: string) {
  return { scope, namespace, dcs: store, restapi: undefined };
}

async function readDcs(store: Store, scope: string): Promise<DcsLook> {
  const look = await withDcs(controlOf(store, scope), scope, (dcs, signal) => lookAtDcs(dcs, scope, signal));
  return 'found' in look ? look : nothingFrom(look.error);
}

/** The files come first: credentials that nobody has would be worth nothing. */
async function make(
  file: MemberFile,
  place: Place,
  token: Token,
  look: DcsLook,
): Promise<Refusal | { readonly ok: true }> {
  const { scope, store, name } = file;
  const written = await writeNewFiles([
    { path: place.config, text: configurationText(file) },
    { path: tokenFileOf(place.config), text: `${formatToken(token)}\n` },
  ]);
  if (!written.ok) return written;
  const prefix = `${namespace}/${scope}/`;
  const sealed = seal(file.credentials, token.key, prefix);
  const value = encodeJoinRecord({ version: 1, by: name, at: new Date().toISOString(), ...sealed });
  const absent = ['initialize', 'rule', 'leader'].map((key) => ({ key, modRevision: 0 }));
  const asRead = { key: joinKey, modRevision: look.snapshot?.keys.get(joinKey)?.modRevision ?? 0 };
  const outcome = await withDcs(controlOf(store, scope), scope, (dcs, signal) =>
    dcs.transact({ compare: [...absent, asRead], write: [{ key: joinKey, value }] }, signal),
  );
  if ('kind' in outcome && outcome.kind === 'applied') return { ok: true };
  await written.undo();
  if ('error' in outcome) return refuse(`${outcome.error}; the files were removed again: try once more`);
  return refuse(`somebody made or prepared the cluster ${scope} at the same moment; the files were removed again`);
}
