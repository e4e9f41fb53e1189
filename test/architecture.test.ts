/** The code base tests its own shape: who imports whom, what the core may not touch, how long things are, what is said of them. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, test } from 'node:test';
import { codeOf, functionsOf, importsOf } from './architecture/source.ts';

const root = join(import.meta.dirname, '..');

/** Everything in the repository but what is installed or made. Paths are relative to its root. */
const files = readdirSync(root, { recursive: false, withFileTypes: true })
  .filter((entry) => !['node_modules', 'dist', '.git'].includes(entry.name))
  .flatMap((entry) => (entry.isDirectory() ? filesBelow(entry.name) : [entry.name]));

function filesBelow(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

const sources = files.filter((file) => file.endsWith('.ts'));
const product = sources.filter((file) => file.startsWith('src/'));
const made = [...product, ...sources.filter((file) => /^(?:build|bench)\//.test(file))];
const core = product.filter((file) => file.startsWith('src/core/'));

/** `src/dcs/monitor/link.ts` → `dcs`. */
function layerOf(file: string): string {
  return file.split('/')[1] ?? '';
}

interface Arrow {
  readonly file: string;
  readonly from: string;
  /** The imported file, where it is one of ours. */
  readonly target: string | undefined;
  readonly isType: boolean;
  readonly isLazy: boolean;
}

const arrows: readonly Arrow[] = product.flatMap((file) =>
  importsOf(read(file)).map((one) => ({
    file,
    ...one,
    target: one.from.startsWith('.') ? normalize(join(dirname(file), one.from)) : undefined,
  })),
);

const adapters = ['postgres', 'dcs', 'host', 'api'];
const programs = ['agent', 'guard', 'monitor', 'cli', 'demo'];
const below = ['core', 'ports', 'lib', 'config', ...adapters];

/** Whom a layer may import, besides itself. Adapters never import each other, and nobody imports a program but as below. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  ports: ['core'],
  lib: ['core'],
  config: ['lib'],
  ...Object.fromEntries(adapters.map((adapter) => [adapter, ['core', 'ports', 'lib']])),
  ...Object.fromEntries(programs.map((program) => [program, below])),
  sim: ['core', 'dcs'],
  drill: below,
  create: below,
  demo: [...below, 'drill'],
  cli: [...below, 'sim', 'drill', 'create'],
};

/** The packages that a layer is made with: what is not named here has none. */
const mayUse: Readonly<Record<string, readonly string[]>> = {
  config: ['yaml', 'zod'],
  postgres: ['pg', 'zod'],
  dcs: ['@bufbuild/protobuf', '@connectrpc/connect', '@connectrpc/connect-node', 'pg', 'zod'],
  host: ['zod'],
  api: ['@hono/node-server', 'hono', 'zod'],
  monitor: ['pg'],
  cli: ['commander', 'yaml'],
  create: ['yaml', 'zod'],
  demo: ['yaml'],
};

/** The command line starts the programs, each loaded when it is asked for. */
const programToProgram = [
  'src/cli/programs.ts -> src/agent/main.ts',
  'src/cli/programs.ts -> src/demo/main.ts',
  'src/cli/programs.ts -> src/monitor/main.ts',
];

function isProgramToProgram({ file, target }: Arrow): boolean {
  return target !== undefined && programs.includes(layerOf(target)) && layerOf(target) !== layerOf(file);
}

describe('who imports whom', () => {
  test('every folder of src has its place, and nothing lies beside them', () => {
    assert.deepEqual([...new Set(product.map(layerOf))].toSorted(), Object.keys(mayImport).toSorted());
    assert.deepEqual(readdirSync(join(root, 'src')).toSorted(), Object.keys(mayImport).toSorted());
  });

  test('the arrows point one way', () => {
    const wrong = arrows
      .filter((arrow) => arrow.target !== undefined && !isProgramToProgram(arrow))
      .filter(
        ({ file, target = '' }) => ![layerOf(file), ...(mayImport[layerOf(file)] ?? [])].includes(layerOf(target)),
      )
      .map(({ file, target }) => `${file} -> ${target}`);
    assert.deepEqual(wrong, []);
  });

  test('programs import each other only where the command line starts them, lazily', () => {
    const found = arrows.filter(isProgramToProgram);
    assert.deepEqual(found.map(({ file, target }) => `${file} -> ${target}`).toSorted(), programToProgram);
    assert.deepEqual(
      found.filter(({ isLazy }) => !isLazy).map(({ file }) => file),
      [],
    );
  });

  test('lib takes from the core how an LSN is written, and else types only', () => {
    const wrong = arrows.filter(
      ({ file, target, isType }) =>
        layerOf(file) === 'lib' && layerOf(target ?? '') === 'core' && target !== 'src/core/lsn.ts' && !isType,
    );
    assert.deepEqual(wrong, []);
  });

  test('each layer uses the packages named for it, and all of them', () => {
    const used = new Map<string, Set<string>>();
    for (const { file, from, target } of arrows) {
      if (target !== undefined || from.startsWith('node:')) continue;
      const name = /^(?:@[^/]+\/)?[^/]+/.exec(from)?.[0] ?? from;
      used.set(layerOf(file), (used.get(layerOf(file)) ?? new Set()).add(name));
    }
    const found = Object.fromEntries([...used].map(([layer, names]) => [layer, [...names].toSorted()]));
    assert.deepEqual(found, mayUse);
  });

  test('what is loaded lazily is named by a literal', () => {
    assert.deepEqual(
      arrows.filter(({ from }) => from === '').map(({ file }) => file),
      [],
    );
  });
});

/** Lines of the files' code that match, as `file:line: text`. */
function linesWith(pattern: RegExp, where: readonly string[]): readonly string[] {
  return where.flatMap((file) => {
    const text = read(file).split('\n');
    return codeOf(text.join('\n'))
      .split('\n')
      .flatMap((code, index) => (pattern.test(code) ? [`${file}:${index + 1}: ${text[index]?.trim()}`] : []));
  });
}

describe('the bench', () => {
  test('knows the product from outside only', () => {
    const bench = sources.filter((file) => file.startsWith('bench/'));
    assert.ok(bench.length > 5);
    const inward = bench.filter((file) => importsOf(read(file)).some(({ from }) => from.includes('/src/')));
    assert.deepEqual(inward, []);
  });
});

describe('the core is pure', () => {
  test('no clock, no chance, no timer, no process, nothing that it would have to be given', () => {
    const forbidden =
      /\b(?:Date|Intl|performance|Math\.random|crypto|set(?:Timeout|Interval|Immediate)|queueMicrotask|process|console|fetch|globalThis|require)\b|\bTemporal\b/;
    assert.deepEqual(linesWith(forbidden, core), []);
  });

  test('nothing asynchronous: an answer is an event', () => {
    assert.deepEqual(linesWith(/\b(?:async|await|Promise)\b/, core), []);
  });

  test('no class and no module state', () => {
    assert.deepEqual(linesWith(/\bclass\b|\bthis\b|^(?:export )?(?:let|var)\b/, core), []);
  });

  test('no import but of the core itself', () => {
    const outward = arrows.filter(({ file, target }) => layerOf(file) === 'core' && layerOf(target ?? '') !== 'core');
    assert.deepEqual(outward, []);
  });
});

describe('the simulator is deterministic', () => {
  test('no clock, no chance and no waiting but its own', () => {
    const simulator = product.filter((file) => file.startsWith('src/sim/'));
    assert.ok(simulator.length > 5);
    const forbidden =
      /\b(?:Date|Math\.random|performance|set(?:Timeout|Interval|Immediate)|queueMicrotask|async|await|Promise)\b/;
    assert.deepEqual(linesWith(forbidden, simulator), []);
  });
});

describe('names and exports', () => {
  test('no file that collects what has no place', () => {
    const vague = /(?:^|\/)(?:index|utils?|helpers?|common|misc|types|constants)(?:\.[^/]*)?(?:\/|$)/;
    assert.deepEqual(
      sources.filter((file) => vague.test(file)),
      [],
    );
  });

  test('no default export, and nothing exported that was made elsewhere', () => {
    assert.deepEqual(linesWith(/^export (?:default\b|\*|\{|type \{)/, sources), []);
  });

  test('file names are words with hyphens', () => {
    assert.deepEqual(
      sources.filter((file) => !/^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.ts$/.test(file)),
      [],
    );
  });
});

describe('length', () => {
  /** Tests are lists; a world to test in may be a little longer. */
  const linesMax = { made: 400, test: 500 };
  const functionLinesMax = 70;

  test(`files have at most ${linesMax.made} lines, tests ${linesMax.test}`, () => {
    const long = sources
      .map((file) => ({ file, lines: read(file).trimEnd().split('\n').length }))
      .filter(({ file, lines }) => lines > (file.startsWith('test/') ? linesMax.test : linesMax.made));
    assert.deepEqual(long, []);
  });

  test(`functions have at most ${functionLinesMax} lines`, () => {
    const long = made.flatMap((file) =>
      functionsOf(read(file))
        .filter(({ lines }) => lines > functionLinesMax)
        .map(({ line, lines }) => `${file}:${line}: ${lines} lines`),
    );
    assert.deepEqual(long, []);
  });

  test('the measure finds functions in all their forms', () => {
    const sample = `
function plain(): void {
  const text = \`{
    \${1 ? \`}\${{}}\` : '}'} { \`;
}

export async function wide(
  a: number, // }
): Promise<
  { readonly ok: true } | undefined
> {
  if (a > /[/'"]{/.source.length) {
    return;
  }
}

const arrow = (a: string): string => {
  call('{', (b) => {
    b();
  });
};

const shape = {
  method(a: number): void {
    run(a);
  },
  get size() {
    return 1;
  },
};
`;
    assert.deepEqual(
      functionsOf(sample).map(({ line, lines }) => [line, lines]),
      [
        [2, 4],
        [7, 9],
        [17, 5],
        [18, 3],
        [24, 3],
        [27, 3],
      ],
    );
  });

  test('the measure reads the code right, and misses no declared function', () => {
    for (const file of made) {
      const code = codeOf(read(file));
      assert.doesNotMatch(code, /['"`]/, `${file}: a literal was not understood`);
      assert.equal(code.split('{').length, code.split('}').length, `${file}: braces do not match`);
      const lines = code.split('\n');
      const measured = new Set(functionsOf(read(file)).map(({ line }) => line));
      lines.forEach((line, index) => {
        // An overload has no block.
        if (!/^\s*(?:export )?(?:async )?function \w/.test(line) || line.endsWith(';')) return;
        assert.ok(measured.has(index + 1), `${file}:${index + 1} is not measured`);
      });
    }
  });
});

describe('what is said', () => {
  /** Constants may speak for themselves; tests and what belongs to them do. */
  const exported = /^export (?:declare )?(?:async )?(?:function\*?|class|interface|type) (\w+)/;

  test('every exported function and type has a docstring', () => {
    const silent = made.flatMap((file) => {
      const lines = read(file).split('\n');
      return lines.flatMap((line, index) => {
        const name = exported.exec(line)?.[1];
        if (name === undefined) return [];
        const before = lines[index - 1] ?? '';
        // The implementation of an overloaded function stands below its overloads.
        const isDescribed = before.endsWith('*/') || before.startsWith(`export function ${name}`);
        return isDescribed ? [] : [`${file}:${index + 1}: ${name}`];
      });
    });
    assert.deepEqual(silent, []);
  });

  test('nothing names a package registry, or the place and the way of the work', () => {
    const forbidden = [
      ['registry', '\\.[a-z]+[a-z.]*\\.(?:org|com|io)'],
      ['npm', 'js\\.'],
      ['yarn', 'pkg\\.'],
      ['proxy\\.golang', '\\.org'],
      ['py', 'pi\\.org'],
      ['(?<![\\w.~-])/wo', 'rk/'],
      ['(?<![\\w/-])sha', 'red/'],
      ['\\bissue', ' #?\\d'],
    ].map((parts) => new RegExp(parts.join(''), 'i'));
    const found = files
      .filter((file) => !/\.(?:png|gif|ico)$/.test(file))
      .flatMap((file) => {
        const text = read(file);
        return forbidden.filter((pattern) => pattern.test(text)).map((pattern) => `${file}: ${pattern.source}`);
      });
    assert.deepEqual(found, []);
  });

  test('generated pages name what they are made from and by, and both are there', () => {
    const pages = files.filter((file) => /^docs\/[^/]+\.md$/.test(file) && read(file).includes('<!-- Made from'));
    assert.ok(pages.length >= 2);
    for (const page of pages) {
      const match = /<!-- Made from (\S+) by (\S+) \(REWRITE=1\)\. -->/.exec(read(page));
      assert.ok(match, `${page} does not say what it is made from`);
      for (const path of match.slice(1)) assert.ok(existsSync(join(root, path)), `${page}: ${path} is not there`);
      assert.ok(read(match[2] ?? '').includes(page), `${match[2]} does not compare ${page}`);
    }
  });

  test('the files that the prose names are there', () => {
    const prose = files.filter((file) => /^[A-Z]+\.md$/.test(file));
    const missing = prose.flatMap((file) =>
      [...read(file).matchAll(/`((?:(?:src|test|docs|build|script|bin)\/[\w./-]+)|[\w/-]+\.ts)`/g)]
        .map(([, path = '']) => path)
        // A module may be named by the end of its path, where the sentence says in which folder.
        .filter((path) => !existsSync(join(root, path)) && !sources.some((source) => source.endsWith(`/${path}`)))
        .map((path) => `${file}: ${path}`),
    );
    assert.deepEqual(missing, []);
  });

  test('the tour names every key of the DCS', () => {
    const tour = read('ARCHITECTURE.md');
    const keys = [...read('src/core/effects.ts').matchAll(/^ {2}\| \{ readonly key: '(\w+)'/gm)].map(
      ([, key = '']) => key,
    );
    assert.ok(keys.length > 5);
    for (const key of keys) {
      const shown = ['member', 'revoke', 'events'].includes(key)
        ? `${key === 'member' ? 'members' : key}/<member>`
        : key;
      assert.ok(tour.includes(`\n| \`${shown}\` |`), `${shown} is missing`);
    }
  });
});
