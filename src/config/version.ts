/** The version of this program. */
import { readFileSync } from 'node:fs';

/** Set while bundling; not there when the sources run as they are. */
declare const PGHERD_VERSION: string | undefined;

function manifestVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest && 'version' in manifest ? String(manifest.version) : 'unknown';
}

/** As in package.json: `0.1.0`. */
export const version: string = typeof PGHERD_VERSION === 'string' ? PGHERD_VERSION : manifestVersion();
