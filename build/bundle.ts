/**
 * Makes dist/ from src/: the command line and the guard, and chunks for what each command needs, so that `list` does not
 * load the agent.
 * `--if-changed` does nothing when dist/ was made from exactly these files.
 */
import { createHash } from 'node:crypto';
import { chmod, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..');
const out = join(root, 'dist');
const stampFile = join(out, 'made-from');

/** Everything that the bundle is made from, besides the packages (package-lock.json speaks for them). */
async function sourceFiles(): Promise<readonly string[]> {
  const entries = await readdir(join(root, 'src'), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return [...files, ...['package.json', 'package-lock.json', 'build/bundle.ts'].map((file) => join(root, file))].sort();
}

async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of await sourceFiles()) {
    hash.update(`${relative(root, file)}\0`);
    hash.update(await readFile(file));
  }
  return hash.digest('hex');
}

async function isMadeFrom(fingerprint: string): Promise<boolean> {
  try {
    await stat(join(out, 'pgherd.js'));
    return (await readFile(stampFile, 'utf8')) === fingerprint;
  } catch {
    return false;
  }
}

/** zod carries its messages in fifty languages, half a megabyte that every command would read: English is enough. */
const onlyEnglish: Plugin = {
  name: 'only-english',
  setup(build) {
    build.onLoad({ filter: /[/\\]zod[/\\]v4[/\\]locales[/\\]index\.js$/ }, () => ({
      contents: `export { default as en } from './en.js';`,
    }));
  },
};

async function packageVersion(): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  if (typeof manifest === 'object' && manifest && 'version' in manifest) return String(manifest.version);
  throw new Error('package.json has no version');
}

/** Builds into a new folder, then puts it in the place of the old one: who starts pgherd meanwhile finds a whole one. */
async function bundle(madeFrom: string): Promise<void> {
  const fresh = `${out}.new-${process.pid}`;
  const old = `${out}.old-${process.pid}`;
  // Only here: the check whether anything changed is quicker without it.
  const { build } = await import('esbuild');
  try {
    await build({
      entryPoints: { pgherd: join(root, 'src/cli/start.ts'), guard: join(root, 'src/guard/main.ts') },
      outdir: fresh,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node24',
      minifySyntax: true,
      minifyWhitespace: true,
      // pg tries to load it and goes on without.
      external: ['pg-native'],
      // CommonJS packages in an ESM bundle call require() for Node's own modules.
      banner: {
        js: `import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);`,
      },
      define: { PGHERD_VERSION: JSON.stringify(await packageVersion()) },
      chunkNames: 'chunks/[name]-[hash]',
      plugins: [onlyEnglish],
      legalComments: 'none',
      logLevel: 'warning',
    });
    await writeFile(join(fresh, 'made-from'), madeFrom);
    // Whoever built it: the agent may run as another user.
    await chmod(fresh, 0o755);
    await rename(out, old).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    });
    await rename(fresh, out);
  } finally {
    await rm(fresh, { recursive: true, force: true });
    await rm(old, { recursive: true, force: true });
  }
}

const madeFrom = await fingerprint();
if (!process.argv.includes('--if-changed') || !(await isMadeFrom(madeFrom))) {
  const begun = performance.now();
  await bundle(madeFrom);
  console.log(`built dist/ in ${Math.round(performance.now() - begun)} ms`);
}
