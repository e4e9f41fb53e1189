/** Access rules for the users that pgherd itself needs, where nobody configured any. */
import { type Credentials, rewindCredentials, type Setup } from './options.ts';

/**
 * pg_hba.conf lines that let the members' users in from every host, with their passwords. A user without a
 * password gets none: only configured lines can say how it may log in.
 */
export function defaultHbaLines(setup: Setup): readonly string[] {
  const { superuser, replication } = setup.authentication;
  const lines: string[] = ['# pgherd: the users of the cluster itself'];
  const allow = (database: string, user: Credentials): void => {
    if (user.password !== undefined) {
      lines.push(`host ${database} "${user.username.replaceAll('"', '""')}" all scram-sha-256`);
    }
  };
  allow('replication', replication);
  for (const user of new Map([rewindCredentials(setup), superuser].map((each) => [each.username, each])).values()) {
    allow('all', user);
  }
  return lines;
}
