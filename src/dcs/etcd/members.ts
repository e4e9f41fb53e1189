/** At which addresses members are to be reached: as configured, as DNS says, as the members themselves say. */
import { resolveSrv } from 'node:dns/promises';
import { messageOf } from '../../lib/caught.ts';
import { createEndpoint, type Endpoint, type EndpointOptions } from './endpoint.ts';

/** Where to begin. */
export interface SeedOptions {
  /** `http://HOST:PORT` of one member or several. */
  readonly urls: readonly string[];
  /** The records `_etcd-client._tcp.<domain>`, or `_etcd-client-ssl._tcp.<domain>` with TLS, name members too. */
  readonly srv: { readonly domain: string; readonly suffix: string | undefined; readonly isTls: boolean } | undefined;
}

/** Every address that is known, each once. */
export interface Members {
  /** Configured ones first. */
  readonly endpoints: readonly Endpoint[];
  /** Those that the configuration or DNS names. */
  readonly seeds: readonly Endpoint[];
  /** Asks DNS, when it has to be asked and was not lately. An error, or undefined. */
  resolve(): Promise<string | undefined>;
  /** What the members say of themselves: addresses that are new are added, others that they alone had named are dropped. */
  learn(urls: readonly string[]): void;
  close(): void;
}

const resolveAgainMs = 10_000;

/** Nothing is connected. */
export function createMembers({ urls, srv }: SeedOptions, options: EndpointOptions): Members {
  let seeds = urls.map((url) => createEndpoint(url, options));
  let learnt: readonly Endpoint[] = [];
  let resolvedAtMs = Number.NEGATIVE_INFINITY;
  let resolving: Promise<string | undefined> | undefined;

  const named = (found: readonly string[], known: readonly Endpoint[]): Endpoint[] =>
    found.map((url) => known.find((endpoint) => endpoint.url === url) ?? createEndpoint(url, options));
  const drop = (endpoints: readonly Endpoint[], error: string): void => {
    for (const endpoint of endpoints) endpoint.close(error);
  };
  async function lookUp(domain: NonNullable<typeof srv>): Promise<string | undefined> {
    try {
      const found = await addressesOf(domain);
      const former = seeds;
      seeds = named([...new Set([...urls, ...found])], [...seeds, ...learnt]);
      learnt = learnt.filter((endpoint) => !seeds.includes(endpoint));
      drop(
        former.filter((endpoint) => !seeds.includes(endpoint)),
        'DNS does not name it any more',
      );
      resolvedAtMs = performance.now();
      return undefined;
    } catch (error) {
      return `the SRV records of ${domain.domain} could not be looked up: ${messageOf(error)}`;
    } finally {
      resolving = undefined;
    }
  }
  return {
    get endpoints() {
      return [...seeds, ...learnt];
    },
    get seeds() {
      return seeds;
    },
    async resolve() {
      if (srv === undefined || performance.now() < resolvedAtMs + resolveAgainMs) return undefined;
      resolving ??= lookUp(srv);
      return await resolving;
    },
    learn(told) {
      const former = learnt;
      const fresh = told.filter((url) => !seeds.some((seed) => seed.url === url));
      learnt = named(fresh, former);
      drop(
        former.filter((endpoint) => !learnt.includes(endpoint)),
        'it is no member any more',
      );
    },
    close: () => drop([...seeds, ...learnt], 'closed'),
  };
}

async function addressesOf({ domain, suffix, isTls }: NonNullable<SeedOptions['srv']>): Promise<readonly string[]> {
  const service = `_etcd-client${isTls ? '-ssl' : ''}${suffix === undefined ? '' : `-${suffix}`}._tcp.${domain}`;
  const records = await resolveSrv(service);
  const scheme = isTls ? 'https' : 'http';
  return records
    .toSorted((a, b) => a.priority - b.priority || b.weight - a.weight)
    .map(({ name, port }) => `${scheme}://${name}:${port}`);
}
