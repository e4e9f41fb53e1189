/**
 * What can be done to a cluster of the lab: real faults of real processes, hosts, links, disks and clocks. Each begins,
 * ends, and has a text for people. Ends undo what is left to undo, whatever happened in between: faults may overlap.
 */
import { execFileSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setClock } from './clock.ts';
import { type Lab, nowMs } from './cluster.ts';
import type { Host } from './host.ts';
import { agentsOf, guardsOf, monitorProgramsOf, postgresNamed, postgresOf, programsOf, send } from './processes.ts';

/** Where a fault strikes. */
export interface Scene {
  readonly lab: Lab;
  readonly target: Host;
  /** The other end, where a fault has two. */
  readonly other: Host;
  /** 0 to 1: how strong, where that can differ. */
  readonly strength: number;
}

/** A fault that strikes somewhere. */
export interface Fault {
  /** What is done to whom, for people. */
  readonly text: string;
  readonly begin: () => void | Promise<void>;
  /** Also when it has ended by itself, or its host is off meanwhile. */
  readonly end: () => void | Promise<void>;
}

/** A kind of fault. */
export interface FaultKind {
  /** Who is struck; monitor: the monitor's host. */
  readonly strikes: 'primary' | 'replica' | 'any' | 'monitor';
  /** It is over as soon as it has begun. */
  readonly isInstant?: boolean;
  readonly make: (scene: Scene) => Fault;
}

/** What people or a service manager do: power is on, the agent runs, and a writer on the host. */
export async function bringUp(lab: Lab, host: Host): Promise<void> {
  if (!host.isOn()) await host.powerOn();
  if (host === lab.monitor) {
    if (monitorProgramsOf(host).length === 0) lab.startMonitor();
    return;
  }
  if (agentsOf(lab, host).length === 0) lab.start(host);
}

/** Longer than the command waits for its answer. */
const operatorWaitsMs = 60_000;
const nothing = (): void => {};

function killed(what: string, pids: (scene: Scene) => readonly number[]): FaultKind['make'] {
  return (scene) => ({
    text: `SIGKILL of ${what} on ${scene.target.name}`,
    begin: () => send(pids(scene), 'SIGKILL'),
    end: () => (scene.target.isOn() ? bringUp(scene.lab, scene.target) : undefined),
  });
}

function frozen(what: string, pids: (scene: Scene) => readonly number[]): FaultKind['make'] {
  return (scene) => {
    let stopped: readonly number[] = [];
    return {
      text: `SIGSTOP of ${what} on ${scene.target.name}`,
      begin() {
        stopped = pids(scene);
        send(stopped, 'SIGSTOP');
      },
      end: () => send(stopped, 'SIGCONT'),
    };
  };
}

/** What the target loses: packets that match, in the words of nftables. */
function lost(
  text: (scene: Scene) => string,
  arriving: (scene: Scene) => readonly string[],
  leaving: (scene: Scene) => readonly string[],
): FaultKind['make'] {
  return (scene) => {
    const table = `fault${(tables += 1)}`;
    const { target } = scene;
    return {
      text: text(scene),
      begin: () => (target.isOn() ? target.dropPackets(table, arriving(scene), leaving(scene)) : undefined),
      end: () => target.passPackets(table),
    };
  };
}
let tables = 0;

const none = (): readonly string[] => [];
const fromOther = ({ other }: Scene): readonly string[] => [`ip saddr ${other.address}`];
const toOther = ({ other }: Scene): readonly string[] => [`ip daddr ${other.address}`];
const fromMonitor = ({ lab }: Scene): readonly string[] => [`ip saddr ${lab.monitor.address}`];
const toMonitor = ({ lab }: Scene): readonly string[] => [`ip daddr ${lab.monitor.address}`];
const fromAll = (): readonly string[] => ['iifname eth0'];
const toAll = (): readonly string[] => ['oifname eth0'];
const lossPercent = ({ strength }: Scene): number => Math.round(5 + strength * 55);
const someArriving = (scene: Scene): readonly string[] => [
  `iifname eth0 numgen random mod 100 < ${lossPercent(scene)}`,
];
const someLeaving = (scene: Scene): readonly string[] => [`oifname eth0 numgen random mod 100 < ${lossPercent(scene)}`];

/** The agent is killed as soon as it is there again, until the end. */
function agentStorm({ lab, target, strength }: Scene): Fault {
  const livesMs = 50 + strength * 1500;
  const storm: { isOver: boolean; rage?: Promise<void> } = { isOver: false };
  const rage = async (): Promise<void> => {
    while (!storm.isOver) {
      send(agentsOf(lab, target), 'SIGKILL');
      if (target.isOn()) await bringUp(lab, target);
      await sleep(livesMs);
    }
  };
  return {
    text: `the agent of ${target.name} is killed and started again every ${Math.round(livesMs)} ms`,
    begin: () => {
      storm.rage = rage();
    },
    async end() {
      storm.isOver = true;
      await storm.rage;
      // What was killed last may not have ended when it was looked for.
      await sleep(100);
      if (target.isOn()) await bringUp(lab, target);
    },
  };
}

/**
 * Not a block is left on the file system of PostgreSQL's folder: it is made as small as what is in it. Where the fault
 * is strong, PostgreSQL needs a new WAL file at once.
 */
function diskFull({ lab, target, strength }: Scene): Fault {
  const path = dirname(lab.dataDir(target));
  const needsWal = strength > 0.5;
  let sizeKilobytes = 0;
  return {
    text: `the disk of ${target.name} is full${needsWal ? ', and WAL needs room' : ''}`,
    begin() {
      const { blocks, bsize } = statfsSync(path);
      sizeKilobytes = (blocks * bsize) / 1024;
      fill(path);
      const address = `host=${target.address} port=5432 user=postgres password=x dbname=postgres`;
      if (needsWal && target.isOn()) target.start(['psql', address, '-Xqc', 'select pg_switch_wal()'], 'disk-full.log');
    },
    end: () => resize(path, sizeKilobytes),
  };
}

function resize(path: string, kilobytes: number): void {
  execFileSync('mount', ['-o', `remount,size=${kilobytes}k`, path], { stdio: 'ignore' });
}

/** More may be in use between the look and the change: then it is refused. */
function fill(path: string): void {
  for (let attempt = 1; ; attempt += 1) {
    const { blocks, bfree, bsize } = statfsSync(path);
    try {
      return resize(path, ((blocks - bfree) * bsize) / 1024);
    } catch (error) {
      if (attempt === 20) throw error;
    }
  }
}

function clockJump(aheadSeconds: number): FaultKind['make'] {
  return ({ target }) => ({
    text: `the wall clock of ${target.name} jumps by ${aheadSeconds} s, and back`,
    begin: () => setClock(target, aheadSeconds),
    end: () => setClock(target, 0),
  });
}

const monitorAll = ({ lab }: Scene): readonly number[] => [
  ...monitorProgramsOf(lab.monitor),
  ...postgresOf(lab.monitor),
];

/** As `systemctl restart` does it: in order, and started again when it has ended. */
function monitorRestart({ lab }: Scene): Fault {
  const { monitor } = lab;
  return {
    text: 'the monitor is told to end, and started again',
    async begin() {
      send(monitorProgramsOf(monitor), 'SIGTERM');
      while (monitorProgramsOf(monitor).length > 0) await sleep(20);
    },
    end: () => bringUp(lab, monitor),
  };
}

/** Ends when the operator has been answered, or gives up. */
function asked(what: (scene: Scene) => string, on: (scene: Scene) => Host, words: (scene: Scene) => readonly string[]) {
  return (scene: Scene): Fault => ({
    text: `an operator asks for ${what(scene)}`,
    async begin() {
      const host = on(scene);
      if (!host.isOn()) return;
      host.start(scene.lab.pgherdWords(host, ...words(scene)), 'operator.log');
      const began = nowMs();
      do await sleep(50);
      while (host.pids(words(scene).join(' ')).length > 0 && nowMs() - began < operatorWaitsMs);
    },
    end: nothing,
  });
}

const switchover = asked(
  ({ target, other }) => `a switchover from ${target.name} to ${other.name}`,
  ({ other }) => other,
  ({ target, other }) => ['switchover', 'lab', '--leader', target.name, '--candidate', other.name, '--force'],
);

const reinit = asked(
  ({ target }) => `a new copy of ${target.name}`,
  ({ other }) => other,
  ({ target }) => ['reinit', 'lab', target.name, '--force', '--wait'],
);

const powerOff: FaultKind['make'] = ({ lab, target }) => ({
  text: `${target.name} has no power`,
  begin: () => (target.isOn() ? target.powerOff() : undefined),
  end: async () => {
    if (target.isOn()) return;
    await bringUp(lab, target);
    if (target !== lab.monitor) lab.startWriterInside(target);
  },
});

const linkDown: FaultKind['make'] = ({ target }) => ({
  text: `the link of ${target.name} is down`,
  begin: () => target.linkDown(),
  end: () => (target.isOn() ? target.linkUp() : undefined),
});

const cutOff: FaultKind['make'] = ({ target }) => ({
  text: `${target.name} neither hears nor is heard`,
  begin: () => target.cutOff(),
  end: () => target.plugIn(),
});

const agent = ({ lab, target }: Scene): readonly number[] => agentsOf(lab, target);
const guard = ({ target }: Scene): readonly number[] => guardsOf(target);
const postmaster = ({ lab, target }: Scene): readonly number[] => lab.postmasters(target);
const postgres = ({ target }: Scene): readonly number[] => postgresOf(target);
const named =
  (title: string) =>
  ({ target }: Scene) =>
    postgresNamed(target, title);
const everything = ({ lab, target }: Scene): readonly number[] => programsOf(lab, target);

/** All kinds, by name. */
export const faultKinds = {
  'agent-kill': { strikes: 'any', make: killed('the agent', agent) },
  'agent-freeze': { strikes: 'any', make: frozen('the agent', agent) },
  'agent-storm': { strikes: 'any', make: agentStorm },
  'guard-kill': { strikes: 'any', isInstant: true, make: killed('the guard', guard) },
  'guard-freeze': { strikes: 'any', make: frozen('the guard', guard) },
  'agent-and-guard-kill': {
    strikes: 'any',
    make: killed('agent and guard', (scene) => [...agent(scene), ...guard(scene)]),
  },
  'postmaster-kill': { strikes: 'any', isInstant: true, make: killed('the postmaster', postmaster) },
  'postmaster-freeze': { strikes: 'any', make: frozen('the postmaster', postmaster) },
  'postgres-kill': { strikes: 'any', isInstant: true, make: killed('all of PostgreSQL', postgres) },
  'postgres-freeze': { strikes: 'any', make: frozen('all of PostgreSQL', postgres) },
  'sender-kill': { strikes: 'primary', isInstant: true, make: killed('a WAL sender', named('walsender')) },
  'sender-freeze': { strikes: 'primary', make: frozen('the WAL senders', named('walsender')) },
  'receiver-kill': { strikes: 'replica', isInstant: true, make: killed('the WAL receiver', named('walreceiver')) },
  'receiver-freeze': { strikes: 'replica', make: frozen('the WAL receiver', named('walreceiver')) },
  'replay-freeze': { strikes: 'replica', make: frozen('the startup process', named('startup')) },
  'power-off': { strikes: 'any', make: powerOff },
  'host-freeze': { strikes: 'any', make: frozen('agent, guard and PostgreSQL', everything) },
  'link-down': { strikes: 'any', make: linkDown },
  'cut-off': { strikes: 'any', make: cutOff },
  deaf: { strikes: 'any', make: lost(({ target }) => `${target.name} hears nobody, and is heard`, fromAll, none) },
  mute: { strikes: 'any', make: lost(({ target }) => `${target.name} is not heard, and hears`, none, toAll) },
  'pair-cut': {
    strikes: 'any',
    make: lost(({ target, other }) => `no packets between ${target.name} and ${other.name}`, fromOther, toOther),
  },
  'pair-cut-one-way': {
    strikes: 'any',
    make: lost(({ target, other }) => `no packets from ${target.name} to ${other.name}`, none, toOther),
  },
  'monitor-cut': {
    strikes: 'any',
    make: lost(({ target }) => `no packets between ${target.name} and the monitor`, fromMonitor, toMonitor),
  },
  'monitor-requests-lost': {
    strikes: 'any',
    make: lost(({ target }) => `no packets from ${target.name} to the monitor`, none, toMonitor),
  },
  'monitor-replies-lost': {
    strikes: 'any',
    make: lost(({ target }) => `no packets from the monitor to ${target.name}`, fromMonitor, none),
  },
  'packet-loss': {
    strikes: 'any',
    make: lost(
      (scene) => `${scene.target.name} loses ${lossPercent(scene)} % of all packets`,
      someArriving,
      someLeaving,
    ),
  },
  'disk-full': { strikes: 'any', make: diskFull },
  'clock-ahead': { strikes: 'any', make: clockJump(3600) },
  'clock-back': { strikes: 'any', make: clockJump(-3600) },
  'monitor-program-kill': {
    strikes: 'monitor',
    make: killed("the monitor's program", ({ lab }) => monitorProgramsOf(lab.monitor)),
  },
  'monitor-program-freeze': {
    strikes: 'monitor',
    make: frozen("the monitor's program", ({ lab }) => monitorProgramsOf(lab.monitor)),
  },
  'monitor-postgres-kill': {
    strikes: 'monitor',
    isInstant: true,
    make: killed("the monitor's PostgreSQL", ({ lab }) => postgresOf(lab.monitor)),
  },
  'monitor-postgres-freeze': {
    strikes: 'monitor',
    make: frozen("the monitor's PostgreSQL", ({ lab }) => postgresOf(lab.monitor)),
  },
  'monitor-restart': { strikes: 'monitor', isInstant: true, make: monitorRestart },
  'monitor-outage': { strikes: 'monitor', make: killed('the whole monitor', monitorAll) },
  'monitor-power-off': { strikes: 'monitor', make: powerOff },
  'monitor-link-down': { strikes: 'monitor', make: linkDown },
  switchover: { strikes: 'primary', isInstant: true, make: switchover },
  reinit: { strikes: 'replica', isInstant: true, make: reinit },
} as const satisfies Readonly<Record<string, FaultKind>>;

export type FaultName = keyof typeof faultKinds;
