/**
 * One request to whichever member answers: the next member is asked when one fails, or is silent for a moment. What can be
 * done only once is sent to one member at a time, and to the next one only when the last one has certainly not done it.
 */
import type { Attempt, Endpoint, Request } from './endpoint.ts';

/** What became of a request, as far as this host can know. */
export type Asked<Value> =
  | { readonly kind: 'answered'; readonly value: Value; readonly endpoint: Endpoint }
  | { readonly kind: 'no-such-lease' }
  /** Nothing was done, and nothing will be. */
  | { readonly kind: 'not-sent'; readonly error: string }
  | { readonly kind: 'unanswered'; readonly error: string };

/** A request, and how far it may be repeated. */
export interface RoundOptions<Value> {
  readonly request: Request<Value>;
  /** In the order in which they are asked. */
  readonly endpoints: readonly Endpoint[];
  /**
   * Done twice it is as if done once: it goes to the next member when one is silent, and when what became of it is not known.
   */
  readonly isRepeatable: boolean;
  /** Does this answer settle it while a copy of the request is still under way? A refusal by compares does not. */
  readonly isFinal: (value: Value) => boolean;
  /** Why this member must not be asked; it was just connected to. */
  readonly unfit: (endpoint: Endpoint) => string | undefined;
  /** A member has not answered for `hedgeAfterMs`. */
  readonly onSilence: (endpoint: Endpoint) => void;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** The usual answer takes a millisecond. */
export const hedgeAfterMs = 200;

/** Always resolves, within `timeoutMs`. */
export function runRound<Value>(options: RoundOptions<Value>): Promise<Asked<Value>> {
  return new Promise((resolve) => {
    const { signal, timeoutMs } = options;
    const round: Round<Value> = {
      options,
      queue: [...options.endpoints],
      asked: new Map(),
      failures: new Map(),
      isUnsettled: false,
      refusal: undefined,
      ending: new AbortController(),
      hedge: undefined,
      settle(outcome) {
        clearTimeout(timer);
        clearTimeout(round.hedge);
        signal.removeEventListener('abort', cancelled);
        round.queue = [];
        round.settle = () => {};
        resolve(outcome);
        // The copies that are still under way are of no use any more.
        round.ending.abort();
      },
    };
    const timer = setTimeout(() => giveUp(round, `no answer within ${timeoutMs} ms`), timeoutMs);
    const cancelled = (): void => giveUp(round, 'the call was cancelled');
    if (signal.aborted) return cancelled();
    signal.addEventListener('abort', cancelled, { once: true });
    next(round);
  });
}

interface Round<Value> {
  readonly options: RoundOptions<Value>;
  queue: Endpoint[];
  /** Under way, and whether the request may have left. */
  readonly asked: Map<Endpoint, { isSent: boolean }>;
  /** By address, for people. */
  readonly failures: Map<string, string>;
  /** An attempt failed that may have done it, or may yet do it. */
  isUnsettled: boolean;
  /** An answer that says that nothing was done by that copy. */
  refusal: Asked<Value> | undefined;
  readonly ending: AbortController;
  hedge: NodeJS.Timeout | undefined;
  settle: (outcome: Asked<Value>) => void;
}

function isSent({ asked }: Pick<Round<never>, 'asked'>): boolean {
  return [...asked.values()].some((attempt) => attempt.isSent);
}

/** Asks one more member, if that may be done. */
function next<Value>(round: Round<Value>): void {
  const { options } = round;
  clearTimeout(round.hedge);
  if (round.ending.signal.aborted || (!options.isRepeatable && isSent(round))) return;
  const endpoint = round.refusal === undefined ? round.queue.shift() : undefined;
  if (endpoint === undefined) {
    if (round.asked.size === 0) conclude(round);
    return;
  }
  const mine = { isSent: false };
  round.asked.set(endpoint, mine);
  round.hedge = setTimeout(() => {
    for (const silent of round.asked.keys()) options.onSilence(silent);
    next(round);
  }, hedgeAfterMs);
  const mayNotSend = (): string | undefined => {
    const unfit = options.unfit(endpoint);
    if (unfit !== undefined) return unfit;
    if (!options.isRepeatable && isSent(round)) {
      // Its turn comes if the other one has certainly not done it.
      round.queue.push(endpoint);
      return 'another member was quicker';
    }
    mine.isSent = true;
    return undefined;
  };
  void endpoint
    .attempt(options.request, { mayNotSend }, round.ending.signal)
    .then((attempt) => fold(round, endpoint, attempt));
}

function fold<Value>(round: Round<Value>, endpoint: Endpoint, attempt: Attempt<Value>): void {
  const { options } = round;
  round.asked.delete(endpoint);
  if (attempt.kind === 'answered') {
    const { value } = attempt;
    const answer: Asked<Value> = { kind: 'answered', value, endpoint };
    if (options.isFinal(value)) return round.settle(answer);
    round.refusal ??= answer;
  } else {
    const { error, isCertain, reason } = attempt.failure;
    if (reason === 'no-such-lease') round.refusal ??= { kind: 'no-such-lease' };
    round.failures.set(endpoint.url, error);
    if (!isCertain) round.isUnsettled = true;
    if (round.isUnsettled && !options.isRepeatable) return conclude(round);
  }
  next(round);
}

/** Nobody is left to be asked, or may be asked. */
function conclude<Value>(round: Round<Value>): void {
  const error = tellFailures(round, round.options.endpoints);
  if (round.isUnsettled) return round.settle({ kind: 'unanswered', error });
  round.settle(round.refusal ?? { kind: 'not-sent', error });
}

function giveUp<Value>(round: Round<Value>, why: string): void {
  for (const { url } of round.asked.keys()) if (!round.failures.has(url)) round.failures.set(url, why);
  const error = round.failures.size === 0 ? why : tellFailures(round, round.options.endpoints);
  round.settle({ kind: round.isUnsettled || isSent(round) ? 'unanswered' : 'not-sent', error });
}

/** `http://a:2379, http://b:2379: connection refused; http://c:2379: ...`, in the order of the addresses. */
function tellFailures({ failures, queue }: Pick<Round<never>, 'failures' | 'queue'>, all: readonly Endpoint[]): string {
  const byError = new Map<string, string[]>();
  for (const [url, error] of [...failures].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (queue.some((waiting) => waiting.url === url)) continue;
    byError.set(error, [...(byError.get(error) ?? []), url]);
  }
  if (byError.size === 0) return all.length === 0 ? 'no address of a member is known' : 'no member could be asked';
  return [...byError].map(([error, urls]) => `${urls.join(', ')}: ${error}`).join('; ');
}
