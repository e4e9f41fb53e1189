/** What the instance's own files should say: whom it follows, with which settings. */
import type { Facts } from './facts.ts';
import type { Endpoint } from './model.ts';

/**
 * A mark of all that the configuration of the instance depends on. When it differs from the mark that the instance
 * was last configured for, the configuration is written and reloaded.
 */
export function configurationMark(facts: Facts, upstream: Endpoint | undefined): string {
  const to = upstream === undefined ? 'none' : `${upstream.member}@${upstream.host}:${upstream.port}`;
  return `config ${facts.view?.config?.modRevision ?? 0}, upstream ${to}`;
}

/** Whether the running instance is configured for `upstream` and the present settings. */
export function isConfigured(facts: Facts, upstream: Endpoint | undefined): boolean {
  return facts.state.configuredFor === configurationMark(facts, upstream);
}
