/** The language of the scenario files: a command a block, its output below `----`. */

import { factsOf } from '../../../src/core/facts.ts';
import { formatLsn, lsn } from '../../../src/core/lsn.ts';
import type { Settings } from '../../../src/core/model.ts';
import { memberRecord } from '../../../src/core/publish.ts';
import type { Member } from './member.ts';
import { World } from './world.ts';

type Command = (words: readonly string[]) => string;

/** Runs one scenario; each call of the returned function executes one command line and gives its output. */
export function scenario(): { run: (line: string) => string; world: World } {
  const world = new World();
  let backup = world.store.view;
  const member = (name: string | undefined): Member => {
    const found = world.members.get(name ?? '');
    if (found === undefined) throw new Error(`no member ${name}`);
    return found;
  };
  const told = (): string => world.lines.splice(0).join('\n');
  const each = (names: readonly string[], act: (one: Member) => void): string => {
    for (const name of names) act(member(name));
    return '';
  };
  const commands: Record<string, Command> = {
    members: (words) => {
      for (const word of words) {
        const [name = '', ...tags] = word.split(',');
        const priority = tags.find((tag) => tag.startsWith('priority='))?.slice(9);
        world.add(name, {
          noFailover: tags.includes('nofailover'),
          noSync: tags.includes('nosync'),
          witness: tags.includes('witness'),
          ...(priority === undefined ? {} : { failoverPriority: Number(priority) }),
        });
      }
      return '';
    },
    settings: (words) => {
      world.settings = { ...world.settings, ...parseSettings(words) };
      return '';
    },
    configure: (words) => {
      world.setSettings(parseSettings(words));
      return '';
    },
    start: (names) => each(names, (one) => world.startAgent(one)),
    'kill-agent': (names) => each(names, (one) => world.killAgent(one)),
    'kill-host': (names) => each(names, (one) => world.killHost(one)),
    crash: (names) => each(names, (one) => world.disturb(one, (postgres) => postgres.stop(false))),
    'stop-by-hand': (names) => each(names, (one) => world.disturb(one, () => world.stopCleanly(one))),
    'start-by-hand': (names) =>
      each(names, (one) =>
        world.disturb(one, (postgres) => {
          postgres.start(postgres.data?.standbySignal === true ? 'replica' : 'primary', postgres.upstream);
          postgres.becomeReady();
        }),
      ),
    break: (names) => each(names, (one) => (one.postgres.broken = true)),
    mend: (names) => each(names, (one) => (one.postgres.broken = false)),
    freeze: ([name, duration]) => {
      world.freeze(member(name), milliseconds(duration));
      return '';
    },
    'kill-after': ([name, count]) => {
      member(name).killAfter = Number(count);
      return '';
    },
    'boot-postgres': (names) =>
      each(names, (one) => {
        one.postgres.start('primary', undefined);
        one.postgres.becomeReady();
      }),
    'break-link': (names) => each(names, (one) => (one.linked = false)),
    'mend-link': (names) => each(names, (one) => (one.linked = true)),
    'hang-storage': (names) => each(names, (one) => (one.postgres.hangs = true)),
    'thaw-storage': (names) => each(names, (one) => world.disturb(one, (postgres) => postgres.thaw())),
    'fill-disk': (names) => each(names, (one) => (one.postgres.isFull = true)),
    'empty-disk': (names) => each(names, (one) => (one.postgres.isFull = false)),
    'freeze-postmaster': (names) => each(names, (one) => world.disturb(one, (postgres) => (postgres.isFrozen = true))),
    'use-up-connections': (names) => each(names, (one) => (one.postgres.crowd = 'clients')),
    'use-up-everything': (names) => each(names, (one) => (one.postgres.crowd = 'everybody')),
    'free-connections': (names) => each(names, (one) => (one.postgres.crowd = 'none')),
    'slow-start': (names) => each(names, (one) => (one.postgres.slow = true)),
    'allow-promotion': (names) => each(names, (one) => (one.postgres.unpromotable = false)),
    'hold-promotion': (names) => each(names, (one) => (one.postgres.unpromotable = true)),
    rubbish: (names) => each(names, (one) => (one.postgres.rubbish = 'it holds holiday.jpg and no PG_VERSION')),
    'promote-by-hand': (names) => each(names, (one) => world.disturb(one, (postgres) => postgres.promote())),
    'dcs-backup': () => {
      backup = world.store.view;
      return '';
    },
    'dcs-restored': () => {
      world.restoreStore(backup);
      return '';
    },
    'dcs-wiped': () => {
      world.replaceStore('store-2');
      return '';
    },
    unreadable: ([key]) => {
      world.tamper({ unreadable: key === undefined ? [] : [{ key, error: 'it is no JSON' }] });
      return '';
    },
    'foreign-cluster': () => {
      world.tamper({ initialize: { value: '7777', createRevision: 1, modRevision: 1 } });
      return '';
    },
    impostor: ([name]) => {
      const leaseId = world.store.grant(10_000_000, world.now);
      const record = {
        ...memberRecord(factsOf(member(name).state, world.now)),
        apiUrl: 'http://elsewhere:8008/patroni',
      };
      world.tamper({
        members: new Map([
          ...world.store.view.members,
          [name ?? '', { value: record, createRevision: 1, modRevision: 1, leaseId }],
        ]),
      });
      return '';
    },
    'lose-directory': (names) => each(names, (one) => world.disturb(one, (postgres) => (postgres.data = undefined))),
    'replace-directory': ([name, bytes]) => {
      world.disturb(member(name), (postgres) => postgres.putOlderCopy(BigInt(bytes ?? 0)));
      return '';
    },
    'foreign-directory': (names) => each(names, (one) => one.postgres.initdb('9999')),
    'standby-directory': (names) =>
      each(names, (one) => {
        one.postgres.initdb('9999');
        if (one.postgres.data !== undefined) one.postgres.data.standbySignal = true;
      }),
    'running-primary': (names) =>
      each(names, (one) => {
        one.postgres.initdb('9999');
        one.postgres.start('primary', undefined);
        one.postgres.becomeReady();
      }),
    cut: (names) => each(names, (one) => world.reconnect(one, false)),
    heal: (names) => each(names, (one) => world.reconnect(one, true)),
    'cut-dcs': (names) => each(names, (one) => world.reconnectDcs(one, false)),
    'heal-dcs': (names) => each(names, (one) => world.reconnectDcs(one, true)),
    'dcs-down': () => (world.setStoreUp(false), ''),
    'dcs-up': () => (world.setStoreUp(true), ''),
    'lose-reply': (names) => each(names, (one) => (one.nextTransaction = 'lose-reply')),
    'lose-request': (names) => each(names, (one) => (one.nextTransaction = 'lose-request')),
    'write-unseen': ([name, bytes]) => {
      const { data } = member(name).postgres;
      if (data !== undefined) data.end += BigInt(bytes ?? 0);
      return '';
    },
    lag: ([name, bytes]) => {
      const { data } = member(name).postgres;
      if (data !== undefined) data.end -= BigInt(bytes ?? 0);
      return '';
    },
    switchover: ([at, leader, candidate]) => (world.operate(member(at), { kind: 'switchover', leader, candidate }), ''),
    failover: ([at, candidate, flag]) => (
      world.operate(member(at), {
        kind: 'failover',
        candidate: candidate ?? '',
        allowDataLoss: flag === 'allow-data-loss',
      }),
      ''
    ),
    'stale-sender': ([name, replica]) => {
      member(name).postgres.staleSender = replica;
      return '';
    },
    'stale-names': (names) => each(names, (one) => (one.postgres.names = 'ANY 1 ("nobody")')),
    'cut-link': ([a, b]) => (world.cutLinks.add(`${a} ${b}`), ''),
    'mend-links': () => (world.cutLinks.clear(), ''),
    sync: () => {
      const rule = world.store.view.rule?.value;
      return rule === undefined ? 'no rule' : `${rule.mode}: ${rule.syncCount} of {${rule.syncStandbys.join(', ')}}`;
    },
    restart: ([at]) => (world.operate(member(at), { kind: 'restart', role: undefined, pendingOnly: false }), ''),
    reinit: ([at]) => (world.operate(member(at), { kind: 'reinitialize', force: false }), ''),
    shutdown: ([at]) => (world.operate(member(at), { kind: 'shutdown' }), ''),
    run: ([duration]) => {
      world.run(milliseconds(duration));
      return told();
    },
    'run-until': (words) => {
      const within = words.indexOf('within');
      const conditions = words.slice(0, within);
      const done = world.run(milliseconds(words[within + 1]), () =>
        conditions.every((condition) => holds(world, condition)),
      );
      return [told(), done ? `ok at ${(world.now / 1000).toFixed(3)}` : `NOT within ${words[within + 1]}`]
        .filter((line) => line !== '')
        .join('\n');
    },
    quietly: (words) => {
      const within = words.indexOf('within');
      const conditions = words.slice(0, within);
      const done = world.run(milliseconds(words[within + 1]), () =>
        conditions.every((condition) => holds(world, condition)),
      );
      world.lines.splice(0);
      return done ? `ok at ${(world.now / 1000).toFixed(3)}` : `NOT within ${words[within + 1]}`;
    },
    list: () => list(world),
    history: () => history(world),
  };
  const run = (line: string): string => {
    const [verb = '', ...words] = line.trim().split(/\s+/);
    const command = commands[verb];
    if (command === undefined) throw new Error(`no command ${verb}; there are ${Object.keys(commands).join(', ')}`);
    return command(words);
  };
  return { run, world };
}

function milliseconds(text: string | undefined): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text ?? '');
  if (match === null) throw new Error(`no duration: ${text}`);
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };
  return Number(match[1]) * (units[match[2] ?? ''] ?? 0);
}

function parseSettings(words: readonly string[]): Partial<Settings> {
  const settings: Record<string, unknown> = {};
  for (const word of words) {
    const [key = '', value = ''] = word.split('=');
    if (value === 'true' || value === 'false') settings[key] = value === 'true';
    else if (key.endsWith('Bytes')) settings[key] = BigInt(value);
    else if (key === 'synchronousMode') settings[key] = value;
    else settings[key] = Number(value);
  }
  return settings;
}

/** `leader=a`, `streaming=a,b`, `rule=a:lead`, `absent`. */
function holds(world: World, condition: string): boolean {
  const [kind, value = ''] = condition.split('=');
  const { view } = world.store;
  if (kind === 'leader') return view.leader?.value === value && world.members.get(value)?.postgres.isPrimary === true;
  if (kind === 'absent') return view.leader === undefined;
  if (kind === 'streaming')
    return value
      .split(',')
      .every(
        (name) =>
          view.members.get(name)?.value.replicationState === 'streaming' &&
          view.members.get(name)?.value.rule === 'replicate',
      );
  const [name = '', rule] = value.split(':');
  if (kind === 'rule') return world.members.get(name)?.rule === rule;
  throw new Error(`no condition ${condition}`);
}

function list(world: World): string {
  const rows = [...world.members.values()].map((one) => {
    const record = world.store.view.members.get(one.name)?.value;
    const { data } = one.postgres;
    const role = world.store.view.leader?.value === one.name ? 'leader' : (record?.role ?? '-');
    const state = record === undefined ? 'no record' : (record.replicationState ?? record.state);
    const where =
      data === undefined ? 'no data' : `timeline ${data.timeline} at ${formatLsn(lsn(data.end - (data.end % 1000n)))}`;
    return `${one.name.padEnd(4)}${role.padEnd(14)}${state.padEnd(12)}${where}${one.alive ? '' : ' (agent dead)'}`.trimEnd();
  });
  const rule = world.store.view.rule?.value;
  return [`term ${rule?.term ?? '-'}, leader ${world.store.view.leader?.value ?? 'none'}`, ...rows].join('\n');
}

function history(world: World): string {
  const terms = world.store.view.terms?.value ?? [];
  return terms
    .map((entry) => `term ${entry.term} timeline ${entry.timeline} ${entry.member}: ${entry.reason}`)
    .join('\n');
}
