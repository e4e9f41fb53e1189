/** The monitor's URI in texts for people: never with its password. */

/** `postgres://pgherd:secret@h:5432/pgherd?x=y` → `postgres://pgherd@h:5432/pgherd`. */
export function redactUri(uri: string): string {
  if (!URL.canParse(uri)) return uri.replace(/:[^:@/]*@/, '@').replace(/\?.*$/, '');
  const url = new URL(uri);
  url.password = '';
  // Parameters may carry a password too.
  url.search = '';
  return url.href;
}

/** An error as it was met: `code` is a SQLSTATE, or a system's or Node's code, or ''. */
export interface Cause {
  readonly message: string;
  readonly code: string;
}

/** Whatever was thrown or emitted by a connection, as one cause. */
export function causeOf(error: unknown): Cause {
  // One error for each address of the host: they say the same.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  if (!(first instanceof Error)) return { message: String(first), code: '' };
  return { message: first.message.trim(), code: 'code' in first ? String(first.code) : '' };
}

/** Why the monitor cannot be used, and what to do about it. */
export function connectError(uri: string, cause: Cause): string {
  return `monitor ${redactUri(uri)}: ${reason(cause)}`;
}

const needsPassword = 'give it in the URI, in PGPASSWORD or in ~/.pgpass';

function reason({ message, code }: Cause): string {
  switch (code) {
    case '28P01':
      return `the password was not accepted: ${needsPassword}`;
    case '28000':
      // No such role, or no line for it in pg_hba.conf.
      return `${message}: is this the address of a monitor, and does it let this host in?`;
    case '3D000':
      return `${message}: is this the address of a monitor?`;
    case '3F000':
    case '42883':
      return 'this database is not a monitor, or its schema was never made: start it with "pgherd monitor"';
    case 'ECONNREFUSED':
      return 'connection refused: is the monitor running, and does it listen on this address?';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host's name is not known (${code})`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `the host cannot be reached (${code})`;
    default:
      if (/client password must be/.test(message)) return `it asks for a password and there is none: ${needsPassword}`;
      return message === '' ? code || 'it failed without a reason' : message;
  }
}
