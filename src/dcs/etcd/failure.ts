/** Why a request failed, and whether etcd can have done what it asked for. */
import { Code, ConnectError } from '@connectrpc/connect';

/** One failed attempt at one member. */
export interface Failure {
  /** For people; without the member's address. */
  readonly error: string;
  /** Nothing was done, and nothing will be. */
  readonly isCertain: boolean;
  readonly reason: 'no-such-lease' | 'token' | 'auth-off' | 'other';
}

const prefix = 'etcdserver: ';

/**
 * What etcd says before a request can have been proposed, or instead of applying it. Not among them, on purpose: "database space
 * exceeded" (a transaction is applied and then reported so), "leader changed", "request timed out", "server stopped".
 */
const certainCodes: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.FailedPrecondition,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.Unimplemented,
]);
const certainTexts: ReadonlySet<string> = new Set([
  'no leader',
  'not capable',
  'rpc not supported for learner',
  'too many requests',
]);

/** Said with another code than Unauthenticated. */
const tokenTexts: ReadonlySet<string> = new Set(['revision of auth store is old', 'user name is empty']);

/** What a client of gRPC threw, as a failure. */
export function failureOf(caught: unknown): Failure {
  const error = ConnectError.from(caught);
  const text = error.rawMessage;
  if (!text.startsWith(prefix)) return { error: text || Code[error.code], isCertain: false, reason: 'other' };
  const said = text.slice(prefix.length);
  const isCertain = certainCodes.has(error.code) || certainTexts.has(said);
  return { error: hint(said), isCertain, reason: reasonOf(error.code, said) };
}

function reasonOf(code: Code, said: string): Failure['reason'] {
  if (said === 'requested lease not found') return 'no-such-lease';
  if (said === 'authentication is not enabled') return 'auth-off';
  return code === Code.Unauthenticated || tokenTexts.has(said) ? 'token' : 'other';
}

/** What etcd said, and what to do about it. */
function hint(said: string): string {
  switch (said) {
    case 'user name is empty':
      return 'it asks for a user and there is none: set username and password, or a client certificate (cert, key)';
    case 'authentication failed, invalid user ID or password':
      return 'the username or the password was not accepted';
    case 'permission denied':
      return 'permission denied: the user needs to read and write the keys of the cluster';
    case 'mvcc: database space exceeded':
      return 'its database is full: compact and defragment it, then disarm the alarm (etcdctl alarm disarm)';
    default:
      return said;
  }
}

/** Why no connection came about, and what to do about it. */
export function connectHint(error: string): string {
  if (/ECONNREFUSED/.test(error)) return 'connection refused: is etcd running, and does it listen on this address?';
  if (/ENOTFOUND|EAI_AGAIN/.test(error)) return "the host's name is not known";
  if (/EHOSTUNREACH|ENETUNREACH/.test(error)) return 'the host cannot be reached';
  if (/self.signed|unable to (?:get|verify)|issuer/i.test(error))
    return `${error}: is cacert the authority that signed it?`;
  if (/wrong version number|packet length too long|EPROTO/i.test(error))
    return 'it does not speak TLS: is protocol right?';
  if (/alert (?:bad certificate|certificate required|unknown ca|handshake)|certificate required/i.test(error)) {
    return 'it asks for a certificate that it trusts: set cert and key';
  }
  return error.trim();
}
