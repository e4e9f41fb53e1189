/**
 * One cluster that goes through several faults in a row, as in a long night: what each of them waits for, and what has
 * to hold after each.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertNoOverlap, assertOneWriter, missingOn, writeGapMs } from './checks.ts';
import { type Acknowledged, createLab, type Lab, type LabOptions, nowMs } from './cluster.ts';
import type { Host } from './host.ts';

export interface Night {
  readonly lab: Lab;
  /** The leader that runs; throws while there is none. */
  readonly primary: () => Host;
  readonly replicas: () => readonly Host[];
  /** The sync standbys on record, by name. */
  readonly syncStandbys: () => readonly string[];
  readonly timeline: () => number;
  /** What the host's PostgreSQL says; '' while it does not answer. */
  readonly reads: (host: Host, statement: string) => string;
  /** Commits are acknowledged that were begun after `sinceMs`. */
  readonly writesAgain: (sinceMs: number, withinMs: number) => Promise<void>;
  /** The longest pause of the writers after `sinceMs`, so far. */
  readonly gapMs: (sinceMs: number) => number;
  /** Everybody streams, and in synchronous mode commits wait for both. */
  readonly everybodyIsWell: () => Promise<void>;
  /** During all of `forMs` the condition holds. */
  readonly holdsFor: (what: string, condition: () => boolean, forMs: number) => Promise<void>;
  /** `pgherd words`, asked on `host`: what it printed, and whether it did it. */
  readonly ask: (host: Host, ...words: string[]) => { readonly ok: boolean; readonly text: string };
  /** Agent and PostgreSQL are there again on a host that was off. */
  readonly boot: (host: Host) => Promise<void>;
  /** SIGKILL of the agent alone. */
  readonly killAgent: (host: Host) => Promise<void>;
  /** The end of every test: all are well, nothing acknowledged is missing (but `given up` by an operator), and there never were two. */
  readonly endsWell: (givenUp?: (row: Acknowledged) => boolean) => Promise<void>;
}

/** A cluster that runs, with its writers. `dcs` goes to bootstrap.dcs. */
export async function beginNight(dcs: Readonly<Record<string, unknown>>, options: LabOptions = {}): Promise<Night> {
  assert.equal(process.getuid?.(), 0, 'these tests make network namespaces: run them as root');
  const lab = await createLab(dcs, options);
  const night = nightOf(lab, dcs['synchronous_mode'] !== undefined);
  try {
    lab.startMonitor();
    for (const host of [...lab.hosts, ...(lab.witness ? [lab.witness] : [])]) lab.start(host);
    await night.everybodyIsWell();
    lab.sql(night.primary(), 'create table lab (number bigint primary key)');
    lab.startWriters();
    await night.writesAgain(nowMs(), 10_000);
  } catch (error) {
    await lab.end();
    throw error;
  }
  return night;
}

function nightOf(lab: Lab, isSynchronous: boolean): Night {
  const primary = (): Host => {
    const leader = lab.leader();
    assert.ok(leader, 'there is a leader');
    return leader;
  };
  const reads = (host: Host, statement: string): string => {
    try {
      return lab.sql(host, statement);
    } catch {
      return '';
    }
  };
  const syncStandbys = (): readonly string[] =>
    (lab.look() ?? []).filter(({ role }) => role === 'quorum_standby').map(({ name }) => name);
  const timeline = (): number =>
    Number.parseInt(lab.sql(primary(), 'select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)'), 16);
  const isWell = (): boolean => lab.healthy() && (!isSynchronous || syncStandbys().length === lab.hosts.length - 1);
  const everybodyIsWell = async (): Promise<void> => {
    await lab.waitFor('everybody streams, and commits wait for those that should', isWell, 60_000);
  };
  return {
    lab,
    primary,
    replicas: () => {
      const leader = primary();
      return lab.hosts.filter((host) => host !== leader);
    },
    syncStandbys,
    timeline,
    reads,
    async writesAgain(sinceMs, withinMs) {
      const goOn = (): boolean => lab.acknowledged().filter((row) => row.atMs > sinceMs + 50).length > 20;
      await lab.waitFor('writes go on', goOn, withinMs);
    },
    gapMs: (sinceMs) => writeGapMs(lab.acknowledged(), sinceMs),
    everybodyIsWell,
    async holdsFor(what, condition, forMs) {
      const began = nowMs();
      while (nowMs() - began < forMs) {
        assert.ok(condition(), `${what}, ${Math.round(nowMs() - began)} ms long: ${JSON.stringify(lab.look())}`);
        await sleep(200);
      }
    },
    ask(host, ...words) {
      try {
        return { ok: true, text: lab.pgherd(host, ...words) };
      } catch (error) {
        return { ok: false, text: outputOf(error) };
      }
    },
    async boot(host) {
      await host.powerOn();
      lab.start(host);
    },
    killAgent: (host) => host.kill(`agent ${lab.config(host)}`),
    async endsWell(givenUp = () => false) {
      await everybodyIsWell();
      const rows = lab.acknowledged();
      const missing = missingOn(lab, primary(), rows);
      assert.deepEqual(
        missing.filter((row) => !givenUp(row)),
        [],
        'acknowledged, and not on the primary',
      );
      assertNoOverlap(rows);
      assertOneWriter(rows, timeline() - 1);
    },
  };
}

/** What a command that failed has printed. */
function outputOf(error: unknown): string {
  if (!(error instanceof Error) || !('stdout' in error) || !('stderr' in error)) throw error;
  return `${String(error.stdout)}${String(error.stderr)}`;
}
