/** The one place that knows which adapters there are. Each is loaded only where it is used. */
import type { Dcs } from '../ports/dcs.ts';
import type { Clock } from '../ports/host.ts';
import type { EtcdOptions } from './etcd/dcs.ts';

/** Which store, as the configuration says. */
export type DcsAddress =
  | { readonly kind: 'monitor'; readonly uri: string }
  | ({ readonly kind: 'etcd' } & Pick<EtcdOptions, 'discover' | 'tls' | 'user'> & EtcdOptions['seeds']);

/** What every adapter is told. */
export interface OpenOptions {
  /** The cluster's keys: `/<namespace>/<scope>/`. */
  readonly prefix: string;
  readonly clock: Clock;
  /** Of each call, and of each attempt to connect. */
  readonly timeoutMs: number;
  /** A store that is gone without a word is noticed by the watch within this, and half a second more at most. */
  readonly noticeMs?: () => number;
}

/** Nothing is connected before it is used. */
export async function openDcs(address: DcsAddress, options: OpenOptions): Promise<Dcs> {
  switch (address.kind) {
    case 'monitor': {
      const { connectMonitor } = await import('./monitor/dcs.ts');
      return connectMonitor({ uri: address.uri, ...options });
    }
    case 'etcd': {
      const { connectEtcd } = await import('./etcd/dcs.ts');
      const { urls, srv, discover, tls, user } = address;
      return connectEtcd({ seeds: { urls: turned(urls), srv }, discover, tls, user, ...options });
    }
  }
}

/** Not all agents begin with the same member. */
function turned(urls: readonly string[]): readonly string[] {
  const at = Math.floor(Math.random() * urls.length);
  return [...urls.slice(at), ...urls.slice(0, at)];
}
