/** A copy of another member's instance, by pg_basebackup. */
import type { JobOutcome } from '../core/events.ts';
import type { Endpoint, Progress } from '../core/model.ts';
import { messageOf } from '../lib/caught.ts';
import { withLoginAdvice } from './access.ts';
import { neutralizeAutoConf, writeConfiguration, writePassfile, writeSignalFiles } from './config-files.ts';
import { openSession } from './connection.ts';
import { upstreamConninfo } from './conninfo.ts';
import { openWorkplace } from './directory-swap.ts';
import { rewindCredentials, type Setup, toolArguments } from './options.ts';
import { runTool } from './toolbox.ts';

const forbidden = `pgdata format wal-method dbname host port username write-recovery-conf gzip compress slot create-slot
   no-slot progress password no-password no-sync target checkpoint tablespace-mapping version help`.split(/\s+/);

/** Of a tool: a walsender that carries a member's name counts as its standby. No member's name has a space. */
const applicationName = 'pgherd clone';

/**
 * Copies the source beside the data directory, makes a replica of it, and puts it in the data directory's place.
 * The copy is fsynced by pg_basebackup. Where it fails or is cancelled the old directory is as it was.
 */
export async function cloneInstance(
  setup: Setup,
  source: Endpoint,
  progress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const outside = await tablespacesOf(setup, source);
  if (outside.length > 0) {
    return {
      ok: false,
      error: `${source.member} keeps tablespaces outside of its data directory (${outside.join(', ')}): pgherd cannot clone them; copy the instance by hand`,
    };
  }
  const workplace = await openWorkplace(setup, 'clone');
  if (!workplace.ok) return workplace;
  await writePassfile(setup);
  progress({ doing: 'clone' });
  try {
    const copied = await runBasebackup(setup, source, workplace.path, progress, signal);
    if (!copied.ok) {
      await workplace.discard();
      const why = withLoginAdvice(copied.error, 'replication', source.member);
      return { ok: false, error: `cloning from ${source.member} at ${source.host}:${source.port}: ${why}` };
    }
    await writeSignalFiles(setup, workplace.path, 'replica');
    await neutralizeAutoConf(setup, workplace.path);
    const inside = setup.configDir === setup.dataDir;
    // The source's own file says whom the source followed, perhaps us.
    await writeConfiguration(
      setup,
      { upstream: source, settings: undefined, synchronousStandbyNames: '', atLeast: {} },
      { dataDir: workplace.path, configDir: inside ? workplace.path : setup.configDir },
    );
    if (signal.aborted) {
      await workplace.discard();
      return { ok: false, error: 'the clone was cancelled' };
    }
    await workplace.finish();
    return { ok: true };
  } catch (error) {
    await workplace.discard();
    return { ok: false, error: `the clone could not be completed: ${messageOf(error)}` };
  }
}

async function runBasebackup(
  setup: Setup,
  source: Endpoint,
  path: string,
  progress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const configured = toolArguments(setup.basebackup, forbidden);
  if (configured.refused.length > 0) {
    setup.log.warn('option-ignored', `postgresql.basebackup: pgherd sets ${configured.refused.join(', ')} itself`);
  }
  const target = upstreamConninfo(source, setup.authentication.replication, setup.pgpass, applicationName);
  const outcome = await runTool(setup, {
    program: 'pg_basebackup',
    arguments: [
      '-D',
      path,
      '-d',
      target,
      '-X',
      'stream',
      '-c',
      'fast',
      '--progress',
      '--no-password',
      ...configured.arguments,
    ],
    // As long as it takes: a lost source ends it by itself, through the keepalives.
    deadlineMs: undefined,
    environment: { LC_ALL: 'C', LANGUAGE: 'C' },
    signal,
    onErrorLine: (line) => {
      const match = /(\d+)\/(\d+) kB/.exec(line);
      if (!match?.[1] || !match[2]) return;
      const doneBytes = BigInt(match[1]) * 1024n;
      const totalBytes = BigInt(match[2]) * 1024n;
      progress({ doing: 'clone', doneBytes, totalBytes: totalBytes > doneBytes ? totalBytes : doneBytes });
    },
  });
  return outcome.ok ? { ok: true } : outcome;
}

/** The source's tablespaces, as `name at /path`. Where it cannot be asked pg_basebackup has the last word. */
async function tablespacesOf(setup: Setup, source: Endpoint): Promise<readonly string[]> {
  const opened = await openSession({
    address: { host: source.host, port: source.port },
    credentials: rewindCredentials(setup),
    database: 'postgres',
    connectMs: setup.timings.connectMs,
    queryMs: setup.timings.queryMs,
    ordinary: true,
  });
  if (!opened.ok) return [];
  try {
    const outcome = await opened.session.query(`
      SELECT spcname || ' at ' || pg_tablespace_location(oid) AS place FROM pg_tablespace
      WHERE pg_tablespace_location(oid) <> '' ORDER BY 1`);
    return outcome.ok ? outcome.rows.map((row) => String(row['place'])) : [];
  } finally {
    opened.session.close();
  }
}
