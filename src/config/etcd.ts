/** The section `etcd3` (and `etcd`, its name for the API before): which etcd, and how it is reached. Patroni's keys. */
import { formatAddress, readOneAddress } from './address.ts';
import { key, type Section, section } from './key.ts';
import { boolean, type Data, isData, kind, oneOf, path, secretText, text } from './values.ts';

const defaultPort = 2379;

/** Which etcd an agent works with. */
export interface EtcdConfig {
  readonly kind: 'etcd';
  /** `http://HOST:PORT`. */
  readonly urls: readonly string[];
  /** The domain whose SRV records name more. */
  readonly srv: { readonly domain: string; readonly suffix: string | undefined; readonly isTls: boolean } | undefined;
  /** The members are asked for each other's addresses. */
  readonly discover: boolean;
  /** Paths; they count with https. */
  readonly tls: {
    readonly cacert: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
  };
  readonly user: { readonly name: string; readonly password: string } | undefined;
}

/** `HOST`, `HOST:PORT`, `[::1]:PORT`, or a URL: the same with a port, and the scheme where there was one. */
function readEndpoint(given: unknown): string | undefined {
  if (typeof given !== 'string') return undefined;
  if (/^https?:\/\//.test(given)) return readUrl(given) === undefined ? undefined : originOf(new URL(given));
  const address = readOneAddress(given, defaultPort);
  return address && formatAddress(address);
}

function readUrl(given: unknown): URL | undefined {
  if (typeof given !== 'string' || !URL.canParse(given)) return undefined;
  const url = new URL(given);
  const isPlain = /^https?:$/.test(url.protocol) && url.hostname !== '' && url.pathname === '/' && url.search === '';
  return isPlain ? url : undefined;
}

/** The default port of etcd, not of HTTP, where the URL names none. */
function originOf(url: URL): string {
  return `${url.protocol}//${url.hostname}:${url.port === '' ? defaultPort : url.port}`;
}

const endpoint = kind(`HOST or HOST:PORT (such as 10.0.0.1:${defaultPort})`, readEndpoint);
const endpoints = kind(`a list of HOST:PORT (such as [10.0.0.1:${defaultPort}, 10.0.0.2:${defaultPort}])`, (given) => {
  const list: unknown = typeof given === 'string' ? given.split(',').map((part) => part.trim()) : given;
  if (!Array.isArray(list) || list.length === 0) return undefined;
  const found = list.map(readEndpoint);
  return found.every((one) => one !== undefined) ? found : undefined;
});
// With a user and a password in it, if need be.
const url = kind(
  `a URL such as http://HOST:${defaultPort}`,
  (given) => (readUrl(given) === undefined ? undefined : String(given)),
  { secret: true },
);
const domain = kind('a domain', (given) =>
  typeof given === 'string' && /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$/.test(given) ? given : undefined,
);

const fields = {
  hosts: key(endpoints, 'Members of etcd. One is enough to find the others; several are found when one is away.'),
  host: key(endpoint, 'One member.'),
  url: key(url, 'One member as a URL; a user and a password may be in it.'),
  srv: key(domain, 'The domain whose SRV records (_etcd-client._tcp, with https _etcd-client-ssl._tcp) name members.'),
  srv_suffix: key(text, 'Of the records: _etcd-client-SUFFIX._tcp.'),
  proxy: key(url, 'A proxy before etcd: it alone is asked.'),
  use_proxies: key(boolean, 'Do not ask the members for the addresses of the others.', { default: 'false' }),
  protocol: key(oneOf(['http', 'https']), 'For addresses that do not say it.', { default: 'http' }),
  username: key(text, 'The user. With a client certificate alone, etcd takes the name from the certificate.'),
  password: key(secretText, 'Its password.'),
  cacert: key(path, "The authority that signed the members' certificates.", { default: 'those that Node knows' }),
  cert: key(path, "The agent's certificate."),
  key: key(path, 'The key of the certificate.'),
};

export const etcd3 = section('The DCS is etcd, version 3.4 or later.', fields);
export const etcd = section("Patroni's name for etcd by its old API: the same keys, taken as etcd3.", fields);

type EtcdSection = Section<typeof fields>;

/** What is missing, or does not go together: the key and what to say of it. */
export function etcdProblems(given: Data): readonly { readonly key: string | undefined; readonly text: string }[] {
  const has = (name: string): boolean => (given[name] ?? null) !== null;
  const problems: { key: string | undefined; text: string }[] = [];
  if (!['hosts', 'host', 'url', 'srv', 'proxy'].some(has)) {
    const text = `found no address; allowed: hosts, host, url, srv or proxy; add hosts: [HOST:${defaultPort}]`;
    problems.push({ key: undefined, text });
  }
  for (const [one, other] of [
    ['username', 'password'],
    ['password', 'username'],
    ['cert', 'key'],
    ['key', 'cert'],
  ] as const) {
    if (has(one) && !has(other))
      problems.push({ key: one, text: `found without ${other}; allowed: both or none; add ${other}` });
  }
  return problems;
}

/** Certificates that nobody will look at: the key that names one. */
export function unusedTls(given: Data): string | undefined {
  const values = [given['hosts'], given['host'], given['url'], given['proxy']].flat();
  if (given['protocol'] === 'https' || values.some((value) => String(value).startsWith('https:'))) return undefined;
  return ['cacert', 'cert', 'key'].find((name) => (given[name] ?? null) !== null);
}

/** The section as adapters take it, after its check. */
export function etcdConfig(given: EtcdSection): EtcdConfig {
  const proxy = given.proxy === undefined ? undefined : new URL(given.proxy);
  const named = given.url === undefined ? undefined : new URL(given.url);
  const scheme = given.protocol ?? named?.protocol.slice(0, -1) ?? 'http';
  const all = [...(given.hosts ?? []), ...(given.host === undefined ? [] : [given.host])];
  const urls = all.map((one) => (one.includes('://') ? one : `${scheme}://${one}`));
  if (named !== undefined) urls.push(originOf(named));
  const srv = given.srv === undefined ? undefined : srvOf(given.srv, given.srv_suffix, scheme === 'https');
  return {
    kind: 'etcd',
    urls: proxy === undefined ? [...new Set(urls)] : [originOf(proxy)],
    srv: proxy === undefined ? srv : undefined,
    discover: proxy === undefined && given.use_proxies !== true,
    tls: { cacert: given.cacert, cert: given.cert, key: given.key },
    user: userOf(given, proxy ?? named),
  };
}

function srvOf(name: string, suffix: string | undefined, isTls: boolean): EtcdConfig['srv'] {
  return { domain: name.replace(/\.$/, ''), suffix, isTls };
}

function userOf({ username, password }: EtcdSection, from: URL | undefined): EtcdConfig['user'] {
  if (username !== undefined && password !== undefined) return { name: username, password };
  if (from === undefined || from.username === '') return undefined;
  return { name: decodeURIComponent(from.username), password: decodeURIComponent(from.password) };
}

/** The section of the data that names etcd, if one does. */
export function etcdSectionOf(data: Data): 'etcd3' | 'etcd' | undefined {
  return (['etcd3', 'etcd'] as const).find((name) => isData(data[name]));
}
