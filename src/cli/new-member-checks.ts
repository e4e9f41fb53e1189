/** What has to hold before a member is made, by `create` or by `join`, as sentences with what was found. Pure. */
import { formatAddress } from '../config/address.ts';
import { slotNameOf } from '../core/slots.ts';
import type { HostFound } from '../create/host.ts';
import { type Place, tokenFileOf } from '../create/place.ts';
import type { Check } from './output.ts';
import { leaderOf, type ShownCluster } from './shown-cluster.ts';

/** A member that is to be. */
export interface NewMember {
  readonly scope: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly place: Place;
  readonly port: number;
}

/** What the DCS says of the cluster, or why it says nothing. */
export type DcsFound =
  | {
      readonly ok: true;
      readonly description: string;
      /** undefined: nothing of a cluster is there. */
      readonly cluster: ShownCluster | undefined;
      /** Of `pgherd create`. */
      readonly prepared: { readonly by: string; readonly at: string } | undefined;
    }
  | { readonly ok: false; readonly error: string };

/** A sentence, and in brackets what was found and what to do, if it does not hold. */
function check(what: string, trouble: string | undefined): Check {
  return trouble === undefined ? { what, holds: true } : { what: `${what} (${trouble})`, holds: false };
}

/** For `create`, in the order in which they are told. */
export function createChecks(member: NewMember, dcs: DcsFound, host: HostFound, replace: boolean): readonly Check[] {
  return [
    answers(dcs),
    ...(dcs.ok ? notThereYet(member, dcs, replace) : []),
    named(member),
    ...hostChecks(member, host),
    check(`the data directory ${member.place.dataDir} is free`, whyNotFree(host)),
    check('no state of a former member is beside it', whyRemembered(host, undefined)),
    programs(host, undefined),
  ];
}

function answers(dcs: DcsFound): Check {
  return dcs.ok ? check(`the DCS answers: ${dcs.description}`, undefined) : check('the DCS answers', dcs.error);
}

function notThereYet({ scope }: NewMember, dcs: Extract<DcsFound, { ok: true }>, replace: boolean): readonly Check[] {
  const { cluster, prepared } = dcs;
  const what = `it has no cluster ${scope} yet`;
  if (cluster !== undefined) {
    const names = cluster.members.map(({ name }) => name).join(', ');
    const of = names === '' ? 'it has one' : `it has one, of ${names}`;
    return [check(what, `${of}: add this host to it with \`pgherd join\`, or choose another --scope`)];
  }
  if (prepared === undefined || replace) return [check(what, undefined)];
  const by = `${prepared.by} prepared it at ${prepared.at} and its agent has not made it: start that agent`;
  return [check(what, `${by}; or, if there is none, take its place with --replace`)];
}

function named({ place, hostname }: NewMember): Check {
  if (place.name !== undefined) return check(`the member is ${place.name}`, undefined);
  return check('the member has a name', `the host's name, "${hostname}", makes none: give one with --name`);
}

/** What holds for both commands. */
function hostChecks({ place, port }: NewMember, host: HostFound): readonly Check[] {
  const { address } = host;
  const files = [
    ...(host.configExists ? [place.config] : []),
    ...(host.tokenExists ? [tokenFileOf(place.config)] : []),
  ];
  const there = `${files.join(' and ')} ${files.length > 1 ? 'are' : 'is'} there: start its agent (pgherd agent ${place.config}), move it away, or choose another --config`;
  return [
    address.ok
      ? check(`the others reach this host at ${formatAddress({ host: address.host, port })}`, undefined)
      : check('the others reach this host at a known address', address.error),
    check('its ports are free', host.taken.length === 0 ? undefined : host.taken.join('; ')),
    check(
      `the configuration ${place.config} can be made`,
      files.length > 0 ? there : host.unwritable.join('; ') || undefined,
    ),
    check(
      'no agent works on the data directory',
      host.agentPid === undefined ? undefined : `process ${host.agentPid} does: it is a member already`,
    ),
    host.user.ok
      ? check(`PostgreSQL runs as ${host.user.user.name}: ${host.user.user.because}`, undefined)
      : check('PostgreSQL has a user to run as', host.user.error),
  ];
}

/** `major`: of the primary. */
function programs({ binaries }: HostFound, major: number | undefined): Check {
  const wanted = major === undefined ? 'PostgreSQL' : `PostgreSQL ${major}, the primary's version,`;
  if (!binaries.ok) return check(`${wanted} is here`, binaries.error);
  const { dir, major: found } = binaries.binaries;
  return check(major === undefined ? `PostgreSQL ${found} is here: ${dir}` : `${wanted} is here: ${dir}`, undefined);
}

function whyNotFree({ directory }: HostFound): string | undefined {
  if (directory.kind === 'free') return undefined;
  if (directory.kind === 'other') return `${directory.error}: choose another --data-dir`;
  return (
    `it is a data directory, with system identifier ${directory.systemId}: an agent adopts one that is there, so write a ` +
    'configuration that names it (docs/configuration.md) and start `pgherd agent`; or choose another --data-dir'
  );
}

/** `systemId`: of the cluster that the state may be of. */
function whyRemembered({ remembered }: HostFound, systemId: string | undefined): string | undefined {
  if (remembered === undefined) return undefined;
  const { path, member } = remembered;
  if (systemId !== undefined && remembered.systemId === systemId) return undefined;
  const of = remembered.systemId === undefined ? 'another cluster' : `system identifier ${remembered.systemId}`;
  return `${path} is that of ${member ?? 'a member'}, of ${of}: if that data is not needed any more, move the folder away; or choose another --data-dir`;
}

/* ---------------------------------------------------------------- join */

/** What else `join` found. */
export interface JoinFound {
  /** What the token did. */
  readonly opened: 'opened' | 'wrong' | 'nothing to open' | { readonly error: string };
  /** Of the primary's PostgreSQL; undefined: it has not said it. */
  readonly major: number | undefined;
  /** As which the other members would know this one. */
  readonly address: { readonly host: string; readonly port: number } | undefined;
}

/** For `join`, in the order in which they are told. */
export function joinChecks(member: NewMember, dcs: DcsFound, host: HostFound, found: JoinFound): readonly Check[] {
  const cluster = dcs.ok ? dcs.cluster : undefined;
  const systemId = cluster?.systemId || undefined;
  const { dataDir } = member.place;
  return [
    answers(dcs),
    ...(dcs.ok ? clusterChecks(member, dcs) : []),
    ...(dcs.ok && (cluster !== undefined || dcs.prepared !== undefined)
      ? [check('the token opens its credentials', whyClosed(found))]
      : []),
    named(member),
    ...(cluster === undefined ? [] : likeNobody(member, cluster, found)),
    ...hostChecks(member, host),
    check(`the data directory ${dataDir} is free, or of this cluster`, whyForeign(host, systemId)),
    check('no state of another cluster is beside it', whyRemembered(host, systemId)),
    programs(host, found.major),
  ];
}

function clusterChecks({ scope, namespace }: NewMember, dcs: Extract<DcsFound, { ok: true }>): readonly Check[] {
  const { cluster, prepared } = dcs;
  if (cluster === undefined && prepared === undefined) {
    const why = `it knows none of this name (namespace ${namespace}): name the cluster with --scope, or make it with \`pgherd create\``;
    return [check(`it has the cluster ${scope}`, why)];
  }
  const leader = cluster && leaderOf(cluster);
  if (leader?.state === 'running')
    return [check(`it has the cluster ${scope}, of which ${leader.name} is primary`, undefined)];
  const founder = prepared === undefined ? 'its first member' : prepared.by;
  const why =
    cluster === undefined
      ? `${founder} has not made it yet: start the agent there`
      : 'no member is primary: see `pgherd list`, and join when there is one';
  return [check(`the cluster ${scope} has a primary that runs`, why)];
}

function whyClosed({ opened }: JoinFound): string | undefined {
  if (opened === 'opened') return undefined;
  if (opened === 'wrong') {
    return 'it is the token of another cluster, or of an earlier one of this name: on a member `pgherd uri --join` prints the right one';
  }
  if (opened === 'nothing to open') {
    return 'they are not in the DCS, since the cluster was not made by `pgherd create`: write the configuration by hand (docs/configuration.md)';
  }
  return opened.error;
}

/** Members that live: their records hang on a lease. */
function likeNobody({ place }: NewMember, cluster: ShownCluster, { address }: JoinFound): readonly Check[] {
  const live = cluster.members.filter(({ host, role }) => host !== '' || role === 'witness');
  const { name } = place;
  const namesake =
    name === undefined
      ? undefined
      : live.find((one) => one.name.toLowerCase() === name.toLowerCase() || slotNameOf(one.name) === slotNameOf(name));
  const near = namesake?.name === name ? '' : ', whose name PostgreSQL could not tell from this one';
  const neighbour =
    address &&
    live.find((one) => one.host === address.host && (one.port ?? 5432) === address.port && one.name !== name);
  return [
    check('no other member has this name', namesake && `${namesake.name} is a member${near}: give another --name`),
    check(
      'no other member has this address',
      neighbour && address && `${neighbour.name} is at ${formatAddress(address)}: give another --address or --port`,
    ),
  ];
}

function whyForeign({ directory }: HostFound, systemId: string | undefined): string | undefined {
  if (directory.kind === 'free') return undefined;
  if (directory.kind === 'other') return `${directory.error}: choose another --data-dir`;
  if (directory.systemId === systemId) return undefined;
  const theirs = systemId === undefined ? '' : `, the cluster has ${systemId}`;
  return `it has system identifier ${directory.systemId}${theirs}: it is left alone, choose another --data-dir`;
}
