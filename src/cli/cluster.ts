/** Reads a cluster for the command line: from the DCS, or, when that does not answer, from the agents. */
import { askMember } from '../api/client.ts';
import { formatAddress } from '../config/address.ts';
import type { ControlConfig } from '../config/config.ts';
import { dcsExamples } from '../config/schema-stores.ts';
import { openDcs } from '../dcs/open.ts';
import { decodeView } from '../dcs/records.ts';
import { bootClock } from '../host/clock.ts';
import type { Dcs, Snapshot } from '../ports/dcs.ts';
import { type Refusal, refuse } from './output.ts';
import { type AgentAnswer, fromAgents, fromView, type KnownMember, type ShownCluster } from './shown-cluster.ts';

/** How long the DCS may take to answer a person. */
const dcsTimeoutMs = 3000;
/** How long an agent may take. */
const agentTimeoutMs = 2000;
/** How long one may take that need not be there at all. */
const unlistedTimeoutMs = 500;

/** The cluster from the DCS, or from the agents where the DCS does not answer. */
export type ReadCluster =
  | { readonly ok: true; readonly cluster: ShownCluster; readonly source: 'dcs'; readonly snapshot: Snapshot }
  | { readonly ok: true; readonly cluster: ShownCluster; readonly source: 'rest'; readonly dcsError: string }
  | Refusal;

/** The DCS of a cluster; `use` gets it, and it is closed afterwards. */
export async function withDcs<Result>(
  config: ControlConfig,
  scope: string,
  use: (dcs: Dcs, signal: AbortSignal) => Promise<Result>,
): Promise<Result | Refusal> {
  if (!config.dcs)
    return refuse(`the configuration names no DCS; name it: ${dcsExamples.monitor}, or ${dcsExamples.etcd3}`);
  const dcs = await openDcs(config.dcs, {
    prefix: `${config.namespace}/${scope}/`,
    clock: bootClock(),
    timeoutMs: dcsTimeoutMs,
  });
  try {
    return await use(dcs, AbortSignal.timeout(dcsTimeoutMs));
  } finally {
    await dcs.close();
  }
}

/** The cluster `scope` as it is now. */
export async function readCluster(config: ControlConfig, scope: string): Promise<ReadCluster> {
  const read = await withDcs(config, scope, (dcs, signal) => dcs.read(signal));
  if ('kind' in read && read.kind === 'read') {
    const cluster = fromView(scope, decodeView(read.snapshot));
    return { ok: true, cluster, source: 'dcs', snapshot: read.snapshot };
  }
  const dcsError = read.error;
  if (!config.restapi) {
    return refuse(`${dcsError}; and the configuration names no restapi.connect_address to ask an agent instead`);
  }
  const cluster = await askAgents(`http://${formatAddress(config.restapi)}`, scope);
  if (cluster.ok) return { ok: true, cluster: cluster.cluster, source: 'rest', dcsError };
  return refuse(`${dcsError}; and the agents do not answer either: ${cluster.error}`);
}

/**
 * What the configuration's own agent waits for, when the DCS lists no agent at its address: another member has its
 * name, or it is only starting. undefined: it is listed, does not answer, or belongs to another cluster.
 */
export async function unlistedAgent(config: ControlConfig, cluster: ShownCluster): Promise<string | undefined> {
  if (!config.restapi) return undefined;
  const address = formatAddress(config.restapi);
  const isListed = cluster.members.some(({ apiUrl }) => URL.canParse(apiUrl) && new URL(apiUrl).host === address);
  if (isListed) return undefined;
  const outcome = await askMember(`http://${address}`, '/patroni', { timeoutMs: unlistedTimeoutMs });
  if (!outcome.ok || outcome.answer.patroni.scope !== cluster.scope) return undefined;
  const { patroni, because } = outcome.answer;
  return `${patroni.name}, whose agent is at ${address}, is not in the DCS: ${because ?? 'it does not say why'}`;
}

/** What the agent at `url` knows of its cluster, and what each member then says of itself. */
async function askAgents(
  url: string,
  scope: string,
): Promise<{ readonly ok: true; readonly cluster: ShownCluster } | Refusal> {
  const options = { timeoutMs: agentTimeoutMs };
  const known = await askMember(url, '/cluster', options);
  if (!known.ok) return refuse(known.error);
  if (known.answer.scope !== scope)
    return refuse(`${url} belongs to the cluster ${known.answer.scope}, not to ${scope}`);
  const answers = new Map<string, AgentAnswer>();
  const ask = async (member: KnownMember): Promise<void> => {
    const answer = await askMember(member.api_url ?? '', '/patroni', options);
    if (answer.ok && answer.answer.patroni.name === member.name) answers.set(member.name, answer.answer);
  };
  await Promise.all(known.answer.members.map(ask));
  return { ok: true, cluster: fromAgents(scope, known.answer.members, answers) };
}
