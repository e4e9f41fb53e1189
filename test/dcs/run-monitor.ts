/** The monitor as a process of its own: PGDATA LISTEN AUTH. */
import { runMonitor } from '../../src/monitor/main.ts';

const [, , pgdata = '', listen = '', auth] = process.argv;
const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
process.exitCode = await runMonitor({
  pgdata,
  listen,
  auth: auth === 'scram-sha-256' ? auth : 'trust',
  log: (line) => console.log(line),
  signal: stopping.signal,
});
