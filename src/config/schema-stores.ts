/** The sections that name the DCS. One of them is there: the monitor, or etcd. */
import { postgresUri } from './address.ts';
import { etcd, etcd3 } from './etcd.ts';
import { type Fields, key, later, laterSection, section } from './key.ts';
import {
  anyList,
  anyMap,
  anything,
  boolean,
  duration,
  integer,
  number,
  path,
  secretText,
  text,
  textList,
} from './values.ts';

const raftSeconds = duration(0);

export const stores = {
  monitor: section('The DCS is a monitor: a PostgreSQL database that `pgherd monitor` runs.', {
    uri: key(postgresUri, 'How members reach it: postgres://pgherd@HOST:PORT/pgherd. Required.'),
  }),
  etcd3,
  etcd,
  consul: laterSection('The DCS is Consul.', {
    host: later(text, 'Host.'),
    url: later(secretText, 'URL.'),
    port: later(integer(1, 65_535), 'Port.'),
    scheme: later(text, 'http or https.'),
    token: later(secretText, 'Token.'),
    verify: later(boolean, 'Check the certificate.'),
    cacert: later(path, 'Authority.'),
    cert: later(path, 'Certificate.'),
    key: later(path, 'Key.'),
    dc: later(text, 'Data centre.'),
    consistency: later(text, 'Consistency.'),
    checks: later(anyList, 'Health checks.'),
    register_service: later(boolean, 'Register a service.'),
    service_tags: later(textList, 'Tags of the service.'),
    service_check_interval: later(text, 'How often the service is checked.'),
    service_check_tls_server_name: later(text, 'Name for TLS.'),
  }),
  zookeeper: laterSection('The DCS is ZooKeeper.', {
    hosts: later(textList, 'Hosts.'),
    use_ssl: later(boolean, 'TLS.'),
    cacert: later(path, 'Authority.'),
    cert: later(path, 'Certificate.'),
    key: later(path, 'Key.'),
    key_password: later(secretText, "The key's password."),
    verify: later(boolean, 'Check the certificate.'),
    set_acls: later(anyMap, 'Access lists.'),
    auth_data: later(anyMap, 'Credentials.'),
    exhibitor: later(anyMap, 'The old place of the exhibitor section.'),
  }),
  exhibitor: laterSection('The DCS is ZooKeeper behind Exhibitor.', {
    hosts: later(textList, 'Hosts.'),
    poll_interval: later(number(0), 'Seconds between two questions.'),
    port: later(integer(1, 65_535), 'Port.'),
  }),
  raft: laterSection('The DCS is the members themselves.', {
    self_addr: later(text, 'This member.'),
    bind_addr: later(text, 'Where it listens.'),
    partner_addrs: later(textList, 'The others.'),
    data_dir: later(path, 'Where its log lies.'),
    password: later(secretText, 'Password.'),
    min_timeout: later(raftSeconds, 'Election time-out, least.'),
    max_timeout: later(raftSeconds, 'Election time-out, most.'),
    connection_timeout: later(raftSeconds, 'Time-out of connections.'),
    append_entries_period: later(raftSeconds, 'Heartbeat.'),
    connection_retry_time: later(raftSeconds, 'Pause between connections.'),
    leader_fallback_timeout: later(raftSeconds, 'Time until a leader steps back.'),
  }),
  kubernetes: laterSection('The DCS is Kubernetes.', {
    labels: later(anyMap, 'Labels.'),
    namespace: later(text, 'Namespace.'),
    bypass_api_service: later(boolean, 'Ask the API servers directly.'),
    scope_label: later(text, 'Label.'),
    role_label: later(text, 'Label.'),
    leader_label_value: later(text, 'Value of the label.'),
    follower_label_value: later(text, 'Value of the label.'),
    standby_leader_label_value: later(text, 'Value of the label.'),
    tmp_role_label: later(text, 'Label.'),
    use_endpoints: later(boolean, 'Endpoints instead of ConfigMaps.'),
    pod_ip: later(text, "The pod's address."),
    ports: later(anyList, 'Ports.'),
    cacert: later(path, 'Authority.'),
    retriable_http_codes: later(anything, 'HTTP codes to try again on.'),
    bootstrap_labels: later(anyMap, 'Labels during bootstrap.'),
  }),
  citus: laterSection('Citus.', {
    group: later(integer(0), 'Group.'),
    database: later(text, 'Database.'),
  }),
} satisfies Fields;

/** The sections of which exactly one names the DCS, and how. */
export const dcsExamples = {
  monitor: 'monitor: {uri: postgres://pgherd@HOST:PORT/pgherd}',
  etcd3: 'etcd3: {hosts: [HOST:2379, HOST:2379, HOST:2379]}',
} as const;

const instead = `start a monitor with \`pgherd monitor\`, and name it: ${dcsExamples.monitor}; or name an etcd: ${dcsExamples.etcd3}`;
const neverThere = (what: string, why = '') => `${what} is not supported; ${why}allowed: monitor, etcd3; ${instead}`;

/** Why a section that names another DCS is an error, and what to do instead. */
export const refusedStores: Readonly<Record<string, string>> = {
  consul: neverThere('Consul'),
  zookeeper: neverThere('ZooKeeper'),
  exhibitor: neverThere('Exhibitor'),
  raft: neverThere('Raft among the members'),
  kubernetes: neverThere('Kubernetes', 'pgherd runs on machines that you own; '),
  citus: 'Citus is not supported; allowed: one cluster for each configuration; remove the section',
};
