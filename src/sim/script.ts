/** What can go wrong, as records: drawn from the seed before the run, so that a script can be shrunk, saved and played again. */
import type { Settings } from '../core/model.ts';
import { between, happens, pick, pickWeighted, type Random, spreadOver } from './random.ts';

/** One thing that goes wrong. */
export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  /** A name, or who it is at that moment: `@primary`, `@replica`, `@any`, `@actor` (who sprang the trap). */
  readonly member?: string;
  readonly other?: string;
  /** How long it lasts. */
  readonly forMs?: number;
  /** It waits from `atMs` on until an effect of this name has gone out somewhere, and `delayMs` more. */
  readonly after?: string;
  readonly delayMs?: number;
  /** How strong it is; what it means depends on the kind. */
  readonly value?: number;
  /** Of `settings`. */
  readonly settings?: Partial<
    Pick<
      Settings,
      | 'synchronousMode'
      | 'synchronousNodeCount'
      | 'synchronousModeStrict'
      | 'ttlMs'
      | 'failureTimeoutMs'
      | 'heartbeatIntervalMs'
    >
  >;
}

/** Every kind of fault. */
export type FaultKind = (typeof kinds)[number]['kind'] | (typeof apart)[number]['kind'];

interface Kind {
  readonly kind: string;
  readonly weight: number;
  readonly member?: readonly string[];
  /** From, to, in TTLs; spread over the orders of magnitude. */
  readonly forTtls?: readonly [number, number];
  readonly value?: readonly [number, number];
  /**
   * It is no reason to move the primary: however long it lasts; when it lasts less than half a TTL; when members can
   * promise each other to wait while the DCS is away.
   */
  readonly harmless?: 'always' | 'short' | 'failsafe';
}

const anywhere = ['@primary', '@primary', '@replica', '@any'] as const;

export const kinds = [
  { kind: 'agent-kill', weight: 4, member: anywhere, forTtls: [0.01, 3], harmless: 'short' },
  { kind: 'agent-kill-soon', weight: 4, member: anywhere, forTtls: [0.01, 2], value: [0, 6], harmless: 'short' },
  { kind: 'agent-freeze', weight: 3, member: anywhere, forTtls: [0.02, 3], harmless: 'short' },
  { kind: 'host-freeze', weight: 3, member: anywhere, forTtls: [0.02, 3], value: [0, 1] },
  { kind: 'host-off', weight: 4, member: anywhere, forTtls: [0.1, 4] },
  { kind: 'postgres-crash', weight: 4, member: anywhere },
  { kind: 'postgres-hang', weight: 2, member: anywhere, forTtls: [0.1, 3] },
  { kind: 'postgres-stop', weight: 1, member: anywhere },
  { kind: 'cut-dcs', weight: 4, member: anywhere, forTtls: [0.05, 4], harmless: 'failsafe' },
  { kind: 'cut-dcs-one-way', weight: 3, member: anywhere, forTtls: [0.05, 4], value: [0, 2], harmless: 'short' },
  { kind: 'cut-all', weight: 4, member: anywhere, forTtls: [0.05, 4] },
  { kind: 'cut-postgres', weight: 3, member: anywhere, forTtls: [0.02, 3], value: [0, 3], harmless: 'always' },
  { kind: 'cut-agents', weight: 2, member: anywhere, forTtls: [0.02, 3], value: [0, 3], harmless: 'always' },
  { kind: 'slow-network', weight: 2, forTtls: [0.1, 2], value: [5, 150], harmless: 'always' },
  { kind: 'dcs-outage', weight: 3, forTtls: [0.05, 3], harmless: 'failsafe' },
  { kind: 'dcs-restart', weight: 2, forTtls: [0.01, 0.2], harmless: 'always' },
  { kind: 'dcs-lose-requests', weight: 2, forTtls: [0.1, 2], value: [0.05, 0.5] },
  { kind: 'dcs-lose-replies', weight: 3, forTtls: [0.1, 2], value: [0.05, 0.5] },
  { kind: 'dcs-land-late', weight: 3, forTtls: [0.2, 3], value: [0.05, 0.5] },
  { kind: 'dcs-late-reads', weight: 2, forTtls: [0.2, 3], value: [0.1, 0.8], harmless: 'always' },
  { kind: 'dcs-lose-lease', weight: 1, member: anywhere },
  { kind: 'dcs-restore', weight: 0.25, value: [500, 20_000] },
  { kind: 'dcs-replace', weight: 0.12, value: [500, 20_000] },
  { kind: 'watch-late', weight: 2, member: ['@any'], forTtls: [0.1, 2], harmless: 'always' },
  { kind: 'watch-cut', weight: 2, member: ['@any'], forTtls: [0.1, 2], harmless: 'always' },
  { kind: 'slow-disk', weight: 2, member: anywhere, forTtls: [0.1, 2] },
  { kind: 'disk-full', weight: 1, member: anywhere, forTtls: [0.1, 3] },
  { kind: 'storage-hangs', weight: 2, member: anywhere, forTtls: [0.05, 3] },
  { kind: 'postmaster-frozen', weight: 1, member: anywhere, forTtls: [0.05, 3] },
  { kind: 'connections-used-up', weight: 0.5, member: anywhere, forTtls: [0.1, 2], harmless: 'always' },
  { kind: 'disk-lost', weight: 0.5, member: ['@replica', '@any'] },
  { kind: 'directory-replaced', weight: 0.5, member: anywhere, value: [1000, 1_000_000] },
  { kind: 'promote-hangs', weight: 2, member: ['@any'], forTtls: [0.2, 4] },
  { kind: 'stop-hangs', weight: 2, member: anywhere, forTtls: [0.1, 3], harmless: 'always' },
  { kind: 'start-fails', weight: 1, member: anywhere, forTtls: [0.1, 3] },
  { kind: 'slow-recovery', weight: 2, member: ['@any'], forTtls: [0.5, 4], harmless: 'always' },
  { kind: 'receiver-stuck', weight: 2, member: ['@replica'], forTtls: [0.1, 3], harmless: 'always' },
  { kind: 'reloads-late', weight: 2, member: anywhere, forTtls: [0.2, 4], harmless: 'always' },
  { kind: 'checkpointer-late', weight: 2, member: ['@any'], forTtls: [0.2, 4], harmless: 'always' },
  { kind: 'replay-lags', weight: 2, member: ['@replica'], forTtls: [0.2, 4], harmless: 'always' },
  { kind: 'jobs-slow', weight: 2, member: ['@any'], forTtls: [0.2, 4], harmless: 'always' },
  { kind: 'switchover', weight: 3, member: ['@replica', '@primary'] },
  { kind: 'failover', weight: 1, member: ['@replica'] },
  { kind: 'failover-forced', weight: 0.4, member: ['@replica'] },
  { kind: 'restart', weight: 2, member: anywhere },
  { kind: 'reinit', weight: 1, member: ['@replica'], harmless: 'always' },
  { kind: 'pause', weight: 1, forTtls: [0.2, 4], harmless: 'always' },
  { kind: 'settings', weight: 2, harmless: 'always' },
  { kind: 'agent-shutdown', weight: 2, member: anywhere, forTtls: [0.05, 3] },
] as const satisfies readonly Kind[];

/** Not drawn with the others: see upgrade.ts and wall.ts. */
const apart = [
  { kind: 'another-release', weight: 0, harmless: 'short' },
  { kind: 'wall-jump', weight: 0, harmless: 'always' },
] as const satisfies readonly Kind[];

/** What is worth striking just after. */
const moments = [
  'take',
  'take',
  'release',
  'job promote',
  'job promote',
  'job stop',
  'job start',
  'job rewind',
  'job clone',
  'job sever',
  'job configure',
  'record term',
  'announce',
  'revoke',
  'grow',
  'shrink',
  'persist',
] as const;

const apartTtls = 2;

/** Some kinds of faults, each as often as this seed likes it. */
export function drawFaults(random: Random, settings: Settings, fromMs: number, toMs: number): readonly Fault[] {
  const { ttlMs, failsafeMode } = settings;
  const onlyHarmless = happens(random, 0.15);
  const chosen = kinds
    .filter(
      (kind: Kind) => !onlyHarmless || (kind.harmless !== undefined && (kind.harmless !== 'failsafe' || failsafeMode)),
    )
    .map((kind) => ({ ...kind, weight: happens(random, 0.4) ? kind.weight * spreadOver(random, 0.2, 5) : 0 }));
  const faults: Fault[] = [];
  if (onlyHarmless) {
    // So far apart that two of them are not one longer one.
    for (let at = fromMs + ttlMs * random(); at < toMs; ) {
      const kind = pickWeighted(random, chosen);
      if (kind === undefined) break;
      const fault = draw(random, kind, ttlMs, at, true);
      faults.push(fault);
      at += (fault.forMs ?? 0) + apartTtls * ttlMs * between(random, 1, 2);
    }
    return faults;
  }
  for (const at of anyTimes(random, fromMs, toMs)) {
    const kind = pickWeighted(random, chosen);
    if (kind !== undefined) faults.push(draw(random, kind, ttlMs, at, false));
  }
  return faults.toSorted((a, b) => a.atMs - b.atMs);
}

function anyTimes(random: Random, fromMs: number, toMs: number): readonly number[] {
  return Array.from({ length: Math.floor(spreadOver(random, 2, 32)) }, () => between(random, fromMs, toMs));
}

function draw(
  random: Random,
  kind: Kind & { readonly kind: FaultKind },
  ttlMs: number,
  at: number,
  gentle: boolean,
): Fault {
  const { member, forTtls, value } = kind;
  const longest = gentle && kind.harmless === 'short' ? 0.4 : (forTtls?.[1] ?? 1);
  const isTrap = !gentle && happens(random, 0.3);
  return {
    atMs: Math.round(at),
    kind: kind.kind,
    ...(member === undefined ? {} : { member: isTrap && happens(random, 0.6) ? '@actor' : pick(random, member) }),
    ...(forTtls === undefined
      ? {}
      : { forMs: Math.round(ttlMs * spreadOver(random, forTtls[0], Math.max(longest, forTtls[0]))) }),
    ...(value === undefined ? {} : { value: Number(between(random, ...value).toFixed(2)) }),
    ...(isTrap ? { after: pick(random, moments), delayMs: Number(spreadOver(random, 0.1, 400).toFixed(1)) } : {}),
    ...(kind.kind === 'settings' ? { settings: drawSettings(random) } : {}),
  };
}

function drawSettings(random: Random): NonNullable<Fault['settings']> {
  return pick(random, [
    () => ({ synchronousMode: pick(random, ['off', 'on', 'quorum', 'quorum'] as const) }),
    () => ({ synchronousNodeCount: pick(random, [1, 1, 2, 3]) }),
    () => ({ synchronousModeStrict: happens(random, 0.5) }),
    () => ({ ttlMs: pick(random, [3000, 5000, 10_000]) }),
    () => {
      const failureTimeoutMs = pick(random, [500, 1000, 2000]);
      return { failureTimeoutMs, heartbeatIntervalMs: failureTimeoutMs / 4 };
    },
  ])();
}

/** Whether nothing in the script is a reason to move the primary. What a wall clock shows makes nothing else worse. */
export function isHarmless(script: readonly Fault[], { ttlMs, failsafeMode }: Settings): boolean {
  const faults = script.filter((fault) => fault.kind !== 'wall-jump');
  return faults.every((fault, index) => {
    const kind: Kind | undefined = [...kinds, ...apart].find((one) => one.kind === fault.kind);
    const before = faults[index - 1];
    if (before !== undefined && fault.atMs < before.atMs + (before.forMs ?? 0) + apartTtls * ttlMs - 1) return false;
    if (kind?.harmless === 'failsafe') return failsafeMode || (fault.forMs ?? 0) <= ttlMs / 2;
    return kind?.harmless === 'always' || (kind?.harmless === 'short' && (fault.forMs ?? 0) <= ttlMs / 2);
  });
}
