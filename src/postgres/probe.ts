/** Does a postmaster answer there? Asked without a login, so that it needs no right and no free connection. */
import { connect } from 'node:net';
import type { Endpoint } from '../core/model.ts';

/**
 * PostgreSQL, "Message Formats", SSLRequest: length 8, code 80877103. Every server answers with one byte (S or N), or
 * with an error; only a child that the postmaster has made for the connection does so. A postmaster that is frozen
 * makes none, while the kernel still takes the connection.
 */
const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** True when anything was answered within `timeoutMs`. A refusal, a hang-up or silence is no answer. */
export function probePostmaster(endpoint: Pick<Endpoint, 'host' | 'port'>, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: endpoint.host, port: endpoint.port });
    const finish = (answered: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answered);
    };
    const timer = setTimeout(() => finish(false), timeoutMs);
    socket.once('connect', () => socket.write(sslRequest));
    socket.once('data', () => finish(true));
    socket.once('close', () => finish(false));
    // Followed by `close`.
    socket.on('error', () => undefined);
  });
}
