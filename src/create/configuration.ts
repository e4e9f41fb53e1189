/** The configuration file of a new member, as a text with comments: a person goes on from there. Pure. */
import { stringify } from 'yaml';
import { formatAddress } from '../config/address.ts';
import type { ClusterCredentials } from './seal.ts';
import { type Store, storeSection } from './store.ts';

/** What the file of a member says. */
export interface MemberFile {
  readonly scope: string;
  readonly name: string;
  readonly store: Store;
  /** By which the others reach this host. */
  readonly host: string;
  readonly port: number;
  readonly apiPort: number;
  readonly dataDir: string;
  /** Of PostgreSQL's programs. */
  readonly binDir: string;
  /** undefined: PostgreSQL's customary one; '': none. */
  readonly socketDirectory: string | undefined;
  readonly credentials: ClusterCredentials;
  readonly founding: Founding;
}

/** What the file says of making the cluster. */
export type Founding =
  | { readonly by: 'create'; readonly synchronousMode: 'quorum' | 'on' | 'off' }
  /** `settings`: what the members have agreed on, as this one found it. */
  | { readonly by: 'join'; readonly settings: Readonly<Record<string, unknown>> };

/** The text of the file. */
export function configurationText(file: MemberFile): string {
  const { scope, name, founding } = file;
  return [
    `# Member ${name} of the cluster ${scope}, written by \`pgherd ${founding.by}\`. It is yours: nothing writes it again. The agent
# reads it when it starts. docs/configuration.md names every key. It holds passwords: keep it for its owner alone (mode 0600).

scope: ${word(scope)}
name: ${word(name)}
`,
    restapi(file),
    `# The DCS: where the members agree on who is primary.\n${block(storeSection(file.store), 0)}\n`,
    founding.by === 'create' ? created(founding.synchronousMode) : joined(founding.settings),
    postgresql(file),
    `# What is special about this member:
# tags:
#   nofailover: true        # it never becomes primary
#   failover_priority: 2    # it is preferred among candidates that are equally far
#   nosync: true            # no commit waits for it
`,
  ].join('\n');
}

function restapi({ host, apiPort }: MemberFile): string {
  const address = quoted(formatAddress({ host, port: apiPort }));
  return `# The agent's REST API, for the other members, load balancers (GET /primary, /replica) and the command line. Whoever reaches
# it may change the cluster: let only networks in that you trust.
restapi:
  listen: ${address}
  connect_address: ${address}
`;
}

const synchronousModes = {
  quorum: 'a commit is acknowledged when one of the others, whichever, has it on disk: a takeover loses none',
  on: 'a commit is acknowledged when the chosen standby has it on disk: a takeover loses none',
  off: 'a commit waits for nobody: a takeover may lose what had not been sent yet',
} as const;

function created(mode: keyof typeof synchronousModes): string {
  return `# What the first member writes into the DCS when it makes the cluster, for all members. Later changes here do nothing.
bootstrap:
  dcs:
    # ${mode}: ${synchronousModes[mode]}.
    synchronous_mode: ${mode === 'quorum' ? mode : quoted(mode)}
    # ttl: 10                 # seconds for which a primary keeps its right without a word to the DCS
    # failure_timeout: 2      # seconds of silence after which a member counts as lost
    # postgresql:
    #   parameters:
    #     max_connections: 200
    #     shared_buffers: 1GB
  # initdb: [{ encoding: UTF8 }, { locale: C.UTF-8 }, data-checksums]
`;
}

/** A DCS that lost everything may be filled by any member: what was agreed on must not be lost with it. */
function joined(settings: Readonly<Record<string, unknown>>): string {
  return `# What the members had agreed on when this one joined. It counts only if the DCS loses it and this member has to write it anew.
bootstrap:
${Object.keys(settings).length === 0 ? '  dcs: {}' : block({ dcs: settings }, 2)}
`;
}

function postgresql(file: MemberFile): string {
  const { host, port, dataDir, binDir, socketDirectory, credentials } = file;
  const user = (name: keyof ClusterCredentials): string =>
    `    ${name}: { username: ${word(credentials[name].username)}, password: ${quoted(credentials[name].password)} }\n`;
  const socket =
    socketDirectory === undefined
      ? ''
      : `    # The customary folder, /var/run/postgresql, is not there, or not for the user that PostgreSQL runs as.
    unix_socket_directories: ${quoted(socketDirectory)}\n`;
  return `postgresql:
  listen: ${quoted(listenText(host, port))}
  connect_address: ${quoted(formatAddress({ host, port }))}
  data_dir: ${quoted(dataDir)}
  bin_dir: ${quoted(binDir)}
  # The roles of the agents themselves: the same names and passwords in every member.
  authentication:
${user('superuser')}${user('replication')}${user('rewind')}  # Who may log in: pg_hba.conf is these lines, and the first one that fits decides. Every member should have the same.
  pg_hba:
    - local all all peer
    - host replication ${hbaName(credentials.replication.username)} all scram-sha-256
    - host all all all scram-sha-256
  # Of this member alone; what all share is in the DCS.
  parameters:${socket === '' ? ' {}' : ''}
${socket}`;
}

/** The agent uses the loopback address: the instance is looked after also while the network is away. */
function listenText(host: string, port: number): string {
  const own = formatAddress({ host, port });
  return isLoopback(host) ? own : `${own.slice(0, own.lastIndexOf(':'))},127.0.0.1:${port}`;
}

/** An address that reaches nothing but this host itself. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function hbaName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** Single quotes: nothing in them means anything but what it is. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Without quotes where no reader could take it for anything but a text. */
function word(text: string): string {
  const plain = /^[a-z][a-z0-9_-]*$/i.test(text) && !/^(?:y|n|yes|no|on|off|true|false|null)$/i.test(text);
  return plain ? text : quoted(text);
}

function block(data: object, indent: number): string {
  const text = stringify(data, {
    version: '1.1',
    singleQuote: true,
    defaultStringType: 'QUOTE_SINGLE',
    defaultKeyType: 'PLAIN',
    lineWidth: 0,
  });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `${' '.repeat(indent)}${line}`)
    .join('\n');
}
