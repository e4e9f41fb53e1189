/** Whether an address of this host can be listened on: asked before anything is written or started. */
import { createServer } from 'node:net';
import { codeOf, messageOf } from '../lib/caught.ts';

/** Why the address cannot be listened on, and what to do (`option`: what chooses another one); undefined: it can. */
export async function whyNotFree(
  { host, port }: { readonly host: string; readonly port: number },
  option: string,
): Promise<string | undefined> {
  const server = createServer();
  const outcome = await new Promise<unknown>((resolve) => {
    server.once('error', resolve);
    server.listen({ port, exclusive: true, ...(host === '*' ? {} : { host }) }, () => resolve(undefined));
  });
  if (outcome === undefined) {
    await new Promise((resolve) => server.close(resolve));
    return undefined;
  }
  switch (codeOf(outcome) ?? '') {
    case 'EADDRINUSE':
      return `port ${port} on ${host} is in use by another program: end it, or choose another ${option}`;
    case 'EADDRNOTAVAIL':
      return `${host} is not an address of this host: choose another ${option}`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${host} is not known here: choose another ${option}`;
    case 'EACCES':
      return `port ${port} is not for ordinary users: choose one above 1023`;
    default:
      return `${host}:${port} cannot be listened on: ${messageOf(outcome)}`;
  }
}
