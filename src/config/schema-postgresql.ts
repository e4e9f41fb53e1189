/** The `postgresql` section: what belongs to one member, and what the whole cluster may share (bootstrap.dcs.postgresql). */
import { connectAddress, listenAddress } from './address.ts';
import { key, later, laterSection, section } from './key.ts';
import { parameters } from './parameters.ts';
import {
  anything,
  boolean,
  command,
  duration,
  lines,
  memberName,
  path,
  programOptions,
  secretText,
  text,
  textList,
} from './values.ts';

const off = { default: 'false', harmless: (value: unknown) => value === false } as const;
const empty = { harmless: (value: unknown) => value === '' } as const;

/** Where a user of the cluster's own connections logs in: name, password, and libpq's options. */
function user(help: string, defaultName: string) {
  return section(help, {
    username: key(text, 'The role.', { default: defaultName }),
    password: key(secretText, "The role's password; without it, pg_hba must let the role in."),
    sslmode: key(text, "libpq's sslmode."),
    sslkey: key(path, "libpq's sslkey."),
    sslpassword: key(secretText, "libpq's sslpassword."),
    sslcert: key(path, "libpq's sslcert."),
    sslrootcert: key(path, "libpq's sslrootcert."),
    sslcrl: key(path, "libpq's sslcrl."),
    sslcrldir: key(path, "libpq's sslcrldir."),
    sslnegotiation: key(text, "libpq's sslnegotiation."),
    gssencmode: key(text, "libpq's gssencmode."),
    channel_binding: key(text, "libpq's channel_binding."),
  });
}

const callbacks = laterSection('Scripts that run when something happened: `SCRIPT ACTION ROLE SCOPE`.', {
  on_reload: later(command, 'After a reload.'),
  on_restart: later(command, 'After a restart.'),
  on_role_change: later(command, 'After a promotion or demotion.'),
  on_start: later(command, 'After a start.'),
  on_stop: later(command, 'After a stop.'),
});

/** What the whole cluster may share. */
const shared = {
  parameters: key(parameters, "PostgreSQL's parameters."),
  parameters_primary: later(parameters, 'More parameters while the member is primary.'),
  parameters_replica: later(parameters, 'More parameters while the member is a replica.'),
  parameters_standby_leader: later(parameters, 'More parameters while the member leads a standby cluster.'),
  pg_hba: key(lines, 'Lines of pg_hba.conf.'),
  pg_hba_primary: later(lines, 'Lines of pg_hba.conf while the member is primary.'),
  pg_hba_replica: later(lines, 'Lines of pg_hba.conf while the member is a replica.'),
  pg_hba_standby_leader: later(lines, 'Lines of pg_hba.conf while the member leads a standby cluster.'),
  pg_ident_primary: later(lines, 'Lines of pg_ident.conf while the member is primary.'),
  pg_ident_replica: later(lines, 'Lines of pg_ident.conf while the member is a replica.'),
  pg_ident_standby_leader: later(lines, 'Lines of pg_ident.conf while the member leads a standby cluster.'),
  callbacks,
  create_replica_methods: later(textList, 'How replicas are made, in this order.', {
    default: '[basebackup]',
    harmless: (value) => Array.isArray(value) && value.length === 1 && value[0] === 'basebackup',
  }),
  create_replica_method: later(textList, 'The old name of create_replica_methods.'),
  rewind: later(programOptions, 'More options of pg_rewind.'),
  recovery_conf: later(anything, 'Settings of the recovery (restore_command, ...).', {
    harmless: (value) => typeof value === 'object' && value !== null && Object.keys(value).length === 0,
  }),
  pre_promote: later(command, 'A script that can forbid a promotion.', empty),
  before_stop: later(command, 'A script that runs before PostgreSQL is stopped.', empty),
  custom_conf: later(path, 'A file that is included instead of postgresql.base.conf.', empty),
  config_base_name: later(text, 'The name of the configuration file without .conf.', {
    default: 'postgresql',
    harmless: (value) => value === 'postgresql',
  }),
  database: later(text, "The database of the agent's own connections.", {
    default: 'postgres',
    harmless: (value) => value === 'postgres',
  }),
  bin_name: laterSection("Other names of PostgreSQL's programs.", {
    pg_ctl: later(text, 'pg_ctl'),
    initdb: later(text, 'initdb'),
    pg_controldata: later(text, 'pg_controldata'),
    pg_basebackup: later(text, 'pg_basebackup'),
    postgres: later(text, 'postgres'),
    pg_isready: later(text, 'pg_isready'),
    pg_rewind: later(text, 'pg_rewind'),
  }),
  use_unix_socket_repl: later(boolean, 'Local replication connections go through the Unix socket.', off),
};

/** `bootstrap.dcs.postgresql`. */
export const sharedPostgresql = section('PostgreSQL of every member.', {
  ...shared,
  use_slots: key(boolean, 'Replicas stream through replication slots.', { default: 'true' }),
  use_pg_rewind: key(boolean, 'A former primary whose history parted is rewound instead of cloned.', {
    default: 'true',
  }),
  remove_data_directory_on_rewind_failure: key(boolean, 'When pg_rewind fails, the member is cloned anew.', {
    default: 'true',
  }),
  remove_data_directory_on_diverged_timelines: key(
    boolean,
    'When histories part and pg_rewind cannot be used, the member is cloned anew.',
    { default: 'true' },
  ),
  pg_ident: later(lines, 'Lines of pg_ident.conf.'),
  basebackup: later(programOptions, 'More options of pg_basebackup.'),
  pg_ctl_timeout: later(duration(1), 'How long a start or a stop of PostgreSQL may take.'),
  bin_dir: later(path, "The folder of PostgreSQL's programs."),
  use_unix_socket: later(boolean, "The agent's own connections go through the Unix socket."),
});

const onlyForAll = 'Only effective under bootstrap.dcs.postgresql: it is a matter of the whole cluster.';
const on = { harmless: (value: unknown) => value === true } as const;

/** `postgresql`. */
export const postgresql = section("This member's PostgreSQL.", {
  listen: key(listenAddress(5432), 'Addresses, separated by commas, and the port that PostgreSQL listens on.'),
  connect_address: key(connectAddress(5432), 'Where the other members and clients reach this PostgreSQL.', {
    default: 'what listen says, if that is one address',
  }),
  proxy_address: later(text, 'Where a connection pool in front of this PostgreSQL is reached.'),
  data_dir: key(path, 'The data directory. Required.'),
  config_dir: later(path, 'Where postgresql.conf lies.', { default: 'data_dir' }),
  pgpass: key(path, 'The password file that pgherd writes for libpq.', { default: '<data_dir>.pgherd/pgpass' }),
  authentication: section("The roles of the cluster's own connections.", {
    superuser: user('For the agent itself.', 'postgres'),
    replication: user('For streaming replication and pg_basebackup.', 'replicator'),
    rewind: user('For pg_rewind.', 'the superuser'),
  }),
  superuser: user('The old place of authentication.superuser.', 'postgres'),
  replication: user('The old place of authentication.replication.', 'replicator'),
  pg_rewind: user('The old place of authentication.rewind.', 'the superuser'),
  name: key(memberName, 'The old place of the top-level name.'),
  ...shared,
  pg_ident: key(lines, 'Lines of pg_ident.conf.'),
  basebackup: key(programOptions, 'More options of pg_basebackup.'),
  pg_ctl_timeout: key(duration(1), 'How long a start or a stop of PostgreSQL may take.', { default: '60' }),
  bin_dir: key(path, "The folder of PostgreSQL's programs.", { default: 'the newest installed, else PATH' }),
  use_unix_socket: key(boolean, "The agent's own connections go through the Unix socket.", { default: 'false' }),
  use_slots: later(boolean, onlyForAll, on),
  use_pg_rewind: later(boolean, onlyForAll, on),
  remove_data_directory_on_rewind_failure: later(boolean, onlyForAll, on),
  remove_data_directory_on_diverged_timelines: later(boolean, onlyForAll, on),
});
