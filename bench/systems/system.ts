/** What the harness needs of a system under test. */
import type { Host } from '../../test/cluster/lab/host.ts';
import type { Site } from '../site.ts';

/** A high-availability system with one choice of settings. */
export interface System {
  /** As it is chosen on the command line and shown in tables. */
  readonly name: string;
  /** What was set, in the words of a reader: goes into every record and below the table. */
  readonly settings: string;
  /** Does a commit wait for a standby? */
  readonly isSynchronous: boolean;
  /** Debian packages without which it cannot run; the version of the first is told. None: it is pgherd itself. */
  readonly packages: readonly string[];
  /** The system on hosts that are on and empty. */
  readonly open: (site: Site) => Cluster;
}

/** A system's cluster on a site. */
export interface Cluster {
  /** Those with a database. All but one of them are replicas when the cluster is well. */
  readonly hosts: readonly Host[];
  readonly dataDir: (host: Host) => string;
  /** An address that follows the primary, where the system moves one. */
  readonly virtualAddress?: string;
  /** False: a lost primary comes back by hand only, so nobody waits long for it. */
  readonly bringsBack: boolean;
  /** From empty hosts to services that run; they may still be at work when this returns. */
  readonly bootstrap: () => Promise<void>;
  /** What a service manager starts when a database host boots. */
  readonly boot: (host: Host) => void;
  /** A planned change of the primary, to its end. Throws, with what was said, when it is refused. */
  readonly switchover: (from: Host) => void;
  /** What dies in the fault `agent-kill`, by outer pids. */
  readonly agents: (host: Host) => readonly number[];
  readonly startAgents: (host: Host) => void;
  /** Beyond a primary with all its replicas: is the system in its ordinary state? */
  readonly isReady: () => boolean;
  /** What runs besides PostgreSQL because of the system, for the idle cost. */
  readonly processes: () => readonly ProcessGroup[];
  /** Running totals of the shared store; undefined when there is none, or when it does not answer. */
  readonly storeTotals: () => StoreTotals | undefined;
}

/** Processes whose cost is told together. */
export interface ProcessGroup {
  /** `agent`: beside a database. `store`: what the agents agree on, wherever that runs. */
  readonly role: 'agent' | 'store';
  readonly host: Host;
  readonly pids: readonly number[];
}

/** Counted since the store was started. */
export interface StoreTotals {
  /** Changes that were made durable: rows, or entries of a replicated log. */
  readonly writes: number;
}
