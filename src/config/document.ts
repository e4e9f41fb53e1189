/**
 * A YAML (or JSON) text as data in which every value can be found again: line and column of any path.
 * Scalars are read as Patroni's own reader does where that matters (on/off/yes/no are booleans, `<<` merges);
 * a number is a number only where its text is exactly that number, so that a password `0123` stays what it is.
 */
import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, type Node, parseDocument, type ScalarTag } from 'yaml';
import { valueAt } from './key.ts';
import { type Data, isData } from './values.ts';

interface Place {
  readonly line: number;
  readonly column: number;
}

/** What is wrong, and where. */
export interface YamlProblem extends Place {
  readonly text: string;
}

/** A YAML text as data, which knows where everything stood. */
export interface YamlFile {
  /** undefined: the text is empty. */
  readonly data: unknown;
  /** What is at `path`, as plain JSON: numbers are numbers. */
  json(path: readonly string[]): unknown;
  /** Of a value, or of its key; of what does not exist: of the nearest map around it. */
  placeOf(path: readonly PropertyKey[], of: 'key' | 'value'): Place;
}

const onOff: ScalarTag = {
  tag: 'tag:yaml.org,2002:bool',
  default: true,
  test: /^(?:true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|yes|Yes|YES|no|No|NO)$/,
  identify: (value) => typeof value === 'boolean',
  resolve: (text) => ['true', 'on', 'yes'].includes(text.toLowerCase()),
};

/** What a syntax error means. The parser's own texts quote the file, which may hold passwords. */
const syntaxErrors: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: 'this key is there twice in the same map; allowed: once; remove one of them',
  TAB_AS_INDENT: 'a tab indents this line; allowed: spaces; replace it',
  BAD_INDENT: 'the indentation fits no map or list above; allowed: the same number of spaces for all keys of a map',
  MISSING_CHAR: 'a quote, bracket or colon is missing here; close what is open',
  MULTILINE_IMPLICIT_KEY: 'a key goes over several lines; is a colon or a quote missing above?',
  UNEXPECTED_TOKEN: 'this does not belong here; is a quote missing, or a colon within a value? Put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a map begins inside a value; put the value in quotes, or the map on a line of its own',
  BAD_DQ_ESCAPE: 'a backslash in double quotes begins an escape that does not exist; use single quotes',
  BAD_SCALAR_START: 'a value cannot begin with this character; put the value in quotes',
  MULTIPLE_DOCS: 'a second document begins here; allowed: one',
};

/** Node to data; keeps the text of a number that does not print as it was written. */
function toData(node: unknown, anchors: ReadonlyMap<string, unknown>): unknown {
  if (isAlias(node)) return toData(anchors.get(node.source), anchors);
  if (isMap(node)) {
    const data: Record<string, unknown> = {};
    for (const pair of node.items) {
      const name = isScalar(pair.key) ? String(pair.key.source ?? pair.key.value) : String(pair.key);
      const value = toData(pair.value, anchors);
      if (name === '<<') Object.assign(data, { ...mergedData(value), ...data });
      else data[name] = value;
    }
    return data;
  }
  if (isSeq(node)) return node.items.map((item) => toData(item, anchors));
  if (!isScalar(node)) return null;
  const plainNumber = typeof node.value === 'number' && node.source !== undefined;
  return plainNumber && String(node.value) !== node.source ? node.source : node.value;
}

/** `<<`: a map, or several of which the first wins. */
function mergedData(value: unknown): Data {
  const maps: readonly unknown[] = Array.isArray(value) ? value : [value];
  return maps.reduceRight<Data>((merged, map) => (isData(map) ? { ...merged, ...map } : merged), {});
}

/** Reads one document. The problems are in the order of the file. */
export function readYaml(
  source: string,
): { readonly ok: true; readonly file: YamlFile } | { readonly ok: false; readonly problems: readonly YamlProblem[] } {
  const counter = new LineCounter();
  const document = parseDocument(source, {
    lineCounter: counter,
    prettyErrors: false,
    merge: true,
    customTags: (tags) => [onOff, ...tags],
  });
  const place = (offset: number): Place => {
    const { line, col } = counter.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => ({
      ...place(error.pos[0]),
      text: syntaxErrors[error.code] ?? 'this is not YAML; is a quote or a colon missing here or above?',
    }));
    return { ok: false, problems };
  }
  const anchors = new Map<string, unknown>();
  collectAnchors(document.contents, anchors);
  const bad = findBadAlias(document.contents, anchors, new Set());
  if (bad) {
    const text = 'a value that begins with * is an alias, and its anchor is not there; put the value in quotes';
    return { ok: false, problems: [{ ...place(bad.range?.[0] ?? 0), text }] };
  }
  const find = (path: readonly PropertyKey[], of: 'key' | 'value'): number =>
    locate(document.contents, anchors, path, of);
  return {
    ok: true,
    file: {
      data: document.contents === null ? undefined : toData(document.contents, anchors),
      json: (path) => valueAt(document.toJS(), path),
      placeOf: (path, of) => place(find(path, of)),
    },
  };
}

function collectAnchors(node: unknown, anchors: Map<string, unknown>): void {
  if ((isMap(node) || isSeq(node) || isScalar(node)) && node.anchor !== undefined) anchors.set(node.anchor, node);
  if (!isMap(node) && !isSeq(node)) return;
  for (const item of node.items) collectAnchors(isPair(item) ? item.value : item, anchors);
}

/** The first alias that stands for nothing, or for what it is a part of. */
function findBadAlias(node: unknown, anchors: ReadonlyMap<string, unknown>, above: Set<unknown>): Node | undefined {
  if (isAlias(node)) {
    const target = anchors.get(node.source);
    if (target === undefined || above.has(target)) return node;
    return findBadAlias(target, anchors, above);
  }
  if (!isMap(node) && !isSeq(node)) return undefined;
  above.add(node);
  for (const item of node.items) {
    const found = findBadAlias(isPair(item) ? item.value : item, anchors, above);
    if (found) return found;
  }
  above.delete(node);
  return undefined;
}

/** The offset of `path` in the text, as far as it exists. */
function locate(
  root: unknown,
  anchors: ReadonlyMap<string, unknown>,
  path: readonly PropertyKey[],
  of: 'key' | 'value',
): number {
  let node: unknown = root;
  let offset = offsetOf(root) ?? 0;
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = anchors.get(node.source);
    if (isSeq(node)) node = node.items[Number(step)];
    else if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.source ?? item.key.value) === step);
      const last = index === path.length - 1;
      const keyOffset = offsetOf(pair?.key);
      if (keyOffset !== undefined && ((last && of === 'key') || offsetOf(pair?.value) === undefined)) return keyOffset;
      if (keyOffset !== undefined) offset = keyOffset;
      node = pair?.value;
    } else return offset;
    const here = offsetOf(node);
    if (here === undefined) return offset;
    offset = here;
  }
  return offset;
}

function offsetOf(node: unknown): number | undefined {
  const range = isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? node.range : undefined;
  return range?.[0];
}
