/** Source text as the architecture test reads it: without comments and literals, its imports, its functions. */

/** An import as it is written; `isType`: it is gone when types are stripped. `isLazy`: `import()`. */
export interface Import {
  readonly from: string;
  readonly isType: boolean;
  readonly isLazy: boolean;
}

/** A function's first line (counted from 1) and how many lines it has. */
export interface MeasuredFunction {
  readonly line: number;
  readonly lines: number;
}

/** A comment, a string or a regular expression, where one begins. */
const literal =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|(?<=(?:^|[(,=:[!&|?{};>]|return)\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
/** The text of a template, up to its end or to an expression in it. */
const templateText = /(?:\\[\s\S]|[^`\\$]|\$(?!\{))*(?:`|\$\{)/y;

/** The code alone, the expressions in templates too: comments and literals are blanked, every line is where it was. */
export function codeOf(text: string): string {
  let code = '';
  /** What each open brace returns to. */
  const open: ('block' | 'template')[] = [];
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = code.length;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) code += found.replaceAll(/[^\n]/g, ' ');
    return found;
  };
  const takeTemplate = (): void => {
    if (take(templateText)?.endsWith('{')) open.push('template');
  };
  while (code.length < text.length) {
    if (take(literal) !== undefined) continue;
    const character = text[code.length] ?? '';
    const returnsTo = character === '}' ? open.pop() : undefined;
    code += character === '`' || returnsTo === 'template' ? ' ' : character;
    if (character === '{') open.push('block');
    else if (character === '`' || returnsTo === 'template') takeTemplate();
  }
  return code;
}

/** All imports and re-exports, also lazy ones and those in types. */
export function importsOf(text: string): readonly Import[] {
  const found: Import[] = [];
  for (const match of text.matchAll(/^(?:import|export)\s+(type\s)?[^'";]*?from '([^']+)';|^import '([^']+)';/gm)) {
    found.push({ from: match[2] ?? match[3] ?? '', isType: match[1] !== undefined, isLazy: false });
  }
  for (const match of text.matchAll(/\bimport\((?:'([^']+)')?/g)) {
    found.push({ from: match[1] ?? '', isType: false, isLazy: true });
  }
  return found;
}

/** A line that ends in the opening of a block, as a function's does. */
const opens = /(?:=> \(?\{|\)(?:: .+)? \{)$/;
const isControl = /^(?:if|for|while|switch|do|try|catch|with)\b|^\}/;

/**
 * Every function with a block, by the layout that `biome` gives it: it begins at the line that holds its name (or the
 * opening of its parameters), and ends at the next line with the same indentation that closes and does not open.
 */
export function functionsOf(text: string): readonly MeasuredFunction[] {
  const lines = codeOf(text).split('\n');
  const found: MeasuredFunction[] = [];
  lines.forEach((line, index) => {
    const code = line.trim();
    const isStart = /\bfunction\b/.test(code) || (opens.test(code) && !isControl.test(code) && !code.startsWith(')'));
    // Parameters on lines of their own: the line that closes them belongs to the one that opened them.
    const first = /^[)>].*\{$/.test(code) ? openingLine(lines, index) : index;
    if (!isStart && first === index) return;
    if (isControl.test(lines[first]?.trim() ?? '') || found.some((one) => one.line === first + 1)) return;
    const last = closingLine(lines, index);
    if (last !== undefined) found.push({ line: first + 1, lines: last - first + 1 });
  });
  return found;
}

function indentation(line: string | undefined): number {
  return line === undefined || line.trim() === '' ? Number.POSITIVE_INFINITY : line.length - line.trimStart().length;
}

function openingLine(lines: readonly string[], index: number): number {
  let first = index - 1;
  while (first > 0 && (indentation(lines[first]) > indentation(lines[index]) || /^\s*[)>}]/.test(lines[first] ?? '')))
    first -= 1;
  return first;
}

function closingLine(lines: readonly string[], index: number): number | undefined {
  if (/\}[;,)]*$/.test(lines[index] ?? '')) return undefined;
  for (let last = index + 1; last < lines.length; last += 1) {
    const code = lines[last]?.trim() ?? '';
    if (indentation(lines[last]) > indentation(lines[index])) continue;
    if (code.startsWith('}') && !code.endsWith('{')) return last;
    // An overload, or a function type over several lines: there is no block.
    if (!code.startsWith('}') && !code.startsWith(')')) return undefined;
  }
  return undefined;
}
