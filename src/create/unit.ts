/** Units for systemd. Pure. systemd.service(5), systemd.kill(5), systemd.exec(5). */

/** What the unit is to run. */
export interface UnitOptions {
  readonly description: string;
  /** Program and arguments; the program's path is absolute. */
  readonly command: readonly string[];
  /** undefined: root. */
  readonly user: string | undefined;
  /** How long an orderly stop may take. */
  readonly stopWithinS: number;
  /** Where the unit was asked for, for its first line. */
  readonly madeBy: string;
}

/** systemd gives root's services none; ~/.pgpass and a cache of compiled code are there. With `User=` it does. */
const ownHome = 'Environment=HOME=%h';

/** The text of the unit. */
export function unitText({ description, command, user, stopWithinS, madeBy }: UnitOptions): string {
  return `# Made by: ${madeBy}
[Unit]
Description=${description.replaceAll('%', '%%')}
Wants=network-online.target
After=network-online.target
# It is tried again and again, however often it failed.
StartLimitIntervalSec=0

[Service]
Type=exec
${user === undefined ? ownHome : `User=${user}`}
ExecStart=${command.map(unitWord).join(' ')}
# A stop asks the program alone, and it stops PostgreSQL. What it leaves behind when it crashes or is replaced must live:
# PostgreSQL, which the next one takes over, and the guard of an agent, which ends PostgreSQL when no next one comes in time.
# (With KillMode=mixed or control-group systemd would kill all of it as soon as the program is gone.)
KillMode=process
Restart=always
RestartSec=200ms
TimeoutStopSec=${stopWithinS}
# When memory runs out other processes go first; what then happens to PostgreSQL is judged here, not by systemd.
OOMScoreAdjust=-900
OOMPolicy=continue

[Install]
WantedBy=multi-user.target
`;
}

/** A word of ExecStart: quotes, and neither variables nor specifiers. */
function unitWord(text: string): string {
  const escaped = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@+=:,./%$-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** The customary name of the unit of a cluster's agent, or of the monitor: characters of unit names only (systemd.unit(5)). */
export function unitName(of: string): string {
  return `pgherd-${of.replaceAll(/[^\w:.-]/g, '-')}`;
}
