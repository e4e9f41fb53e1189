/** The faults: what is done to a healthy cluster, and how it is undone. */
import type { Host } from '../test/cluster/lab/host.ts';
import { postmasterOf, type Site } from './site.ts';
import { syncStandbyOf } from './status.ts';
import type { Cluster } from './systems/system.ts';

/** A cluster that is well, just before something happens to it. */
export interface Scene {
  readonly site: Site;
  readonly cluster: Cluster;
  readonly primary: Host;
}

/** Something that happened. */
interface Struck {
  /** Whose return is waited for in the end. */
  readonly victim: Host;
  /** Undoes it, as people or service managers would; undefined: there is nothing to undo. */
  readonly mend?: () => Promise<void>;
  /** What a command said that was refused, or failed. */
  readonly refusal?: string;
}

/** A kind of fault. */
export interface Fault {
  readonly name: string;
  readonly title: string;
  /** In one sentence, below the table. */
  readonly about: string;
  /** It is undone this long after it began; undefined: when commits have been acknowledged again for a while. */
  readonly lastsMs?: number;
  /** With a writer on the primary's own host, which sees it also when others do not. */
  readonly needsInside?: boolean;
  /** `begun` is called at the moment from which time counts. */
  readonly strike: (scene: Scene, begun: () => void) => Struck;
}

const partitionMs = 60_000;
const agentOutageMs = 45_000;

export const faults: readonly Fault[] = [
  {
    name: 'crash',
    title: 'PostgreSQL is killed',
    about: 'SIGKILL of the postmaster of the primary.',
    strike({ cluster, primary }, begun) {
      const postmaster = postmasterOf(primary, cluster.dataDir(primary));
      if (postmaster === undefined) throw new Error(`${primary.name} has no postmaster`);
      begun();
      process.kill(postmaster, 'SIGKILL');
      return { victim: primary };
    },
  },
  {
    name: 'switchover',
    title: 'Planned switchover',
    about: "The system's own command, where it has one.",
    strike({ cluster, primary }, begun) {
      begun();
      try {
        cluster.switchover(primary);
        return { victim: primary };
      } catch (error) {
        return { victim: primary, refusal: error instanceof Error ? error.message : String(error) };
      }
    },
  },
  {
    name: 'power-off',
    title: 'The host of the primary is lost',
    about:
      'The network link of the primary goes down, then SIGKILL of everything on its host; power and services come back 5 s after commits are acknowledged again.',
    strike: ({ site, cluster, primary }, begun) => powerOff(site, cluster, primary, begun),
  },
  {
    name: 'replica-power-off',
    title: 'The host of a replica is lost',
    about: 'The same for a sync standby, or for a replica when commits wait for nobody.',
    strike({ site, cluster, primary }, begun) {
      const replica = syncStandbyOf(site, cluster, primary) ?? cluster.hosts.find((host) => host !== primary);
      return powerOff(site, cluster, replica ?? primary, begun);
    },
  },
  {
    name: 'partition',
    title: 'The primary is cut off for 60 s',
    about:
      'Nothing comes or goes through the network of the primary (its card keeps its carrier), while a client on its own host goes on writing; undone after 60 s.',
    lastsMs: partitionMs,
    needsInside: true,
    strike({ primary }, begun) {
      begun();
      primary.cutOff();
      return { victim: primary, mend: async () => primary.plugIn() };
    },
  },
  {
    name: 'agent-kill',
    title: 'The agent is killed for 45 s',
    about:
      'SIGKILL of the agent beside the primary, and no service manager that starts it again before 45 s have passed.',
    lastsMs: agentOutageMs,
    strike({ cluster, primary }, begun) {
      const agents = agentsOf(cluster, primary);
      begun();
      for (const pid of agents) send(pid, 'SIGKILL');
      return { victim: primary, mend: async () => cluster.startAgents(primary) };
    },
  },
  {
    name: 'agent-stop',
    title: 'The agent is stopped for 45 s',
    about: 'SIGSTOP of the agent beside the primary, SIGCONT after 45 s.',
    lastsMs: agentOutageMs,
    strike({ cluster, primary }, begun) {
      const agents = agentsOf(cluster, primary);
      begun();
      for (const pid of agents) send(pid, 'SIGSTOP');
      const mend = async (): Promise<void> => {
        for (const pid of agents) send(pid, 'SIGCONT');
      };
      return { victim: primary, mend };
    },
  },
];

function powerOff(site: Site, cluster: Cluster, victim: Host, begun: () => void): Struck {
  begun();
  victim.powerOff();
  const mend = async (): Promise<void> => {
    await site.powerOn(victim);
    cluster.boot(victim);
  };
  return { victim, mend };
}

function agentsOf(cluster: Cluster, host: Host): readonly number[] {
  const agents = cluster.agents(host);
  if (agents.length === 0) throw new Error(`${host.name} has no agent`);
  return agents;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself meanwhile.
  }
}
