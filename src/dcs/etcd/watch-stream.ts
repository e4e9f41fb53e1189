/** One watch of a cluster's keys at one member, from its beginning to its end. */
import { Code, ConnectError } from '@connectrpc/connect';
import type { Endpoint } from './endpoint.ts';
import { encode, endOf } from './keys.ts';
import type { Event } from './messages.ts';

/** Who is told what comes. */
export interface StreamListener {
  /** From now on every change at this member is told. */
  onOpen(): void;
  /** The member said something; changes, or only that it lives. */
  onHeard(events: readonly Event[]): void;
  /** Once, however it ends, unless `end` was called. */
  onEnd(error: string): void;
}

/** A watch that is being opened, or is open. */
export interface Stream {
  readonly endpoint: Endpoint;
  readonly isOpen: boolean;
  /** Asks the member to say something. */
  poke(): void;
  end(): void;
}

type Input = { requestUnion: { case: 'createRequest'; value: object } | { case: 'progressRequest'; value: object } };

/** Watches all keys below `prefix`. `unfit`: why this member must not be asked. */
export function openStream(
  endpoint: Endpoint,
  prefix: string,
  unfit: (endpoint: Endpoint) => string | undefined,
  listener: StreamListener,
): Stream {
  const ending = new AbortController();
  const range = { key: encode(prefix), rangeEnd: encode(endOf(prefix)) };
  let isOpen = false;
  let wake = (): void => {};
  let pokes = 0;

  async function* input(): AsyncGenerator<Input> {
    yield { requestUnion: { case: 'createRequest', value: range } };
    while (!ending.signal.aborted) {
      for (; pokes > 0; pokes--) yield { requestUnion: { case: 'progressRequest', value: {} } };
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  const hear = (events: readonly Event[]): void => {
    if (!ending.signal.aborted) listener.onHeard(events);
  };
  void endpoint
    .attempt(
      async ({ watch }, options) => {
        for await (const response of watch.watch(input(), options)) {
          if (response.canceled) throw cancelledBy(response.cancelReason);
          if (response.created && !isOpen && !ending.signal.aborted) {
            isOpen = true;
            listener.onOpen();
          }
          hear(response.events);
        }
        throw new ConnectError('it ended the watch', Code.Unavailable);
      },
      { mayNotSend: unfit },
      ending.signal,
    )
    .then((attempt) => {
      if (ending.signal.aborted || attempt.kind === 'answered') return;
      ending.abort();
      wake();
      listener.onEnd(attempt.failure.error);
    });

  return {
    endpoint,
    get isOpen() {
      return isOpen && !ending.signal.aborted;
    },
    poke() {
      pokes = 1;
      wake();
    },
    end() {
      ending.abort();
      wake();
    },
  };
}

/** etcd before 3.5 says of a token that it does not know any more that the permission is denied. */
function cancelledBy(reason: string): ConnectError {
  const text = /etcdserver: .*/s.exec(reason)?.[0] ?? reason;
  const isAboutUser = /permission denied|auth token/.test(text);
  return new ConnectError(text || 'it ended the watch', isAboutUser ? Code.Unauthenticated : Code.Aborted);
}
