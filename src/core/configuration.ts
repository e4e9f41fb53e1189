/** What the instance's own files should say: whom it follows, with which settings. */
import type { Facts } from './facts.ts';
import type { Endpoint } from './model.ts';
import { wantedNames } from './sync-standbys.ts';

/**
 * All that the configuration of the instance depends on. When it differs from what the instance was last configured
 * for, the configuration is written and reloaded.
 */
export interface Configuration {
  /** Of the dynamic configuration in the DCS; 0 when there is none. */
  readonly revision: number;
  readonly upstream: Endpoint | undefined;
  readonly synchronousStandbyNames: string;
}

/** What the instance is to be configured for now, as a replica of `upstream`. */
export function configurationOf(
  facts: Facts,
  upstream: Endpoint | undefined,
  synchronousStandbyNames: string = wantedNames(facts),
): Configuration {
  return { revision: facts.view?.config?.modRevision ?? 0, upstream, synchronousStandbyNames };
}

/** For people. */
export function configurationText({ revision, upstream, synchronousStandbyNames: names }: Configuration): string {
  const to = upstream === undefined ? 'none' : `${upstream.member}@${upstream.host}:${upstream.port}`;
  return `config ${revision}, upstream ${to}${names === '' ? '' : `, synchronous_standby_names ${names}`}`;
}

/** Whether the running instance is configured for `upstream` and the present settings. */
export function isConfigured(facts: Facts, upstream: Endpoint | undefined): boolean {
  const { configuredFor: is } = facts.state;
  if (is === undefined || !isSameEndpoint(is.upstream, upstream)) return false;
  return is.revision === (facts.view?.config?.modRevision ?? 0) && is.synchronousStandbyNames === wantedNames(facts);
}

function isSameEndpoint(a: Endpoint | undefined, b: Endpoint | undefined): boolean {
  return a?.member === b?.member && a?.host === b?.host && a?.port === b?.port;
}

/** Whether the instance was started, or last configured, without a source. */
export function isConfiguredAlone({ state }: Facts): boolean {
  return state.configuredFor !== undefined && state.configuredFor.upstream === undefined;
}
