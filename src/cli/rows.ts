/** The rows of `list` and `topology`, and what stands below the table. Pure. */
import { formatLsn, type Lsn } from '../core/lsn.ts';
import { leaderOf, type ShownCluster, type ShownMember, type ShownRole, shownLag } from './shown-cluster.ts';
import { type Cell, type Column, type Format, render, type Table } from './table.ts';

const roleNames: Readonly<Record<ShownRole, string>> = {
  leader: 'Leader',
  standby_leader: 'Standby Leader',
  sync_standby: 'Sync Standby',
  quorum_standby: 'Quorum Standby',
  replica: 'Replica',
  witness: 'Witness',
};

const columns: readonly Column[] = [
  { name: 'Cluster', machineOnly: true },
  { name: 'Member' },
  { name: 'Host' },
  { name: 'Role' },
  { name: 'State' },
  { name: 'TL', align: 'right' },
  { name: 'Receive LSN', align: 'right' },
  { name: 'Receive Lag', shortName: 'Lag', align: 'right' },
  { name: 'Replay LSN', align: 'right' },
  { name: 'Replay Lag', shortName: 'Lag', align: 'right' },
];

/** There when a member has it, or when asked for. */
const moreColumns: readonly (Column & { readonly of: (member: ShownMember, forPeople: boolean) => Cell })[] = [
  { name: 'Pending restart', of: (member) => (member.pendingRestart ? '*' : '') },
  { name: 'Pending restart reason', of: (member, forPeople) => reasonText(member, forPeople) },
  { name: 'Scheduled restart', of: (member) => member.scheduledRestart },
  { name: 'Tags', of: (member) => member.tags },
];

/** Long reasons would make the table too wide to read. */
function reasonText(member: ShownMember, forPeople: boolean): string {
  const text = member.pendingReasons.join('\n');
  return forPeople && text.length > 50 ? '[hidden - too long]' : text;
}

/** Megabytes, as Patroni rounds them. */
function megabytes(bytes: bigint | undefined): Cell {
  return bytes === undefined ? '' : Math.round(Number(bytes) / 1_048_576);
}

function positionCells(cluster: ShownCluster, member: ShownMember, position: Lsn | undefined): readonly [Cell, Cell] {
  if (['leader', 'standby_leader', 'witness'].includes(member.role)) return ['', ''];
  if (position === undefined) return ['unknown', ''];
  return [formatLsn(position), megabytes(shownLag(cluster, position))];
}

/** Ports are shown where they say something: one is not the usual one, or two members share a host. */
function hostTexts(members: readonly ShownMember[]): ReadonlyMap<string, string> {
  const hosts = members.map((member) => member.host).filter((host) => host !== '');
  const usual = members.every((member) => (member.port ?? 5432) === 5432);
  const withPort = !usual || new Set(hosts).size < hosts.length;
  return new Map(
    members.map((member) => {
      const port = withPort && member.host !== '' ? `:${member.port ?? 5432}` : '';
      return [member.name, `${member.host}${port}`];
    }),
  );
}

/** How `list` and `topology` show a cluster. */
export interface ListOptions {
  readonly format: Format;
  readonly extended: boolean;
  /** As a tree: who streams from whom. */
  readonly tree: boolean;
}

/** The table, and for people what stands below it. No line break at the end. */
export function renderCluster(cluster: ShownCluster, options: ListOptions): string {
  const text = render(clusterTable([cluster], options), options.format, options.tree);
  return options.format === 'pretty' ? [text, ...footers(cluster)].join('\n') : text;
}

/** Several clusters in one machine-readable answer. */
export function renderClusters(clusters: readonly ShownCluster[], options: ListOptions): string {
  return render(clusterTable(clusters, options), options.format);
}

function clusterTable(clusters: readonly ShownCluster[], { extended, tree, format }: ListOptions): Table {
  const forPeople = format === 'pretty';
  const members = clusters.flatMap((cluster) => cluster.members);
  const more = moreColumns.filter(({ of }) => extended || members.some((member) => !isEmpty(of(member, forPeople))));
  const [only] = clusters;
  return {
    columns: [...columns, ...more.map(({ name }) => ({ name }))],
    rows: clusters.flatMap((cluster) => {
      const hosts = hostTexts(cluster.members);
      return ordered(cluster, tree).map(({ member, depth }) => [
        cluster.scope,
        depth > 0 ? `${'  '.repeat(depth - 1)}+ ${member.name}` : member.name,
        hosts.get(member.name),
        roleNames[member.role],
        member.state,
        member.timeline,
        ...positionCells(cluster, member, member.receivedLsn),
        ...positionCells(cluster, member, member.replayedLsn),
        ...more.map(({ of }) => of(member, forPeople)),
      ]);
    }),
    ...(only && clusters.length === 1 && { title: `Cluster: ${only.scope} (${systemIdText(only)})` }),
  };
}

function isEmpty(cell: Cell): boolean {
  return cell === undefined || cell === '' || (typeof cell === 'object' && Object.keys(cell).length === 0);
}

function systemIdText(cluster: ShownCluster): string {
  if (cluster.systemId === undefined) return 'uninitialized';
  return cluster.systemId === '' ? 'initializing' : cluster.systemId;
}

interface Placed {
  readonly member: ShownMember;
  readonly depth: number;
}

/** By name; as a tree: the leader first, below each member those that stream from it. */
function ordered(cluster: ShownCluster, tree: boolean): readonly Placed[] {
  if (!tree) return cluster.members.map((member) => ({ member, depth: 0 }));
  const leader = leaderOf(cluster);
  const names = new Set(cluster.members.map((member) => member.name));
  const upstreamOf = (member: ShownMember): string | undefined => {
    const wished = member.tags['replicatefrom'];
    return typeof wished === 'string' && names.has(wished) && wished !== member.name ? wished : leader?.name;
  };
  const placed: Placed[] = [];
  const place = (member: ShownMember, depth: number): void => {
    if (placed.some((earlier) => earlier.member === member)) return;
    placed.push({ member, depth });
    const below = cluster.members.filter((other) => other !== leader && upstreamOf(other) === member.name);
    for (const other of below) place(other, depth + 1);
  };
  if (leader) place(leader, 0);
  // Without a leader, or where members name each other.
  for (const member of cluster.members) place(member, 0);
  return placed;
}

/** Nothing is to be said of a member that does its part: a replica that runs and does not stream does not. */
function isSettled({ role, state }: ShownMember): boolean {
  if (role === 'witness') return state === 'running';
  return state === 'streaming' || (state === 'running' && (role === 'leader' || role === 'standby_leader'));
}

function footers(cluster: ShownCluster): readonly string[] {
  const lines = cluster.paused ? [' Maintenance mode: on'] : [];
  if (cluster.degraded !== undefined) lines.push(` ${cluster.degraded}`);
  const planned = cluster.scheduledSwitchover;
  if (planned) {
    lines.push(` Switchover scheduled at: ${planned.at}`);
    for (const [word, name] of [
      ['from', planned.from],
      ['to', planned.to],
    ]) {
      if (name !== undefined) lines.push(`${`${word}: `.padStart(26)}${name}`);
    }
  }
  for (const member of cluster.members) {
    if (member.because !== undefined && !isSettled(member)) lines.push(` ${member.name}: ${member.because}`);
  }
  return [...lines, ...cluster.unreadable.map((error) => ` unreadable in the DCS: ${error}`)];
}
