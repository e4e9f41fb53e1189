/** A release after this one: what it writes in between, and reads, that this one does not know. */
import type { ClusterView, MemberRecord } from '../core/model.ts';
import type { Model } from '../dcs/memory/model.ts';
import type { Member, World } from './world.ts';

/** An object, field by field. */
export type Fields = Readonly<Record<string, unknown>>;

/** A word for each state in which nothing can be had of a member; that it runs is said as ever. */
const words: Readonly<Partial<Record<MemberRecord['state'] | MemberRecord['role'], string>>> = {
  'creating replica': 'copying',
  'initializing new cluster': 'being born',
  starting: 'warming up',
  stopped: 'at rest',
  crashed: 'beside itself',
  uninitialized: 'newborn',
};

/** As the next release writes it, over what is there now. */
export function asNext(model: Model<unknown>, key: string, text: string): string {
  const [folder = ''] = key.split('/');
  if (!['rule', 'terms', 'config', 'failover', 'members', 'revoke', 'status'].includes(folder)) return text;
  const before = parsed(model.keys.get(key)?.value);
  const now = parsed(text);
  if (Array.isArray(now))
    return JSON.stringify(now.map((row: Fields) => ({ next: `of term ${String(row['term'])}`, ...row })));
  const fields = fieldsOf(now);
  if (folder === 'members') return JSON.stringify({ ...fields, ...inNextWords(fields), next: 1 });
  if (folder === 'rule') return JSON.stringify({ ...fields, next: countOf(before) + 1 });
  if (folder !== 'config') return JSON.stringify({ ...fields, next: 1 });
  return JSON.stringify({ ...fields, next: 1, postgresql: { ...fieldsOf(fields['postgresql']), next: [1] } });
}

function inNextWords({ state, role }: Fields): Fields {
  const table: Fields = words;
  return { state: table[String(state)] ?? state, role: table[String(role)] ?? role };
}

/** What a stored text says; undefined when there is none. */
export function parsed(value: unknown): unknown {
  return typeof value === 'string' && value !== '' ? JSON.parse(value) : undefined;
}

/** Nothing of what is no object. */
export function fieldsOf(value: unknown): Fields {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an object is looked at field by field
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

/** The next release's own count in a record; 0 where it has not written it. */
export function countOf(value: unknown): number {
  return Number(fieldsOf(value)['next'] ?? 0);
}

/** The same view as the next release reads it: it knows its own words. */
export function viewFor(world: World, { agent }: Member, view: ClusterView): ClusterView {
  if (agent.release === 'this') return view;
  let found = nextViews.get(view);
  if (found === undefined) {
    const members = new Map(
      [...view.members].map(([name, one]) => [name, { ...one, value: inOurWords(world, name, one.value) }]),
    );
    found = { ...view, members };
    nextViews.set(view, found);
  }
  return found;
}

const nextViews = new WeakMap<ClusterView, ClusterView>();

function inOurWords(world: World, name: string, record: MemberRecord): MemberRecord {
  const { state, role } = fieldsOf(parsed(world.store.model.keys.get(`members/${name}`)?.value));
  return { ...record, ...ours('state', state), ...ours('role', role) };
}

function ours(field: 'state' | 'role', word: unknown): Fields {
  const known = Object.entries(words).find(([, theirs]) => theirs === word);
  return known === undefined ? {} : { [field]: known[0] };
}
