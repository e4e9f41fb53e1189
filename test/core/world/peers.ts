/** How the members of the small world hear of each other: heartbeats, the DCS's beat, attempts to connect, questions. */
import type { Effect } from '../../../src/core/effects.ts';
import type { Event } from '../../../src/core/events.ts';
import { heartbeatOf } from '../../../src/core/heartbeat.ts';
import type { Member } from './member.ts';

type Sign = Extract<Effect, { kind: 'heartbeat' | 'beat' | 'probe' | 'gate' | 'ask-failsafe' }>;

interface Surroundings {
  readonly now: () => number;
  readonly member: (name: string) => Member | undefined;
  readonly all: () => readonly Member[];
  readonly reach: (a: Member, b: Member) => boolean;
  readonly hears: (member: Member) => boolean;
  readonly deliver: (member: Member, event: Event) => void;
  readonly later: (member: Member, delayMs: number, run: () => void) => void;
}

const hopMs = 1;
const gateTimeoutMs = 5000;

export class Peers {
  readonly #around: Surroundings;
  readonly #questions = new Map<string, (accepted: boolean, because: string) => void>();
  #asked = 0;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  carryOut(member: Member, effect: Sign): void {
    switch (effect.kind) {
      case 'heartbeat':
        return this.#heartbeat(member, effect);
      case 'beat':
        return this.#beat(member, effect.term);
      case 'probe':
        return this.#probe(member, effect);
      case 'gate':
        return this.#gate(member, effect.mark);
      case 'ask-failsafe':
        return this.#question(member, effect);
    }
  }

  /** True when it was the answer to a question of another member. */
  answer(requestId: string, accepted: boolean, because: string): boolean {
    const told = this.#questions.get(requestId);
    this.#questions.delete(requestId);
    told?.(accepted, because);
    return told !== undefined;
  }

  #heartbeat(member: Member, { member: name, heartbeat }: Extract<Sign, { kind: 'heartbeat' }>): void {
    const { reach, deliver, later, now } = this.#around;
    const other = this.#around.member(name);
    if (other === undefined || !reach(member, other)) return;
    later(other, hopMs, () => {
      deliver(other, { kind: 'heard', heartbeat });
      if (now() < other.frozenUntil || !reach(member, other)) return;
      const answer = heartbeatOf(other.state, now());
      later(member, hopMs, () => deliver(member, { kind: 'heard', heartbeat: answer }));
    });
  }

  #beat(member: Member, term: number): void {
    const { hears, deliver, later, all } = this.#around;
    if (!hears(member)) return;
    for (const other of all()) {
      if (other === member || !hears(other)) continue;
      later(other, 2 * hopMs, () => deliver(other, { kind: 'alive', member: member.name, term }));
    }
  }

  #probe(member: Member, { endpoint, timeoutMs }: Extract<Sign, { kind: 'probe' }>): void {
    const { reach, deliver, later, now } = this.#around;
    const askedAt = now();
    const other = this.#around.member(endpoint.member);
    const isReached = other !== undefined && reach(member, other);
    const answered = isReached && other.postgres.process !== 'stopped';
    later(member, isReached ? 2 * hopMs : timeoutMs, () =>
      deliver(member, { kind: 'probed', member: endpoint.member, askedAt, answered }),
    );
  }

  #gate(member: Member, mark: string): void {
    const { all, deliver, later, now } = this.#around;
    const until = now() + gateTimeoutMs;
    const look = (): void => {
      const done = member.postgres.isPrimary && member.postgres.isAcknowledged(all().map((one) => one.postgres));
      if (done) deliver(member, { kind: 'gate', mark, outcome: { ok: true } });
      else if (now() >= until)
        deliver(member, { kind: 'gate', mark, outcome: { ok: false, error: 'no answer in time' } });
      else later(member, 10, look);
    };
    later(member, 10, look);
  }

  #question(member: Member, effect: Extract<Sign, { kind: 'ask-failsafe' }>): void {
    const { reach, deliver, later, now } = this.#around;
    const { term, number, ttlMs, member: name } = effect;
    const other = this.#around.member(name);
    const sentAt = now();
    const tell = (accepted: boolean, because: string): void =>
      later(member, hopMs, () =>
        deliver(member, { kind: 'failsafe-answered', member: name, term, sentAt, accepted, because }),
      );
    if (other === undefined || !reach(member, other)) return;
    const requestId = `failsafe ${(this.#asked += 1)}`;
    this.#questions.set(requestId, tell);
    later(other, hopMs, () =>
      deliver(other, { kind: 'failsafe-asked', requestId, from: member.name, term, number, ttlMs }),
    );
  }
}
