/** `systemd`: prints a unit for the agent of a configuration, or for a monitor. */
import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { commandLine } from '../create/shell.ts';
import { unitName, unitText } from '../create/unit.ts';
import type { ConfigPath, Context } from './context.ts';
import type { ExitCode } from './output.ts';
import type { MonitorCommand } from './programs.ts';

/** Hands over, and stops PostgreSQL: 90 s at most, and the fence behind it. */
const agentStopS = 120;
/** Fast, then immediate. */
const monitorStopS = 40;

/** The program as it was installed: `bin/pgherd`, beside the bundle or above the sources. */
export function launcherPath(): string {
  const main = resolve(process.argv[1] ?? '');
  return join(dirname(main), main.endsWith('.ts') ? '../..' : '..', 'bin/pgherd');
}

/** The unit of the agent that runs with this configuration, as the owner of the file. */
export async function printAgentUnit({ path }: ConfigPath, { output, environment }: Context): Promise<ExitCode> {
  const loaded = await loadConfig(path, environment);
  if (!loaded.ok) {
    for (const problem of loaded.problems) output.note(problem);
    return 1;
  }
  const { name, scope } = loaded.config;
  const config = resolve(path);
  output.print(
    unitText({
      description: `pgherd agent: member ${name} of the cluster ${scope}`,
      command: [launcherPath(), 'agent', config],
      user: userName((await stat(config)).uid),
      stopWithinS: agentStopS,
      madeBy: commandLine('pgherd', 'systemd', config),
    }).trimEnd(),
  );
  output.note(installText(unitName(scope)));
  return 0;
}

/** The unit of a monitor, as the user that asks. */
export function printMonitorUnit({ pgdata, listen, auth }: MonitorCommand, { output }: Context): ExitCode {
  const options = ['--pgdata', resolve(pgdata), '--listen', listen, '--auth', auth];
  output.print(
    unitText({
      description: 'pgherd monitor: what the members of clusters agree on',
      command: [launcherPath(), 'monitor', ...options],
      user: userName(process.getuid?.() ?? 0),
      stopWithinS: monitorStopS,
      madeBy: commandLine('pgherd', 'systemd', '--monitor', ...options),
    }).trimEnd(),
  );
  output.note(installText(unitName('monitor')));
  return 0;
}

/** undefined: root. A number where it is not our own name. */
function userName(uid: number): string | undefined {
  if (uid === 0) return undefined;
  return uid === process.getuid?.() ? userInfo().username : String(uid);
}

function installText(unit: string): string {
  return `As root: put it in /etc/systemd/system/${unit}.service, then: systemctl daemon-reload && systemctl enable --now ${unit}`;
}
