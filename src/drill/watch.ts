/** Looks at the cluster a few times a second, through its agents, and keeps what changed. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterAnswer, ClusterMemberAnswer, MemberAnswer } from '../api/answers.ts';
import { askMember } from '../api/client.ts';

/** Of a member, what its role and state were from then on. */
export interface Observation {
  /** On the clock of `performance.now()`. */
  readonly atMs: number;
  readonly member: string;
  readonly role: string;
  readonly state: string;
}

/** A member and where its agent is. */
export interface AgentAddress {
  readonly name: string;
  readonly apiUrl: string;
}

/** What was seen of the cluster last, and all that changed. */
export interface Watch {
  readonly changes: readonly Observation[];
  /** As the agents that see the DCS tell it; undefined while none does. */
  cluster(): ClusterAnswer | undefined;
  /** What the agent of the victim tells of itself; undefined while it does not answer. */
  victim(): MemberAnswer | undefined;
  stop(): Promise<void>;
}

const everyMs = 50;
const askMs = 400;

/**
 * The cluster, from whichever agent answers first. The victim is not asked: an agent that stood still tells for a
 * moment what was true before.
 */
export async function lookAround(
  agents: readonly AgentAddress[],
  victim: string | undefined,
): Promise<ClusterAnswer | undefined> {
  const asked = agents
    .filter(({ name }) => name !== victim)
    .map(async ({ apiUrl }) => {
      const outcome = await askMember(apiUrl, '/cluster', { timeoutMs: askMs });
      const error = outcome.ok ? outcome.answer.dcs?.error : outcome.error;
      return outcome.ok && outcome.answer.dcs === undefined ? outcome.answer : Promise.reject(new Error(error));
    });
  return await Promise.any(asked).catch(() => undefined);
}

/** What the member's own agent says; undefined while it says nothing. */
export async function askVictim({ apiUrl }: AgentAddress): Promise<MemberAnswer | undefined> {
  const outcome = await askMember(apiUrl, '/patroni', { timeoutMs: askMs });
  return outcome.ok ? outcome.answer : undefined;
}

/** What is new in `seen`. A member that nobody lists any more is away. Pure. */
export function changesOf(
  before: readonly Observation[],
  seen: readonly Pick<ClusterMemberAnswer, 'name' | 'role' | 'state'>[],
  atMs: number,
): readonly Observation[] {
  const gone = [...new Set(before.map(({ member }) => member))]
    .filter((member) => !seen.some(({ name }) => name === member))
    .map((name) => ({ name, role: 'replica', state: 'unreachable' }));
  return [...seen, ...gone].flatMap(({ name, role, state }) => {
    const last = before.findLast((one) => one.member === name);
    return last?.role === role && last.state === state ? [] : [{ atMs, member: name, role, state }];
  });
}

/** Begins to look; ends with `stop`. */
export function startWatch(agents: readonly AgentAddress[], victim: AgentAddress): Watch {
  const changes: Observation[] = [];
  const stopping = new AbortController();
  const { signal } = stopping;
  let cluster: ClusterAnswer | undefined;
  let answer: MemberAnswer | undefined;

  const note = (): void => {
    if (cluster !== undefined) changes.push(...changesOf(changes, cluster.members, performance.now()));
  };
  const run = async (look: () => Promise<void>): Promise<void> => {
    while (!signal.aborted) {
      await look();
      await sleep(everyMs, undefined, { signal }).catch(() => {});
    }
  };
  // The two do not wait for each other: the victim may not answer for a long time.
  const done = Promise.all([
    run(async () => {
      cluster = await lookAround(agents, victim.name);
      note();
    }),
    run(async () => {
      answer = await askVictim(victim);
    }),
  ]);
  return {
    changes,
    cluster: () => cluster,
    victim: () => answer,
    stop: async () => {
      stopping.abort();
      await done;
    },
  };
}
