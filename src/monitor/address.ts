/** Where the monitor listens, and where members find it. */
import { hostname } from 'node:os';

/** What `--listen` says. */
export interface ListenAddress {
  /** As PostgreSQL's listen_addresses takes it: an address, a name, or `*`. */
  readonly host: string;
  readonly port: number;
}

/** Reads `HOST:PORT`; an IPv6 address stands in brackets. */
export function parseListen(
  text: string,
): { readonly ok: true; readonly address: ListenAddress } | { readonly ok: false; readonly error: string } {
  const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:[\],']+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65535) {
    return {
      ok: false,
      error: `--listen: found "${text}"; allowed: HOST:PORT, as 10.0.0.5:5432, [fd00::5]:5432 or *:5432, with a port from 1 to 65535`,
    };
  }
  return { ok: true, address: { host, port } };
}

/** The URI for members. An address that means "all" is no address for them: this host's name stands for it. */
export function memberUri({ host, port }: ListenAddress): string {
  const everywhere = ['*', '0.0.0.0', '::'].includes(host);
  const name = everywhere ? hostname() : host.includes(':') ? `[${host}]` : host;
  return `postgres://pgherd@${name}:${port}/pgherd`;
}
