/**
 * The entry of the bundle. It first turns on Node's cache of compiled code, in a folder of this user's own: in a shared
 * one anybody could leave code for us. Where the folder cannot be written, Node goes on without.
 */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

const caches = process.env['XDG_CACHE_HOME'] || (process.env['HOME'] && join(process.env['HOME'], '.cache'));
if (caches) enableCompileCache(join(caches, 'pgherd'));

const { main } = await import('./main.ts');
process.exitCode = await main(process.argv.slice(2));
