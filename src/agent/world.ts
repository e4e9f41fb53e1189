/** What a member stands in: the ports that its effects go out through, and the way in for what comes of them. */
import type { Event } from '../core/events.ts';
import type { Log } from '../lib/log.ts';
import type { Dcs } from '../ports/dcs.ts';
import type { Clock, DurableStore, Guard } from '../ports/host.ts';
import type { Peers } from '../ports/peers.ts';
import type { Postgres } from '../ports/postgres.ts';

/** The adapters of one member. */
export interface World {
  readonly dcs: Dcs;
  readonly postgres: Postgres;
  readonly durable: DurableStore;
  readonly peers: Peers;
  readonly guard: Guard;
  readonly clock: Clock;
  readonly log: Log;
}

/** The one way in: every event, in the order in which they come. */
export type Dispatch = (event: Event) => void;
