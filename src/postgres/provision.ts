/** The roles that replication and rewind need, in a cluster of our own making. */
import type { JobOutcome } from '../core/events.ts';
import { quoteLiteral, quoteName, type Session } from './connection.ts';
import { runStatements, withSession } from './job-session.ts';
import type { Credentials, Setup } from './options.ts';
import { scramVerifier } from './scram.ts';

/** PostgreSQL documentation, pg_rewind, "Notes": what a user that is no superuser needs on the source. */
const rewindFunctions = [
  'pg_ls_dir(text, boolean, boolean)',
  'pg_stat_file(text, boolean)',
  'pg_read_binary_file(text)',
  'pg_read_binary_file(text, bigint, bigint, boolean)',
];

/** Creates or alters the roles; can be repeated. Passwords are sent as SCRAM verifiers. */
export function provisionRoles(setup: Setup): Promise<JobOutcome> {
  return withSession(setup, setup.timings.toolMs, async (session) => {
    const { superuser, replication, rewind } = setup.authentication;
    const quiet = await runStatements(session, [
      { named: 'quieting the log', text: 'SET log_statement = none' },
      { named: 'quieting the log', text: 'SET log_min_duration_statement = -1' },
      { named: 'quieting the log', text: 'SET log_min_error_statement = panic' },
    ]);
    if (!quiet.ok) return quiet;
    if (superuser.password !== undefined) {
      const done = await setRole(session, superuser, 'SUPERUSER LOGIN');
      if (!done.ok) return done;
    }
    if (replication.username !== superuser.username) {
      const done = await setRole(session, replication, 'REPLICATION LOGIN');
      if (!done.ok) return done;
    }
    if (rewind === undefined || rewind.username === superuser.username) return { ok: true };
    if (rewind.username !== replication.username) {
      const done = await setRole(session, rewind, 'LOGIN');
      if (!done.ok) return done;
    }
    return runStatements(
      session,
      rewindFunctions.map((signature) => ({
        named: `granting ${signature} to "${rewind.username}"`,
        text: `GRANT EXECUTE ON FUNCTION pg_catalog.${signature} TO ${quoteName(rewind.username)}`,
      })),
    );
  });
}

async function setRole(session: Session, user: Credentials, attributes: string): Promise<JobOutcome> {
  const named = `creating the role "${user.username}"`;
  const found = await session.query(`SELECT 1 FROM pg_roles WHERE rolname = ${quoteLiteral(user.username)}`);
  if (!found.ok) return { ok: false, error: `${named} failed: ${found.error}` };
  const verb = found.rows.length === 0 ? 'CREATE' : 'ALTER';
  const password = user.password === undefined ? '' : ` PASSWORD ${quoteLiteral(scramVerifier(user.password))}`;
  return runStatements(session, [
    { named, text: `${verb} ROLE ${quoteName(user.username)} WITH ${attributes}${password}` },
  ]);
}
