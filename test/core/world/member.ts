/** A member of the small world: its agent, its host, its PostgreSQL. */
import type { Effect } from '../../../src/core/effects.ts';
import type { Event } from '../../../src/core/events.ts';
import { newMember, type Step } from '../../../src/core/member.ts';
import type { Durable, Tags } from '../../../src/core/model.ts';
import type { State } from '../../../src/core/state.ts';
import { Postgres } from './postgres.ts';

export interface Member {
  readonly name: string;
  readonly tags: Tags;
  state: State;
  alive: boolean;
  /** Frozen: events wait. */
  connected: boolean;
  /** Reachable by the other members, whatever the DCS hears. */
  linked: boolean;
  /** The DCS can be reached, where the network is there at all. */
  hearsDcs: boolean;
  readonly postgres: Postgres;
  durable: Durable | undefined;
  armedUntil: number | undefined;
  wake: number;
  rule: string;
  life: number;
  /** Power cycles of its host. */
  boots: number;
  /** The agent does nothing until then: it, or its host, is stopped. */
  frozenUntil: number;
  readonly inbox: Event[];
  /** It is killed before it carries out the n-th effect from now. */
  killAfter: number | undefined;
  /** Carried out since the last look: at rest there are few. */
  effects: number;
  /** What happens to its next transaction on the rule. */
  nextTransaction: 'ok' | 'lose-reply' | 'lose-request';
  lastStep: Step | undefined;
  /** Effects that wait for a `persist`. */
  readonly queue: Effect[];
  isSaving: boolean;
}

/** Its agent has not begun. */
export function freshMember(name: string, tags: Tags, self: State['self']): Member {
  return {
    name,
    tags,
    state: newMember(self),
    alive: false,
    connected: true,
    linked: true,
    hearsDcs: true,
    postgres: new Postgres(name),
    durable: undefined,
    armedUntil: undefined,
    wake: Infinity,
    rule: '',
    life: 0,
    boots: 0,
    frozenUntil: -1,
    inbox: [],
    killAfter: undefined,
    effects: 0,
    nextTransaction: 'ok',
    lastStep: undefined,
    queue: [],
    isSaving: false,
  };
}
