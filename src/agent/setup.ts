/** From the configuration file to what the core and the adapters take. */

import type { Address } from '../config/address.ts';
import type { Config, DatabaseUser, PostgresqlConfig } from '../config/config.ts';
import { version } from '../config/version.ts';
import type { Self, Settings } from '../core/model.ts';
import type { Log } from '../lib/log.ts';
import type { Clock } from '../ports/host.ts';
import type { Credentials, PostgresOptions } from '../postgres/options.ts';
import type { OsUser } from '../postgres/os-user.ts';

/** What the core is told of this member, from its configuration. */
export function selfOf(config: Config, bootstrapSettings: Settings): Self {
  return {
    name: config.name,
    connUrl: config.postgresql ? `postgres://${hostPort(config.postgresql.connectAddress)}/postgres` : '',
    apiUrl: `http://${hostPort(config.restapi.connectAddress)}/patroni`,
    version,
    tags: config.tags,
    bootstrapSettings,
  };
}

/** What the PostgreSQL adapter is told, from the member's configuration. */
export function postgresOptions(
  config: Config,
  postgresql: PostgresqlConfig,
  binDir: string,
  osUser: OsUser,
  clock: Clock,
  log: Log,
): PostgresOptions {
  const { superuser, replication, rewind } = postgresql.authentication;
  const pgHba = postgresql.pgHba ?? config.bootstrap.pgHba;
  return {
    member: config.name,
    scope: config.scope,
    dataDir: postgresql.dataDir,
    binDir,
    listen: postgresql.listen,
    connectAddress: postgresql.connectAddress,
    authentication: {
      superuser: credentials(superuser),
      replication: credentials(replication),
      rewind: credentials(rewind),
    },
    parameters: postgresql.parameters,
    initdb: config.bootstrap.initdb ?? [],
    basebackup: postgresql.basebackup,
    rewind: [],
    useUnixSocket: postgresql.useUnixSocket,
    osUser,
    clock,
    log,
    ...(pgHba === undefined ? {} : { pgHba }),
    ...(postgresql.pgIdent === undefined ? {} : { pgIdent: postgresql.pgIdent }),
    ...(postgresql.pgpass === undefined ? {} : { pgpass: postgresql.pgpass }),
  };
}

/** Where the cluster's keys are in the DCS: `/<namespace>/<scope>/`. */
export function prefixOf(config: { readonly namespace: string; readonly scope: string }): string {
  return `${config.namespace}/${config.scope}/`;
}

function credentials(user: DatabaseUser): Credentials {
  return {
    username: user.username,
    ...(user.password === undefined ? {} : { password: user.password }),
    connection: user.options,
  };
}

function hostPort({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
