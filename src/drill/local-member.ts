/** The member of this host: the processes that a drill may stop or kill. */
import { agentOf } from '../host/state-directory.ts';
import { messageOf } from '../lib/caught.ts';
import { chooseOsUser } from '../postgres/os-user.ts';
import { type InstanceProcess, readPidFile } from '../postgres/process-table.ts';

/** What the configuration says of the member on this host. */
export interface LocalMember {
  readonly name: string;
  readonly dataDir: string;
  readonly stateDirectory: string;
}

/** Its processes as they are now, or why they cannot be had. */
export type LocalProcesses =
  | { readonly ok: true; readonly postmaster: InstanceProcess; readonly agentPid: number }
  | { readonly ok: false; readonly error: string };

/** Finds both, and makes sure that this user may send them signals. */
export async function findProcesses({ dataDir, stateDirectory }: LocalMember): Promise<LocalProcesses> {
  const agent = await agentOf(stateDirectory);
  if (!agent.ok) return agent;
  const user = chooseOsUser(dataDir);
  if (!user.ok) return user;
  const file = readPidFile(dataDir, user.user);
  if (file === undefined || file.singleUser) return { ok: false, error: `no PostgreSQL runs on ${dataDir}` };
  for (const pid of [agent.pid, file.process.pid]) {
    try {
      process.kill(pid, 0);
    } catch (error) {
      return { ok: false, error: `process ${pid}: ${messageOf(error)}; run the drill as the user of the agent` };
    }
  }
  return { ok: true, postmaster: file.process, agentPid: agent.pid };
}
