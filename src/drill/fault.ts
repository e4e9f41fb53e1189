/** The planned faults: each is begun once, and what must be undone is undone whatever happens. */
import { command } from '../api/client.ts';
import { signalProcess } from '../postgres/process-table.ts';
import { freeze } from './freeze.ts';
import { findProcesses, type LocalMember } from './local-member.ts';

/** `switchover`: planned; `kill-postgres`: SIGKILL of the postmaster; `stop-agent`: SIGSTOP of the agent, then SIGCONT. */
export type FaultKind = 'switchover' | 'kill-postgres' | 'stop-agent';

/** Which faults act on processes, and so only on their host. */
export function isLocalFault(kind: FaultKind): boolean {
  return kind !== 'switchover';
}

/** A fault, and on whom. */
export type FaultPlan =
  | { readonly kind: 'switchover'; readonly primary: string; readonly apiUrl: string }
  | { readonly kind: 'kill-postgres'; readonly member: LocalMember }
  | { readonly kind: 'stop-agent'; readonly member: LocalMember; readonly atMostMs: number };

/** What was begun, or why it was not. */
export type FaultOutcome =
  /** `undo`: of an agent that stands still; it may be called again. */
  { readonly ok: true; readonly undo: (() => void) | undefined } | { readonly ok: false; readonly error: string };

/** The agent answers when a switchover is done or given up, by itself: this is only for an agent that does not. */
const switchoverMs = 120_000;

/** Begins it; of a switchover, resolves when it is done, or nobody wants to wait for it any more. */
export async function beginFault(plan: FaultPlan, signal: AbortSignal): Promise<FaultOutcome> {
  if (plan.kind === 'switchover') {
    const options = { timeoutMs: switchoverMs, signal };
    const answer = await command(plan.apiUrl, '/switchover', { leader: plan.primary }, options);
    if (!answer.ok) return { ok: false, error: `the switchover was not answered: ${answer.error}` };
    if (answer.status === 200) return { ok: true, undo: undefined };
    return { ok: false, error: `the switchover was not done: ${answer.text} (${answer.status})` };
  }
  // Looked for anew: since the checks another process may have taken the place.
  const found = await findProcesses(plan.member);
  if (!found.ok) return found;
  if (plan.kind === 'kill-postgres') {
    // Not SIGQUIT, which PostgreSQL expects: SIGKILL is what a crash and the kernel's out-of-memory killer look like.
    const done = signalProcess(found.postmaster, 'SIGKILL');
    return done ? { ok: true, undo: undefined } : { ok: false, error: 'PostgreSQL ended before it was killed' };
  }
  const frozen = await freeze(found.agentPid, plan.atMostMs);
  return frozen.ok ? { ok: true, undo: frozen.thaw } : frozen;
}
