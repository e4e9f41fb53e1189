/** `uri`: how clients reach the cluster, whoever is primary; and how another host joins it. */
import { readFile } from 'node:fs/promises';
import { loadControlConfig } from '../config/load.ts';
import { tokenFileOf } from '../create/place.ts';
import { parseToken } from '../create/token.ts';
import { codeOf, messageOf } from '../lib/caught.ts';
import { type ClientRoute, clientConninfo, clientJdbc, clientUri } from '../postgres/conninfo.ts';
import { readCluster } from './cluster.ts';
import type { ConfigPath, Context } from './context.ts';
import { joinCommand } from './new-member.ts';
import { type ExitCode, failed, type Refusal, refuse } from './output.ts';
import type { ShownCluster } from './shown-cluster.ts';

/** As given on the command line. */
export interface UriFlags {
  readonly readOnly: boolean;
  readonly user?: string;
  readonly dbname: string;
  readonly format: 'uri' | 'conninfo' | 'jdbc' | 'json';
  readonly join: boolean;
}

/** Prints one line; never a password, except that `--join` prints the token. */
export async function showUri({ path, optional }: ConfigPath, flags: UriFlags, context: Context): Promise<ExitCode> {
  const { output, environment } = context;
  const loaded = await loadControlConfig(path, optional, environment);
  if (!loaded.ok) {
    for (const problem of loaded.problems) output.note(`Error: ${problem}`);
    return 1;
  }
  const { config } = loaded;
  const { scope, dcs } = config;
  if (scope === undefined) return failed(output, refuse('name a configuration that has the scope of the cluster'));
  if (flags.join) {
    if (dcs?.kind !== 'monitor') return failed(output, refuse(`${path} names no monitor, and members join by one`));
    const token = await keptToken(path);
    if (!token.ok) return failed(output, token);
    output.print(joinCommand(dcs, scope, token.token));
    return 0;
  }
  const read = await readCluster(config, scope);
  if (!read.ok) return failed(output, read);
  if (read.source === 'rest')
    output.note(`The DCS is unreachable (${read.dcsError}): these are the members that the agents know.`);
  const hosts = hostsOf(read.cluster);
  if (hosts.length === 0)
    return failed(output, refuse(`no member of ${scope} is known whose address clients could use`));
  const missing = read.cluster.members.filter(({ host, role }) => host === '' && role !== 'witness');
  for (const { name } of missing)
    output.note(`${name} is not there now, and its address is not known: it is not in the answer.`);
  const target = flags.readOnly ? 'prefer-standby' : 'read-write';
  output.print(routeText(scope, { hosts, user: flags.user, database: flags.dbname, target }, flags.format));
  return 0;
}

/** Members with data, by name: their order does not change with the primary. */
function hostsOf({ members }: ShownCluster): ClientRoute['hosts'] {
  return members
    .filter(({ host, role }) => host !== '' && role !== 'witness')
    .map(({ host, port }) => ({ host, port: port ?? 5432 }));
}

function routeText(scope: string, route: ClientRoute, format: UriFlags['format']): string {
  switch (format) {
    case 'uri':
      return clientUri(route);
    case 'conninfo':
      return clientConninfo(route);
    case 'jdbc':
      return clientJdbc(route);
    case 'json':
      return JSON.stringify({
        scope,
        uri: clientUri(route),
        conninfo: clientConninfo(route),
        jdbc: clientJdbc(route),
        hosts: route.hosts,
      });
  }
}

async function keptToken(
  config: string,
): Promise<{ readonly ok: true; readonly token: NonNullable<ReturnType<typeof parseToken>> } | Refusal> {
  const path = tokenFileOf(config);
  try {
    const token = parseToken(await readFile(path, 'utf8'));
    return token ? { ok: true, token } : refuse(`${path} holds no token`);
  } catch (error) {
    const why =
      codeOf(error) === 'ENOENT'
        ? 'it is not there: `create` and `join` keep the token beside the configuration that they write'
        : messageOf(error);
    return refuse(`the join token in ${path} cannot be read: ${why}`);
  }
}
