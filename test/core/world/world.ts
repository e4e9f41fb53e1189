/**
 * A small deterministic world for scenarios of the core: fixed latencies, no chance. It tells everything that
 * happens, so that a scenario file can be read as a story.
 */
import { takeNext } from '../../../src/core/effect-order.ts';
import type { Effect, Job, Transaction } from '../../../src/core/effects.ts';
import type { Event, OperatorRequest, TransactionOutcome } from '../../../src/core/events.ts';
import { newMember, step } from '../../../src/core/member.ts';
import type { ClusterView, Settings, Tags } from '../../../src/core/model.ts';
import type { State } from '../../../src/core/state.ts';
import { describeJob, finishJob, jobMs } from './jobs.ts';
import { freshMember, type Member } from './member.ts';
import { Peers } from './peers.ts';
import type { Postgres } from './postgres.ts';
import { defaultSettings } from './settings.ts';
import { Storage } from './storage.ts';
import { Store } from './store.ts';
import { Timers } from './timers.ts';

const hopMs = 1;
const requestTimeoutMs = 1000;
const readyMs = 80;
const tickMs = 10;

export class World {
  now = 0;
  readonly members = new Map<string, Member>();
  store = new Store();
  storeUp = true;
  readonly lines: string[] = [];
  /** Told of every event before it is handled. */
  onEvent: ((state: State, event: Event, now: number) => void) | undefined;
  settings: Settings = defaultSettings;
  /** Pairs of members that cannot reach each other. */
  readonly cutLinks = new Set<string>();
  readonly peers = new Peers({
    now: () => this.now,
    member: (name) => this.members.get(name),
    all: () => [...this.members.values()],
    reach: (a, b) => this.#reach(a, b),
    hears: (member) => this.#hears(member),
    deliver: (member, event) => this.#deliver(member, event),
    later: (member, delayMs, run) => this.#later(member, delayMs, run),
  });
  readonly #storage = new Storage({
    now: () => this.now,
    deliver: (member, event) => this.#deliver(member, event),
    later: (member, delayMs, run) => this.#later(member, delayMs, run),
  });
  readonly #timers = new Timers();
  #systemIds = 7000;
  #answers = 0;
  #twoWritable = false;

  constructor() {
    this.#every(tickMs, () => this.#flowOfWal());
    this.#every(1000, () => this.#inspectAll());
  }

  add(name: string, tags: Partial<Tags> = {}): Member {
    const plain = { noFailover: false, failoverPriority: 1, noSync: false, syncPriority: 1, witness: false, all: {} };
    const all: Tags = { ...plain, ...tags };
    const member = freshMember(name, all, this.#self(name, all));
    this.members.set(name, member);
    return member;
  }

  #self(name: string, tags: Tags): State['self'] {
    return {
      name,
      connUrl: `postgres://${name}:5432/postgres`,
      apiUrl: `http://${name}:8008/patroni`,
      version: '0',
      tags,
      bootstrapSettings: this.settings,
    };
  }

  startAgent(member: Member): void {
    member.alive = true;
    member.life++;
    member.rule = '';
    member.state = newMember(this.#self(member.name, member.tags));
    const bootId = `boot-${member.boots}`;
    this.#deliver(member, { kind: 'started', durable: member.durable, armedUntil: member.armedUntil, bootId });
    this.#seePostgres(member);
  }

  /** The agent's process ends; PostgreSQL goes on, and so does what was on its way to the DCS. */
  killAgent(member: Member): void {
    member.alive = false;
    member.wake = Infinity;
    member.inbox.length = 0;
    member.queue.length = 0;
    member.isSaving = false;
    member.frozenUntil = -1;
  }

  freeze(member: Member, durationMs: number): void {
    member.frozenUntil = this.now + durationMs;
    this.#later(member, durationMs, () => {
      if (this.now >= member.frozenUntil) for (const event of member.inbox.splice(0)) this.#deliver(member, event);
    });
  }

  killHost(member: Member): void {
    this.killAgent(member);
    member.boots++;
    member.postgres.stop(false);
    member.postgres.exit = undefined;
    member.armedUntil = undefined;
  }

  operate(member: Member, request: OperatorRequest): void {
    this.#deliver(member, { kind: 'operator', requestId: `${request.kind}-${++this.#answers}`, request });
  }

  setSettings(change: Partial<Settings>): void {
    const settings = { ...(this.store.view.config?.value ?? this.settings), ...change };
    this.store.transact({ name: 'operator', compare: [], write: [{ key: 'config', value: settings }] }, this.now);
    this.#notifyAll();
  }

  /** The same store as it was once: restored from a backup. */
  restoreStore(view: ClusterView): void {
    this.store.view = view;
    for (const row of [view.leader, ...view.members.values()]) {
      // A restored DCS begins every lease anew.
      if (row?.leaseId !== undefined)
        this.store.leases.set(row.leaseId, { ttlMs: this.settings.ttlMs, renewedAt: this.now });
    }
    this.#notifyAll();
  }

  /** Another store under the same address. */
  replaceStore(storeId: string): void {
    this.store = new Store(storeId);
    this.#notifyAll();
  }

  /** Something that no member wrote. */
  tamper(change: Partial<ClusterView>): void {
    this.store.view = { ...this.store.view, ...change, revision: this.store.view.revision + 1 };
    this.#notifyAll();
  }

  /** What happened to PostgreSQL without the agent: it notices soon. */
  disturb(member: Member, change: (postgres: Postgres) => void): void {
    change(member.postgres);
    this.#after(5, () => this.#seePostgres(member));
  }

  reconnect(member: Member, connected: boolean): void {
    member.connected = connected;
    if (connected) this.#notify(member);
    else this.#after(requestTimeoutMs, () => this.#tellLost(member));
  }

  reconnectDcs(member: Member, hearsDcs: boolean): void {
    member.hearsDcs = hearsDcs;
    if (hearsDcs) this.#notify(member);
    else this.#after(requestTimeoutMs, () => this.#tellLost(member));
  }

  setStoreUp(up: boolean): void {
    this.storeUp = up;
    if (up) {
      // After a restart every lease runs a full TTL again.
      for (const lease of this.store.leases.values()) lease.renewedAt = this.now;
      this.#notifyAll();
    } else this.#after(requestTimeoutMs, () => this.members.forEach((member) => this.#tellLost(member)));
  }

  /** An orderly shutdown sends everything to the replicas that stream before it ends. */
  stopCleanly(member: Member): void {
    const streaming = [...this.members.values()].filter((one) => one.postgres.isStreamingFrom(member.postgres));
    member.postgres.stop(true);
    for (const one of streaming) one.postgres.streamRest(member.postgres);
  }

  run(durationMs: number, until?: () => boolean): boolean {
    const end = this.now + durationMs;
    while (this.now < end) {
      if (until?.()) return true;
      const next = this.#nextMoment();
      if (next > end) break;
      this.now = Math.max(this.now, next);
      this.#runDue();
    }
    if (until === undefined) this.now = end;
    return until?.() ?? true;
  }

  say(member: Member, text: string): void {
    this.lines.push(`${(this.now / 1000).toFixed(3).padStart(8)} ${member.name}: ${text}`);
  }

  /* -------------------------------------------------------------- time */

  #nextMoment(): number {
    const wakes = [...this.members.values()].map((member) =>
      member.alive ? Math.max(member.wake, member.frozenUntil) : Infinity,
    );
    const expiry = this.storeUp ? this.store.nextExpiry() : Infinity;
    const guards = [...this.members.values()].map((member) =>
      member.alive ? (member.armedUntil ?? Infinity) : Infinity,
    );
    return Math.min(this.#timers.nextAt(), expiry, ...wakes, ...guards);
  }

  #runDue(): void {
    if (this.storeUp && this.store.expire(this.now)) this.#notifyAll();
    this.#timers.runUntil(this.now);
    for (const member of this.members.values()) {
      if (member.alive && member.wake <= this.now && member.frozenUntil <= this.now)
        this.#deliver(member, { kind: 'tick' });
      // Behind the agent: it acts when the agent did not.
      if (member.alive && member.armedUntil !== undefined && member.armedUntil <= this.now) this.#fence(member);
    }
  }

  #after(delayMs: number, run: () => void): void {
    this.#timers.add(this.now + delayMs, run);
  }

  #every(periodMs: number, run: () => void): void {
    this.#after(periodMs, () => {
      run();
      this.#every(periodMs, run);
    });
  }

  /** Only while the agent that asked still lives. */
  #later(member: Member, delayMs: number, run: () => void): void {
    const { life } = member;
    this.#after(delayMs, () => {
      if (member.alive && member.life === life) run();
    });
  }

  /* -------------------------------------------------------------- the core */

  #deliver(member: Member, event: Event): void {
    if (!member.alive) return;
    if (this.now < member.frozenUntil) {
      member.inbox.push(event);
      return;
    }
    this.onEvent?.(member.state, event, this.now);
    const done = step(member.state, event, this.now, `wall+${Math.floor(this.now / 1000)}s`);
    member.state = done.state;
    member.lastStep = done;
    member.wake = done.wakeAt;
    if (done.rule !== member.rule && done.rule !== 'busy') {
      member.rule = done.rule;
      this.say(member, `${done.rule}: ${done.because}`);
    }
    member.queue.push(...done.effects);
    this.#carryOutAll(member);
  }

  #carryOutAll(member: Member): void {
    const next = (): Effect | undefined => takeNext(member.queue, member.isSaving);
    for (let effect = next(); effect !== undefined; effect = next()) {
      if (member.killAfter === 0) {
        member.killAfter = undefined;
        this.say(member, `  the agent dies before its next effect (${effect.kind})`);
        this.killAgent(member);
        return;
      }
      if (member.killAfter !== undefined) member.killAfter -= 1;
      member.effects += 1;
      this.#carryOut(member, effect);
    }
  }

  #carryOut(member: Member, effect: Effect): void {
    switch (effect.kind) {
      case 'persist':
        this.#storage.save(member, effect.durable);
        return;
      case 'probe-storage':
        this.#storage.probe(member);
        return;
      case 'guard':
        member.armedUntil = effect.until;
        return;
      case 'answer':
        if (this.peers.answer(effect.requestId, effect.answer.status === 200, effect.answer.text)) return;
        this.say(member, `answer ${effect.requestId}: ${effect.answer.status} ${effect.answer.text}`);
        return;
      case 'inspect':
        this.#later(member, 3, () => this.#seePostgres(member));
        return;
      case 'job':
        this.#beginJob(member, effect.id, effect.job);
        return;
      case 'change-slots':
        for (const name of effect.drop) member.postgres.slots.delete(name);
        for (const { name, reserve } of effect.create) member.postgres.slots.set(name, reserve);
        return;
      case 'transact':
        this.#transact(member, effect.id, effect.transaction);
        return;
      case 'heartbeat':
      case 'beat':
      case 'probe':
      case 'gate':
      case 'ask-failsafe':
        this.peers.carryOut(member, effect);
        return;
      default:
        this.#ask(member, effect);
    }
  }

  /* -------------------------------------------------------------- PostgreSQL */

  #beginJob(member: Member, id: number, job: Job): void {
    if (!['configure', 'checkpoint', 'provision'].includes(job.kind)) this.say(member, `  job ${describeJob(job)}`);
    const begin = member.postgres.starts;
    const { life, boots } = member;
    const finish = (): void => {
      const isAttended = member.alive && member.life === life && member.state.job?.id === id;
      // PostgreSQL goes on with a promotion that it was asked for, whoever waits for it.
      if (
        !isAttended &&
        (job.kind !== 'promote' ||
          (member.state.job?.id === id && member.life === life && member.alive) ||
          member.boots !== boots)
      )
        return;
      // What storage holds ends when it answers; a stop of something else was begun meanwhile, or is.
      if (member.postgres.hangs && (job.kind !== 'stop' || job.mode === 'fast')) {
        this.#after(tickMs, finish);
        return;
      }
      const outcome = finishJob(member.postgres, job, {
        systemId: () => String(++this.#systemIds),
        source: (name) => this.#sourceFor(member, name),
        stopCleanly: () => this.stopCleanly(member),
        onStarted: () =>
          this.#after(member.postgres.slow ? 3_600_000 : readyMs, () => {
            if (member.postgres.starts !== begin + 1) return;
            member.postgres.becomeReady();
            this.#seePostgres(member);
          }),
      });
      if (!isAttended) return;
      if (!outcome.ok) this.say(member, `  ${job.kind} failed: ${outcome.error}`);
      this.#deliver(member, {
        kind: 'job-finished',
        id,
        outcome,
        status: this.#status(member),
        at: `wall+${Math.floor(this.now / 1000)}s`,
      });
    };
    this.#after(jobMs[job.kind], finish);
  }

  #status(member: Member): ReturnType<Postgres['status']> {
    return member.postgres.status([...this.members.values()].map((one) => one.postgres));
  }

  #seePostgres(member: Member): void {
    this.#deliver(member, { kind: 'postgres-seen', status: this.#status(member) });
  }

  #inspectAll(): void {
    for (const member of this.members.values()) this.#seePostgres(member);
  }

  #fence(member: Member): void {
    member.armedUntil = undefined;
    if (member.postgres.process === 'stopped') return;
    member.postgres.stop(false);
    this.say(member, 'the guard stopped PostgreSQL');
    this.#seePostgres(member);
  }

  #sourceFor(member: Member, name: string): Postgres | undefined {
    const source = this.members.get(name);
    return source !== undefined && this.#reach(member, source) ? source.postgres : undefined;
  }

  #reach(a: Member, b: Member): boolean {
    if (this.cutLinks.has(`${a.name} ${b.name}`) || this.cutLinks.has(`${b.name} ${a.name}`)) return false;
    return a.connected && b.connected && a.linked && b.linked;
  }

  #flowOfWal(): void {
    const members = [...this.members.values()];
    const primaries = members.filter((member) => member.postgres.isPrimary);
    for (const member of primaries) member.postgres.write(10n);
    const replicas = members.map((member) => member.postgres);
    const writable = primaries.filter((member) => member.postgres.isAcknowledged(replicas));
    if (writable.length > 1 && !this.#twoWritable)
      this.lines.push(
        `${(this.now / 1000).toFixed(3).padStart(8)} !!! ${writable.map((one) => one.name).join(' and ')} both acknowledge commits`,
      );
    this.#twoWritable = writable.length > 1;
    for (const member of members) {
      member.postgres.stream(this.#sourceFor(member, member.postgres.upstream?.member ?? ''));
      if (member.postgres.foreignWal !== undefined) {
        this.say(member, `!!! it streams foreign WAL from ${member.postgres.foreignWal}`);
        member.postgres.foreignWal = undefined;
      }
    }
  }

  /* -------------------------------------------------------------- the DCS */

  #hears(member: Member): boolean {
    return member.connected && member.hearsDcs && this.storeUp;
  }

  #transact(member: Member, id: number, transaction: Transaction): void {
    const answer = (outcome: TransactionOutcome): void =>
      this.#deliver(member, { kind: 'transaction-answered', id, outcome, at: '' });
    const fate = transaction.name.startsWith('publish') ? 'ok' : member.nextTransaction;
    if (fate !== 'ok') member.nextTransaction = 'ok';
    if (!this.#hears(member) || fate === 'lose-request') {
      this.#later(member, requestTimeoutMs, () => answer({ kind: 'unanswered', error: 'no answer in time' }));
      return;
    }
    // On its way it does not depend on its sender any more.
    this.#after(hopMs, () => {
      const outcome = this.store.transact(transaction, this.now);
      if (!transaction.name.startsWith('publish'))
        this.say(
          member,
          `  ${transaction.name}: ${outcome.kind}${fate === 'lose-reply' ? ' (the reply is lost)' : ''}`,
        );
      if (outcome.kind === 'applied') this.#notifyAll();
      if (fate === 'lose-reply')
        this.#later(member, requestTimeoutMs, () => answer({ kind: 'unanswered', error: 'no answer in time' }));
      else this.#later(member, hopMs, () => answer(outcome));
    });
  }

  #ask(
    member: Member,
    effect: Extract<Effect, { kind: 'read' | 'grant-lease' | 'renew-lease' | 'revoke-lease' }>,
  ): void {
    const sentAt = this.now;
    if (!this.#hears(member)) {
      this.#later(member, requestTimeoutMs, () => {
        if (effect.kind === 'read') this.#tellLost(member);
        else if (effect.kind !== 'revoke-lease')
          this.#deliver(member, { kind: 'lease-failed', purpose: effect.purpose, error: 'no answer in time' });
      });
      return;
    }
    this.#later(member, 2 * hopMs, () => {
      if (effect.kind === 'read') this.#deliver(member, { kind: 'dcs-read', view: this.store.view, askedAt: sentAt });
      else if (effect.kind === 'grant-lease') {
        const leaseId = this.store.grant(effect.ttlMs, this.now);
        this.#deliver(member, {
          kind: 'lease-granted',
          purpose: effect.purpose,
          sentAt,
          leaseId,
          ttlMs: effect.ttlMs,
          askedTtlMs: effect.ttlMs,
        });
      } else if (effect.kind === 'renew-lease') {
        const ttlMs = this.store.renew(effect.leaseId, this.now);
        const { purpose, leaseId } = effect;
        this.#deliver(
          member,
          ttlMs === undefined
            ? { kind: 'lease-gone', purpose, leaseId }
            : { kind: 'lease-renewed', purpose, sentAt, leaseId, ttlMs },
        );
      } else if (this.store.revoke(effect.leaseId)) this.#notifyAll();
    });
  }

  #notifyAll(): void {
    for (const member of this.members.values()) this.#notify(member);
  }

  #notify(member: Member): void {
    this.#later(member, hopMs, () => {
      if (this.#hears(member))
        this.#deliver(member, { kind: 'dcs-read', view: this.store.view, askedAt: this.now - hopMs });
    });
  }

  #tellLost(member: Member): void {
    if (!this.#hears(member)) this.#deliver(member, { kind: 'dcs-lost', error: 'no connection' });
  }
}
