/** Operators (and members) who wait: a request goes in as an event, and the core's answer finds its asker by the request's number. */
import { randomUUID } from 'node:crypto';
import type { Answer } from '../core/effects.ts';
import type { OperatorRequest } from '../core/events.ts';
import type { Log } from '../lib/log.ts';
import type { FailsafeQuestion } from '../ports/peers.ts';
import type { Dispatch } from './world.ts';

/** The requests that are waited for. */
export interface Operators {
  /** Resolves with the core's answer, or with status 503 when `signal` aborts before it came. */
  readonly operate: (request: OperatorRequest, signal: AbortSignal) => Promise<Answer>;
  /** The same for another member's question. */
  readonly askFailsafe: (question: FailsafeQuestion, signal: AbortSignal) => Promise<Answer>;
  /** Gives the answer to whoever still waits for it. */
  readonly answer: (requestId: string, answer: Answer) => void;
}

/** Nobody waits yet. */
export function waitingOperators(log: Log, dispatch: Dispatch): Operators {
  const waiting = new Map<string, (answer: Answer) => void>();

  function ask(signal: AbortSignal, send: (requestId: string) => void): Promise<Answer> {
    return new Promise((resolve) => {
      const requestId = randomUUID();
      const giveUp = (): void => {
        waiting.delete(requestId);
        resolve({ status: 503, text: 'the request was given up before it was done; it may still be in progress' });
      };
      if (signal.aborted) return giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
      waiting.set(requestId, (answer) => {
        signal.removeEventListener('abort', giveUp);
        resolve(answer);
      });
      send(requestId);
    });
  }

  return {
    operate: (request, signal) =>
      ask(signal, (requestId) => {
        log.info('operator', `asked for: ${request.kind}`, { ...request, kind: undefined });
        dispatch({ kind: 'operator', requestId, request });
      }),
    askFailsafe: (question, signal) =>
      ask(signal, (requestId) => dispatch({ kind: 'failsafe-asked', requestId, ...question })),
    answer(requestId, answer) {
      waiting.get(requestId)?.(answer);
      waiting.delete(requestId);
    },
  };
}
