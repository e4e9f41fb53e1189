import { agentFunctions, type Migration, migrations } from './schema.ts';

/** Runs SQL as the owner of the monitor's database; rejects with the server's error. */
export type RunSql = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Versions before and after; the same when there was nothing to do. */
export type UpgradeOutcome =
  | { readonly ok: true; readonly from: number; readonly to: number }
  | { readonly ok: false; readonly error: string };

/**
 * Brings the schema in the database `database` to the newest version, in one transaction, and gives the role `pgherd`
 * exactly the functions of agents. A newer schema is left as it is.
 * `known` is there for tests.
 */
export async function upgradeSchema(
  run: RunSql,
  database: string,
  known: readonly Migration[] = migrations,
): Promise<UpgradeOutcome> {
  await run('begin');
  try {
    const outcome = await upgrade(run, database, known);
    await run(outcome.ok ? 'commit' : 'rollback');
    return outcome;
  } catch (error) {
    // The connection may be what broke: then the server rolls back by itself.
    await run('rollback').catch(() => {});
    return { ok: false, error: `cannot upgrade the monitor's schema: ${String(error)}` };
  }
}

async function upgrade(run: RunSql, database: string, known: readonly Migration[]): Promise<UpgradeOutcome> {
  // Two programs that start at once take turns.
  await run(`
    select pg_advisory_xact_lock(hashtext('pgherd.migration'));
    create schema if not exists pgherd;
    create table if not exists pgherd.migration (
      version integer primary key,
      compatible_since integer not null,
      applied_at timestamptz not null default now()
    )`);
  const [found] = await run('select coalesce(max(version), 0) as version from pgherd.migration');
  const from = Number(found?.['version']);
  const to = known.length;
  if (from > to) {
    return {
      ok: false,
      error: `the monitor's schema has version ${from}; this pgherd knows versions up to ${to}: run a newer pgherd`,
    };
  }
  for (const migration of known.slice(from)) {
    await run(migration.sql);
    await run(
      `insert into pgherd.migration (version, compatible_since) values (${migration.version}, ${migration.compatibleSince})`,
    );
  }
  await run(grants(database));
  return { ok: true, from, to };
}

/** Also bounds how late a call may still take effect whose agent has given it up. */
function grants(database: string): string {
  const signatures = agentFunctions.map((signature) => `pgherd.${signature}`).join(', ');
  return `
    do $$ begin
      if not exists (select from pg_roles where rolname = 'pgherd') then
        create role pgherd login;
      end if;
    end $$;
    alter role pgherd set statement_timeout = '10s';
    alter role pgherd set idle_in_transaction_session_timeout = '10s';
    alter role pgherd set client_connection_check_interval = '1s';
    revoke all on database ${database} from public;
    grant connect on database ${database} to pgherd;
    revoke all on schema public from public;
    revoke all on all tables in schema pgherd from public;
    revoke all on all functions in schema pgherd from public;
    grant usage on schema pgherd to pgherd;
    grant execute on function ${signatures} to pgherd`;
}
