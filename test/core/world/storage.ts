/** The storage beside each PostgreSQL of the small world: it answers at once, unless it hangs. */
import type { Event } from '../../../src/core/events.ts';
import type { Durable } from '../../../src/core/model.ts';
import type { Member } from './member.ts';

const lookEveryMs = 10;
const probeMs = 2;
const saveLimitMs = 1000;
const plentyBytes = 1e12;

interface Surroundings {
  readonly now: () => number;
  readonly deliver: (member: Member, event: Event) => void;
  /** Only while the agent that asked still lives. */
  readonly later: (member: Member, delayMs: number, run: () => void) => void;
}

export class Storage {
  readonly #around: Surroundings;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  probe(member: Member): void {
    this.#whenItAnswers(member, probeMs, () => {
      const outcome = { ok: true as const, freeBytes: member.postgres.isFull ? 0 : plentyBytes };
      this.#around.deliver(member, { kind: 'storage-probed', outcome });
    });
  }

  save(member: Member, durable: Durable): void {
    const { now, deliver, later } = this.#around;
    if (!member.postgres.hangs) {
      member.durable = durable;
      return;
    }
    const since = now();
    member.isSaving = true;
    later(member, saveLimitMs, () => {
      if (member.isSaving) deliver(member, { kind: 'save-overdue', since, error: 'it is not on disk yet' });
    });
    this.#whenItAnswers(member, 1, () => {
      member.durable = durable;
      member.isSaving = false;
      deliver(member, { kind: 'saved' });
    });
  }

  #whenItAnswers(member: Member, delayMs: number, run: () => void): void {
    this.#around.later(member, delayMs, () => {
      if (member.postgres.hangs) this.#whenItAnswers(member, lookEveryMs, run);
      else run();
    });
  }
}
