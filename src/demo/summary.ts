/** What the demo has shown, counted. */
import { lostNumbers } from '../drill/measure.ts';
import { alignedRows } from '../drill/text.ts';
import type { Acknowledgement } from '../drill/writer.ts';

/** What the story measured and read back. */
export interface Findings {
  readonly acknowledged: readonly Acknowledgement[];
  /** What the last primary has. */
  readonly present: ReadonlySet<number>;
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
}

/** Commits wait for a quorum: of what was acknowledged nothing may be missing, whoever was lost. */
export function judge(findings: Findings): Summary {
  const lost = lostNumbers(findings.acknowledged, findings.present).length;
  const streaming = findings.members.filter((member) => member.state === 'streaming').length;
  const leaders = findings.members.filter((member) => member.role === 'leader').length;
  return {
    ok: lost === 0 && leaders === 1 && streaming === findings.members.length - 1,
    json: {
      acknowledged: findings.acknowledged.length,
      lost,
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
export function summaryText({ json }: Summary): string {
  const rows: readonly (readonly [string, string])[] = [
    ['cluster up after', `${json.bootstrapMs} ms`],
    ['write gap, host lost', `${json.writeGapMs.failover} ms`],
    ['write gap, switchover', `${json.writeGapMs.switchover} ms`],
    ['lost member streams again after', `${json.rejoinMs} ms`],
    ['acknowledged commits', String(json.acknowledged)],
    ['lost commits', json.lost === 0 ? 'none' : String(json.lost)],
    ['members', json.members.map((member) => `${member.name} ${member.role}, ${member.state}`).join('; ')],
  ];
  return alignedRows(rows);
}
