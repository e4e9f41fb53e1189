/** The DCS as the command line and a configuration name it: today a monitor. Another kind has its place here and nowhere else. */

import { postgresUri } from '../config/address.ts';
import type { Config } from '../config/config.ts';

/** A DCS, as a configuration holds it: of those that it may hold, what `create` and `join` know. */
export type Store = Extract<Config['dcs'], { readonly kind: 'monitor' }>;

const allowed = 'the URI of a monitor, postgres://pgherd@HOST:PORT/pgherd';

/** How to come by a monitor. */
export const startMonitor =
  'start one on a third machine with `pgherd monitor --pgdata DIR --listen HOST:PORT`; it prints its URI';

/** Reads what names a DCS on the command line. The text is not in the error: it may hold a password. */
export function readStore(
  text: string,
): { readonly ok: true; readonly store: Store } | { readonly ok: false; readonly error: string } {
  const found = postgresUri.schema.safeParse(text);
  if (!found.success) return { ok: false, error: `this names no DCS; allowed: ${allowed}; ${startMonitor}` };
  return { ok: true, store: { kind: 'monitor', uri: found.data } };
}

/** The password that is in it; undefined: none is. */
export function passwordIn(store: Store): string | undefined {
  const url = new URL(store.uri);
  const encoded = url.password;
  if (encoded === '') return url.searchParams.get('password') || undefined;
  // A stray % is what the driver takes as it stands, too.
  return /^(?:[^%]|%[0-9a-f]{2})*$/i.test(encoded) ? decodeURIComponent(encoded) : encoded;
}

/** The same DCS with this password, where it had none. */
export function withPassword(store: Store, password: string | undefined): Store {
  if (password === undefined || passwordIn(store) !== undefined) return store;
  const url = new URL(store.uri);
  url.password = encodeURIComponent(password);
  return { ...store, uri: url.href };
}

/** The same DCS without a password: what may stand on a command line. */
export function withoutPassword(store: Store): Store {
  const url = new URL(store.uri);
  url.password = '';
  if (url.searchParams.has('password')) url.searchParams.delete('password');
  return { ...store, uri: url.href };
}

/** What `pgherd join` is told to reach it. */
export function storeArgument(store: Store): string {
  return withoutPassword(store).uri;
}

/** Where it is: who connects there learns by which address this host is known. */
export function storeAddress(store: Store): { readonly host: string; readonly port: number } {
  const url = new URL(store.uri);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port || 5432) };
}

/** Its section in a configuration file, as data. */
export function storeSection(store: Store): Readonly<Record<string, object>> {
  return { monitor: { uri: store.uri } };
}
