/** What the demo has shown, counted. */
import type { Acknowledgement } from './writer.ts';

/** What the story measured and read back. */
export interface Findings {
  readonly acknowledged: readonly Acknowledgement[];
  /** What the last primary has. */
  readonly present: ReadonlySet<number>;
  readonly lostMember: string;
  readonly lostAt: number;
  readonly writeGapMs: { readonly failover: number; readonly switchover: number };
  readonly rejoinMs: number;
  readonly bootstrapMs: number;
  readonly members: readonly { readonly name: string; readonly role: string; readonly state: string }[];
}

/** The verdict, for people and for programs. */
export interface Summary {
  readonly ok: boolean;
  readonly json: {
    readonly acknowledged: number;
    readonly lost: number;
    readonly writeGapMs: { readonly failover: number; readonly switchover: number };
    readonly rejoinMs: number;
    readonly bootstrapMs: number;
    readonly members: Findings['members'];
  };
  /** Lost though asynchronous replication does not explain it. */
  readonly unexplained: number;
}

/**
 * Asynchronous replication may lose the last commits of a primary whose host is lost, and nothing else: what is
 * missing must be the very end of what that member acknowledged.
 */
export function judge(findings: Findings): Summary {
  const missing = findings.acknowledged.filter((one) => !findings.present.has(one.number));
  const ofLost = findings.acknowledged.filter(
    (one) => one.member === findings.lostMember && one.at <= findings.lostAt + 1000,
  );
  const tail = new Set(ofLost.slice(ofLost.length - missing.length).map((one) => one.number));
  const unexplained = missing.filter((one) => !tail.has(one.number)).length;
  const streaming = findings.members.filter((member) => member.state === 'streaming').length;
  const leaders = findings.members.filter((member) => member.role === 'leader').length;
  return {
    ok: unexplained === 0 && leaders === 1 && streaming === findings.members.length - 1,
    unexplained,
    json: {
      acknowledged: findings.acknowledged.length,
      lost: missing.length,
      writeGapMs: {
        failover: Math.round(findings.writeGapMs.failover),
        switchover: Math.round(findings.writeGapMs.switchover),
      },
      rejoinMs: Math.round(findings.rejoinMs),
      bootstrapMs: Math.round(findings.bootstrapMs),
      members: findings.members,
    },
  };
}

/** The summary for people. */
export function summaryText({ json, unexplained }: Summary): string {
  const lost =
    json.lost === 0 ? 'none' : `${json.lost} (the last ones before the host was lost: replication is asynchronous)`;
  const rows: readonly (readonly [string, string])[] = [
    ['cluster up after', `${json.bootstrapMs} ms`],
    ['write gap, host lost', `${json.writeGapMs.failover} ms`],
    ['write gap, switchover', `${json.writeGapMs.switchover} ms`],
    ['lost member streams again after', `${json.rejoinMs} ms`],
    ['acknowledged commits', String(json.acknowledged)],
    ['lost commits', unexplained === 0 ? lost : `${json.lost}, of which ${unexplained} without an explanation`],
    ['members', json.members.map((member) => `${member.name} ${member.role}, ${member.state}`).join('; ')],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n');
}
