/** Calls over two connections, in order, each with its deadline; renewals go round whatever is stuck. */
import type { Cause } from './address.ts';
import type { Query, Row } from './connection.ts';
import type { Link } from './link.ts';

/** What became of a call, as far as this host can know. */
export type CallOutcome =
  | { readonly kind: 'row'; readonly row: Row }
  /** It never left this host, or the server said that it did nothing. */
  | { readonly kind: 'not-sent'; readonly error: string }
  | { readonly kind: 'unanswered'; readonly error: string };

interface Call {
  readonly query: Query;
  readonly urgent: boolean;
  /** Of performance.now. */
  readonly deadline: number;
  readonly settle: (outcome: CallOutcome) => void;
}

/** The calls that wait for a link. */
export interface Calls {
  /** `urgent`: before the others, and over the second connection when the first is not free. */
  call(query: Query, urgent: boolean, signal: AbortSignal): Promise<CallOutcome>;
  /** To be told when a link became ready, or was lost. */
  pump(): void;
  /** `main` could not connect: what waits for it fails now, it was not sent. */
  failWaiting(error: string): void;
}

/** `main` carries every call; `second` urgent ones that find `main` busy or down, when it is ready. */
export function createCalls(main: Link, second: Link, timeoutMs: number, describe: (cause: Cause) => string): Calls {
  let waiting: Call[] = [];

  function pump(): void {
    const urgent = waiting.find((call) => call.urgent);
    const next = urgent ?? waiting[0];
    if (next === undefined) return;
    const link = main.ready ? main : second.ready && urgent !== undefined ? second : undefined;
    if (link === undefined) return main.need();
    waiting = waiting.filter((call) => call !== next);
    void send(link, next);
    pump();
  }

  async function send(link: Link, call: Call): Promise<void> {
    const reply = await link.query(call.query, Math.max(1, call.deadline - performance.now()));
    if (reply.kind === 'row') call.settle({ kind: 'row', row: reply.row ?? {} });
    else call.settle({ kind: reply.kind === 'lost' ? 'unanswered' : 'not-sent', error: describe(reply.cause) });
  }

  function call(query: Query, urgent: boolean, signal: AbortSignal): Promise<CallOutcome> {
    return new Promise((resolve) => {
      const leave = (): boolean => {
        const wasWaiting = waiting.includes(mine);
        waiting = waiting.filter((other) => other !== mine);
        return wasWaiting;
      };
      const aborted = (): void => {
        const kind = leave() ? 'not-sent' : 'unanswered';
        mine.settle({ kind, error: describe({ message: 'the call was cancelled', code: '' }) });
      };
      // In flight, the link keeps the deadline.
      const late = (): void => {
        // Without any connection the link says the same, a moment later: two texts would take turns.
        const message = `no ${main.connected ? 'connection was free' : 'answer'} within ${timeoutMs} ms`;
        if (leave()) mine.settle({ kind: 'not-sent', error: describe({ message, code: '' }) });
      };
      const timer = setTimeout(late, timeoutMs);
      const mine: Call = {
        query,
        urgent,
        deadline: performance.now() + timeoutMs,
        settle: (outcome) => {
          clearTimeout(timer);
          signal.removeEventListener('abort', aborted);
          resolve(outcome);
        },
      };
      waiting.push(mine);
      if (signal.aborted) return aborted();
      signal.addEventListener('abort', aborted, { once: true });
      pump();
    });
  }

  return {
    call,
    pump,
    failWaiting(error) {
      const failed = waiting.filter((call) => !(call.urgent && second.connected));
      waiting = waiting.filter((call) => !failed.includes(call));
      for (const one of failed) one.settle({ kind: 'not-sent', error });
    },
  };
}
