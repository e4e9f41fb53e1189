/** As which operating system user PostgreSQL and its tools run. PostgreSQL refuses to run as root. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { codeOf, messageOf } from '../lib/caught.ts';
import type { Owner } from '../lib/durable-write.ts';

/** Whom PostgreSQL runs as. */
export interface OsUser extends Owner {
  readonly name: string;
  readonly home: string;
  /** We run as root and become this user for PostgreSQL. */
  readonly become: boolean;
  /** Why this user, for people. */
  readonly because: string;
}

/** The user, or why none will do. */
export type OsUserOutcome =
  | { readonly ok: true; readonly user: OsUser }
  | { readonly ok: false; readonly error: string };

/**
 * Root runs PostgreSQL as the data directory's owner, or as `postgres` where there is none yet (or an empty one of
 * root's). Everybody else runs it as themselves, and so needs a data directory of their own.
 */
export function chooseOsUser(dataDir: string): OsUserOutcome {
  const me = process.getuid?.() ?? 0;
  const owner = ownerOf(dataDir);
  if (owner.kind === 'unreachable') {
    return { ok: false, error: `the data directory ${dataDir} cannot be reached: ${owner.error}` };
  }
  if (me !== 0) {
    if (owner.kind === 'owned' && owner.uid !== me) {
      const theirs = accountOf(owner.uid)?.name ?? `user ${owner.uid}`;
      return {
        ok: false,
        error: `the data directory ${dataDir} belongs to ${theirs}, and we run as ${accountOf(me)?.name ?? me}: run pgherd as ${theirs} or as root`,
      };
    }
    return found(me, false, 'pgherd runs as this user');
  }
  if (owner.kind === 'owned' && owner.uid !== 0) return found(owner.uid, true, `${dataDir} belongs to this user`);
  if (owner.kind === 'owned' && !owner.empty) {
    return {
      ok: false,
      error: `the data directory ${dataDir} belongs to root, and PostgreSQL refuses to run as root: give it to another user (chown -R postgres ${dataDir})`,
    };
  }
  const account = accounts().find((entry) => entry.name === 'postgres');
  if (account === undefined) {
    return {
      ok: false,
      error: `PostgreSQL refuses to run as root, there is no data directory ${dataDir} whose owner could run it, and no user "postgres": create that user, or run pgherd as another one`,
    };
  }
  return found(account.uid, true, `${dataDir} has no owner yet, and this is the customary user`);
}

function found(uid: number, become: boolean, because: string): OsUserOutcome {
  const account = accountOf(uid);
  if (account) return { ok: true, user: { ...account, become, because } };
  const gid = become ? uid : (process.getgid?.() ?? uid);
  return { ok: true, user: { name: String(uid), uid, gid, home: '/', become, because } };
}

type DirectoryOwner =
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreachable'; readonly error: string }
  | { readonly kind: 'owned'; readonly uid: number; readonly empty: boolean };

function ownerOf(path: string): DirectoryOwner {
  let uid: number;
  try {
    uid = statSync(path).uid;
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? { kind: 'absent' } : { kind: 'unreachable', error: messageOf(error) };
  }
  try {
    return { kind: 'owned', uid, empty: readdirSync(path).every((name) => name === 'lost+found') };
  } catch {
    return { kind: 'owned', uid, empty: false };
  }
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

function accountOf(uid: number): Account | undefined {
  return accounts().find((account) => account.uid === uid);
}

/** Accounts of directories (LDAP, ...) are not in the file: those run by number. */
function accounts(): readonly Account[] {
  let text: string;
  try {
    text = readFileSync('/etc/passwd', 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid, , home] = line.split(':');
    if (!name || uid === undefined || gid === undefined) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home: home || '/' }];
  });
}

/**
 * The command that runs `program` as this user. setpriv executes it in its own place, so the pid stays.
 * `dieWithUs`: for tools, which must not go on writing after the agent that would judge their outcome is gone.
 */
export function asOsUser(
  user: OsUser,
  program: string,
  dieWithUs: boolean,
): { readonly command: string; readonly arguments: readonly string[] } {
  const death = dieWithUs ? ['--pdeathsig', 'KILL'] : [];
  if (user.become) {
    const groups = user.name === String(user.uid) ? '--clear-groups' : '--init-groups';
    return {
      command: 'setpriv',
      arguments: [`--reuid=${user.uid}`, `--regid=${user.gid}`, groups, ...death, '--', program],
    };
  }
  return { command: program, arguments: [] };
}

/** The environment for PostgreSQL's programs: ours, without what libpq and PostgreSQL would take from it. */
export function osUserEnvironment(user: OsUser, extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(PG|PATRONI_|PGHERD_|NODE_|UV_)/.test(name)) environment[name] = value;
  }
  return { ...environment, HOME: user.home, USER: user.name, LOGNAME: user.name, ...extra };
}
