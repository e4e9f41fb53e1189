/** The planned hand-over: who may get it, and why not. Everything is checked before anything is stopped. */
import { candidatesByFlush } from './candidates.ts';
import type { Facts } from './facts.ts';
import type { FailoverRequest } from './model.ts';

/** Whether a hand-over can be done, and to whom. */
export type SwitchoverCheck =
  | { readonly kind: 'go'; readonly candidate: string }
  | { readonly kind: 'refuse'; readonly reason: string };

/** Judged by the holder, on its own view of its replicas. The texts are Patroni's where it has one. */
export function checkSwitchover(facts: Facts, request: FailoverRequest): SwitchoverCheck {
  const refuse = (reason: string): SwitchoverCheck => ({ kind: 'refuse', reason });
  const word = request.kind === 'failover' ? 'failover' : 'switchover';
  const { candidate, leader } = request;
  if (leader !== undefined && leader !== facts.self) return refuse('leader name does not match');
  if (candidate === facts.self) return refuse('Switchover target and source are the same');
  if (facts.paused && candidate === undefined)
    return refuse('Switchover is possible only to a specific candidate in a paused state');
  const all = candidatesByFlush(facts);
  if (candidate === undefined) {
    const best = all.find((one) => one.reason === undefined);
    if (best !== undefined) return { kind: 'go', candidate: best.member };
    const why = all.map((one) => `${one.member}: ${one.reason}`).join('; ');
    return refuse(`${word} is not possible: no good candidates have been found${why === '' ? '' : ` (${why})`}`);
  }
  const named = all.find((one) => one.member === candidate);
  if (named === undefined) return refuse('candidate does not exists');
  if (named.reason === undefined || (request.kind === 'failover' && named.onlyBehind)) return { kind: 'go', candidate };
  return refuse(`${word} is not possible: ${candidate}: ${named.reason}`);
}
