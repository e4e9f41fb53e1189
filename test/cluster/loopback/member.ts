/** One member of a cluster on loopback: its configuration, its agent, its PostgreSQL. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { stringify } from 'yaml';
import * as z from 'zod';
import { freePort, killAllIn, type Program, readLog, startPgherd } from './processes.ts';
import { until } from './wait.ts';

/** A YAML map; what is laid over another one replaces values and merges maps. `undefined` removes a key. */
export type Settings = { readonly [key: string]: unknown };

export interface MemberOptions {
  /** Laid over the configuration. */
  readonly settings?: Settings;
  /** Default: the name. Another one for a second member of this name. */
  readonly directory?: string;
  readonly dataDir?: string;
}

const answerForm = z.looseObject({
  state: z.string(),
  role: z.string(),
  timeline: z.int().optional(),
  replication_state: z.string().optional(),
  database_system_identifier: z.string().optional(),
  rule: z.string(),
  because: z.string(),
});

/** `GET /patroni`. */
export type Answer = z.infer<typeof answerForm>;

export interface Member {
  readonly name: string;
  /** The path of its configuration. */
  readonly config: string;
  /** Of all that is its own. */
  readonly folder: string;
  readonly dataDir: string;
  readonly port: number;
  readonly apiPort: number;
  readonly apiUrl: string;
  /** Lays other settings over the configuration, for the next start of the agent. */
  configure(settings: Settings): void;
  start(): Program;
  readonly agent: () => Program;
  /** Orderly: PostgreSQL is stopped too. The exit code. */
  stop(): Promise<number | null>;
  /** Agent and PostgreSQL at once, as when the host is lost. */
  kill(): Promise<void>;
  ask(): Promise<Answer | undefined>;
  /** What the agent answers, once it satisfies `condition`. */
  shows(what: string, condition: (answer: Answer) => boolean, timeoutMs?: number): Promise<Answer>;
  isLeader(): Promise<Answer>;
  isStreaming(): Promise<Answer>;
  /** undefined: no postmaster. */
  postmaster(): number | undefined;
  log(): string;
  /** Clients' own session with its PostgreSQL. */
  connect(): Promise<Client>;
  sql(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

export const password = 'right';

interface Place extends MemberOptions {
  readonly folder: string;
  readonly scope: string;
  readonly monitorUri: string;
  readonly name: string;
}

export async function createMember(place: Place): Promise<Member> {
  const { name } = place;
  const directory = place.directory ?? name;
  const folder = join(place.folder, directory);
  const dataDir = place.dataDir ?? join(folder, 'data');
  const config = join(place.folder, `${directory}.yml`);
  const logFile = join(place.folder, `${directory}.log`);
  const port = await freePort();
  const apiPort = await freePort();
  const apiUrl = `http://127.0.0.1:${apiPort}`;
  let settings: Settings = merge(defaults(place, dataDir, port, apiPort), place.settings ?? {});
  const write = (): void => writeFileSync(config, stringify(settings), { mode: 0o600 });
  write();
  let program: Program | undefined;
  const agent = (): Program => {
    if (program === undefined) throw new Error(`the agent of ${name} was not started`);
    return program;
  };
  const log = (): string => readLog(logFile);
  const ask = (): Promise<Answer | undefined> => askAgent(apiUrl);
  const shows: Member['shows'] = async (what, condition, timeoutMs = 30_000) => {
    let last: Answer | undefined;
    const evidence = (): string => `last answer: ${JSON.stringify(last)}\n${log().split('\n').slice(-30).join('\n')}`;
    return until(
      `${name} shows ${what}`,
      async () => {
        last = await ask();
        return last !== undefined && condition(last) ? last : undefined;
      },
      { timeoutMs, evidence },
    );
  };
  const connect = async (): Promise<Client> => {
    const client = new Client({ host: '127.0.0.1', port, user: 'postgres', password, database: 'postgres' });
    await client.connect();
    return client;
  };
  return {
    name,
    config,
    folder,
    dataDir,
    port,
    apiPort,
    apiUrl,
    configure: (more) => {
      settings = merge(settings, more);
      write();
    },
    start: () => {
      program = startPgherd(['agent', config], logFile);
      return program;
    },
    agent,
    stop: () => {
      agent().kill('SIGTERM');
      return agent().ended;
    },
    kill: async () => {
      agent().kill('SIGKILL');
      await agent().ended;
      await killAllIn(folder);
    },
    ask,
    shows,
    isLeader: () => shows('a leader', (answer) => answer.role === 'primary' && answer.state === 'running'),
    isStreaming: () => shows('streaming', (answer) => answer.replication_state === 'streaming'),
    postmaster: () => postmasterOf(dataDir),
    log,
    connect,
    sql: async (text) => {
      const client = await connect();
      try {
        return (await client.query<Record<string, unknown>>(text)).rows;
      } finally {
        await client.end();
      }
    },
  };
}

function defaults(place: Place, dataDir: string, port: number, apiPort: number): Settings {
  return {
    scope: place.scope,
    name: place.name,
    restapi: { listen: `127.0.0.1:${apiPort}`, connect_address: `127.0.0.1:${apiPort}` },
    monitor: { uri: place.monitorUri },
    bootstrap: {
      dcs: { postgresql: { parameters: { max_connections: 30, shared_buffers: '16MB' } } },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }],
    },
    postgresql: {
      listen: `127.0.0.1:${port}`,
      connect_address: `127.0.0.1:${port}`,
      data_dir: dataDir,
      authentication: {
        superuser: { username: 'postgres', password },
        replication: { username: 'replicator', password },
        rewind: { username: 'rewinder', password },
      },
      parameters: { unix_socket_directories: '' },
    },
  };
}

function merge(below: Settings, above: Settings): Settings {
  const merged: Record<string, unknown> = { ...below };
  for (const [name, value] of Object.entries(above)) {
    const former = merged[name];
    if (value === undefined) delete merged[name];
    else merged[name] = isMap(former) && isMap(value) ? merge(former, value) : value;
  }
  return merged;
}

function isMap(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function askAgent(apiUrl: string): Promise<Answer | undefined> {
  try {
    const response = await fetch(`${apiUrl}/patroni`, { signal: AbortSignal.timeout(1000) });
    return answerForm.parse(await response.json());
  } catch {
    return undefined;
  }
}

function postmasterOf(dataDir: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]);
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}
