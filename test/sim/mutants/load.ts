/**
 * The program with a bug, beside the program as it is: all of it loaded once more, under `?mutant`, with its text changed
 * before its types are stripped. So the program itself has no switch for it.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { runPlan } from '../../../src/sim/run.ts';
import { type Edit, patched } from './mutant.ts';

const root = new URL('../../../', import.meta.url);
const query = '?mutant';

/** The same program with the changes in its text. */
export async function loadMutant(edits: readonly Edit[]): Promise<typeof runPlan> {
  registerHooks({
    resolve: (specifier, context, next) => {
      const resolved = next(specifier, context);
      const isOurs = specifier.startsWith('.') && context.parentURL?.endsWith(query) === true;
      return isOurs ? { ...resolved, url: `${resolved.url}${query}` } : resolved;
    },
    load: (url, context, next) => {
      const loaded = next(url, context);
      const mine = edits.filter(({ file }) => url === `${new URL(file, root).href}${query}`);
      if (mine.length === 0) return loaded;
      let text = readFileSync(fileURLToPath(url), 'utf8');
      for (const edit of mine) {
        const changed = patched(text, edit);
        if ('error' in changed) throw new Error(changed.error);
        text = changed.text;
      }
      return { ...loaded, source: text };
    },
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same module under another name
  const module = (await import(`${new URL('src/sim/run.ts', root).href}${query}`)) as { runPlan: typeof runPlan };
  return module.runPlan;
}
