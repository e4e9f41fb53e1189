/** The whole configuration file: Patroni's schema, and our own sections. */
import { connectAddress, listenAddress } from './address.ts';
import { key, later, laterSection, section } from './key.ts';
import { dcs } from './schema-dcs.ts';
import { postgresql } from './schema-postgresql.ts';
import { stores } from './schema-stores.ts';
import {
  anyMap,
  anything,
  boolean,
  command,
  integer,
  kind,
  lines,
  memberName,
  namespace,
  oneOf,
  path,
  programOptions,
  readBoolean,
  scope,
  secretText,
  text,
  textList,
} from './values.ts';

const notSet = (value: unknown) => readBoolean(value) === false;

function httpUser(help: string) {
  return laterSection(help, {
    username: later(text, 'The user.'),
    password: later(secretText, 'The password.'),
  });
}

const log = section('The log, on standard error.', {
  type: key(oneOf(['plain', 'json']), 'The form of a line.', { default: 'plain' }),
  level: key(oneOf(['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']), 'The least important lines to be written.', {
    default: 'INFO',
  }),
  traceback_level: later(text, 'Level from which tracebacks are written.', { harmless: () => true }),
  format: later(anything, "Python's format of a line."),
  dateformat: later(text, "Python's format of the time."),
  static_fields: later(anyMap, 'More fields of JSON lines.'),
  max_queue_size: later(integer(1), 'Lines that may wait.', { harmless: () => true }),
  dir: later(path, 'A folder for log files.'),
  mode: later(text, 'Permissions of log files.'),
  file_num: later(integer(0), 'How many log files are kept.'),
  file_size: later(integer(1), 'Bytes of a log file.'),
  loggers: later(anyMap, 'Levels of single modules.'),
  deduplicate_heartbeat_logs: later(boolean, 'Write an unchanged state only once. It always is.', {
    harmless: () => true,
  }),
});

const restapi = section('The REST API of the agent.', {
  listen: key(listenAddress(8008), 'Where it listens.', { default: '127.0.0.1:8008' }),
  connect_address: key(connectAddress(8008), 'Where the other members reach it.', {
    default: 'what listen says, if that is one address',
  }),
  certfile: later(path, 'Certificate; with it the API speaks TLS.'),
  keyfile: later(path, 'Key of the certificate.'),
  keyfile_password: later(secretText, "The key's password."),
  cafile: later(path, 'Authority of client certificates.'),
  ciphers: later(text, 'Permitted ciphers.'),
  verify_client: later(oneOf(['none', 'optional', 'required']), 'Are client certificates asked for?', {
    default: 'none',
    harmless: (value) => value === 'none',
  }),
  authentication: httpUser('Who may change something.'),
  allowlist: later(textList, 'From where changes may come.'),
  allowlist_include_members: later(boolean, 'Changes may come from every member.', { harmless: notSet }),
  http_extra_headers: later(anyMap, 'More headers of answers.'),
  https_extra_headers: later(anyMap, 'More headers of answers over TLS.'),
  server_tokens: later(text, 'What the Server header tells.', { harmless: () => true }),
  request_queue_size: later(integer(1), 'Connections that may wait.', { harmless: () => true }),
  thread_pool_size: later(integer(5), 'Threads of the API. There are none.', { harmless: () => true }),
});

const ctl = section('The command line as a client of the REST API.', {
  insecure: later(boolean, 'Do not check certificates.', { harmless: notSet }),
  cacert: later(path, 'Authority of the certificates.'),
  certfile: later(path, 'Client certificate.'),
  keyfile: later(path, 'Its key.'),
  keyfile_password: later(secretText, "The key's password."),
  authentication: httpUser('Who is asking.'),
});

const bootstrap = section('What happens once, when the cluster is made.', {
  dcs,
  initdb: key(programOptions, 'Options of initdb.', { default: 'encoding UTF8, data checksums' }),
  pg_hba: key(lines, 'Lines of pg_hba.conf, written when the data directory is made.'),
  pg_ident: later(lines, 'Lines of pg_ident.conf.'),
  method: later(text, 'How the cluster is made: initdb, or the name of a section beside this key.', {
    default: 'initdb',
    harmless: (value) => value === 'initdb',
  }),
  post_bootstrap: later(command, 'A script that runs afterwards.'),
  post_init: later(command, 'The old name of post_bootstrap.'),
  users: later(anyMap, 'Roles to make. Patroni 4 does not make them either.'),
});

const watchdog = section('A device that resets the machine when it is no longer fed: what stands behind the guard.', {
  mode: key(
    oneOf(['off', 'automatic', 'required']),
    'Is it used? `required`: without it this member never becomes primary.',
    {
      default: 'off',
    },
  ),
  device: key(path, 'The device.', { default: '/dev/watchdog' }),
  safety_margin: key(integer(-1), 'It resets so many seconds before the TTL has run out; -1: at half of the TTL.', {
    default: '5',
  }),
  driver: later(text, 'The driver.', { default: 'default', harmless: (value) => value === 'default' }),
});

/** Tags are open: what is not known here is the user's own, and shown to readers. */
export const knownTags = {
  nofailover: key(boolean, 'This member never becomes primary.', { default: 'false' }),
  failover_priority: key(integer(0), 'Higher wins among candidates that are equally far; 0 = never.', { default: '1' }),
  noloadbalance: later(boolean, 'GET /replica answers 503.', { default: 'false', harmless: notSet }),
  clonefrom: later(boolean, 'New members are preferably cloned from this one.', { default: 'false', harmless: notSet }),
  replicatefrom: later(text, 'The member to stream from.'),
  nosync: key(boolean, 'Never a sync standby.', { default: 'false' }),
  sync_priority: key(integer(0), 'Higher is chosen first as sync standby (synchronous_mode on); 0 = never.', {
    default: '1',
  }),
  witness: key(
    boolean,
    'This member has no PostgreSQL (the section postgresql may be missing): it tells the others whom it hears.',
    { default: 'false' },
  ),
  nostream: later(boolean, 'Follows the archive, not the stream.', { default: 'false', harmless: notSet }),
};

const tagValue = (value: unknown): string | number | boolean | undefined =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;

/** A tag of the user's own. */
export const ownTag = kind('text, a number or a boolean', tagValue);

/** The keys of the file. */
export const file = {
  scope: key(scope, 'The name of the cluster. Required.'),
  namespace: key(namespace, 'Under which all clusters of the DCS lie.', { default: '/service' }),
  name: key(memberName, 'The name of the member, unique in the cluster. Required.'),
  thread_pool_size: later(integer(5), 'Threads. There are none.', { harmless: () => true }),
  thread_stack_size: later(text, 'Stack of threads. There are none.', { harmless: () => true }),
  log,
  restapi,
  ctl,
  ...stores,
  bootstrap,
  postgresql,
  watchdog,
  tags: section('What is special about this member; other tags are shown to readers as they are.', knownTags),
  vip: later(anything, 'Reserved.'),
  router: later(anything, 'Reserved.'),
  notify: later(anything, 'Reserved.'),
} as const;
