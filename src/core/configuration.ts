/** What the instance's own files should say: whom it follows, with which settings. */
import type { Facts } from './facts.ts';
import type { Endpoint } from './model.ts';
import { wantedNames } from './sync-standbys.ts';

/**
 * A mark of all that the configuration of the instance depends on. When it differs from the mark that the instance
 * was last configured for, the configuration is written and reloaded.
 */
export function configurationMark(
  facts: Facts,
  upstream: Endpoint | undefined,
  synchronousStandbyNames: string = wantedNames(facts),
): string {
  const to = upstream === undefined ? 'none' : `${upstream.member}@${upstream.host}:${upstream.port}`;
  const names = synchronousStandbyNames === '' ? '' : `, synchronous_standby_names ${synchronousStandbyNames}`;
  return `config ${facts.view?.config?.modRevision ?? 0}, upstream ${to}${names}`;
}

/** Whether the running instance is configured for `upstream` and the present settings. */
export function isConfigured(facts: Facts, upstream: Endpoint | undefined): boolean {
  return facts.state.configuredFor === configurationMark(facts, upstream);
}

/** Whether the instance was started, or last configured, without a source. */
export function isConfiguredAlone(facts: Facts): boolean {
  return facts.state.configuredFor?.includes(', upstream none') ?? false;
}
