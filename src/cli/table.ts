/** Rows as text: Patroni's tables, tab-separated values, JSON and YAML, byte for byte as patronictl prints them. */
import { stringify } from 'yaml';

/** What `--format` allows. */
export type Format = 'pretty' | 'tsv' | 'json' | 'yaml';

/** A value as machines get it; undefined = nothing is known. */
export type Cell = string | number | Readonly<Record<string, string | number | boolean>> | undefined;

/** A column of a table, and where it shows. */
export interface Column {
  readonly name: string;
  /** In pretty tables, where it differs. */
  readonly shortName?: string;
  readonly align?: 'right';
  /** Not in pretty tables. */
  readonly machineOnly?: boolean;
}

/** Rows before they have a format. */
export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
  /** In the top border of a pretty table. */
  readonly title?: string;
}

/** The table without a line break at its end. */
export function render(table: Table, format: Format, flowTags: boolean = false): string {
  switch (format) {
    case 'json':
      return pythonJson(records(table));
    case 'yaml':
      return stringify(records(table), { sortMapEntries: true, version: '1.1', singleQuote: true, lineWidth: 0 });
    case 'tsv':
      return separated(table);
    case 'pretty':
      break;
  }
  return pretty(table, flowTags);
}

/** Objects without the empty fields. */
function records({ columns, rows }: Table): readonly Readonly<Record<string, Cell>>[] {
  return rows.map((row) =>
    Object.fromEntries(
      columns
        .map((column, index): readonly [string, Cell] => [column.name, row[index]])
        .filter(([, cell]) => cell !== undefined && cell !== '' && !isEmptyMap(cell)),
    ),
  );
}

function isEmptyMap(cell: Cell): boolean {
  return typeof cell === 'object' && Object.keys(cell).length === 0;
}

/** JSON with Python's separators. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${fields.map(([name, item]) => `${JSON.stringify(name)}: ${pythonJson(item)}`).join(', ')}}`;
}

function separated({ columns, rows }: Table): string {
  const lines = rows.map((row) => row.map((cell) => cellText(cell, true).replaceAll(/[\t\n]/g, ' ')).join('\t'));
  return [columns.map((column) => column.name).join('\t'), ...lines].join('\n');
}

/** Maps as YAML: in one line `{k: v}`, or a line for each key. */
function cellText(cell: Cell, flow: boolean): string {
  if (cell === undefined || isEmptyMap(cell)) return '';
  if (typeof cell !== 'object') return String(cell);
  const pairs = Object.entries(cell)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}: ${stringify(value, { version: '1.1', singleQuote: true, lineWidth: 0 }).trim()}`);
  return flow ? `{${pairs.join(', ')}}` : pairs.join('\n');
}

function pretty(table: Table, flowTags: boolean): string {
  const shown = table.columns.map((column, index) => ({ column, index })).filter(({ column }) => !column.machineOnly);
  const header = shown.map(({ column }) => column.shortName ?? column.name);
  const body = table.rows.map((row) => shown.map(({ index }) => cellText(row[index], flowTags).split('\n')));
  const widths = shown.map((_, at) =>
    Math.max(width(header[at] ?? ''), ...body.flatMap((row) => (row[at] ?? []).map(width))),
  );
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, at) => {
      const space = ' '.repeat((widths[at] ?? 0) - width(cell));
      return shown[at]?.column.align === 'right' ? space + cell : cell + space;
    });
    return `| ${padded.join(' | ')} |`;
  };
  const rule = `+${widths.map((columnWidth) => '-'.repeat(columnWidth + 2)).join('+')}+`;
  const lines = body.flatMap((row) => {
    const height = Math.max(...row.map((cell) => cell.length));
    return Array.from({ length: height }, (_, at) => line(row.map((cell) => cell[at] ?? '')));
  });
  const title = table.title === undefined ? '' : `+ ${table.title} `;
  return [title + rule.slice(title.length), line(header), rule, ...lines, rule].join('\n');
}

/** Columns that a terminal needs for a text: East Asian wide characters take two. */
function width(text: string): number {
  let columns = 0;
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue;
    const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/.test(
      character,
    );
    columns += wide ? 2 : 1;
  }
  return columns;
}
