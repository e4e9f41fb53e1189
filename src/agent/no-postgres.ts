/** The instance of a witness: there is none, and there never will be. */
import type { JobOutcome } from '../core/events.ts';
import type { PostgresStatus } from '../core/model.ts';
import type { Postgres } from '../ports/postgres.ts';
import { probePostmaster } from '../postgres/probe.ts';

const status: PostgresStatus = { directory: { kind: 'empty' }, instance: { kind: 'stopped' } };
const refused: JobOutcome = { ok: false, error: 'a witness has no PostgreSQL', untouched: true };

/** Refuses every job. Other members' PostgreSQL it can look at as well as anybody. */
export function noPostgres(): Postgres {
  return {
    inspect: async () => status,
    run: async () => refused,
    fence: async () => {},
    walReceiverRuns: async () => false,
    gate: async () => refused,
    probe: probePostmaster,
    probeStorage: async () => ({ ok: true, freeBytes: Number.POSITIVE_INFINITY }),
    changeSlots: async () => refused,
    watch: (listener) => listener.onStatus(status),
    close: async () => {},
  };
}
