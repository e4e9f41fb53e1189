/** synchronous_standby_names, as PostgreSQL reads it (src/backend/replication/syncrep_gram.y). */

/** How many of whom. */
export interface SyncNames {
  readonly method: 'any' | 'first';
  readonly count: number;
  /** Lower case: PostgreSQL compares without case. */
  readonly names: readonly string[];
}

/** Undefined for an empty setting: commits do not wait. */
export function parseNames(text: string): SyncNames | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  const match = /^(?:(ANY|FIRST)\s+)?(\d+)\s*\((.*)\)$/i.exec(trimmed);
  const list = match === null ? trimmed : (match[3] ?? '');
  return {
    method: match?.[1]?.toUpperCase() === 'ANY' ? 'any' : 'first',
    count: match === null ? 1 : Number(match[2]),
    names: listOf(list),
  };
}

function listOf(text: string): readonly string[] {
  return [...text.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)].map((match) =>
    (match[1]?.replaceAll('""', '"') ?? match[2] ?? '').toLowerCase(),
  );
}

/** 0: not a sync standby. In the order of the list, or 1 for everybody where any of them will do. */
export function priorityOf(names: SyncNames | undefined, standby: string): number {
  if (names === undefined) return 0;
  const lower = standby.toLowerCase();
  const index = names.names.findIndex((name) => name === lower || name === '*');
  if (index < 0) return 0;
  return names.method === 'any' ? 1 : index + 1;
}
