/**
 * What other agents answer, as far as it is read here: checked, since anything may listen on a port.
 * Loose: fields that are not named stay, so that a newer agent, or Patroni, is understood.
 */
import { z } from 'zod';

const tags = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

const progress = z.looseObject({
  doing: z.string(),
  done_bytes: z.number().optional(),
  total_bytes: z.number().optional(),
});

const dcs = z.looseObject({ state: z.string(), error: z.string().optional() });

const additions = {
  rule: z.string().optional(),
  because: z.string().optional(),
  pending_restart_parameters: z.array(z.string()).optional(),
  progress: progress.optional(),
};

export const memberAnswer = z.looseObject({
  state: z.string(),
  role: z.string(),
  server_version: z.number().optional(),
  timeline: z.number().optional(),
  replication_state: z.string().optional(),
  pause: z.boolean().optional(),
  cluster_unlocked: z.boolean().optional(),
  tags: tags.optional(),
  database_system_identifier: z.string().optional(),
  pending_restart: z.boolean().optional(),
  patroni: z.looseObject({ version: z.string(), scope: z.string(), name: z.string() }),
  dcs: dcs.optional(),
  ...additions,
});

const lag = z.union([z.number(), z.literal('unknown')]).optional();

export const clusterAnswer = z.looseObject({
  members: z.array(
    z.looseObject({
      name: z.string(),
      role: z.string(),
      state: z.string(),
      api_url: z.string().optional(),
      host: z.string().optional(),
      port: z.number().optional(),
      timeline: z.number().optional(),
      pending_restart: z.boolean().optional(),
      tags: tags.optional(),
      receive_lag: lag,
      receive_lsn: z.string().optional(),
      replay_lag: lag,
      replay_lsn: z.string().optional(),
      lag,
      lsn: z.string().optional(),
      ...additions,
    }),
  ),
  pause: z.boolean().optional(),
  scope: z.string(),
  dcs: dcs.optional(),
});

/** Of `GET /patroni`. */
export type MemberAnswer = z.infer<typeof memberAnswer>;
/** Of `GET /cluster`. */
export type ClusterAnswer = z.infer<typeof clusterAnswer>;
/** One member of `GET /cluster`. */
export type ClusterMemberAnswer = ClusterAnswer['members'][number];
