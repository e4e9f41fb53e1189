/** Addresses in the configuration: HOST:PORT, with IPv6 in brackets, lists of hosts, and the monitor's URI. */
import { isIPv6 } from 'node:net';
import { kind } from './values.ts';

/** A host and its port. */
export interface Address {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Where a server listens: several hosts, one port. `*` stands for all addresses. */
export interface ListenAddress {
  readonly hosts: readonly string[];
  readonly port: number;
}

const hostForm = /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$/;

function readHost(text: string): string | undefined {
  const bare = /^\[(.*)\]$/.exec(text)?.[1];
  if (bare !== undefined) return isIPv6(bare) ? bare : undefined;
  if (text === '*' || isIPv6(text) || hostForm.test(text)) return text;
  return undefined;
}

/** Reads `HOST`, `HOST:PORT`, `H1,H2:PORT`, `[::1]:PORT`; a bare IPv6 address needs brackets when a port follows. */
function readListen(value: unknown, defaultPort: number): ListenAddress | undefined {
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  const match = isIPv6(text) ? undefined : /^(.*?)(?::([0-9]{1,5}))$/s.exec(text);
  const port = match ? Number(match[2]) : defaultPort;
  if (port < 1 || port > 65_535) return undefined;
  const hosts: string[] = [];
  for (const part of (match ? (match[1] ?? '') : text).split(',')) {
    const host = readHost(part.trim());
    if (host === undefined) return undefined;
    hosts.push(host);
  }
  return { hosts, port };
}

/** An address to listen on. */
export function listenAddress(defaultPort: number) {
  return kind(`HOST:PORT (such as 10.0.0.1:${defaultPort}, *:${defaultPort} or [::1]:${defaultPort})`, (value) =>
    readListen(value, defaultPort),
  );
}

/** Reads an address that one can connect to: one host, no wildcard. */
export function readOneAddress(value: unknown, defaultPort: number): Address | undefined {
  const listen = readListen(value, defaultPort);
  const host = listen?.hosts[0];
  if (!listen || host === undefined || listen.hosts.length !== 1 || isWildcard(host)) return undefined;
  return { host, port: listen.port };
}

/** An address that others connect to: one host, no wildcard. */
export function connectAddress(defaultPort: number) {
  return kind(`HOST:PORT as the other members reach it (one host, not * or 0.0.0.0)`, (value) =>
    readOneAddress(value, defaultPort),
  );
}

/** One host by itself, without a port. */
export const hostName = kind('an address or a name, without a port', (value): string | undefined => {
  if (typeof value !== 'string') return undefined;
  const host = readHost(value.trim());
  return host === undefined || isWildcard(host) ? undefined : host;
});

/** All addresses of the machine: nothing that another machine could connect to. */
export function isWildcard(host: string): boolean {
  return ['*', '0.0.0.0', '::', '0:0:0:0:0:0:0:0'].includes(host);
}

/** `host:port`, an IPv6 host in brackets. */
export function formatAddress(address: Address): string {
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** postgres://[user[:password]@]host[:port]/database: secret, since it may hold a password. */
export const postgresUri = kind(
  'a URI such as postgres://pgherd@HOST:PORT/pgherd',
  (value) => {
    if (typeof value !== 'string' || !URL.canParse(value)) return undefined;
    const url = new URL(value);
    const known = url.protocol === 'postgres:' || url.protocol === 'postgresql:';
    return known && url.hostname !== '' && url.pathname.length > 1 ? value : undefined;
  },
  { secret: true },
);
