/** How the agent reaches its own instance, and what it means when it cannot. */
import type { Instance } from '../core/model.ts';
import { type Address, type SessionOutcome, type SessionRequest, tooManyConnections } from './connection.ts';
import type { Setup } from './options.ts';
import type { PidFile } from './process-table.ts';

/** An instance that is there and cannot be asked. */
export type Unanswered = Extract<Instance, { readonly kind: 'starting' | 'silent' }>;

/** A way to the instance, and how to read its refusals. */
export interface Access {
  readonly request: SessionRequest;
  /** For people. */
  readonly place: string;
  /** What a refused connection says about the instance. `status`: of the pid file. */
  refusal(outcome: Extract<SessionOutcome, { readonly ok: false }>, status: string | undefined): Unanswered;
}

const cannotConnectNow = '57P03';

/**
 * A tool's words with what to look at, where the server did not let the user in. The SQLSTATE is not among them.
 * `user`: whose section of the configuration it is; `at`: the member whose pg_hba.conf decides.
 */
export function withLoginAdvice(error: string, user: 'replication' | 'rewind', at: string): string {
  const refused =
    /authentication failed for user|no pg_hba\.conf entry|fe_sendauth|role ".*" does not exist|must be superuser or replication/;
  if (!refused.test(error)) return error;
  return `${error}; check postgresql.authentication.${user} and the pg_hba.conf of ${at}`;
}

/** The port and socket directory are those of the running server, which may not be ours by configuration (adopted). */
export function accessOf(setup: Setup, pidFile: PidFile | undefined): Access {
  const address = localAddress(setup, pidFile);
  const credentials = setup.authentication.superuser;
  const place = address.host.startsWith('/')
    ? `${address.host}/.s.PGSQL.${address.port}`
    : `${address.host}:${address.port}`;
  const refusal: Access['refusal'] = (outcome, status) => {
    if (outcome.code === cannotConnectNow) return { kind: 'starting', because: outcome.error };
    if (outcome.code?.startsWith('28')) {
      return {
        kind: 'silent',
        why: 'unanswered',
        because: `PostgreSQL at ${place} does not let user "${credentials.username}" in: ${outcome.error}; check postgresql.authentication.superuser and pg_hba.conf`,
      };
    }
    if (outcome.code === 'ECONNREFUSED' || outcome.code === 'ENOENT') {
      if (status !== 'ready') return { kind: 'starting', because: `nothing listens at ${place} yet` };
      const because = `PostgreSQL runs, but not at ${place}; check postgresql.listen`;
      return { kind: 'silent', why: 'unanswered', because };
    }
    // It takes a server that lives to say so.
    const why = outcome.code === tooManyConnections ? 'crowded' : 'unanswered';
    return { kind: 'silent', why, because: `the connection to ${place} failed: ${outcome.error}` };
  };
  const { connectMs, queryMs } = setup.timings;
  return { place, refusal, request: { address, credentials, database: 'postgres', connectMs, queryMs } };
}

/** Where Patroni connects: the Unix socket if told so, else an address that the server listens at. */
function localAddress(setup: Setup, pidFile: PidFile | undefined): Address {
  const port = pidFile?.port ?? setup.listen.port;
  if (setup.useUnixSocket) {
    const configured = setup.parameters['unix_socket_directories']?.split(',')[0]?.trim();
    return { host: pidFile?.socketDirectory ?? (configured || '/var/run/postgresql'), port };
  }
  const hosts = setup.listen.hosts;
  const loopback = hosts.find((host) => /^(localhost|127\.|::1$)/.test(host));
  const first = loopback ?? hosts[0] ?? '*';
  if (first === '*' || first === '0.0.0.0') return { host: '127.0.0.1', port };
  return { host: first === '::' ? '::1' : first, port };
}
