/** What `create` and `join` have in common: flags to places, looking, refusing, writing, and what to do next. */
import { hostname } from 'node:os';
import { hostName } from '../config/address.ts';
import { describeFound, memberName, scope } from '../config/values.ts';
import { configurationText, type MemberFile } from '../create/configuration.ts';
import { type HostFound, lookAtHost } from '../create/host.ts';
import { type Place, placeOf, tokenFileOf } from '../create/place.ts';
import { commandLine } from '../create/shell.ts';
import { type Store, storeAddress, storeArgument } from '../create/store.ts';
import { formatToken, type Token } from '../create/token.ts';
import { unitName } from '../create/unit.ts';
import { decodeJoinRecord, type JoinRecord, joinKey } from '../dcs/join-record.ts';
import { decodeView } from '../dcs/records.ts';
import type { Dcs, Snapshot } from '../ports/dcs.ts';
import { type Context, surroundings } from './context.ts';
import type { DcsFound } from './new-member-checks.ts';
import { type Check, checkLines, type ExitCode, type Output, type Refusal, refuse } from './output.ts';
import { fromView } from './shown-cluster.ts';

/** What both commands are told; the rest is found out. */
export interface NewMemberFlags {
  readonly scope: string;
  readonly name?: string;
  readonly dataDir?: string;
  readonly address?: string;
  readonly port: number;
  readonly apiPort: number;
  readonly config?: string;
  readonly binDir?: string;
  readonly run: boolean;
  readonly dryRun: boolean;
}

/** What of the flags cannot be; the configuration would be refused for it. */
export function wrongFlag(flags: NewMemberFlags): Refusal | undefined {
  const kinds = [
    ['--scope', flags.scope, scope],
    ['--name', flags.name, memberName],
    ['--address', flags.address, hostName],
  ] as const;
  for (const [flag, text, kind] of kinds) {
    if (text === undefined || kind.schema.safeParse(text).success) continue;
    return refuse(`${flag}: found ${describeFound(text)}; allowed: ${kind.allowed}`);
  }
  return undefined;
}

/** Where all clusters of a DCS lie, where nobody says otherwise. */
export const namespace = '/service';

/** Where the new member is to be. */
export function placeFrom(flags: NewMemberFlags, environment: Context['environment']): Place {
  return placeOf(flags.scope, flags, hostname(), surroundings(environment));
}

/** Looks at the host; `major`: of the PostgreSQL that it must have. */
export function lookHere(
  place: Place,
  flags: NewMemberFlags,
  store: Store,
  major: number | undefined,
): Promise<HostFound> {
  const { address, port, apiPort, binDir } = flags;
  const { dataDir, config } = place;
  return lookAtHost({ dataDir, config, address, port, apiPort, binDir, store: storeAddress(store), major });
}

/* ---------------------------------------------------------------- the DCS */

/** What is there of the cluster, and the keys that it was read from. */
export interface DcsLook {
  readonly found: DcsFound;
  readonly snapshot: Snapshot | undefined;
  /** undefined: there is none, or it cannot be read (`unreadable` says why). */
  readonly record: JoinRecord | undefined;
  readonly unreadable: string | undefined;
}

/** Reads the cluster once. */
export async function lookAtDcs(dcs: Dcs, scope: string, signal: AbortSignal): Promise<DcsLook> {
  const read = await dcs.read(signal);
  if (read.kind === 'failed') return nothingFrom(read.error);
  const { snapshot } = read;
  const cluster = fromView(scope, decodeView(snapshot));
  const key = snapshot.keys.get(joinKey);
  const decoded = key && decodeJoinRecord(key.value);
  const record = decoded?.ok ? decoded.value : undefined;
  const isThere = [...snapshot.keys.keys()].some((name) => name !== joinKey);
  return {
    snapshot,
    record,
    unreadable: decoded && !decoded.ok ? decoded.error : undefined,
    found: {
      ok: true,
      description: dcs.description,
      cluster: isThere ? cluster : undefined,
      prepared: key && { by: record?.by ?? 'somebody', at: record?.at ?? 'an unknown time' },
    },
  };
}

/** The DCS could not be read. */
export function nothingFrom(error: string): DcsLook {
  return { found: { ok: false, error }, snapshot: undefined, record: undefined, unreadable: undefined };
}

/* ---------------------------------------------------------------- telling */

/** Prints the checks; false: one does not hold, and that nothing was done is said. */
export function mayGoOn(output: Output, checks: readonly Check[]): boolean {
  output.print(checkLines(checks));
  if (checks.every(({ holds }) => holds)) return true;
  output.note('Error: see what FAILS above; nothing was done');
  return false;
}

const hidden = '(not shown)';

/** The file as it would be, without its passwords. */
export function printDryRun(output: Output, file: MemberFile, config: string): ExitCode {
  const user = { username: '', password: hidden };
  const { superuser, replication, rewind } = file.credentials;
  const credentials = {
    superuser: { ...user, username: superuser.username },
    replication: { ...user, username: replication.username },
    rewind: { ...user, username: rewind.username },
  };
  const store = { ...file.store, uri: storeArgument(file.store) };
  output.print(`\nDry run: ${config} would be:\n\n${configurationText({ ...file, store, credentials }).trimEnd()}`);
  return 0;
}

/** How another host joins. The token is a secret: whoever sees the line may read the cluster's passwords. */
export function joinCommand(store: Store, scope: string, token: Token | undefined): string {
  const words = ['pgherd', 'join', storeArgument(store), '--scope', scope];
  return commandLine(...words, ...(token === undefined ? [] : ['--token', formatToken(token)]));
}

/** What is done, and what to do next. */
export function tellNext(
  output: Output,
  { file, place, token, running }: { file: MemberFile; place: Place; token: Token; running: boolean },
): void {
  const { scope, store, founding } = file;
  const { config, dataDir, name } = place;
  const unit = unitName(scope);
  const isNew = founding.by === 'create';
  const lines = [
    '',
    `${name} is a member of ${isNew ? 'the new cluster' : 'the cluster'} ${scope}, once its agent runs:`,
    `  configuration   ${config} (mode 0600: it holds the passwords)`,
    `  join token      ${tokenFileOf(config)} (mode 0600)`,
    `  data directory  ${dataDir}`,
  ];
  if (!running) {
    lines.push(
      '',
      `Start the agent, which ${isNew ? 'makes the cluster' : 'copies the data of the primary'}:`,
      `  ${commandLine('pgherd', 'agent', config)}`,
      'or, with systemd:',
      `  ${commandLine('pgherd', 'systemd', config)} > /etc/systemd/system/${unit}.service`,
      `  systemctl daemon-reload && systemctl enable --now ${unit}`,
    );
  }
  if (isNew) {
    lines.push(
      '',
      'On the next host (the token is a secret; it may also come from a file, --token-file, or from PGHERD_JOIN_TOKEN):',
      `  ${joinCommand(store, scope, token)}`,
      `${commandLine('pgherd', 'uri', config, '--join')} prints this line again.`,
    );
  }
  output.print(lines.join('\n'));
}
